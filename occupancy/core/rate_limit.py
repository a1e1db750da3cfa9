"""Rate limit: a burst at once and a steady rate after it, for each name."""

from __future__ import annotations

_REFILL_S = 10.0
_ROUNDING_S = 1e-6  # the error of a sum of intervals must not refuse the last of a burst
_MAX_NAMES = 10_000


class RateLimiter:
    """The generic cell rate algorithm (ITU-T I.371), which keeps one timestamp per name.

    It allows ``burst`` at once, and as many more over ten seconds.
    """

    def __init__(self, burst: int) -> None:
        self._interval_s = _REFILL_S / burst
        self._due_s: dict[str, float] = {}

    def wait_s(self, name: str, now_s: float) -> float:
        """Seconds until ``name`` may do one more; 0 for now."""
        wait_s = self._due_s.get(name, 0.0) - now_s + self._interval_s - _REFILL_S
        return wait_s if wait_s > _ROUNDING_S else 0.0

    def count(self, name: str, now_s: float) -> None:
        """Count one more for ``name``, allowed or not."""
        if len(self._due_s) >= _MAX_NAMES:
            self._due_s = {each: due_s for each, due_s in self._due_s.items() if due_s > now_s}
        self._due_s[name] = max(self._due_s.get(name, 0.0), now_s) + self._interval_s
