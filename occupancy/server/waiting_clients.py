"""Waiting clients: the connections of a process that wait for their clients, and which to close.

* Large responses may fill UNTAKEN_BYTES. Beyond that the slowest client is closed. A new reader
  counts as one that takes PRESUMED_BYTES_S. Bytes that several clients are sent (an unchanged
  board) count once, so many screens that reload together close none.
* When the process runs out of places, the connection that has waited longest for its request is
  closed.
"""

from __future__ import annotations

import collections
import dataclasses
import time
from typing import Protocol

UNTAKEN_BYTES = 128 * 1024 * 1024
PRESUMED_BYTES_S = 640 * 1024  # per second, for a new reader; slower than any plant's network
STALLED_READER_S = 5.0  # without a piece taken, after which a reader may be closed to make room
_PRESUMED_S = 0.1  # seconds at the presumed pace that count beside what was measured
_KERNEL_BYTES = 512 * 1024  # what both kernels take at once for a client that takes nothing


class ClientConnection(Protocol):
    is_reading: bool

    def hang_up(self) -> None: ...


@dataclasses.dataclass(slots=True)
class _LargeResponse:
    """A large response that is being sent."""

    number: int  # id() of the bytes, which others may be sent too
    size_bytes: int
    began_s: float
    since_s: float  # when the last piece was taken
    taken_bytes: int = 0

    def pace_bytes_s(self, now_s: float) -> float:
        presumed_bytes = PRESUMED_BYTES_S * _PRESUMED_S
        taken_bytes = max(0, self.taken_bytes - _KERNEL_BYTES)
        return (taken_bytes + presumed_bytes) / (now_s - self.began_s + _PRESUMED_S)


class WaitingClients:
    """One per process."""

    def __init__(self) -> None:
        # Connections without a whole request, in the order in which they began to wait.
        self.requests: dict[ClientConnection, None] = {}
        # In the order in which their clients have last taken a piece.
        self._answers: dict[ClientConnection, _LargeResponse] = {}
        self._sent: collections.Counter[int] = collections.Counter()  # readers, by id of the bytes
        self._untaken_bytes = 0  # of all that is sent, each counted once

    def answer(self, connection: ClientConnection, data: bytes) -> None:
        """Note that ``data``, which lives until ``answered``, begins to be sent."""
        now_s = time.monotonic()
        self._answers[connection] = _LargeResponse(id(data), len(data), now_s, now_s)
        self._sent[id(data)] += 1
        if self._sent[id(data)] == 1:
            self._untaken_bytes += len(data)
        while self._untaken_bytes > UNTAKEN_BYTES and len(self._sent) > 1:
            slowest = min(self._answers, key=lambda each: self._answers[each].pace_bytes_s(now_s))
            self.answered(slowest)
            slowest.hang_up()

    def taken(self, connection: ClientConnection, size_bytes: int) -> None:
        """Note that a piece was taken, unless the connection was closed meanwhile."""
        found = self._answers.pop(connection, None)
        if found is not None:
            found.taken_bytes += size_bytes
            found.since_s = time.monotonic()
            self._answers[connection] = found

    def answered(self, connection: ClientConnection) -> None:
        """Note that an answer was sent, or is given up."""
        found = self._answers.pop(connection, None)
        if found is None:
            return
        self._sent[found.number] -= 1
        if not self._sent[found.number]:
            del self._sent[found.number]
            self._untaken_bytes -= found.size_bytes

    def make_room(self) -> None:
        """Close the connection that has kept its place longest without a whole request."""
        # Connections that are being served stand in ``requests`` too, but are not reading.
        longest = next((each for each in self.requests if each.is_reading), None)
        if longest is not None:
            longest.hang_up()
        else:
            self._close_stalled(time.monotonic())

    def _close_stalled(self, now_s: float) -> None:
        longest = next(iter(self._answers), None)
        if longest is not None and now_s - self._answers[longest].since_s >= STALLED_READER_S:
            self.answered(longest)
            longest.hang_up()
