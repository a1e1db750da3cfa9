"""The probe: finds what the reader does not hear, because a publication may be lost.

* It publishes a *canary* every two seconds, which shows that publications reach the reader.
* It compares each board's position with the end of its log. While publications are heard, it
  compares only the boards that were silent since the last probe; otherwise all of them. So without
  the live connection every event still arrives, some seconds late. One round trip reads the ends of
  all logs, and a board that is behind catches up in a separate greenlet, which delays no other.

Each of the two has its own greenlet. Live delivery works after a probe that began after the
subscription has succeeded: it found what was published before, and the reader hears the rest.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

import gevent
from gevent.event import Event

from occupancy.core.errors import PoolTimeout, StoreUnavailable
from occupancy.live.board_log import BoardLog, LogReader
from occupancy.live.reader import PROBE_S, Reader
from occupancy.storage.client import OpsClient

log = logging.getLogger(__name__)

_BOARDS_AT_ONCE = 500  # in a round trip


class Probe:
    """One per process.

    ``followed`` returns the logs of the boards that have streams. ``on_live`` is called after each
    probe that finds delivery working.
    """

    def __init__(
        self,
        store: LogReader,
        client: OpsClient,
        reader: Reader,
        followed: Callable[[], Iterable[BoardLog]],
        *,
        canary_channel: str,
        on_live: Callable[[], None],
    ) -> None:
        self._store = store
        self._client = client
        self._canary_channel = canary_channel
        self._reader = reader
        self._followed = followed
        self._on_live = on_live
        self._settled: int | None = None  # the subscription before which nothing is missing
        self._wake = Event()

    @property
    def is_settled(self) -> bool:
        """Whether everything published before the present subscription has been found."""
        return self._settled is not None and self._settled == self._reader.subscription

    def probe_now(self) -> None:
        """Compare all boards without waiting for the next probe."""
        self._settled = None
        self._wake.set()

    def send_canaries(self) -> None:
        """Publish canaries, for ever. A server that takes no writes still publishes."""
        repeat("a canary", lambda: self._client.publish(self._canary_channel, ""))

    def compare_logs(self) -> None:
        """Compare positions with the ends of the logs, for ever."""
        repeat("a look at the logs", self.compare, self._wake)

    def compare(self) -> None:
        """Compare positions with the ends of the logs. Raises PoolTimeout, StoreUnavailable."""
        began_by = self._reader.subscription
        is_all = began_by is None or began_by != self._settled
        # A board without a position is about to read it, and is due in the next probe.
        followed = [each for each in self._followed() if each.cursor]
        due = [each for each in followed if each.is_silent() or each.is_degraded or is_all]
        for first in range(0, len(due), _BOARDS_AT_ONCE):
            logs = due[first : first + _BOARDS_AT_ONCE]
            asked_at = [each.cursor for each in logs]
            heads = self._store.heads([each.board for each in logs])
            is_live = began_by is not None and began_by == self._reader.subscription
            for each, cursor, head in zip(logs, asked_at, heads, strict=True):
                each.compare(cursor, head, is_live=is_live)
        if began_by is not None and began_by == self._reader.subscription:
            self._settled = began_by
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
