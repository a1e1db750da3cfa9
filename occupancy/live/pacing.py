"""Pacing of delivery: when the next round begins, and how long it runs before others do.

Pure: it is told what a round took and what others used, and asks no clock. A *round* writes what is
pending to every stream once, so a stream costs one ``send()`` per round and not per event. Rounds
compete with operations for one core, and these rules share it:

* **Share.** After a round the next one begins no sooner than three times its duration later, so
  delivery gets a quarter of the process. 50 streams make that 1 ms, 1,000 streams 20 to 30 ms.
* **Companion.** After a round that took more than 4 ms, an event waits for a second one, 60 ms at
  most, and only if that round began less than 60 ms before it; else a second one is not to be
  expected. One event goes alone for every eight that went in pairs: at 20 events per second for
  1,000 streams five of nine are sent at once, whatever a round costs on the machine.
* **Bound.** The pause ends 150 ms after the round began, or after a quarter of the round's
  duration if that is later. It also ends when ROUND_BYTES are pending, because a stream must not be
  handed more at a time than it may have waiting.
* **Slices.** Others run between slices of a round, which last a millisecond.
* **Busy.** When others use more than a quarter of a core, they get a millisecond between slices, a
  slice lasts a sixth of the time that others had before it, and round and pause together last six
  times the round's own time, within 400 ms. So an operation that needs several switches is hardly
  slower.
* **Backlog.** When events arrive faster than they leave, or others had 400 ms of one round, slices
  last twice the time that others had: operations slow down, and news of them does not.
"""

from __future__ import annotations

ROUND_BYTES = 32 * 1024  # half of what a stream may have waiting
GZIP_ROUND_BYTES = 10 * ROUND_BYTES  # before compression; a send of 32 KB costs hardly more
FEW_STREAMS = 64  # written to at once: that takes less than half a millisecond
COMPANIONS = 2  # events that make a costly round worth its price
FIRST_SLICE_S = 0.0003  # of a round
SILENCE_S = 0.1  # after it, what others used before says nothing of now
OTHERS_TURN_S = 0.001  # long enough for some replies of the store to arrive
POLL_S = 1e-6  # a sleep after which the loop has polled the sockets; sleep(0) may return before

_PAUSE_RATIO = 3
_LONGEST_PAUSE_S = 0.15
_BUSY_SHARE = 0.25
_BUSY_PAUSE_RATIO = 5
_LONGEST_BUSY_PAUSE_S = 0.4
_COSTLY_S = 0.004  # cheaper rounds need no companion
_COMPANION_S = 0.06
_JOINED_PER_LONE = 8
_SLICE_S, _LONGEST_SLICE_S = 0.001, 0.01
_SLICE_RATIO, _BACKLOG_SLICE_RATIO = 1 / 6, 2.0


def are_busy(others_cpu_s: float, elapsed_s: float) -> bool:
    """Whether others, who used ``others_cpu_s`` within ``elapsed_s``, leave delivery little."""
    return others_cpu_s > _BUSY_SHARE * elapsed_s


def pause_s(took_s: float, others_s: float, *, is_busy: bool) -> float:
    """How long others work after a round, in seconds.

    The round used ``took_s`` itself and left ``others_s`` to others between its slices.
    """
    if is_busy:
        longest_s = max(took_s, _LONGEST_BUSY_PAUSE_S - took_s)
        return max(0.0, min(_BUSY_PAUSE_RATIO * took_s, longest_s) - others_s)
    return min(_PAUSE_RATIO * took_s, max(took_s / 4, _LONGEST_PAUSE_S - took_s))


class Allowance:
    """Says how long a lone event waits for a second one. Times are monotonic, in seconds."""

    def __init__(self) -> None:
        self._began = -1.0  # the last round
        self._is_costly = False
        self._joined = _JOINED_PER_LONE  # events that did not go alone since the last that did

    def charge(self, began: float, took_s: float, events: int) -> None:
        """Count a round of ``events`` that began at ``began`` and took ``took_s``."""
        self._began, self._is_costly = began, took_s >= _COSTLY_S
        self._joined = 0 if events < COMPANIONS else self._joined + events

    def companion_s(self, arrived: float) -> float:
        """How long an event that arrived at ``arrived`` waits for a second one, in seconds."""
        is_frequent = arrived - self._began < _COMPANION_S
        must_wait = is_frequent and self._is_costly and self._joined < _JOINED_PER_LONE
        return _COMPANION_S if must_wait else 0.0


def has_backlog(waiting: int, others_s: float) -> bool:
    """Whether a round must hurry: greenlets wait for room, or others had ``others_s`` of it."""
    return waiting > 0 or others_s > _LONGEST_BUSY_PAUSE_S


def yield_s(*, is_busy: bool, is_backlog: bool) -> float:
    """How long others run between two slices, at least, in seconds."""
    return OTHERS_TURN_S if is_busy and not is_backlog else POLL_S


def slice_s(others_turn_s: float, *, is_busy: bool, is_backlog: bool) -> float:
    """How long the next slice lasts after others ran for ``others_turn_s``, in seconds."""
    shortest_s = FIRST_SLICE_S if is_busy else _SLICE_S
    if is_backlog:
        return min(max(_BACKLOG_SLICE_RATIO * others_turn_s, shortest_s), _LONGEST_SLICE_S)
    return min(max(_SLICE_RATIO * others_turn_s, shortest_s), _SLICE_S)
