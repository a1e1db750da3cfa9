"""The load's clock: so many times as fast as a real one."""

from __future__ import annotations

import time

import gevent

HOUR_S = 3600.0
SHIFT_H = 8.0
_BREAKS_H = ((2.0, 2.25), (4.0, 4.5), (6.0, 6.25))  # of each shift; nobody does anything


class Clock:
    """Runs from its creation. All its times are of the day that is simulated."""

    def __init__(self, acceleration: float) -> None:
        self.acceleration = acceleration
        self._began_s = time.monotonic()

    @property
    def now_h(self) -> float:
        return (time.monotonic() - self._began_s) * self.acceleration / HOUR_S

    def sleep(self, day_s: float) -> None:
        gevent.sleep(day_s / self.acceleration)

    def sleep_until(self, hour: float) -> None:
        gevent.sleep(max(0.0, (hour - self.now_h) * HOUR_S / self.acceleration))

    def wait_out_a_break(self) -> None:
        """Return at once, or in a break at its end."""
        in_shift_h = self.now_h % SHIFT_H
        for begin_h, end_h in _BREAKS_H:
            if begin_h <= in_shift_h < end_h:
                self.sleep((end_h - in_shift_h) * HOUR_S)
