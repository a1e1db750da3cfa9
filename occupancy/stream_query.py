"""The query of an event stream: where it goes on, whichever way the client says so.

A status other than 200 ends an EventSource for good, so nothing here is an error. Parameters that
are not known are ignored: clients add some against caches. A cursor that is none gets a ``reset``.
"""

from __future__ import annotations

from collections.abc import Iterable

# The first that is there counts: what the browser knows, what the usual polyfills know, which
# cannot send the header everywhere, and where the page began.
_CURSORS = ("Last-Event-ID", "lastEventId", "after")


def cursor_of(last_event_id: str | None, query: Iterable[tuple[str, str]]) -> str | None:
    """The cursor that a stream goes on from, by its header and its query; None: from now on.

    Of a parameter that is there more than once, the last: a polyfill adds its own at the end.
    """
    if last_event_id:
        return last_event_id
    given = {name: value for name, value in query if value}
    return next((given[name] for name in _CURSORS if name in given), None)
