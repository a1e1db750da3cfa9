"""The prober: keeps live delivery honest, because a published message may be lost.

* It publishes a *canary* every two seconds, which shows that publications reach the reader.
* It *looks* at the logs: where does each board's log end, and is its feed there? While publications
  are heard, it looks only at the feeds that were silent since the last look; otherwise at all of
  them. So without the live connection every event still arrives, some seconds late. One round trip
  asks for all boards, and a feed that is behind catches up in its own greenlet: a board that has
  missed much, or whose log is slow to read, delays neither the others nor the canaries.

Each of the two has its own greenlet. Live delivery works once a look that began after the
subscription has succeeded: it has found what was published before, and the reader hears the rest.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

import gevent
from gevent.event import Event

from occupancy.boards.store import Store
from occupancy.core.errors import PoolTimeout, StoreUnavailable
from occupancy.live.feed import Feed
from occupancy.live.reader import PROBE_S, Reader

log = logging.getLogger(__name__)

_BOARDS_AT_ONCE = 500  # in a round trip


class Probe:
    """The prober of one process. ``on_live`` is called after each look with delivery working."""

    def __init__(
        self,
        store: Store,
        canary_channel: str,
        reader: Reader,
        feeds: Mapping[str, Feed],
        on_live: Callable[[], None],
    ) -> None:
        self._store = store
        self._canary_channel = canary_channel
        self._reader = reader
        self._feeds = feeds
        self._on_live = on_live
        self._settled: int | None = None  # subscription before which all has been found
        self._wake = Event()

    @property
    def is_settled(self) -> bool:
        """Whether all that was published before the present subscription has been found."""
        return self._settled is not None and self._settled == self._reader.subscription

    def look_now(self) -> None:
        """Look at all boards, without waiting for the next turn."""
        self._settled = None
        self._wake.set()

    def send_canaries(self) -> None:
        """Publish canaries, for ever."""
        repeat("a canary", self._send_canary)

    def look_at_logs(self) -> None:
        """Look at the logs, for ever."""
        repeat("a look at the logs", self.look, self._wake)

    def _send_canary(self) -> None:
        # A server that takes no writes still publishes.
        self._store.client.publish(self._canary_channel, "")

    def look(self) -> None:
        """Compare the feeds with the ends of their logs. Raises PoolTimeout, StoreUnavailable."""
        began_by = self._reader.subscription
        is_all = began_by is None or began_by != self._settled
        # A feed that is being opened reads its position itself, and is due in the next look.
        opened = [feed for feed in self._feeds.values() if feed.cursor]
        due = [feed for feed in opened if feed.is_silent() or feed.impaired or is_all]
        for first in range(0, len(due), _BOARDS_AT_ONCE):
            feeds = due[first : first + _BOARDS_AT_ONCE]
            asked_at = [feed.cursor for feed in feeds]
            heads = self._store.heads([feed.board for feed in feeds])
            is_live = began_by is not None and began_by == self._reader.subscription
            for feed, cursor, head in zip(feeds, asked_at, heads, strict=True):
                feed.compare(cursor, head, is_live=is_live)
        if began_by is not None and began_by == self._reader.subscription:
            self._settled = began_by
            self._on_live()


def repeat(what: str, do: Callable[[], None], wake: Event | None = None) -> None:
    """Call ``do`` every PROBE_S, and whenever ``wake`` is set, for ever.

    The first of like failures in a row is logged.
    """
    failure = None
    while True:
        try:
            do()
            failure = None
        except Exception as error:  # and the next one is made all the same
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
