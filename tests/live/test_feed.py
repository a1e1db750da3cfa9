"""A feed and its reader on a connection that the test speaks for: what comes in which order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import gevent
import pytest
import redis

from occupancy.live import feed as feed_module
from occupancy.live.feed import Feed
from tests.support.live_server import BOARD, CHANNEL, KEYS, Log, Server, feed_on, opened_log
from tests.support.waiting import wait_until


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def feed(server: Server) -> Iterator[Feed]:
    made = feed_on(server, Log())
    made.start()
    wait_until(lambda: server.is_connected, what="the connection")
    yield made
    made.stop()


def test_a_board_is_asked_for_once_however_often_it_is_wanted(server: Server, feed: Feed) -> None:
    for _ in range(3):
        feed.watch(BOARD, opened_log())
    server.until_sent(("SSUBSCRIBE", CHANNEL))
    feed.watch("c", opened_log())
    server.until_sent(("SSUBSCRIBE", KEYS.board("c").channel))
    server.confirms()
    number = feed.reader.subscription_of(BOARD)
    assert number
    server.confirms()  # a second answer, because the first was late
    assert feed.reader.subscription_of(BOARD) == number


def test_a_board_that_is_left_before_it_is_confirmed_is_unsubscribed(
    server: Server, feed: Feed
) -> None:
    feed.watch(BOARD, opened_log())
    server.until_sent(("SSUBSCRIBE", CHANNEL))
    feed.unwatch(BOARD)
    server.until_sent(("SUNSUBSCRIBE", CHANNEL))
    server.confirms()
    server.until_sent(("SUNSUBSCRIBE", CHANNEL))  # the server may have got them in another order
    server.confirms("sunsubscribe")
    assert feed.reader.subscription_of(BOARD) is None


def test_a_subscription_that_comes_back_has_another_number(server: Server, feed: Feed) -> None:
    board_log = opened_log()
    feed.watch(BOARD, board_log)
    server.until_sent(("SSUBSCRIBE", CHANNEL))
    server.confirms()
    before = feed.reader.subscription_of(BOARD)
    wait_until(lambda: board_log.settled == before, what="a look at the log")
    server.confirms("sunsubscribe")  # the slot has moved away
    assert feed.reader.subscription_of(BOARD) is None
    server.until_sent(("SSUBSCRIBE", CHANNEL))
    server.confirms()
    assert feed.reader.subscription_of(BOARD) not in (None, before)


def test_a_redirection_is_no_failure_and_a_missing_right_is(server: Server, feed: Feed) -> None:
    board_log = opened_log()
    feed.watch(BOARD, board_log)
    server.says(redis.exceptions.MovedError("1 127.0.0.1:7000"))
    assert feed.reader.trouble is None
    server.says(redis.exceptions.NoPermissionError("no permissions to run 'ssubscribe' command"))
    wait_until(lambda: "may not listen" in (feed.reader.trouble or ""), what="the trouble")
    assert board_log.is_degraded


def test_what_an_earlier_feed_finds_does_not_settle_a_board(server: Server, feed: Feed) -> None:
    board_log, log = opened_log(), Log()
    feed._store = log  # type: ignore[assignment] # as above
    other = feed_on(Server(), Log())
    feed.watch(BOARD, board_log)
    server.until_sent(("SSUBSCRIBE", CHANNEL))

    def move() -> None:
        feed.unwatch(BOARD)
        other.watch(BOARD, board_log)

    board_log.degrade()
    log.at_read = move
    server.confirms()
    wait_until(lambda: BOARD in other.logs, what="the look")
    gevent.sleep(0)
    assert board_log.settled is None
    assert board_log.is_degraded


def test_the_mark_of_a_promotion_is_there_before_the_end_of_the_log_is_asked() -> None:
    log = Log()
    feed = feed_on(Server(), log, incarnation=7)
    board_log = opened_log()
    feed.watch(BOARD, board_log)
    feed.compare()
    assert log.calls == ["promote", "heads"]
    assert board_log.incarnation == 7
    feed.compare()
    assert log.calls == ["promote", "heads", "heads"]


def test_the_streams_that_a_promotion_resets_are_told_once_and_not_those_of_a_new_board() -> None:
    told = list[tuple[int, Sequence[str]]]()
    feed = feed_on(
        Server(), Log(), incarnation=7,
        on_reset=lambda change, names: told.append((change.incarnation, names)),
    )  # fmt: skip
    feed.watch(BOARD, opened_log())
    feed.compare()
    assert (told, feed.is_marked) == ([], True)  # its position is from after the promotion
    feed._shard.incarnation = 8
    assert not feed.is_marked
    feed.compare()
    feed.compare()
    assert (told, feed.is_marked) == ([(8, [BOARD])], True)


def test_the_streams_of_a_board_that_comes_from_a_lower_incarnation_are_told() -> None:
    told = list[tuple[int, Sequence[str]]]()
    board_log, source = opened_log(), feed_on(Server(), Log(), incarnation=3)
    target = feed_on(
        Server(), Log(), incarnation=8,
        on_reset=lambda change, names: told.append((change.incarnation, names)),
    )  # fmt: skip
    source.watch(BOARD, board_log)
    source.compare()
    source.unwatch(BOARD)
    target.watch(BOARD, board_log)
    target.compare()
    assert told == [(8, [BOARD])]


# Without the probe's periodic looks, and with these alone


def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """No look comes by itself for an hour."""
    monkeypatch.setattr(feed_module, "PROBE_S", 3600.0)


def ends(log: Log, cursor: str, seq: int) -> None:
    """The logs end there from now on."""
    log.heads = lambda boards: [(cursor, seq, 0)] * len(boards)  # type: ignore[method-assign]


def test_a_subscription_that_comes_back_is_looked_at_by_itself(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    unhurried(monkeypatch)
    log, board_log, caught_up = Log(), opened_log(), list[bool]()
    monkeypatch.setattr(board_log, "catch_up_soon", lambda: caught_up.append(True))
    feed = feed_on(server, log)
    feed.start()
    feed.watch(BOARD, board_log)
    server.until_sent(("SSUBSCRIBE", CHANNEL))
    server.confirms()
    wait_until(lambda: board_log.settled, what="the look at the first subscription")
    server.confirms("sunsubscribe")  # the slot has moved away
    server.until_sent(("SSUBSCRIBE", CHANNEL))
    ends(log, "6-1", 6)  # an entry that nobody has heard
    assert not caught_up
    server.confirms()
    wait_until(lambda: caught_up, what="the missed entry to be read")
    feed.stop()


def test_a_subscription_to_access_that_comes_back_has_access_looked_at(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    unhurried(monkeypatch)
    feed, changes = feed_on(server, Log()), list[bytes | None]()
    monkeypatch.setattr(feed, "on_access_changed", changes.append)
    feed.start()
    feed.follow_access(is_here=True)
    feed.watch(BOARD, opened_log())
    server.until_sent(("SSUBSCRIBE", KEYS.access_channel), ("SSUBSCRIBE", CHANNEL))
    server.confirms()
    assert changes == []  # a board's subscription says nothing of access
    server.confirms(channel=KEYS.access_channel)
    assert changes == [None]
    server.confirms("sunsubscribe", KEYS.access_channel)
    server.until_sent(("SSUBSCRIBE", KEYS.access_channel))
    server.confirms(channel=KEYS.access_channel)
    assert changes == [None, None]
    feed.stop()


def test_a_board_whose_subscription_is_never_confirmed_is_looked_at_again_and_again(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_module, "PROBE_S", 0.2)
    log, board_log, caught_up = Log(), opened_log(), list[int]()
    monkeypatch.setattr(board_log, "catch_up_soon", lambda: caught_up.append(board_log.seq))
    feed = feed_on(server, log)
    feed.start()
    feed.watch(BOARD, board_log)
    for seq in (6, 7):
        ends(log, f"{seq}-1", seq)
        wait_until(lambda seq=seq: caught_up[-1:] == [seq - 1], what="the missed entry to be read")  # type: ignore[misc] # bound now
        board_log.cursor, board_log.seq = f"{seq}-1", seq
    assert board_log.settled is None
    feed.stop()
