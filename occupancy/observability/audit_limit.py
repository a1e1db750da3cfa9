"""Denials: who was refused, in the trail; and a flood of them as a count.

A program that runs wild, or somebody who wants the trail to be unreadable, is refused a thousand
times a second. So of each kind (what was refused, to which worker, at which address) so many
stand in the trail in a minute, and one line tells how many more there were. Wrong PINs do not come
here: their number is bounded anyway, and each has its line.

Malformed requests come here too (malformed.py), with fewer lines: they name nobody.
"""

from __future__ import annotations

import collections

import gevent

from occupancy.core.addresses import limited_address
from occupancy.core.errors import RateLimited
from occupancy.observability import audit_log

MINUTE_S = 60
MOST = {RateLimited.code: 1}  # who is told to wait has been told why already
_MOST = 20
MALFORMED = "malformed"  # the event
_MOST_MALFORMED = 3
_KINDS = 1000  # more in a minute are one: whoever has a thousand addresses fills no memory

_Kind = tuple[tuple[str, str | None], ...]
_OTHERS: _Kind = (("event", "denied"), ("code", "others"), ("worker", None), ("address", None))


class LimitedAudit:
    """Of one worker process."""

    def __init__(self) -> None:
        self._seen: collections.Counter[_Kind] = collections.Counter()
        self._minute: gevent.Greenlet | None = None

    def record(
        self,
        event: str,
        *,
        code: str,
        address: str | None,
        worker: str | None = None,
        **more: str | None,
    ) -> bool:
        """Write one line, unless too many of its kind were written within the minute.

        Returns whether it was written.
        """
        where = limited_address(address)
        kind: _Kind = (("event", event), ("code", code), ("worker", worker), ("address", where))
        if kind not in self._seen and len(self._seen) >= _KINDS:
            kind = _OTHERS
        self._seen[kind] += 1
        is_written = self._seen[kind] <= _most(kind)
        if is_written:
            audit_log.record(event, code=code, worker=worker, address=address, **more)
        if self._minute is None:
            self._minute = gevent.spawn_later(MINUTE_S, self.flush)
        return is_written

    def flush(self) -> None:
        """Tell how many more there were, and begin to count anew."""
        seen, self._seen, self._minute = self._seen, collections.Counter(), None
        for kind, count in seen.items():
            if count > _most(kind):
                fields = dict(kind)
                event = str(fields.pop("event"))
                audit_log.record(event, **fields, more=count - _most(kind), within_s=MINUTE_S)


def _most(kind: _Kind) -> int:
    fields = dict(kind)
    if fields["event"] == MALFORMED:
        return _MOST_MALFORMED
    return MOST.get(str(fields["code"]), _MOST)
