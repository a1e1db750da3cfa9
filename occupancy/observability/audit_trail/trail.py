"""The writes of the audit trail: at once and confirmed, or soon.

A change of access is written, and confirmed by the replicas, after it is made and before it is
answered: whoever has got an answer finds the change in the trail, also if the process is killed or
another server is promoted in the next moment. If the trail cannot be written the answer is 503, and
the entry waits in this process as below; a change without an answer may be missing.

Refusals come in floods, and nobody waits for them: they are written every two seconds and at the
end of the process, without confirmation. A process that is killed loses those of its last seconds.
At most MAX_WAITING of them wait, for a server that is away or full; the rest is counted, and the
number is written as an entry.

An entry whose write got no answer is written again, and may be there twice.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple

from occupancy.core.errors import OccupancyError, PoolTimeout, StoreUnavailable, Unconfirmed
from occupancy.core.keys import Keys
from occupancy.core.texts.plurals import counted
from occupancy.observability import audit_log
from occupancy.observability.audit_trail.entries import entry_of
from occupancy.observability.audit_trail.events import DROPPED, MAX_AGE_S, STREAMS, stream_of
from occupancy.storage.client import OpsClient
from occupancy.storage.scripts import Script

log = logging.getLogger(__name__)

MAX_WAITING = 1000  # refusals, and as many others, in a process
_BATCH = 200  # entries in a round trip


class _Entry(NamedTuple):
    stream: int  # its number in STREAMS
    encoded: bytes


class AuditTrail:
    """One per process. ``writes`` is the client that confirms what it writes."""

    def __init__(self, client: OpsClient, keys: Keys, *, writes: OpsClient) -> None:
        self._keys = [keys.audit_bytes, *(keys.audit(each.name) for each in STREAMS)]
        self._confirmed = Script(writes, "access/record_audit")
        self._unconfirmed = Script(client, "access/record_audit")
        self._refusals: list[_Entry] = []  # waiting
        self._others: list[_Entry] = []  # what could not be written at once
        self._dropped = 0

    def record(self, event: str, **fields: object) -> None:
        """Write a line of the audit log, and the entry. Raises PoolTimeout and StoreUnavailable."""
        audit_log.record(event, **fields)
        self.add(event, **fields)

    def add(self, event: str, **fields: object) -> None:
        """Write the entry only, for what has another way to the audit log."""
        entry = _entry(event, fields)
        try:
            self._confirmed.run(*self._call([entry]))
        except Unconfirmed:
            raise  # it is stored
        except Exception:
            self._others = self._kept(self._others, [entry])
            raise

    def try_record(self, event: str, **fields: object) -> None:
        """As ``record``, for what must not fail because of the trail, such as a sign-out."""
        try:
            self.record(event, **fields)
        except (PoolTimeout, StoreUnavailable) as error:
            log.warning("an entry of the audit trail waits: %s", error.__cause__ or error)

    def recording(self, event: str, **fields: object) -> AbstractContextManager[dict[str, object]]:
        """Record the change that the block makes; see ``audit_log.recording``."""
        return audit_log.recording(self.record, event, **fields)

    def record_soon(self, event: str, **fields: object) -> None:
        """Write a line of the audit log, and the entry within seconds. Never waits for Redis."""
        audit_log.record(event, **fields)
        self._refusals = self._kept(self._refusals, [_entry(event, fields)])

    def flush(self) -> None:
        """Write what waits. Raises PoolTimeout and StoreUnavailable; then it goes on waiting."""
        while self._others:
            batch, self._others = self._others[:_BATCH], self._others[_BATCH:]
            try:
                self._confirmed.run(*self._call(batch))
            except Unconfirmed:
                raise  # they are stored
            except Exception:
                self._others = self._kept(batch, self._others)
                raise
        while self._refusals or self._dropped:
            batch, self._refusals = self._refusals[:_BATCH], self._refusals[_BATCH:]
            dropped, self._dropped = self._dropped, 0
            # Beside the batch, so that it is written however many more come meanwhile.
            told = [_entry(DROPPED, {"more": dropped})] if dropped else []
            try:
                self._unconfirmed.run(*self._call([*batch, *told]))
            except Exception:
                self._refusals = self._kept(batch, self._refusals)
                self._dropped += dropped
                raise
            if dropped:
                log.warning(
                    "the audit trail lacks %s: too many waited",
                    counted(dropped, "entry", "entries"),
                )

    def flush_at_the_end(self) -> None:
        """Write what waits; the process ends. What cannot be written is counted in the log."""
        try:
            self.flush()
        except OccupancyError as error:
            lost = len(self._refusals) + len(self._others) + self._dropped
            log.warning(
                "lost of the audit trail: %s: %s",
                counted(lost, "entry", "entries"),
                error.__cause__ or error,
            )

    def _kept(self, first: list[_Entry], then: list[_Entry]) -> list[_Entry]:
        """Both, up to MAX_WAITING; the rest, the newest, is counted."""
        both = [*first, *then] if then else first
        self._dropped += max(0, len(both) - MAX_WAITING)
        return both[:MAX_WAITING]

    def _call(self, entries: Sequence[_Entry]) -> tuple[list[str], list[str | int | bytes]]:
        bounds = [bound for each in STREAMS for bound in (each.max_entries, each.max_bytes)]
        appended = [part for each in entries for part in (each.stream, each.encoded)]
        return self._keys, [MAX_AGE_S * 1000, *bounds, *appended]


def _entry(event: str, fields: dict[str, object]) -> _Entry:
    return _Entry(STREAMS.index(stream_of(event)) + 1, entry_of(event, fields))
