"""Joining: every entry after the cursor, in order, once, or a reset."""

from __future__ import annotations

import random

import gevent
import pytest

from occupancy.core.entities import Entry
from occupancy.core.errors import StoreUnavailable
from tests.live.gapless.parts import Board, Log, Stream, follow, offer, publish


@pytest.mark.parametrize("entries", [0, 1, 99, 100, 101, 350])
def test_a_stream_from_the_beginning_gets_the_whole_log(entries: int) -> None:
    log = Log(entries)
    stream = Stream(Board(log), "0-0").until_live().end()
    assert stream.seqs() == list(range(1, entries + 1))
    assert stream.kinds() == ["item"] * entries + ["ready"]


def test_a_stream_without_a_cursor_gets_what_comes() -> None:
    log = Log(10)
    board = Board(log)
    stream = Stream(board).until_live()
    publish(board, log)
    assert stream.end().seqs() == [11]


def test_a_stream_that_was_away_for_a_moment_is_served_from_memory() -> None:
    log = Log(3)
    board = Board(log)
    board.log.open()
    opened_at = board.log.cursor
    for _ in range(20):
        publish(board, log)
    reads = log.reads
    for entry in log.entries[2:]:
        stream = Stream(board, entry.cursor).until_live().end()
        assert stream.seqs() == list(range(entry.seq + 1, 24))
    assert opened_at == log.entries[2].cursor
    assert log.reads == reads


def test_the_memory_is_bounded_and_what_is_older_comes_from_the_log() -> None:
    log = Log(1)
    board = Board(log)
    board.log.open()
    for _ in range(300):
        publish(board, log, size=2000)
    assert sum(len(frame) for _, frame in board.frames._recent._frames) <= 128 * 1024
    for start in (0, 100, 230, 250, 299):
        stream = Stream(board, log.entries[start].cursor).until_live().end()
        assert stream.seqs() == list(range(start + 2, 302))


@pytest.mark.parametrize(
    "cursor",
    [
        "nonsense", "1-1", "99999999999999-0", "1763838000003-1", "1763838000001", "é", "$",
        "18446744073709551616-0", "0-99999999999999999999",
    ],
)  # fmt: skip
def test_a_cursor_that_is_none_of_the_log_is_reset(cursor: str) -> None:
    log = Log(5)
    board = Board(log)
    stream = Stream(board, cursor).until_live()
    publish(board, log)
    stream.end()
    assert stream.kinds() == ["reset", "ready", "item"]
    assert stream.events()[0][2] | {"reason": ""} == {
        "cursor": log.entries[4].cursor, "seq": 5, "version_floor": 0,
        "settings_version": 0, "snapshot": "/api/boards/b/items", "reason": "",
    }  # fmt: skip


def test_a_trimmed_cursor_is_reset() -> None:
    log = Log(50)
    old = log.entries[3].cursor
    log.trim(10)
    for cursor in (old, "0-0"):
        assert Stream(Board(log), cursor).until_live().end().kinds() == ["reset", "ready"]


def test_a_store_that_fails_while_joining_ends_the_stream_as_degraded() -> None:
    log = Log(5)
    log.failure = StoreUnavailable("The store is down.")
    stream = Stream(Board(log), "0-0")
    stream._greenlet.get(timeout=5)
    assert stream.events() == [("degraded", "", {"detail": "The store is down."})]


SWITCH_POINTS = 12  # of joining that log


@pytest.mark.parametrize("is_published", [True, False])
@pytest.mark.parametrize("moment", range(SWITCH_POINTS + 1))  # 0: at none
def test_an_entry_at_any_switch_point_of_joining_arrives_once(
    moment: int, is_published: bool
) -> None:
    """One run for each switch point; what is not published is left to the next entry."""
    log = Log(230)
    board = Board(log)
    passed = 0

    def at_switch() -> None:
        nonlocal passed
        passed += 1
        if passed == moment:
            entry = log.append()
            if is_published:
                offer(board, entry)  # is kept while the joining greenlet has the board
                gevent.sleep(0)

    log.at_switch = at_switch
    stream = Stream(board, log.entries[9].cursor)
    stream.after_piece = at_switch
    stream.until_live()
    log.at_switch = lambda: None
    stream.after_piece = lambda: None
    publish(board, log)
    stream.end()
    assert passed >= SWITCH_POINTS
    assert moment or passed == SWITCH_POINTS  # a further one would not be tried
    assert stream.seqs() == list(range(11, log.seq + 1))
    assert stream.kinds().count("ready") == 1
    assert "reset" not in stream.kinds()


def chaos(seed: int, *, is_losing: bool) -> int:
    """Several streams join at any moment while entries are written, lost on the way and found.

    Returns how many of them were reset.
    """
    dice = random.Random(seed)
    log = Log(dice.choice([0, 1, 5, 120, 260]))
    board = Board(log)
    published: list[Entry] = []
    is_over = False

    def act() -> None:
        for _ in range(dice.choice([0, 0, 1, 1, 3])):
            entry = log.append(dice.choice([0, 0, 0, 3000]))
            if dice.random() < 0.8:
                published.append(entry)
        if is_losing and log.entries and dice.random() < 0.1:
            log.lose(dice.randrange(1, min(4, len(log.entries)) + 1))
            published.clear()
            published.append(Entry("", -1, b""))  # the connection died too: subscribe, catch up
        elif is_losing and dice.random() < 0.05:
            log.trim(20)

    def after_piece() -> None:
        if dice.random() < 0.3 and not is_over:
            act()
        gevent.sleep(0)

    def listen() -> None:
        """The hub's reader."""
        while not is_over or published:
            if published:
                entry = published.pop(0)
                offer(board, entry) if entry.seq >= 0 else board.log.catch_up_soon()
            gevent.sleep(0)

    log.at_switch = act
    reader = gevent.spawn(listen)
    streams: list[tuple[str | None, Stream]] = []
    for _ in range(6):
        cursors = [None, "0-0", *[entry.cursor for entry in log.entries]]
        cursor = dice.choice([dice.choice(cursors), cursors[-1]])
        stream = Stream(board, cursor)
        stream.after_piece = after_piece
        streams.append((cursor, stream))
        for _ in range(dice.randrange(6)):
            gevent.sleep(0)
            if dice.random() < 0.2:
                act()
    for _, stream in streams:
        stream.until_live()
    log.at_switch = lambda: None
    is_over = True
    reader.get(timeout=5)
    board.log.catch_up()
    for cursor, stream in streams:
        follow(stream.end(), None if is_losing else cursor, log)
        if not is_losing and cursor is not None:
            start = next((e.seq for e in log.entries if e.cursor == cursor), 0)
            assert stream.seqs() == list(range(start + 1, log.seq + 1))
    return sum("reset" in stream.kinds() for _, stream in streams)


@pytest.mark.thorough
def test_streams_that_join_in_the_midst_of_everything_get_exactly_the_log() -> None:
    assert [seed for seed in range(100) if chaos(seed, is_losing=False)] == []


def test_streams_are_reset_and_never_left_with_a_hole_when_the_log_is_lost() -> None:
    resets = sum(chaos(seed, is_losing=True) for seed in range(100))
    assert 100 < resets < 500  # of 600; else nothing was lost, or nothing was followed
