"""Accept balancing: the processes of a machine share its connections evenly.

They all wait on one listening socket, and the first that wakes accepts. Connections that are
opened together and stay open can so end up with one process: measured with two of them, 64
keep-alive connections and all working, p99 was 70 times p50 (4.7 and 332 ms), because one had
nearly all.

So each process writes how many connections it has into memory that all of them share, and one
that is ahead of another waits a moment before it accepts, in which the other can
(``listener.py``). It then accepts in any case: a process that hangs delays a connection by that
moment, and no more.
"""

from __future__ import annotations

from mmap import mmap

SLOTS = 256  # more than processes of two generations
_ITEM_BYTES = 4


class Loads:
    """Connections of each process, by slot; a slot holds connections + 1, or 0 if it is unused.

    Each process writes its own slot only, and a whole aligned word at a time.
    """

    def __init__(self, shared: mmap) -> None:
        self._words = memoryview(shared).cast("I")

    @staticmethod
    def shared() -> mmap:
        """The memory; made before the fork, so that all processes have it."""
        return mmap(-1, SLOTS * _ITEM_BYTES)

    def write(self, slot: int, connections: int | None) -> None:
        """Say how many connections a process has; None if it accepts no more."""
        self._words[slot] = 0 if connections is None else connections + 1

    def is_ahead(self, slot: int) -> bool:
        """Whether the process has clearly more connections than the one with the fewest."""
        own = self._words[slot]
        fewest = min(filter(None, self._words.tolist()), default=own)
        return own > fewest + own // 8
