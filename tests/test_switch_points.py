"""Switch points: each claim that there is none is guarded, and the guard finds a planted one."""

from __future__ import annotations

import ast
import re
import socket
import textwrap
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import gevent
import greenlet
import pytest
from gevent.event import Event

from occupancy.access.pin_queue import PinQueue
from occupancy.boards.catalog.index import BoardIndex
from occupancy.core.settings import Settings
from occupancy.live.feed import Feed
from occupancy.live.socket_writer import SocketWriter
from occupancy.live.sse import Payload
from occupancy.live.subscriber import Subscriber
from occupancy.observability.public_figures import AtMostOnceASecond
from occupancy.server.fast.auth_batcher import AuthBatcher
from occupancy.services import Services
from occupancy.storage.fair_queue import FairQueue
from tests.live.gapless.parts import Board, Log, Stream, offer
from tests.support.deployment import ROOT
from tests.support.switch_claims import CLAIMS, NO_CLAIMS, guarded_places
from tests.support.switch_guard import Place, SwitchGuard, lines_of

_SAYS_SO = re.compile(
    r"\bswitch(es|ed)?\b|\bnever waits?\b|\bnot wait\b|\bin (one|the same) step\b|\bnobody ran\b"
)
PLACES = guarded_places()


def lines_that_say_so() -> Iterator[tuple[str, str]]:
    for path in sorted((ROOT / "occupancy").rglob("*.py")):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for line in path.read_text().splitlines():
            if _SAYS_SO.search(line):
                yield module, line.strip()


def test_every_claim_of_no_switch_point_is_guarded() -> None:
    known = [(each.module, each.text) for each in CLAIMS] + list(NO_CLAIMS)
    lines = list(lines_that_say_so())
    found: Counter[tuple[str, str]] = Counter()
    for module, line in lines:
        of_it = [each for each in known if each[0] == module and each[1] in line]
        assert of_it, f"{module} says {line!r}: see tests/support/switch_claims.py"
        found.update(of_it)
    assert found == Counter(known)  # each says one thing, once, and is still said


def test_every_claim_has_a_place() -> None:
    assert [each.text for each in CLAIMS if not each.places] == []
    for place in PLACES:
        lines_of(place)


# The guard


@pytest.fixture(autouse=True)
def _no_switch_where_the_code_says_there_is_none() -> None:
    """The tests below make such switches, each under a guard of its own."""


def switches_at(place: Place, line: int) -> Callable[[], None]:
    """A function of the name and the file of ``place``, which switches at ``line``."""
    *owners, name = place.name.split(".")
    source = f"def {name}(): sleep(0)"
    for each in reversed(owners):
        source = f"class {each}:\n" + textwrap.indent(source, " ")
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if hasattr(node, "lineno"):
            node.lineno = node.end_lineno = line  # type: ignore[attr-defined] # has both
    found: Any = {"sleep": gevent.sleep}
    exec(compile(tree, lines_of(place).file, "exec", dont_inherit=True), found)
    for each in owners:
        found = vars(found[each])
    made: Callable[[], None] = found[name]
    return made


def is_found(guard: SwitchGuard, act: Callable[[], object]) -> bool:
    guard.found.clear()
    with guard.watching():
        act()
    return bool(guard.found)


def test_a_switch_in_any_guarded_line_is_found_and_none_beside_it() -> None:
    for place in PLACES:
        guard, (_, first, last) = SwitchGuard([place]), lines_of(place)
        for line in (first, last):
            assert is_found(guard, switches_at(place, line)), f"{place}, line {line}"
        for line in (first - 1, last + 1):
            assert not is_found(guard, switches_at(place, line)), f"{place}, line {line}"


def switching(method: Callable[..., Any]) -> Callable[..., Any]:
    """``method`` with a switch point before it."""

    def switch_first(*args: Any, **options: Any) -> Any:
        gevent.sleep(0)
        return method(*args, **options)

    return switch_first


def offer_an_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log()
    board = Board(log)
    board.log.open()
    monkeypatch.setattr(board.frames, "deliver", switching(board.frames.deliver))
    offer(board, log.append())
    assert board.log.seq == 1


def add_a_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    board = Board(Log())
    monkeypatch.setattr(board.channel, "append", switching(board.channel.append))
    board.broadcaster.add(board.channel, b"frame")


def hand_out_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    board = Board(Log(), makes_rounds=False)
    stream = Subscriber(board.log, board.frames)
    stream.is_live = True
    board.subscribers.add(stream)
    board.channel.append(b"frame", None)
    monkeypatch.setattr(Subscriber, "push", switching(Subscriber.push))
    board.channel.hand_out(board.channel.take(), lambda: None)


def push_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    board = Board(Log(), makes_rounds=False)
    stream = Subscriber(board.log, board.frames)
    monkeypatch.setattr(Subscriber, "_notify", switching(Subscriber._notify))
    stream.push(Payload([b"frame"]))


def begin_with_a_reset(monkeypatch: pytest.MonkeyPatch) -> None:
    board = Board(Log())
    monkeypatch.setattr(board.frames, "reset_frame", switching(board.frames.reset_frame))
    Stream(board, "malformed").until_live().end()


def wait_for_the_next_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("occupancy.live.subscriber.Event", switching(Event))
    stream = Stream(Board(Log())).until_live()
    gevent.sleep(0)
    stream._greenlet.kill()  # a wake-up may be lost


def write_to_a_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    here, there = socket.socketpair()
    pieces = iter([b"piece"])
    writer = SocketWriter(
        here, next_piece=switching(lambda: next(pieces, b"")), on_ended=lambda: None
    )
    writer.pump()
    writer.close()
    there.close()


def end_a_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    hub = fake_services(monkeypatch).hub
    subscriber = hub.subscribe("main")
    (feed,) = hub._feeds.values()
    monkeypatch.setattr(feed, "unwatch", switching(feed.unwatch))
    hub.unsubscribe(subscriber)


def hear_an_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    hub = fake_services(monkeypatch).hub
    subscriber = hub.subscribe("main")
    (feed,) = hub._feeds.values()
    monkeypatch.setattr(subscriber.log, "offer", switching(lambda previous, entry: None))
    feed.on_entry("main", b"0-0 1-0 1 {}")


def return_a_place(monkeypatch: pytest.MonkeyPatch) -> None:
    queue = FairQueue(1)
    monkeypatch.setattr(queue, "_next_line", switching(queue._next_line))
    queue.put_nowait(None)


def kill_a_waiter_that_has_got_a_place(monkeypatch: pytest.MonkeyPatch) -> None:
    queue = FairQueue(1)
    waiter = gevent.spawn(queue.get, timeout=5)
    gevent.sleep(0)
    waiter.kill(block=False)
    queue.put_nowait(None)  # while the kill is on its way
    monkeypatch.setattr(queue, "put_nowait", switching(queue.put_nowait))
    waiter.join()
    assert queue.queue == [None]


def take_a_place_for_a_pin(monkeypatch: pytest.MonkeyPatch) -> None:
    queue = PinQueue()
    monkeypatch.setattr(queue._taken, "update", switching(queue._taken.update))
    with queue.place("93", "10.0.0.1", is_known=True):
        gevent.sleep(0)  # here it may


def await_authentication(monkeypatch: pytest.MonkeyPatch) -> None:
    made: Any = AuthBatcher(None, lambda batch, error: None)  # type: ignore[arg-type] # not asked
    monkeypatch.setattr(made, "_run", lambda: None)
    monkeypatch.setattr("occupancy.server.fast.auth_batcher.gevent.spawn", switching(gevent.spawn))
    assert made.add(None)


def ask_for_a_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    figure = AtMostOnceASecond(lambda: 1)
    monkeypatch.setattr("occupancy.observability.public_figures.gevent.spawn",
                        switching(gevent.spawn))  # fmt: skip
    assert figure() == 1


def see_a_board(monkeypatch: pytest.MonkeyPatch) -> None:
    index: Any = BoardIndex(None, None)  # type: ignore[arg-type] # not asked
    monkeypatch.setattr(index, "seen", _Seen())
    index.saw("b")


class _Seen(set[str]):
    def add(self, name: str) -> None:
        gevent.sleep(0)
        super().add(name)


def fake_services(monkeypatch: pytest.MonkeyPatch) -> Services:
    """Services whose hub follows nothing by itself."""
    monkeypatch.setattr(Feed, "start", lambda self: None)
    made = Services.for_command_line(Settings(redis_url="redis://localhost:1"))
    monkeypatch.setattr(made.hub, "_greenlets", [gevent.spawn(lambda: None)])
    return made


@pytest.mark.parametrize(
    ("act", "place"),
    [
        (offer_an_entry, "board_log.BoardLog.offer"),
        (add_a_frame, "broadcaster.Broadcaster.add"),
        (hand_out_frames, "broadcaster.Channel.hand_out"),
        (push_frames, "subscriber.Subscriber.push"),
        (begin_with_a_reset, "subscriber.Subscriber._join"),
        (wait_for_the_next_piece, "subscriber.Subscriber.frames"),
        (write_to_a_socket, "socket_writer.SocketWriter.pump"),
        (end_a_stream, "hub.Hub.unsubscribe"),
        (hear_an_entry, "feed.Feed.on_entry"),
        (return_a_place, "fair_queue.FairQueue.put_nowait"),
        (kill_a_waiter_that_has_got_a_place, "fair_queue.FairQueue.get"),
        (take_a_place_for_a_pin, "pin_queue.PinQueue.place"),
        (await_authentication, "auth_batcher.AuthBatcher.add"),
        (ask_for_a_figure, "public_figures.AtMostOnceASecond.__call__"),
        (see_a_board, "index.BoardIndex.saw"),
    ],
)
def test_a_switch_in_what_a_guarded_place_calls_is_found(
    act: Callable[[pytest.MonkeyPatch], None], place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    guard = SwitchGuard(PLACES)
    with guard.watching():
        act(monkeypatch)
    with pytest.raises(AssertionError, match=re.escape(f".{place}")):
        guard.check()


def test_a_round_may_let_others_run_where_it_says_so() -> None:
    guard = SwitchGuard(PLACES)
    board = Board(Log(), makes_rounds=False)
    board.subscribers.add(Subscriber(board.log, board.frames))
    (stream,) = board.subscribers
    stream.is_live = True
    board.channel.append(b"frame", None)
    board.broadcaster._slice_ends = 0.0  # it is due
    switches: list[str] = []
    before = greenlet.settrace(lambda event, args: switches.append(event))
    try:
        with guard.watching():
            board.channel.hand_out(board.channel.take(), board.broadcaster._yield_if_due)
    finally:
        greenlet.settrace(before)
    assert switches
    guard.check()
