"""Accept balancing: the processes of a machine share its connections evenly.

They all wait on one listening socket, and the first that wakes accepts. Connections that are
opened together and stay open can so end up with one process: p99 was up to 70 times p50. So each
process writes the number of its connections into shared memory, and one that is ahead of
another waits a moment before it accepts, in which the other can (``listener.py``). It then accepts
in any case: a process that hangs delays a connection by that moment, and no more.
"""

from __future__ import annotations

from mmap import mmap

_SLOTS = 256  # more than processes of two generations
_SLOT_BYTES = 4


class Loads:
    """The connections of each process, as the process number ``age`` (gunicorn's) writes them.

    A slot holds the number of connections + 1, or 0 if it is unused. Each process writes only its
    own, and a whole aligned word at a time.
    """

    def __init__(self, shared: mmap, age: int) -> None:
        self._words = memoryview(shared).cast("I")
        self._slot = age % _SLOTS

    @staticmethod
    def shared() -> mmap:
        """The memory; made before the fork, so that all processes have it."""
        return mmap(-1, _SLOTS * _SLOT_BYTES)

    def write(self, connections: int | None) -> None:
        """Set the number of the process's connections; None if it accepts no more."""
        self._words[self._slot] = 0 if connections is None else connections + 1

    def is_ahead(self) -> bool:
        """Whether the process has clearly more connections than the one with the fewest."""
        own = self._words[self._slot]
        fewest = min(filter(None, self._words.tolist()), default=own)
        return own > fewest + own // 8
