"""Recent frames: what a feed keeps in memory for browsers that were away for a moment."""

from __future__ import annotations

import collections

_KEPT_BYTES = 128 * 1024


class RecentFrames:
    """The latest frames of one board, without a gap, up to a bound in bytes."""

    def __init__(self) -> None:
        self._frames: collections.deque[tuple[str, bytes]] = collections.deque()
        self._bytes = 0
        self._before = ""  # the cursor that the first frame follows

    def begin(self, cursor: str) -> None:
        """Forget everything; what is added next follows ``cursor``."""
        self._frames.clear()
        self._bytes, self._before = 0, cursor

    def add(self, cursor: str, frame: bytes) -> None:
        """Keep ``frame``, which leads to ``cursor``, and let go of the oldest beyond the bound."""
        self._frames.append((cursor, frame))
        self._bytes += len(frame)
        while self._bytes > _KEPT_BYTES:
            self._before, oldest = self._frames.popleft()
            self._bytes -= len(oldest)

    def since(self, cursor: str) -> list[bytes] | None:
        """The frames after ``cursor``; None if it is not there."""
        if cursor == self._before:
            return [frame for _, frame in self._frames]
        frames: list[bytes] = []
        for remembered, frame in reversed(self._frames):
            if remembered == cursor:
                frames.reverse()
                return frames
            frames.append(frame)
        return None
