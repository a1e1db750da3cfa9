"""The fan-out: hands what the feeds have taken in to their streams, in rounds.

One greenlet a process. A round takes everything that its feeds have pending, joins it, and writes
it to each live stream once; so what a stream costs is a ``send()`` a round, not an event.

* **A lone event goes at once.** After a round the next waits three times as long as the round has
  taken: fan-out has a quarter of the process, whatever the number of streams, and operations the
  rest. With 50 streams that is 1 ms; with 1,000 of them about 15, and the events of that time go
  together.
* **Not for long.** The pause ends a tenth of a second after the round began, or once as much time
  has passed as it took; and when TURN_BYTES wait, because a stream must not be handed more at a
  time than it may have waiting.
* **Operations go on during a round.** Between slices of it the others have their turn. A slice is
  as long as the others' last turn was, within bounds: under load neither starves.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

import gevent
from gevent.event import Event

if TYPE_CHECKING:
    from .feed import Feed

log = logging.getLogger(__name__)

TURN_BYTES = 32 * 1024  # half of what a stream may have waiting
_PAUSE_RATIO = 3
_LONGEST_PAUSE_S = 0.1
_SHORTEST_SLICE_S, _LONGEST_SLICE_S = 0.001, 0.01
_ROOM_WITHIN_S = 1.0


class FanOut:
    """Of one worker process. ``run`` is its greenlet; the rest is for the feeds."""

    def __init__(self) -> None:
        self._due: dict[Feed, None] = {}
        self._wake = Event()
        self._hurry = Event()
        self._handed = Event()
        self._slice_ends = 0.0  # monotonic
        self._others_s = 0.0  # what others have used within this round

    def mark(self, feed: Feed) -> None:
        """``feed`` has something pending."""
        self._due[feed] = None
        self._wake.set()

    def make_room(self) -> None:
        """Wait until what is pending now has been handed out, without a pause before it.

        Whoever takes in much at once calls this now and then: else it would pile up here, and
        overflow even streams that are read at once.
        """
        self._handed.clear()
        self._hurry.set()
        # Bounded, because the fan-out ends first when the process does.
        self._handed.wait(_ROOM_WITHIN_S)

    def breathe(self) -> None:
        """Inside a round: let the others have their turn if the slice is over."""
        now = time.monotonic()
        if now < self._slice_ends:
            return
        gevent.sleep(0)
        after = time.monotonic()
        self._others_s += after - now
        slice_s = min(max(after - now, _SHORTEST_SLICE_S), _LONGEST_SLICE_S)
        self._slice_ends = after + slice_s

    def run(self) -> None:
        """Hand out, round after round, for ever."""
        while True:
            self._wake.wait()
            took_s = self._round()
            # At least a turn for those who write by themselves, and those who wait for room.
            gevent.sleep(0)
            self._hurry.wait(pause_s(took_s))
            self._hurry.clear()

    def _round(self) -> float:
        """One round; returns how much time it has used itself, in seconds."""
        self._wake.clear()
        self._others_s = 0.0
        began = time.monotonic()
        self._slice_ends = began + _SHORTEST_SLICE_S
        due, self._due = self._due, {}
        for feed in due:
            try:
                feed.hand_out(self.breathe)
            except Exception:
                log.exception("events were not handed out")  # and the other boards' are
        self._handed.set()
        return time.monotonic() - began - self._others_s


def pause_s(took_s: float) -> float:
    """How long to let others work after a round that has taken ``took_s``."""
    return min(_PAUSE_RATIO * took_s, max(took_s, _LONGEST_PAUSE_S - took_s))
