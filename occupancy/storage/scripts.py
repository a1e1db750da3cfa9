"""The scripts: files in lua/, loaded by name and run by their SHA-1.

A script is one file, or the pieces that PIECES lists, joined in that order: a piece may use the
locals of those before it, and each file's header says which. In a Cluster ``publish_in_shard``
stands for ``publish``.

A server that does not know a script (restarted, SCRIPT FLUSH, failed over) answers NOSCRIPT
before it has run anything, so sending it again, with its source this time, is safe.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from redis.exceptions import NoScriptError, RedisError

from occupancy.core.errors import OccupancyError
from occupancy.storage.client import OpsClient, raised

_LUA_DIRECTORY = Path(__file__).parent / "lua"

_OPERATE = (
    "request", "rates", "board", "replayed", "preflight",
    "item", "refusals", "effects", "record", "operate",
)  # fmt: skip
_CURSORS = ("board/cursors", "board/promotion")
PIECES = {
    "access/replace_worker": ("access/other_admin", "access/replace_worker"),
    "access/remove_worker": ("access/other_admin", "access/remove_worker"),
    "board/operate": (
        "board/history_version",
        "board/version_floor",
        *_CURSORS,
        *(f"board/operate/{each}" for each in _OPERATE),
    ),
    "board/replay": ("board/version_floor", "board/replay"),
    "board/snapshot": ("board/version_floor", "board/snapshot"),
    "board/promote": (*_CURSORS, "board/promote"),
    "board/create": ("board/version_floor", "board/settings/version", "board/create"),
    "board/settings/configure": (
        "board/version_floor",
        "board/settings/version",
        "board/settings/step_counts",
        "board/settings/configure",
    ),
    "board/settings/count_steps": ("board/settings/step_counts", "board/settings/count_steps"),
    "board/removal/remove": ("board/cursors", "board/removal/remove"),
    "board/removal/end": (*_CURSORS, "board/removal/end"),
    "board/audit": ("board/history_version", "board/audit"),
    "board/check_permissions": ("publish", "board/check_permissions"),
}


class Script:
    """One script of lua/, bound to a client."""

    _first: tuple[str, ...] = ()  # pieces before its own

    def __init__(self, client: OpsClient, name: str) -> None:
        self._client = client
        pieces = (*self._first, *PIECES.get(name, (name,)))
        if client.is_sharded:
            pieces = tuple("publish_in_shard" if each == "publish" else each for each in pieces)
        self.source = b"".join((_LUA_DIRECTORY / f"{piece}.lua").read_bytes() for piece in pieces)
        self.sha1 = hashlib.sha1(self.source).hexdigest()  # noqa: S324 - Redis names scripts like this

    def run(self, keys: Sequence[str], args: Sequence[Any]) -> Any:
        """Run it; one round trip. Raises PoolTimeout and StoreUnavailable."""
        try:
            return self._client.execute_command("EVALSHA", self.sha1, len(keys), *keys, *args)
        except NoScriptError:
            return self._client.execute_command("EVAL", self.source, len(keys), *keys, *args)

    def run_many(self, calls: Sequence[tuple[Sequence[str], Sequence[Any]]]) -> list[Any]:
        """Run it for each of ``calls`` in one round trip; the replies in order."""
        # It is loaded first, in the same pipeline, so that no call gets NOSCRIPT.
        # In a Cluster, a call that is redirected may find a server that does not know it.
        _, *replies = self._client.run_separately(
            lambda pipeline: (
                pipeline.script_load(self.source),
                *(
                    pipeline.execute_command("EVALSHA", self.sha1, len(keys), *keys, *args)
                    for keys, args in calls
                ),
            )
        )
        replies = [
            self._tried(*call) if isinstance(reply, NoScriptError) else reply
            for call, reply in zip(calls, replies, strict=True)
        ]
        return [raised(each) for each in replies]  # after all calls: one server spoils no other's

    def _tried(self, keys: Sequence[str], args: Sequence[Any]) -> Any:
        try:
            return Script.run(self, keys, args)  # the whole reply, also of a PublishingScript
        except (RedisError, OccupancyError) as error:
            return error


class PublishingScript(Script):
    """A script that publishes; ``publishing.lua`` precedes it.

    Its reply begins with the number of publications that the server has refused. That number goes
    to the client; :meth:`run` and :meth:`run_many` return the rest of the reply, as a list.
    """

    _first = ("publish", "publishing")

    def run(self, keys: Sequence[str], args: Sequence[Any]) -> Any:
        return self._counted(super().run(keys, args))

    def run_many(self, calls: Sequence[tuple[Sequence[str], Sequence[Any]]]) -> list[Any]:
        return [self._counted(reply) for reply in super().run_many(calls)]

    def _counted(self, reply: Any) -> Any:
        refused, *rest = reply
        if refused:
            self._client.on_refused_publications(refused)
        return rest
