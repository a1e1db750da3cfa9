"""A round that hands frames to streams: each frame once, whatever happens during the round."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from occupancy.live.broadcaster import Channel
from occupancy.live.sse import Payload
from occupancy.observability.metrics import LiveMetrics


class Stream:
    """Takes frames; at its next push it is reset to the frame with the number ``reset_to``."""

    is_live = True
    is_gzip = False

    def __init__(self) -> None:
        self.number = 0
        self.reset_to = 0
        self.frames: list[bytes] = []

    def push(self, payload: Payload) -> None:
        self.frames += payload.frames
        if self.reset_to:
            self.number, self.reset_to = self.reset_to, 0

    def owe_reset(self) -> None:
        raise AssertionError("nothing has failed")


def test_a_stream_that_is_reset_in_a_round_gets_only_what_comes_after_its_reset() -> None:
    stream, other = Stream(), Stream()
    channel = Channel([stream, other], LiveMetrics(CollectorRegistry()))
    channel.append(b"1", None)
    batch = channel.take()
    channel.append(b"2", None)  # pending: the reset leads beyond it
    stream.reset_to = 2
    channel.hand_out(batch, lambda: None)
    assert (stream.number, other.number) == (2, 1)
    channel.append(b"3", None)
    channel.hand_out(channel.take(), lambda: None)
    assert stream.frames == [b"1", b"3"]
    assert other.frames == [b"1", b"2", b"3"]


def test_a_stream_that_joins_before_a_round_gets_of_it_what_it_lacks() -> None:
    streams = [Stream() for _ in range(4)]
    channel = Channel(streams, LiveMetrics(CollectorRegistry()))
    for frame in (b"1", b"2", b"3"):
        channel.append(frame, None)
    for number, each in enumerate(streams):
        each.number = number
    channel.hand_out(channel.take(), lambda: None)
    assert [b"".join(each.frames) for each in streams] == [b"123", b"23", b"3", b""]
    assert {each.number for each in streams} == {3}
