"""The cursors that the scripts give out: they rise, whatever the clock does."""

from __future__ import annotations

import hashlib
import json
import random
import secrets
from itertools import pairwise
from pathlib import Path
from typing import Any

import gevent
import pytest

from occupancy.boards.commands import Bounds, Command, Commands
from occupancy.boards.reconcile import Reconciler
from occupancy.boards.records import Preconditions
from occupancy.boards.store import Store
from occupancy.core.entities import Person
from occupancy.core.transitions import PUT, TRANSITIONS
from occupancy.services import Services
from occupancy.storage import scripts
from tests.support.elsewhere import store_elsewhere

ANA = Person("ana", "Ana")
CURSORS_LUA = Path(scripts.__file__).parent / "lua" / "board" / "cursors.lua"
NOW_MS = 1_795_888_000_123
EXACT = 2**53  # whole numbers below it are exact in Lua and JavaScript


@pytest.fixture
def board(services: Services) -> str:
    return services.store.boards.create("cursors").board


def numbers_of(cursor: str) -> tuple[int, int]:
    milliseconds, _, number = cursor.partition("-")
    return int(milliseconds), int(number)


def next_cursor(services: Services, last: str, now_ms: int, nonce: int | None = None) -> str:
    """What the function of cursors.lua returns."""
    if nonce is None:
        nonce = random.getrandbits(48)
    call = "return next_cursor(ARGV[1], tonumber(ARGV[2]), ARGV[3])"
    found: Any = services.store.client.eval(
        CURSORS_LUA.read_text() + call, 0, last, str(now_ms), str(nonce)
    )
    return bytes(found).decode()


def test_a_cursor_is_the_time_and_random_bits_of_the_caller(services: Services) -> None:
    assert next_cursor(services, "0-0", NOW_MS, 2**48 - 1) == f"{NOW_MS}-{2**48 - 1}"
    assert next_cursor(services, f"{NOW_MS - 1}-{2**53 - 1}", NOW_MS, 7) == f"{NOW_MS}-7"


@pytest.mark.parametrize("behind_ms", [0, 1, 5_000, 24 * 3600 * 1000])
def test_cursors_rise_for_a_thousand_operations_while_the_clock_is_behind(
    services: Services, behind_ms: int
) -> None:
    last, nonces = f"{NOW_MS}-{2**48 - 1}", [random.getrandbits(48) for _ in range(1_000)]
    loop = """
        local found, last = {}, ARGV[1]
        for number = 3, #ARGV do
            last = next_cursor(last, tonumber(ARGV[2]), ARGV[number])
            found[#found + 1] = last
        end
        return found
    """  # in one call: fakeredis makes an interpreter for each
    found: Any = services.store.client.eval(
        CURSORS_LUA.read_text() + loop, 0, last, str(NOW_MS - behind_ms), *map(str, nonces)
    )
    cursors = [last, *(each.decode() for each in found)]
    assert len(cursors) == 1_001
    assert all(numbers_of(a) < numbers_of(b) for a, b in pairwise(cursors))
    assert max(max(numbers_of(each)) for each in cursors) < EXACT


def test_a_cursor_whose_second_half_is_full_is_followed_by_the_next_millisecond(
    services: Services,
) -> None:
    assert next_cursor(services, f"{NOW_MS}-{EXACT - 2}", NOW_MS, 5) == f"{NOW_MS + 1}-5"


def test_two_callers_at_the_same_cursor_get_different_ones(services: Services) -> None:
    for last in (f"{NOW_MS - 1}-0", f"{NOW_MS}-5"):  # in a new millisecond, and in the same one
        found = {next_cursor(services, last, NOW_MS) for _ in range(200)}
        assert len(found) == 200


def test_a_damaged_cursor_is_as_none(services: Services) -> None:
    assert next_cursor(services, "damaged", NOW_MS, 5) == f"{NOW_MS}-5"


def test_the_items_of_a_batch_have_rising_cursors(services: Services, board: str) -> None:
    store, tags = services.store, [f"T-{number}" for number in range(50)]
    before = store.log.head(board).head_cursor
    store.commands.execute(Command(board, PUT, tags, actor=ANA, items=[{}] * 50))
    answer = store.commands.execute(Command(board, TRANSITIONS["take"], tags, actor=ANA))
    entries = store.log.replay(board, before, 1000).entries
    assert [each.seq for each in entries] == list(range(1, 101))
    assert all(numbers_of(a.cursor) < numbers_of(b.cursor) for a, b in pairwise(entries))
    assert answer.cursor == entries[-1].cursor == store.boards.get(board).cursor


def test_the_log_goes_further_than_the_board_says(services: Services, board: str) -> None:
    """Only by damage: the server then makes the id, and nothing is half done."""
    store = services.store
    store.commands.execute(Command(board, PUT, ["A"], actor=ANA, items=[{}]))
    keys, client = store.keys.board(board), store.client
    (seconds, _) = client.time()
    last = f"{seconds * 1000 + 3_600_000}-9"
    client.xadd(keys.log, {"seq": "1", "event": "{}"}, id=last)
    given = Preconditions(idempotency_key="k", fingerprint=secrets.token_hex(16))
    taken = store.commands.execute(
        Command(board, TRANSITIONS["take"], ["A"], actor=ANA, preconditions=given)
    )
    (outcome,) = taken.outcomes
    assert (outcome.code, outcome.changed) == ("ok", True)
    assert numbers_of(taken.cursor) > numbers_of(last)
    assert store.boards.get(board).cursor == taken.cursor
    paused = store.commands.execute(Command(board, TRANSITIONS["pause"], ["A"], actor=ANA))
    assert numbers_of(paused.cursor) > numbers_of(taken.cursor)
    assert [each.seq for each in store.log.replay(board, taken.cursor, 10).entries] == [3]
    assert json.loads(store.queries.item(board, "A"))["state"] == "paused"


def test_a_clock_that_was_set_back_spoils_neither_history_nor_replay_nor_timeline(
    services: Services, board: str
) -> None:
    """As if the last event were of tomorrow."""
    store = services.store
    store.commands.execute(Command(board, PUT, ["A"], actor=ANA, items=[{}]))
    keys, client = store.keys.board(board), store.client
    (seconds, _) = client.time()
    tomorrow = f"{(seconds + 86_400) * 1000}-{random.getrandbits(48)}"
    client.delete(keys.log)
    (event,), _ = store.queries.history(board, "A", limit=1)
    client.xadd(keys.log, {"seq": "1", "event": event}, id=tomorrow)
    client.hset(keys.board, "cursor", tomorrow)
    given = Preconditions(idempotency_key="k", fingerprint=secrets.token_hex(16))
    take = Command(board, TRANSITIONS["take"], ["A"], actor=ANA, preconditions=given)
    first = store.commands.execute(take)
    for number in range(60):
        row = TRANSITIONS["take" if number % 2 else "release"]
        store.commands.execute(Command(board, row, ["A"], actor=ANA))
    entries = store.log.replay(board, tomorrow, 100).entries
    assert [each.seq for each in entries] == list(range(2, 63))
    history, _ = store.queries.history(board, "A", limit=100)
    assert [json.loads(each)["seq"] for each in history] == list(range(62, 0, -1))
    page, following = store.queries.history(board, "A", limit=10)
    more, _ = store.queries.history(board, "A", limit=10, page=following)
    assert page + more == history[:20]
    assert store.timelines.get(board, hours=1).cursor == entries[-1].cursor
    again = store.commands.execute(take)
    assert (again.is_replayed, again.cursor) == (True, first.cursor)


def older_commands(store: Store, bounds: Bounds | None = None) -> Commands:
    """Those of a version whose scripts let the server make the id, with a small second half."""
    older = store_elsewhere(store, bounds).commands
    script = older._operate
    ours = b"local id = next_cursor(cursor, now_ms, request.nonce)"
    assert ours in script.source
    script.source = script.source.replace(ours, b"local id = '*'")
    script.sha1 = hashlib.sha1(script.source).hexdigest()
    return older


def test_processes_of_an_older_version_write_the_same_board_in_turn(
    services: Services, board: str
) -> None:
    store = services.store
    older = older_commands(store)
    store.commands.execute(Command(board, PUT, ["A"], actor=ANA, items=[{}]))
    cursors, chance = [store.log.head(board).head_cursor], random.Random(3)
    for number in range(60):
        first, second = chance.sample([older, store.commands], 2)
        row = TRANSITIONS["release" if number % 2 else "take"]
        given = Preconditions(idempotency_key=str(number), fingerprint=secrets.token_hex(16))
        command = Command(board, row, ["A"], actor=ANA, preconditions=given)
        answer = first.execute(command)
        cursors.append(answer.cursor)
        again = second.execute(command)
        assert (again.is_replayed, again.cursor, again.outcomes) == (
            True, answer.cursor, answer.outcomes,
        )  # fmt: skip
    assert all(numbers_of(a) < numbers_of(b) for a, b in pairwise(cursors))
    assert [each.cursor for each in store.log.replay(board, "0-0", 1000).entries] == cursors
    for position in (0, 7, 45):
        following = store.log.replay(board, cursors[position], 1000).entries
        assert [each.cursor for each in following] == cursors[position + 1 :]
    assert Reconciler(store).run(board, repair=False).problems == []


def test_a_long_log_is_cut_by_cursors_of_either_form(services: Services, board: str) -> None:
    store = services.store
    small = Bounds(
        log_entries=100_000, log_bytes=64 * 1024, history_entries=100, history_bytes=1024**2
    )
    forms = [older_commands(store, small), store_elsewhere(store, small).commands]
    title = {"title": json.dumps("x" * 900)}
    for number in range(120):
        texts = {**title, "attributes": json.dumps({"number": str(number)})}
        if number % 2 == 0:
            gevent.sleep(0.002)  # so that the id of the older one begins a millisecond
        forms[number % 2].execute(Command(board, PUT, ["A"], actor=ANA, items=[texts]))
    marks: Any = store.client.lrange(store.keys.board(board).log_marks, 0, -1)
    log: Any = store.client.xrange(store.keys.board(board).log)
    kept = [cursor for cursor, _ in log]
    assert 20 < len(kept) < 100
    assert kept == sorted(kept, key=lambda cursor: numbers_of(cursor.decode()))
    assert {numbers_of(each.decode())[1] < 1000 for each in kept} == {True, False}
    assert marks
    assert set(marks) <= set(kept)
