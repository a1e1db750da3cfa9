"""The probe: finds what the reader does not hear, because a publication may be lost.

* It sends a *canary* every two seconds, which shows that publications reach the reader. In a Cluster
  that is a PING on the live connection itself.
* It compares each board's position with the end of its log. While publications are heard, it
  compares only the boards that were silent since the last probe; otherwise all of them. So without
  the live connection every event still arrives, some seconds late. One round trip reads the ends of
  all logs, and a board that is behind catches up in a separate greenlet, which delays no other.

Each of the two has its own greenlet. A board is *settled* under a subscription after a probe that
began after the subscription has succeeded: it found what was published before, and the reader hears the
rest. Live delivery works while all boards are settled under the present subscriptions.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable

import gevent
from gevent.event import Event

from occupancy.core.errors import PoolTimeout, StoreUnavailable
from occupancy.live.board_log import NEW_S, BoardLog, LogReader
from occupancy.live.reader import PROBE_S, Reader

log = logging.getLogger(__name__)

_BOARDS_AT_ONCE = 500  # in a round trip


class Probe:
    """One per server and process.

    ``followed`` returns the logs of the boards of that server that have streams. ``on_live`` is
    called after each probe that finds delivery working.
    """

    def __init__(
        self,
        store: LogReader,
        reader: Reader,
        followed: Callable[[], Iterable[BoardLog]],
        *,
        send_canary: Callable[[], object],
        on_live: Callable[[], None],
    ) -> None:
        self._store = store
        self._reader = reader
        self._followed = followed
        self._send_canary = send_canary
        self._on_live = on_live
        self._wake = Event()

    @property
    def is_settled(self) -> bool:
        """Whether everything published before the present subscriptions has been found."""
        now = time.monotonic()
        return all(
            each.settled == self._reader.subscription_of(each.board)
            for each in self._followed()
            if each.settled is not None or now - each.followed_since > NEW_S
        )

    def probe_now(self) -> None:
        """Compare all boards without waiting for the next probe."""
        self._wake.set()

    def send_canaries(self) -> None:
        """Send canaries, for ever. A server that takes no writes still publishes."""
        repeat("a canary", self._send_canary)

    def compare_logs(self) -> None:
        """Compare positions with the ends of the logs, for ever."""
        repeat("a look at the logs", self.compare, self._wake)

    def compare(self) -> None:
        """Compare positions with the ends of the logs. Raises PoolTimeout, StoreUnavailable."""
        was_live = self._reader.trouble is None
        due: list[tuple[BoardLog, str, int | None]] = []
        for each in list(self._followed()):
            heard_by = self._reader.subscription_of(each.board)
            is_due = each.is_silent() or each.is_degraded or heard_by is None
            # A board without a position is about to read it, and is due in the next probe.
            if each.cursor and (is_due or heard_by != each.settled):
                due.append((each, each.cursor, heard_by))
        for first in range(0, len(due), _BOARDS_AT_ONCE):
            chunk = due[first : first + _BOARDS_AT_ONCE]
            heads = self._store.heads([each.board for each, _, _ in chunk])
            for (each, asked_at, heard_by), head in zip(chunk, heads, strict=True):
                is_live = heard_by is not None and heard_by == self._reader.subscription_of(
                    each.board
                )
                each.compare(asked_at, head, is_live=is_live)
                if is_live:
                    each.settled = heard_by
        if was_live and self._reader.trouble is None:
            self._on_live()


def repeat(what: str, do: Callable[[], object], wake: Event | None = None) -> None:
    """Call ``do`` every PROBE_S, and whenever ``wake`` is set, for ever.

    Failures do not end it. The first of several like failures in a row is logged.
    """
    failure = None
    while True:
        try:
            do()
            failure = None
        except Exception as error:
            is_new, failure = failure is not type(error), type(error)
            if is_new and isinstance(error, PoolTimeout | StoreUnavailable):
                log.warning("%s failed: %s", what, error.__cause__ or error)
            elif is_new:
                log.exception("%s failed", what)
        if wake is None:
            gevent.sleep(PROBE_S)
        else:
            wake.wait(PROBE_S)
            wake.clear()
