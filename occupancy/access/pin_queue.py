"""The queue for hashing PINs: one is hashed at a time, and nobody can fill the queue for others.

Anybody may send a PIN for an invented worker, and each costs 50 ms of a core. So there are two
kinds of places. An attempt is *known* if its worker has signed in before from its address. The
places of all others are bounded in total, by address, and by the IPv6 networks that one customer
has. Unknown attempts take no place of the known ones, and let them go first.
"""

from __future__ import annotations

import collections
import contextlib
import ipaddress
from collections.abc import Iterator

from gevent.event import Event

from occupancy.core.errors import RateLimited

MAX_UNKNOWN = 80  # places: some five seconds of waiting
MAX_OF_NETWORK = (40, 50, 60)  # places of an address (IPv6: a /64), a /56 and a /48
MAX_KNOWN = 100  # places
MAX_KNOWN_OF_WORKER = 3  # places at one address: enough for a double tap
_TURNS_IN_ROW = 3  # of known attempts, while unknown ones wait


class PinQueue:
    """The queue of one process."""

    def __init__(self) -> None:
        self._taken: collections.Counter[str] = collections.Counter()
        self._is_busy = False
        self._known: collections.deque[Event] = collections.deque()
        self._unknown: collections.deque[Event] = collections.deque()
        self._in_row = 0

    @contextlib.contextmanager
    def place(self, worker_id: str, address: str, *, is_known: bool) -> Iterator[None]:
        """Hold a place in the queue while the block runs. Raises RateLimited if none is free.

        A place is taken before an attempt is counted, because a sender without a place has tried
        nothing. No switch point lies between finding a place and taking it.
        """
        if is_known:
            limits = {"known": MAX_KNOWN, f"worker {worker_id}|{address}": MAX_KNOWN_OF_WORKER}
        else:
            limits = {"unknown": MAX_UNKNOWN}
            limits |= dict(zip(_networks(address), MAX_OF_NETWORK, strict=False))
        if any(self._taken[name] >= limit for name, limit in limits.items()):
            raise RateLimited("Too many sign-ins at once. Try again in a moment.", retry_after=2)
        self._taken.update(limits.keys())
        try:
            yield
        finally:
            self._taken.subtract(limits.keys())
            for name in limits:
                if not self._taken[name]:
                    del self._taken[name]

    @contextlib.contextmanager
    def turn(self, *, is_known: bool) -> Iterator[None]:
        """Wait for a turn, and hold it while the block runs."""
        if self._is_busy:
            waiting = self._known if is_known else self._unknown
            is_mine = Event()
            waiting.append(is_mine)
            try:
                is_mine.wait()
            except BaseException:
                # Killed, perhaps when the turn had just been given: it must not be lost.
                if is_mine.is_set():
                    self._pass_on()
                else:
                    waiting.remove(is_mine)
                raise
        self._is_busy = True
        try:
            yield
        finally:
            self._pass_on()

    def _pass_on(self) -> None:
        """Give the turn to the next; the queue stays busy meanwhile, so nobody can overtake."""
        if self._unknown and (not self._known or self._in_row >= _TURNS_IN_ROW):
            self._in_row = 0
            self._unknown.popleft().set()
        elif self._known:
            self._in_row += 1
            self._known.popleft().set()
        else:
            self._is_busy = False


def _networks(address: str) -> tuple[str, ...]:
    """The networks that ``address`` counts for: itself; for an IPv6 /64 also its /56 and /48."""
    if ":" not in address:
        return (address,)
    network = ipaddress.IPv6Network(address)
    return address, *(str(network.supernet(new_prefix=prefix)) for prefix in (56, 48))
