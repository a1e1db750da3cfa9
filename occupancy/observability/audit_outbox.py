"""Notes: what the command line has changed of anybody's access, for the trail of the web server.

The trail is the server's stderr, and a command has none of it: so it leaves a note in Redis, and
one of the worker processes writes it into the trail within seconds, or when one runs again.
"""

from __future__ import annotations

import datetime
import getpass
from typing import Any

import msgspec

from occupancy.core.keys import Keys
from occupancy.storage.client import OpsClient

_KEPT = 1000  # while no server runs; the oldest go first
_AT_ONCE = 100


class AuditOutbox:
    """Methods raise PoolTimeout or StoreUnavailable when Redis cannot serve."""

    def __init__(self, client: OpsClient, keys: Keys) -> None:
        self._client = client
        self._key = keys.notes

    def leave(self, event: str, **fields: object) -> None:
        """Note that ``event`` has happened now, by the user of this machine."""
        at = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
        note = {
            "at": at.replace("+00:00", "Z"), "event": event, "by": _user(), "means": "cli", **fields
        }  # fmt: skip
        self._client.run_pipeline(
            lambda pipeline: (
                pipeline.rpush(self._key, msgspec.json.encode(note)),
                pipeline.ltrim(self._key, -_KEPT, -1),
            )
        )

    def take(self) -> list[dict[str, Any]]:
        """The oldest notes, with their moment as ``at``; nobody else gets them."""
        found: Any = self._client.lpop(self._key, _AT_ONCE)
        return [msgspec.json.decode(each, type=dict[str, Any]) for each in found or ()]


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container, whose user has no name
        return "unknown"
