"""The query of an event stream: the cursor that it goes on from.

A status other than 200 ends an EventSource for good, so nothing here is an error. Unknown
parameters are ignored, because clients add some against caches; an invalid cursor gets a ``reset``.
"""

from __future__ import annotations

from collections.abc import Iterable

# The first that is present counts: the browser's own, that of polyfills, which cannot send the
# header everywhere, and the page's.
_CURSORS = ("Last-Event-ID", "lastEventId", "after")


def cursor_of(last_event_id: str | None, query: Iterable[tuple[str, str]]) -> str | None:
    """The cursor that a stream goes on from; None: it begins now.

    ``last_event_id`` is the header, ``query`` the parameters in order. The last of several equal
    ones counts: a polyfill adds its own at the end.
    """
    if last_event_id:
        return last_event_id
    given = {name: value for name, value in query if value}
    return next((given[name] for name in _CURSORS if name in given), None)
