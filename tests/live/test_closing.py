"""The last words of a stream, and its reset: as the stream takes them, compressed or not."""

from __future__ import annotations

import random
import zlib
from typing import Any, cast

import pytest
from prometheus_client import CollectorRegistry

from occupancy.live.board_frames import BoardFrames
from occupancy.live.broadcaster import Broadcaster, Channel
from occupancy.live.sse import Payload
from occupancy.live.subscriber import BUFFER_BYTES, Subscriber
from occupancy.observability.metrics import LiveMetrics


def live_stream(*, is_gzip: bool) -> Subscriber:
    """A stream of a board at 1-1, whose pieces the test takes."""
    metrics = LiveMetrics(CollectorRegistry())
    frames = BoardFrames("b", Channel(set(), metrics), Broadcaster(), metrics)
    frames.begin("1-1", 1, 0)
    subscriber = Subscriber(cast(Any, None), frames)
    subscriber.is_gzip = is_gzip
    subscriber.go_live([])
    return subscriber


def text_of(subscriber: Subscriber) -> str:
    """What its client reads of all that waits for it."""
    inflate = zlib.decompressobj(-15)
    text = b""
    while piece := subscriber.next_piece():
        text += inflate.decompress(piece) if subscriber.is_gzip else piece
    return text.decode()


@pytest.mark.parametrize("is_gzip", [False, True])
def test_a_stream_that_is_closed_gets_what_came_before_and_nothing_after(is_gzip: bool) -> None:
    subscriber = live_stream(is_gzip=is_gzip)
    subscriber.push(Payload([b"event: before\n\n"]))
    subscriber.close()
    subscriber.push(Payload([b"event: after\n\n"]))
    subscriber.owe_reset()
    text = text_of(subscriber)
    assert [line for line in text.split("\n") if line.startswith("event:")] == [
        "event: before",
        "event: bye",
    ]
    assert subscriber.next_piece() is None


@pytest.mark.parametrize("is_gzip", [False, True])
@pytest.mark.parametrize("changes", [0, 1])
def test_a_stream_that_is_too_slow_can_read_its_reset_and_its_bye(
    changes: int, *, is_gzip: bool
) -> None:
    subscriber = live_stream(is_gzip=is_gzip)
    for _ in range(changes):
        subscriber.board.change_state(is_degraded=True)
    noise = random.Random(1).randbytes(BUFFER_BYTES + 100)  # it does not shrink
    subscriber.push(Payload([noise]))
    text = text_of(subscriber)
    kinds = ["event: reset", "event: degraded"][: 1 + changes]
    assert [line for line in text.split("\n") if line.startswith("event:")] == kinds
    subscriber.push(Payload([b"event: next\n\n"]))
    assert text_of(subscriber) == "event: next\n\n"
    subscriber.close()
    assert text_of(subscriber).endswith("event: bye\ndata: {}\n\n")
