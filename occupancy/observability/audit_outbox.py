"""The audit log's outbox: changes made on the command line, for the server to record.

The audit log is the server's stderr, so a command leaves an entry in Redis. One of the server's
processes writes it to the audit log within seconds, or at the next start. The command itself writes
the entry of the audit trail: nothing is lost with a process, or where no server runs for long.
"""

from __future__ import annotations

import getpass
import time
from contextlib import AbstractContextManager
from typing import Any

import msgspec

from occupancy.core.keys import Keys
from occupancy.core.timestamps import iso_text
from occupancy.observability import audit_log
from occupancy.observability.audit_trail.trail import AuditTrail
from occupancy.storage.client import OpsClient

_MAX_ENTRIES = 1000  # while no server runs; the oldest are dropped first
_MAX_TAKEN = 100  # at once


class AuditOutbox:
    """Methods raise PoolTimeout or StoreUnavailable when Redis cannot serve."""

    def __init__(self, client: OpsClient, keys: Keys, trail: AuditTrail) -> None:
        self._client = client
        self._trail = trail
        self._key = keys.notes

    def leave(self, event: str, **fields: object) -> None:
        """Leave an entry: ``event`` has happened now, by the user of this machine."""
        at, by = iso_text(time.time()), _user()
        entry: dict[str, Any] = {"at": at, "event": event, "by": by, "means": "cli", **fields}
        self._client.run_pipeline(
            lambda pipeline: (
                pipeline.rpush(self._key, msgspec.json.encode(entry)),
                pipeline.ltrim(self._key, -_MAX_ENTRIES, -1),
            )
        )
        self._trail.add(**entry)

    def recording(self, event: str, **fields: object) -> AbstractContextManager[dict[str, object]]:
        """Leave an entry of the change that the block makes; see ``audit_log.recording``."""
        return audit_log.recording(self.leave, event, **fields)

    def take(self) -> list[dict[str, Any]]:
        """Remove and return the oldest entries, with their time as ``at``."""
        found: Any = self._client.lpop(self._key, _MAX_TAKEN)
        return [msgspec.json.decode(each, type=dict[str, Any]) for each in found or ()]

    def record(self) -> None:
        """Move the oldest entries to the audit log of this process."""
        for entry in self.take():
            audit_log.record(**entry)


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container, whose user has no name
        return "unknown"
