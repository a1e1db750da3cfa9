"""Balance: the worker processes of a machine share its connections evenly.

They all wait on one listening socket, and whichever wakes first accepts. Connections that are
opened together and stay open can so end up with one process: measured with two of them, 64
keep-alive connections and all working, p99 was 70 times p50 (4.7 and 332 ms), because one had
nearly all.

So each process writes how many connections it has into memory that all of them share, and one
that is ahead of another lets a moment pass before it accepts, in which the other can. It then
accepts in any case: a process that hangs delays a connection by that moment, and no more.
"""

from __future__ import annotations

from mmap import mmap
from typing import Any

from occupancy.server.bounded_sockets import BoundedListener

SLOTS = 256  # more than worker processes of two generations
_ITEM_BYTES = 4
_MOMENT_S = 0.005  # enough for a process that sleeps to be woken, also on a busy machine


class Loads:
    """Connections of each worker process, by slot; in a slot 0 is nobody, else connections + 1.

    Each process writes its own slot only, and a whole aligned word at a time.
    """

    def __init__(self, shared: mmap) -> None:
        self._words = memoryview(shared).cast("I")

    @staticmethod
    def shared() -> mmap:
        """The memory; made before the fork, so that all have it."""
        return mmap(-1, SLOTS * _ITEM_BYTES)

    def write(self, slot: int, connections: int | None) -> None:
        """Say how many connections a process has; None where it accepts no more."""
        self._words[slot] = 0 if connections is None else connections + 1

    def is_ahead(self, slot: int) -> bool:
        """Whether the process has clearly more connections than the one with the fewest."""
        own = self._words[slot]
        fewest = min(filter(None, self._words.tolist()), default=own)
        return own > fewest + own // 8


class BalancedListener(BoundedListener):
    """The server, but for letting others go first; gunicorn's hooks set what it knows."""

    loads: Loads
    slot = 0
    _has_waited = False

    def do_read(self) -> Any:
        """Accept a connection; None where there is none, or another process may have it."""
        self.loads.write(self.slot, self.pool.size - self.free_places())
        if not self._has_waited and self.loads.is_ahead(self.slot):
            self._has_waited = True
            self.pause(_MOMENT_S)
            return None
        self._has_waited = False
        return super().do_read()
