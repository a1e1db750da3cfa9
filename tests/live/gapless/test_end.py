"""The end of a stream, and its heartbeat."""

from __future__ import annotations

import re

import gevent

from tests.live.gapless.parts import Board, Log, Stream, publish
from tests.support.waiting import wait_until


def test_closing_says_bye_with_a_retry_of_its_own() -> None:
    log = Log()
    board = Board(log)
    stream = Stream(board).until_live()
    publish(board, log)
    stream.end()
    assert stream.seqs() == [1]
    assert re.search(rb"retry: \d+\n\nevent: bye\ndata: \{\}\n\n$", stream.received)


def test_an_abandoned_stream_ends_without_a_word_and_hangs_up() -> None:
    log = Log()
    board = Board(log)
    stream = Stream(board).until_live()
    received = stream.received
    hung_up = []
    stream.subscriber.hang_up = lambda: hung_up.append(True)
    stream.subscriber.abandon()
    stream._greenlet.get(timeout=5)
    assert stream.received == received
    assert hung_up == [True]


def test_a_heartbeat_comes_unless_something_waits_to_be_written() -> None:
    log = Log()
    board = Board(log)
    stream = Stream(board).until_live()
    stream.is_stalled = True
    for _ in range(2):  # one that it is stalled in, and one that waits
        publish(board, log)
        wait_until(lambda: stream.subscriber.number == board.channel.number)
        gevent.sleep(0)
    assert stream.subscriber._pieces
    stream.subscriber.heartbeat()  # the event waits: it is sign of life enough
    stream.is_stalled = False
    stream.until_idle()
    assert b":\n\n" not in stream.received
    stream.subscriber.heartbeat()
    gevent.sleep(0)
    assert stream.received.endswith(b":\n\n")
    stream.end()
