"""What follows at once from what the live connection says, without the probe that comes later.

The probe finds within two seconds what these forget; so here it is due only when it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import gevent
import pytest
import redis

from occupancy.core.keys import Keys
from occupancy.live import reader as reader_module
from occupancy.live.feed import Feed
from occupancy.live.reader import SILENCE_S
from tests.support.live_server import BOARD, CHANNEL, KEYS, Log, Server, feed_on, opened_log
from tests.support.waiting import wait_until

SINGLE = Keys("t")
CHANNELS = {
    "subscribe": (SINGLE.canary_channel("p"), SINGLE.access_channel),
    "psubscribe": (SINGLE.live_channel + "*",),
}


class Heard:
    """What the owner of a feed is told."""

    def __init__(self) -> None:
        self.access: list[bytes | None] = []
        self.moves = 0

    def on_moved(self) -> None:
        self.moves += 1


@pytest.fixture(autouse=True)
def _no_probe_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("occupancy.live.feed.PROBE_S", 1000.0)


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def start(server: Server, log: Log, heard: Heard) -> Iterator[Callable[[Keys], Feed]]:
    """Begins a feed of a Cluster, or of a single server; its first look is over."""
    made: list[Feed] = []

    def begin(keys: Keys) -> Feed:
        feed = feed_on(
            server, log, keys=keys, on_access_changed=heard.access.append, on_moved=heard.on_moved
        )
        made.append(feed)
        feed.start()
        wait_until(lambda: server.is_connected, what="the connection")
        gevent.sleep(0.01)
        log.calls.clear()
        return feed

    yield begin
    for each in made:
        each.stop()


@pytest.fixture
def feed(start: Callable[[Keys], Feed]) -> Feed:
    return start(KEYS)


@pytest.fixture
def single(start: Callable[[Keys], Feed]) -> Feed:
    return start(SINGLE)


def confirm_all(server: Server) -> None:
    for kind, channels in CHANNELS.items():
        for each in channels:
            server.confirms(kind, each)


def lose(server: Server) -> None:
    """The connection fails; until there is another one."""
    before = len(server.were_connected)
    server.says_at_once(redis.ConnectionError("made to fail"))
    wait_until(lambda: len(server.were_connected) > before, what="the loss")
    wait_until(lambda: server.is_connected, what="another connection")


# A subscription


def test_a_board_is_looked_at_when_it_is_subscribed(server: Server, feed: Feed, log: Log) -> None:
    board_log = opened_log()
    feed.watch(BOARD, board_log)
    server.until_sent(("SSUBSCRIBE", CHANNEL))
    gevent.sleep(0.01)
    assert board_log.settled is None
    log.calls.clear()
    server.confirms()
    wait_until(lambda: board_log.settled == feed.reader.subscription_of(BOARD), what="a look")
    assert log.calls == ["heads"]


def test_all_boards_and_access_are_looked_at_after_a_lost_connection(
    server: Server, single: Feed, log: Log, heard: Heard
) -> None:
    board_log = opened_log()
    single.watch(BOARD, board_log)
    for _ in range(2):
        confirm_all(server)
        wait_until(lambda: single.trouble is None, what="a look")
        assert heard.access == [None]
        assert log.calls == ["heads"]
        heard.access.clear()
        log.calls.clear()
        lose(server)
        assert single.reader.trouble
        assert heard.access == []


def test_access_is_looked_at_before_anything_new_is_handed_out(
    server: Server, feed: Feed, heard: Heard
) -> None:
    feed.follow_access(is_here=True)
    for _ in range(2):
        wait_until(lambda: server.sent == [("SSUBSCRIBE", KEYS.access_channel)], what="to be asked")
        server.sent.clear()
        server.confirms(channel=KEYS.access_channel)
        assert heard.access == [None]
        heard.access.clear()
        lose(server)


def test_a_process_that_does_not_hear_of_access_is_in_trouble(server: Server, feed: Feed) -> None:
    assert feed.trouble is None
    feed.follow_access(is_here=True)
    assert feed.trouble == "changes of access are not heard"
    server.confirms(channel=KEYS.access_channel)
    assert feed.trouble is None


def test_a_board_that_has_no_position_yet_is_looked_at_once_it_has(
    server: Server, feed: Feed
) -> None:
    board_log = opened_log()
    board_log.cursor = ""
    feed.watch(BOARD, board_log)
    server.until_sent(("SSUBSCRIBE", CHANNEL))
    server.confirms()
    gevent.sleep(0.01)
    assert board_log.settled is None
    board_log.cursor = "5-1"
    wait_until(lambda: board_log.settled is not None, what="a look")


def test_a_refused_subscription_is_asked_for_again(
    server: Server, feed: Feed, monkeypatch: pytest.MonkeyPatch, heard: Heard
) -> None:
    monkeypatch.setattr(reader_module, "RETRY_S", 0.02)
    feed.watch(BOARD, opened_log())
    for asked in range(1, 4):
        wait_until(lambda: ("SSUBSCRIBE", CHANNEL) in server.sent, what="to be asked for")
        server.sent.clear()
        server.says(redis.exceptions.MovedError("1 127.0.0.1:7000"))
        assert heard.moves == asked


def test_a_subscription_that_the_server_ends_is_told_at_once(
    server: Server, feed: Feed, heard: Heard
) -> None:
    feed.watch(BOARD, opened_log())
    server.until_sent(("SSUBSCRIBE", CHANNEL))
    server.confirms()
    assert heard.moves == 0
    server.confirms("sunsubscribe")
    assert heard.moves == 1
    server.until_sent(("SSUBSCRIBE", CHANNEL))


# The connection


def test_a_subscribed_connection_is_closed_before_it_is_given_back(
    server: Server, single: Feed
) -> None:
    confirm_all(server)
    lose(server)
    assert server.were_connected == [False]


def test_each_loss_after_a_subscription_is_followed_by_the_shortest_pause(
    server: Server, single: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses_s: list[float] = []

    class Hurry:
        def clear(self) -> None: ...

        def set(self) -> None: ...

        def wait(self, seconds: float) -> None:
            pauses_s.append(seconds)

    monkeypatch.setattr(single.reader, "_hurry", Hurry())
    for _ in range(6):
        confirm_all(server)
        lose(server)
    assert len(pauses_s) == 6
    assert max(pauses_s) <= 0.1


def test_others_run_while_messages_pour_in(server: Server, single: Feed) -> None:
    confirm_all(server)
    channel = (SINGLE.live_channel + BOARD).encode()
    server.says_at_once(*[[b"pmessage", b"", channel, b"1-1 2-1 2 {}"]] * 1000)
    unread = gevent.spawn(lambda: server.unread)
    wait_until(lambda: not server.unread, what="the flood to be read")
    assert unread.get() > 500


def test_an_idle_connection_of_a_cluster_is_asked_for_a_sign_of_life(
    server: Server, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("occupancy.live.feed.PROBE_S", 0.01)
    feed = feed_on(server, log)
    feed.start()
    wait_until(lambda: server.pings >= 3, what="some PINGs")
    feed.stop()


def test_a_message_of_another_version_has_the_log_read(
    server: Server, feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    board_log = opened_log()
    reads: list[bool] = []
    monkeypatch.setattr(board_log, "catch_up_soon", lambda: reads.append(True))
    feed.watch(BOARD, board_log)
    server.until_sent(("SSUBSCRIBE", CHANNEL))
    server.confirms()
    for count in (1, 2):
        server.says([b"smessage", CHANNEL.encode(), b"6-1 6 {}"])
        assert len(reads) == count


# Trouble that only the probe can see


def test_a_look_that_began_before_the_subscription_settles_nothing() -> None:
    log, board_log = Log(), opened_log()
    feed = feed_on(Server(), log)  # nothing of it runs by itself
    feed.reader._connection = object()
    feed.watch(BOARD, board_log)
    log.at_read = lambda: feed.reader._on_confirmed(CHANNEL)
    feed.compare()
    assert feed.reader.subscription_of(BOARD)
    assert board_log.settled is None
    log.at_read = lambda: None
    feed.compare()
    assert board_log.settled == feed.reader.subscription_of(BOARD)


@pytest.mark.parametrize("keys", [SINGLE, KEYS], ids=["single", "cluster"])
def test_a_board_that_is_followed_while_nothing_is_heard_is_told_at_once(keys: Keys) -> None:
    feed = feed_on(Server(), Log(), keys=keys)
    before, after = opened_log(), opened_log()
    feed.watch("before", before)
    assert not before.is_degraded
    feed.on_unreachable("made to fail")
    feed.watch("after", after)
    assert before.is_degraded
    assert after.is_degraded


def test_streams_are_told_that_the_logs_cannot_be_read_although_canaries_are_heard(
    server: Server, feed: Feed, log: Log
) -> None:
    board_log = opened_log()

    def hang() -> None:
        gevent.sleep(1000)

    log.at_read = hang
    feed.watch(BOARD, board_log)
    server.until_sent(("SSUBSCRIBE", CHANNEL))
    server.confirms()
    now = feed.reader.heard_at
    board_log.followed_since -= 100
    assert feed.trouble
    feed._was_live_at = now - SILENCE_S + 1
    feed.check(now)
    assert not board_log.is_degraded
    feed._was_live_at = now - SILENCE_S - 1
    feed.check(now)
    assert board_log.is_degraded


# Promotions


def test_a_board_is_not_live_before_the_mark_of_a_promotion_is_set(
    server: Server, feed: Feed, log: Log
) -> None:
    board_log = opened_log()
    feed.watch(BOARD, board_log)
    server.until_sent(("SSUBSCRIBE", CHANNEL))
    server.confirms()
    wait_until(lambda: feed.trouble is None, what="a look")
    log.calls.clear()
    feed._shard.incarnation = 7
    assert feed.trouble
    feed.compare(is_whole=False)  # also a board that is not silent
    assert log.calls == ["promote", "heads"]
    assert feed.trouble is None


def test_a_promotion_during_a_look_is_marked_at_the_next() -> None:
    log = Log()
    feed = feed_on(Server(), log, incarnation=1)
    board_log = opened_log()
    feed.watch(BOARD, board_log)

    def promote() -> None:
        shard: Any = feed._shard
        shard.incarnation = 2

    log.at_read = promote
    feed.compare()
    feed.compare()
    assert log.calls == ["promote", "heads", "promote", "heads"]
