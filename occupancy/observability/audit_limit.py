"""The audit log's rate limit: denials are recorded one by one, and a flood of them as a count.

The bound is per kind: what was refused, to which worker, at which address. Wrong PINs are not
limited here, because the login throttle bounds their number; each has its line. Malformed requests
(server/malformed_requests.py) have a lower bound: they name no worker.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from occupancy.core.errors import RateLimited
from occupancy.core.rate_limit import limited_address
from occupancy.observability import audit_log
from occupancy.observability.repeated_warnings import MINUTE_S, LinesPerMinute

MALFORMED = "malformed"  # the event
_MAX_DENIALS = 20
_MAX_OF_EVENT = {MALFORMED: 3}
_MAX_OF_CODE = {RateLimited.code: 1}  # the denials before it have given the reason
_MAX_KINDS = 1000  # a minute; further ones are one kind, so that many addresses fill no memory


class _Kind(NamedTuple):
    event: str
    code: str
    worker: str | None = None
    address: str | None = None


_OTHERS = _Kind("denied", "others")


class AuditLimit(LinesPerMinute[_Kind]):
    """Records events by ``write``, up to the bound of their kind. One per process."""

    def __init__(self, write: Callable[..., None] = audit_log.record) -> None:
        super().__init__()
        self._write = write

    def record(
        self,
        event: str,
        *,
        code: str,
        address: str | None,
        worker: str | None = None,
        **more: str | None,
    ) -> bool:
        """Write one line, unless the bound of its kind is reached; whether it was written."""
        kind = _Kind(event, code, worker, limited_address(address))
        if kind not in self._counts and len(self._counts) >= _MAX_KINDS:
            kind = _OTHERS
        is_written = self._is_allowed(kind)
        if is_written:
            self._write(event, code=code, worker=worker, address=address, **more)
        return is_written

    def _max_lines(self, kind: _Kind) -> int:
        return _MAX_OF_EVENT.get(kind.event, _MAX_OF_CODE.get(kind.code, _MAX_DENIALS))

    def _write_count(self, kind: _Kind, count: int) -> None:
        self._write(**kind._asdict(), more=count, within_s=MINUTE_S)
