"""The broadcaster: hands the pending frames of all boards to their streams, in rounds.

One greenlet per process makes the rounds. A round takes all pending frames of each board, joins
them, and hands them to each live stream once. ``pacing`` decides when a round begins and when it
lets others run. Invariants:

* Frames are numbered as they are appended; a channel's ``number`` is that of its last frame. Each
  stream knows the number of the last frame that it has. So a stream that joins between a frame's
  arrival and its round gets the frame once, and a round may let others run halfway.
* Rounds follow one another. At a round's end each stream that was live at its beginning has all
  frames up to the round's last, or is owed a reset; also if the round fails. No stream is left with
  a hole.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection
from typing import NamedTuple, Protocol

import gevent
from gevent.event import Event

from occupancy.core.texts.plurals import counted
from occupancy.live import pacing
from occupancy.live.pacing import GZIP_ROUND_BYTES, ROUND_BYTES
from occupancy.live.sse import Payload, grouped
from occupancy.observability.metrics import LiveMetrics

log = logging.getLogger(__name__)

_SHRINKS_BY = GZIP_ROUND_BYTES / ROUND_BYTES * 0.8
_PART_BYTES = ROUND_BYTES * 3 // 2  # one entry above ROUND_BYTES is no reason to divide a batch
_STREAMS_PER_CHECK = 8  # handed to before a round looks at the clock
_EVENTS_PER_CHECK = 64  # whose delay is counted before it does
_ROOM_WITHIN_S = 1.0


class Receiver(Protocol):
    """A stream that frames are handed to; see Subscriber. No method may switch."""

    is_live: bool
    is_gzip: bool
    number: int  # of the last frame of its channel that it has

    def push(self, payload: Payload) -> None: ...
    def owe_reset(self) -> None: ...  # never fails


class Batch(NamedTuple):
    """The frames of one board that a round hands out."""

    frames: list[bytes]
    last: int  # the number of the last frame
    written_ms: list[int]  # when the entries among them were written to the log


class Channel:
    """One board's pending frames, and the streams that they go to."""

    def __init__(self, subscribers: Collection[Receiver], metrics: LiveMetrics) -> None:
        self.subscribers = subscribers
        self.number = 0  # of the last frame appended
        self.has_plain = False  # whether a live stream takes frames uncompressed
        self._metrics = metrics
        self._shrinks = False  # whether compression shrank the last round to a fraction
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self._written_ms: list[int] = []

    @property
    def is_full(self) -> bool:
        """Whether as much is pending as one round may take."""
        # A stream that takes frames uncompressed may have joined since the last round.
        is_small = self._shrinks and not self.has_plain
        return self._pending_bytes >= (GZIP_ROUND_BYTES if is_small else ROUND_BYTES)

    def append(self, frame: bytes, written_ms: int | None) -> None:
        """Add a pending frame; ``written_ms`` is when its entry was written, if it has one."""
        self._pending.append(frame)
        self._pending_bytes += len(frame)
        self.number += 1
        if written_ms is not None:
            self._written_ms.append(written_ms)

    def take(self) -> Batch:
        """Take all pending frames, for one round."""
        batch = Batch(self._pending, self.number, self._written_ms)
        self._pending, self._pending_bytes, self._written_ms = [], 0, []
        return batch

    def hand_out(self, batch: Batch, yield_if_due: Callable[[], None]) -> None:
        """Hand ``batch`` to every live stream, in parts of the size that a stream may get at once.

        ``yield_if_due`` may switch. After a failure the streams not reached are owed a reset.
        """
        subscribers = [each for each in self.subscribers if each.is_live]
        self.has_plain = any(not each.is_gzip for each in subscribers)
        whole = Payload(batch.frames)
        size_bytes = len(whole.raw) if self.has_plain else len(whole.deflated)
        self._shrinks = _SHRINKS_BY * size_bytes <= len(whole.raw)
        try:
            last = batch.last - len(batch.frames)
            parts = [whole]
            if size_bytes > _PART_BYTES:
                parts = [Payload(each) for each in grouped(batch.frames, ROUND_BYTES)]
            for part in parts:
                last += len(part.frames)
                _hand_part(part, last, subscribers, yield_if_due)
        except Exception:
            for each in subscribers:
                if each.number < batch.last:
                    each.number = batch.last
                    each.owe_reset()
            raise
        self._metrics.deliveries.inc(len(batch.written_ms) * len(subscribers))
        now_s = time.time()
        for count, written_ms in enumerate(batch.written_ms):
            if not count % _EVENTS_PER_CHECK:
                yield_if_due()
            self._metrics.observe_delay(max(0.0, now_s - written_ms / 1000))


def _hand_part(
    part: Payload, last: int, subscribers: list[Receiver], yield_if_due: Callable[[], None]
) -> None:
    """Hand ``part``, whose last frame has the number ``last``, to the streams without it."""
    frames = part.frames
    payloads = {last - len(frames): part}  # by the number of the frame that they follow
    failed: list[Exception] = []
    for count, subscriber in enumerate(subscribers):
        if not count % _STREAMS_PER_CHECK:
            yield_if_due()
        number = subscriber.number
        if number >= last:
            continue  # it joined, or was reset, after the frames were appended
        payload = payloads.get(number)
        if payload is None:
            payload = payloads[number] = Payload(frames[number - last :])
        # Before the push, which may reset the stream to a later number.
        subscriber.number = last
        try:
            subscriber.push(payload)
        except Exception as error:  # noqa: BLE001 - logged below, once for all of them
            failed.append(error)
            subscriber.owe_reset()  # how much of it the stream got is not known
    if failed:
        streams = counted(len(failed), "stream")
        log.error("events were not handed to %s", streams, exc_info=failed[0])


class Broadcaster:
    """One per process. ``run`` is its greenlet."""

    def __init__(self) -> None:
        self._due: dict[Channel, None] = {}
        self._is_idle = False  # its greenlet waits for the next frame and for nothing else
        self._took_s: float | None = None  # of a round that ``add`` made
        self._wake = Event()
        self._hurry = Event()  # ends the pause
        self._is_worth_it = Event()  # ends the wait for a companion
        self._taken = Event()  # a round has taken what was pending
        self._waiting = 0  # frames
        self._waiting_since = 0.0  # monotonic
        self._allowance = pacing.Allowance()
        self._awaited_by = 0  # greenlets that wait for room
        self._slice_ends = 0.0  # monotonic
        self._others_s = 0.0  # what others used within this round
        self._is_busy = False  # whether others are
        self._measured_at = time.process_time(), time.monotonic()

    def add(self, channel: Channel, frame: bytes, written_ms: int | None = None) -> None:
        """Append a frame to ``channel`` and have it handed out. No switch point.

        An idle broadcaster hands it to few streams at once, before the answer to its operation is
        sent.
        """
        channel.append(frame, written_ms)
        self._due[channel] = None
        if not self._waiting:
            self._waiting_since = time.monotonic()
        self._waiting += 1
        if self._waiting == pacing.COMPANIONS:
            self._is_worth_it.set()
        is_alone = self._is_idle and len(self._due) == 1
        if is_alone and len(channel.subscribers) <= pacing.FEW_STREAMS:
            # The greenlet is woken all the same, for the pause that follows.
            self._is_idle = False
            self._took_s = self._round(lambda: None)
        self._wake.set()

    def wait_for_room(self) -> None:
        """Wait until a round, without a pause before it, has taken what is pending now.

        Else frames of a greenlet that appends many would overflow even streams that are read.
        """
        self._taken.clear()
        self._hurry.set()
        self._is_worth_it.set()
        self._awaited_by += 1
        try:
            # Bounded, because the broadcaster ends first when the process does.
            self._taken.wait(_ROOM_WITHIN_S)
        finally:
            self._awaited_by -= 1

    def run(self) -> None:
        """Make rounds, for ever."""
        while True:
            self._is_idle, idle_from = True, time.monotonic()
            self._wake.wait()
            self._is_idle = False
            if time.monotonic() - idle_from > pacing.SILENCE_S:
                # What others used before a silence says nothing of now: many may have connected.
                self._measured_at = time.process_time(), time.monotonic()
            took_s, self._took_s = self._took_s, None
            if took_s is None:
                due = self._waiting_since + self._allowance.companion_s(self._waiting_since)
                if (wait_s := due - time.monotonic()) > 0.0:
                    self._is_worth_it.wait(wait_s)
                took_s = self._round(self._yield_if_due)
            elif not self._due:  # else there is another round to make, after the pause
                self._wake.clear()
            # At least one turn for streams with a greenlet, and for those who wait for room.
            gevent.sleep(0)
            self._measure_others(took_s)
            self._hurry.wait(pacing.pause_s(took_s, self._others_s, is_busy=self._is_busy))

    def _measure_others(self, took_s: float) -> None:
        """Measure what others used since the last round, this one included."""
        cpu_s, now = time.process_time(), time.monotonic()
        (cpu_before_s, before), self._measured_at = self._measured_at, (cpu_s, now)
        self._is_busy = pacing.are_busy(cpu_s - cpu_before_s - took_s, now - before)

    def _yield_if_due(self) -> None:
        """Let others run if the slice is over."""
        now = time.monotonic()
        if now < self._slice_ends:
            return
        is_backlog = pacing.has_backlog(self._awaited_by, self._others_s)
        gevent.sleep(pacing.yield_s(is_busy=self._is_busy, is_backlog=is_backlog))
        after = time.monotonic()
        self._others_s += after - now
        self._slice_ends = after + pacing.slice_s(
            after - now, is_busy=self._is_busy, is_backlog=is_backlog
        )

    def _round(self, yield_if_due: Callable[[], None]) -> float:
        """Make one round; returns how long it took without what others used, in seconds."""
        for event in (self._wake, self._hurry, self._is_worth_it):
            event.clear()
        events, self._waiting = self._waiting, 0
        self._others_s = 0.0
        began = time.monotonic()
        self._slice_ends = began + pacing.FIRST_SLICE_S
        batches = [(channel, channel.take()) for channel in self._due]
        self._due.clear()
        self._taken.set()
        for channel, batch in batches:
            try:
                channel.hand_out(batch, yield_if_due)
            except Exception:
                log.exception("events were not handed out")  # and the other boards' are
        took_s = time.monotonic() - began - self._others_s
        self._allowance.charge(began, took_s, events)
        return took_s
