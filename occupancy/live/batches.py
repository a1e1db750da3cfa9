"""A batch: the frames that a round hands to the streams of one board.

Whatever fails meanwhile, no stream is left with a hole: a stream that cannot be handed its frames,
and each that a failing round does not reach, is owed a reset.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from occupancy.live.broadcaster import TURN_BYTES
from occupancy.live.sse import Payload

if TYPE_CHECKING:
    from occupancy.live.subscriber import Subscriber

log = logging.getLogger(__name__)

_STREAMS_A_LOOK = 8  # handed to before a round looks at the clock
_PART_BYTES = TURN_BYTES * 3 // 2  # an entry more than a turn has is no reason to divide it


class Batch(NamedTuple):
    """The frames of one board that a round hands out."""

    frames: list[bytes]
    last: int  # the number of the last frame
    written_ms: list[int]  # when the entries among them were written to the log

    def hand_out(
        self,
        whole: Payload,
        size_bytes: int,
        subscribers: list[Subscriber],
        yield_if_due: Callable[[], None],
    ) -> None:
        """Hand the frames to ``subscribers``, in parts as large as a stream may get at a time.

        ``whole`` is all of them, ``size_bytes`` its size as the streams get it. ``breathe`` may
        switch.
        """
        try:
            last = self.last - len(self.frames)
            for part in self._parts(whole, size_bytes):
                last += len(part.frames)
                _hand_part(part, last, subscribers, yield_if_due)
        except Exception:
            for each in subscribers:
                if each.number < self.last:
                    each.number = self.last
                    each.owe_reset()
            raise

    def _parts(self, whole: Payload, size_bytes: int) -> Iterator[Payload]:
        if size_bytes <= _PART_BYTES:
            yield whole
            return
        first, size_bytes = 0, 0
        for position, frame in enumerate(self.frames):
            if size_bytes and size_bytes + len(frame) > TURN_BYTES:
                yield Payload(self.frames[first:position])
                first, size_bytes = position, 0
            size_bytes += len(frame)
        yield Payload(self.frames[first:])


def _hand_part(
    part: Payload, last: int, subscribers: list[Subscriber], yield_if_due: Callable[[], None]
) -> None:
    """Hand ``part``, whose last frame has the number ``last``, to those who have not got it."""
    frames = part.frames
    payloads = {last - len(frames): part}  # by the number of the frame they follow
    failed: list[Exception] = []
    for count, subscriber in enumerate(subscribers):
        if not count % _STREAMS_A_LOOK:
            yield_if_due()
        number = subscriber.number
        if number >= last:
            continue  # joined, or was reset, after the frames were taken in
        payload = payloads.get(number)
        if payload is None:
            payload = payloads[number] = Payload(frames[number - last :])
        # Before the push, which may reset the stream to a later number.
        subscriber.number = last
        try:
            subscriber.push(payload)
        except Exception as error:  # noqa: BLE001 - logged below, once for all of them
            failed.append(error)
            subscriber.owe_reset()  # how much it has got is not known
    if failed:
        log.error("%d streams were not handed their events", len(failed), exc_info=failed[0])
