"""Stream limits: how many streams a caller may have, and how fast it may open them.

They are counted per process, where a stream costs a socket. A caller that may have N streams may
open N at once, and N more over the next ten seconds. Where N is small, it may open 20, because a
page that is reloaded opens its stream before the old one is known to be closed.

A worker's streams have one bound together. But a thief of a wallboard's link must not displace that
wallboard. So a credential with few streams has some places beyond the bound, and so has an address
with few; and the rate of opening is counted by credential and by address, not by worker.
"""

from __future__ import annotations

import collections
import time
from typing import NamedTuple

from occupancy.core.errors import RateLimited
from occupancy.core.principal import Principal
from occupancy.core.rate_limit import RateLimiter
from occupancy.core.texts.plurals import counted

_LEAST_AT_ONCE = 20
_FEW = 4  # streams of a credential or address that may use the places beyond the bound
_LEAST_RESERVED = 10


class Place(NamedTuple):
    """What a stream counts for: worker id, digest of the credential, limited address."""

    worker: str
    credential: str
    address: str

    @classmethod
    def of(cls, principal: Principal, address: str) -> Place:
        return cls(principal.worker.id, principal.credential.digest, address)


class StreamLimits:
    """One per process."""

    def __init__(self, *, per_caller: int, per_process: int) -> None:
        self._per_caller = per_caller
        self._per_process = per_process
        self._open: collections.Counter[str | tuple[str, str]] = collections.Counter()
        self._reserved = max(per_caller // 10, _LEAST_RESERVED)  # places beyond the bound
        self._total = 0
        self._callers = RateLimiter(max(per_caller, _LEAST_AT_ONCE))
        self._addresses = RateLimiter(max(per_process, _LEAST_AT_ONCE))

    def limit_process(self, streams: int) -> None:
        """Lower the process's bound to ``streams``, whatever the settings say."""
        self._per_process = min(self._per_process, streams)

    def check(self, place: Place) -> None:
        """Check that this caller may open one more stream now. Raises RateLimited."""
        if self._total >= self._per_process:
            raise RateLimited("This server process has all the streams it can.", retry_after=5)
        _, of_credential, of_address = _counted(place)
        most = self._per_caller + self._reserved * (
            (self._open[of_credential] < _FEW) + (self._open[of_address] < _FEW)
        )
        if self._open[place.worker] >= most:
            raise RateLimited(
                f"You have {counted(self._per_caller, 'stream')} open; close some first.",
                retry_after=30,
            )
        now_s = time.monotonic()
        wait_s = max(
            self._callers.wait_s(place.credential, now_s),
            self._addresses.wait_s(place.address, now_s),
        )
        if wait_s > 0:
            raise RateLimited("Too many streams opened at once.", retry_after=int(wait_s) + 1)
        self._callers.count(place.credential, now_s)
        self._addresses.count(place.address, now_s)

    def hold(self, place: Place) -> None:
        """Count one open stream, until ``give_back``.

        Between check() and this another stream may pass the check. No Redis call lies in between,
        so the bound is exceeded rarely and by little.
        """
        for name in _counted(place):
            self._open[name] += 1
        self._total += 1

    def give_back(self, place: Place) -> None:
        """The stream has ended."""
        self._total -= 1
        for name in _counted(place):
            self._open[name] -= 1
            if not self._open[name]:
                del self._open[name]


def _counted(place: Place) -> tuple[str, tuple[str, str], tuple[str, str]]:
    """The counters of a place. No address is a SHA-256, so the two pairs never collide."""
    return place.worker, (place.worker, place.credential), (place.worker, place.address)
