"""A board's position, where nothing else looks at it again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import gevent
import pytest
from prometheus_client import CollectorRegistry

from occupancy.core.entities import Entry, Replay
from occupancy.live import board_log as board_log_module
from occupancy.live.board_log import PAGE_ENTRIES, BoardLog
from occupancy.observability.metrics import LiveMetrics
from tests.support.waiting import wait_until


class Log:
    """A log of entries 1-1, 2-1 …, which says what it is asked for."""

    def __init__(self, entries: int) -> None:
        self.entries = entries
        self.calls: list[str] = []
        self.answer: Replay | None = None  # in place of what it has
        self.during: Callable[[], None] = lambda: None

    def heads(self, boards: Sequence[str]) -> list[tuple[str, int, int]]:
        raise AssertionError("only the feed asks for heads")

    def promote(self, boards: Sequence[str]) -> None:
        self.calls.append(f"promote {','.join(boards)}")

    def replay(self, board: str, cursor: str, count: int) -> Replay:
        self.calls.append(f"replay {cursor}")
        head = f"{self.entries}-1", self.entries
        first = int(cursor.partition("-")[0]) + 1 if cursor else self.entries + 1
        found = [entry(each) for each in range(first, self.entries + 1)][:count]
        gevent.sleep(0)  # the answer is on its way
        self.during()
        return self.answer or Replay(True, *head, found, 0)


class Sink:
    """Takes what is delivered; ``is_full`` as the test likes."""

    def __init__(self) -> None:
        self.seqs: list[int] = []
        self.told: list[Any] = []
        self.is_full = False
        self.at_room: Callable[[], None] = lambda: None

    def begin(self, cursor: str, seq: int, version_floor: int) -> None:
        self.told.append(("begin", cursor, seq))

    def deliver(self, entry: Entry, written_ms: int) -> None:
        self.seqs.append(entry.seq)

    def restart(self, cursor: str, seq: int, version_floor: int) -> None:
        self.told.append(("restart", cursor, seq))

    def change_state(self, *, is_degraded: bool) -> None:
        self.told.append("degraded" if is_degraded else "recovered")

    def change_settings(self, version: int) -> None:
        self.told.append(("settings", version))

    def end(self) -> None:
        self.told.append("end")

    def wait_for_room(self) -> None:
        while self.is_full:
            gevent.sleep(0.001)
        self.at_room()


def entry(seq: int, size: int = 0) -> Entry:
    return Entry(f"{seq}-1", seq, b"x" * size)


class Board:
    """A log at its end, with its sink."""

    def __init__(self, entries: int = 1) -> None:
        self.log = Log(entries)
        self.sink = Sink()
        sink: Any = self.sink
        self.board_log = BoardLog(self.log, "b", sink, LiveMetrics(CollectorRegistry()))
        self.board_log.open()
        self.log.calls.clear()

    def offer(self, seq: int, size: int = 0) -> None:
        self.log.entries = max(self.log.entries, seq)
        self.board_log.offer(f"{seq - 1}-1", entry(seq, size))

    def settle(self) -> None:
        wait_until(lambda: self.board_log._catching_up is None, what="the catch-up's end")


def test_a_promotion_is_marked_before_the_position_is_read() -> None:
    board = BoardLog(log := Log(3), "b", Sink(), LiveMetrics(CollectorRegistry()))  # type: ignore[arg-type] # it is one
    board.open()
    assert log.calls == ["promote b", "replay "]
    board.open()
    assert len(log.calls) == 2


@pytest.mark.parametrize("missing", [1, PAGE_ENTRIES, PAGE_ENTRIES + 1, 3 * PAGE_ENTRIES])
def test_one_catch_up_reads_to_the_end(missing: int) -> None:
    board = Board()
    board.log.entries += missing
    board.board_log.catch_up()
    assert board.sink.seqs == list(range(2, 2 + missing))
    assert board.board_log._catching_up is None


def test_bursts_that_wait_for_room_never_have_the_log_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(board_log_module, "_KEPT_BYTES", 1000)
    board = Board()
    for first in range(2, 42, 4):  # 400 bytes at a time, 4,000 in all
        board.sink.is_full = True
        for seq in range(first, first + 4):
            board.offer(seq, size=100)
        board.sink.is_full = False
        board.settle()
    assert board.sink.seqs == list(range(2, 42))
    assert board.log.calls == []


def test_a_flow_that_never_stops_has_the_log_read_only_for_what_does_not_fit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(board_log_module, "_KEPT_BYTES", 1000)
    board = Board()
    pending = list(range(4, 42))

    def offer_another() -> None:
        if pending:
            board.offer(pending.pop(0), size=100)

    board.sink.at_room = offer_another
    board.sink.is_full = True
    board.offer(2, size=100)
    board.offer(3, size=100)
    board.sink.is_full = False
    board.settle()
    assert board.sink.seqs == list(range(2, 42))
    assert board.log.calls == []


def test_what_is_dropped_while_the_log_is_read_is_read_afterwards(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(board_log_module, "_KEPT_BYTES", 150)
    board = Board()
    board.log.entries = 2
    pending = [3, 4]  # both are dropped, and nothing that follows shows it

    def flood() -> None:
        while pending:
            board.offer(pending.pop(0), size=100)

    board.log.during = flood
    board.board_log.catch_up()
    board.settle()
    assert board.sink.seqs == [2, 3, 4]


def test_a_log_whose_end_went_back_resets_the_streams() -> None:
    board = Board(entries=5)
    board.log.answer = Replay(True, "5-1", 3, [], 0)  # the server has lost a part of the board
    board.board_log.catch_up()
    assert board.sink.told[1:] == [("restart", "5-1", 3)]
    assert (board.board_log.cursor, board.board_log.seq) == ("5-1", 3)


@pytest.mark.parametrize(
    ("head", "is_behind"), [(2, False), (3, False), (4, True)], ids=["passed", "at", "behind"]
)
def test_a_board_that_moves_during_a_look_is_behind_only_if_the_log_went_further(
    head: int, *, is_behind: bool
) -> None:
    board = Board()
    board.board_log.degrade()
    board.offer(2)
    board.offer(3)
    board.log.entries = max(3, head)
    board.board_log.compare("1-1", (f"{head}-1", head), is_live=True)
    told = board.sink.told[1:]
    board.settle()
    assert told == ["degraded", *([] if is_behind else ["recovered"])]
    assert board.sink.told[1:] == ["degraded", "recovered"]
    assert board.sink.seqs == list(range(2, max(3, head) + 1))
