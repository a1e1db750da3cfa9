"""What an operation publishes: each event once, with the cursor of the one before it."""

from __future__ import annotations

from collections.abc import Callable

from occupancy.boards.commands import Command
from occupancy.core.entities import Person
from occupancy.core.transitions import PUT
from occupancy.services import Services
from tests.support.servers import RealServer
from tests.support.waiting import wait_until


def test_each_message_names_the_event_before_it(
    valkey_services: Services, server_of: Callable[[str], RealServer]
) -> None:
    store = valkey_services.store
    board = store.boards.create("published").board
    messages: list[list[bytes]] = []
    with server_of("valkey").client() as client, client.pubsub() as listener:
        listener.subscribe(store.keys.board(board).channel)
        wait_until(lambda: listener.get_message(timeout=0), what="the subscription")
        for tags in (["A"], ["B", "C", "D"], ["E"]):
            items: list[dict[str, str]] = [{}] * len(tags)
            store.commands.execute(Command(board, PUT, tags, Person("ana", "Ana"), items=items))

        def has_all() -> bool:
            if message := listener.get_message(timeout=0):
                messages.append(message["data"].split(b" ", 3))
            return len(messages) == 5

        wait_until(has_all, what="five messages")
    entries = store.log.replay(board, "0-0", 10).entries
    cursors = ["0-0", *(each.cursor for each in entries)]
    assert [previous.decode() for previous, *_ in messages] == cursors[:-1]
    assert [cursor.decode() for _, cursor, *_ in messages] == cursors[1:]
    assert [(int(seq), event) for *_, seq, event in messages] == [
        (each.seq, each.event) for each in entries
    ]
