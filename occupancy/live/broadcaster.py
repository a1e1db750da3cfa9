"""The fan-out: hands what the feeds have taken in to their streams, in rounds.

One greenlet a process. A round takes everything that its feeds have pending, joins it, and writes
it to each live stream once; so what a stream costs is a ``send()`` a round, not an event.

* **A lone event goes at once,** and to few streams before anything else happens: the answer to the
  operation that it tells of comes after it. After a round the next waits three times as long as the
  round has taken: fan-out has a quarter of the process, whatever the number of streams, and
  operations the rest. With 50 streams that is 1 ms; with 1,000 of them about 20, and the events of
  that time go together.
* **A round is worth its price.** After one that took more than 4 ms the next waits for three
  events, but no longer than a tenth of a second after that one began. At 20 events a second for
  1,000 streams this halves what fan-out costs.
* **Not for long.** The pause itself ends 150 ms after the round began, or once a quarter of the
  time has passed that it took; and when TURN_BYTES wait (more where all streams are compressed),
  because a stream must not be handed more at a time than it may have waiting.
* **Operations go on during a round.** Between slices of it, a millisecond each, the others have
  their turn.
* **Busy operations go first.** Where the others need more than a quarter of a core, a turn is a
  millisecond at least, and a slice a sixth of the last turn, 0.3 ms to a millisecond: so an
  operation that needs several turns is not much slower. The whole of it, round and pause, takes
  six times what the round takes itself, within 400 ms, and twice as long at least.
* **But not for ever.** Where more comes in than goes out (as much as a round may take waits again
  while one is under way), or others have had 400 ms of a round, slices are twice as long as turns:
  so the operations slow down, and not the news of them.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import gevent
from gevent.event import Event

if TYPE_CHECKING:
    from occupancy.live.feed import Feed

log = logging.getLogger(__name__)

TURN_BYTES = 32 * 1024  # half of what a stream may have waiting
GZIP_TURN_BYTES = 10 * TURN_BYTES  # before it is compressed; a send of 32 KB costs hardly more
FEW_STREAMS = 64
_PAUSE_RATIO = 3
_LONGEST_PAUSE_S = 0.15
_BUSY_SHARE = 0.25
_BUSY_PAUSE_RATIO = 5
_SILENCE_S = 0.1
_LONGEST_BUSY_PAUSE_S = 0.4
_COSTLY_S = 0.004
_WORTH_EVENTS = 3
_WORTH_RATIO = 13  # of what the last one took: 8 ms for a thousand streams, and the longest wait
_LONGEST_WORTH_S = 0.1
_SHORTEST_SLICE_S, _SLICE_S, _LONGEST_SLICE_S = 0.0003, 0.001, 0.01
_SLICE_RATIO, _HURRIED_SLICE_RATIO = 1 / 6, 2.0
OTHERS_TURN_S = 0.001  # at least; enough for some replies of the store to arrive
A_MOMENT_S = 1e-6  # after sleep(0) the event loop may not have looked at any socket
_ROOM_WITHIN_S = 1.0


class Broadcaster:
    """Of one worker process. ``run`` is its greenlet; the rest is for the feeds."""

    def __init__(self) -> None:
        self._due: dict[Feed, None] = {}
        self._is_idle = False  # its greenlet waits for the next event, and for nothing else
        self._took_s: float | None = None  # of a round that was made for its greenlet
        self._wake = Event()
        self._hurry = Event()
        self._is_worth_it = Event()
        self._taken = Event()
        self._waiting = 0  # events
        self._awaited_by = 0  # those who need room
        self._slice_ends = 0.0  # monotonic
        self._others_s = 0.0  # what others have used within this round
        self._are_others_busy = False
        self._looked = time.process_time(), time.monotonic()  # after a round, or a silence

    def mark(self, feed: Feed) -> None:
        """``feed`` has something pending, and is between two entries: it may be handed out now."""
        self._due[feed] = None
        self._waiting += 1
        if self._waiting >= _WORTH_EVENTS:
            self._is_worth_it.set()
        if self._is_idle and len(self._due) == 1 and len(feed.subscribers) <= FEW_STREAMS:
            # Without a switch point: so few take less than half a millisecond. The greenlet is
            # woken all the same, for the pause that follows.
            self._is_idle = False
            self._took_s = self._round(lambda: None)
        self._wake.set()

    def make_room(self) -> None:
        """Wait until a round, without a pause before it, has taken what is pending now.

        Whoever takes in much at once calls this now and then: else it would pile up here, and
        overflow even streams that are read at once.
        """
        self._taken.clear()
        self._hurry.set()
        self._is_worth_it.set()
        self._awaited_by += 1
        try:
            # Bounded, because the fan-out ends first when the process does.
            self._taken.wait(_ROOM_WITHIN_S)
        finally:
            self._awaited_by -= 1

    def _breathe(self) -> None:
        """Inside a round: let the others have their turn if the slice is over."""
        now = time.monotonic()
        if now < self._slice_ends:
            return
        # Or others have had all that a round may leave them: theirs may be very long turns.
        is_hurried = self._awaited_by > 0 or self._others_s > _LONGEST_BUSY_PAUSE_S
        is_patient = self._are_others_busy and not is_hurried
        gevent.sleep(OTHERS_TURN_S if is_patient else A_MOMENT_S)
        after = time.monotonic()
        self._others_s += after - now
        ratio = _HURRIED_SLICE_RATIO if is_hurried else _SLICE_RATIO
        shortest_s = _SHORTEST_SLICE_S if self._are_others_busy else _SLICE_S
        longest_s = _LONGEST_SLICE_S if is_hurried else _SLICE_S
        self._slice_ends = after + min(max(ratio * (after - now), shortest_s), longest_s)

    def run(self) -> None:
        """Hand out, round after round, for ever."""
        while True:
            self._is_idle, idle_from = True, time.monotonic()
            self._wake.wait()
            self._is_idle = False
            if time.monotonic() - idle_from > _SILENCE_S:
                # What others did before it says nothing of now: a thousand may have connected.
                self._looked = time.process_time(), time.monotonic()
            took_s, self._took_s = self._took_s, None
            if took_s is None:
                took_s = self._round(self._breathe)
            elif not self._due:  # else there is another round to make, after the pause
                self._wake.clear()
            # At least a turn for those who write by themselves, and those who wait for room.
            gevent.sleep(0)
            self._look_at_others(took_s)
            pause_s, worth_s = pauses_s(
                took_s, self._others_s, are_others_busy=self._are_others_busy
            )
            if not self._hurry.wait(pause_s):
                self._is_worth_it.wait(worth_s)
            self._hurry.clear()

    def _look_at_others(self, took_s: float) -> None:
        """Which part of a core have they used since the last round, this one included?"""
        cpu_s, now = time.process_time(), time.monotonic()
        (cpu_before_s, before), self._looked = self._looked, (cpu_s, now)
        self._are_others_busy = cpu_s - cpu_before_s - took_s > _BUSY_SHARE * (now - before)

    def _round(self, yield_if_due: Callable[[], None]) -> float:
        """One round; returns how much time it has used itself, in seconds."""
        self._wake.clear()
        self._is_worth_it.clear()
        self._waiting = 0
        self._others_s = 0.0
        began = time.monotonic()
        self._slice_ends = began + _SHORTEST_SLICE_S
        batches = [(feed, feed.take()) for feed in self._due]
        self._due.clear()
        self._taken.set()
        for feed, batch in batches:
            try:
                feed.hand_out(batch, yield_if_due)
            except Exception:
                log.exception("events were not handed out")  # and the other boards' are
        return time.monotonic() - began - self._others_s


def pauses_s(took_s: float, others_s: float, *, are_others_busy: bool) -> tuple[float, float]:
    """After a round that has taken ``took_s``, and left others ``others_s`` meanwhile: how long to
    let them work now, and then to wait for more events, so that the next round is worth it.
    """
    if are_others_busy:
        pause_s = min(_BUSY_PAUSE_RATIO * took_s, max(took_s, _LONGEST_BUSY_PAUSE_S - took_s))
        pause_s = max(0.0, pause_s - others_s)
    else:
        pause_s = min(_PAUSE_RATIO * took_s, max(took_s / 4, _LONGEST_PAUSE_S - took_s))
    if took_s < _COSTLY_S:
        return pause_s, 0.0
    until_s = min(_WORTH_RATIO * took_s, _LONGEST_WORTH_S)
    return pause_s, max(0.0, until_s - took_s - pause_s)
