"""The scripts: each a file in lua/, loaded by name, run by its SHA-1.

A server that does not know a script (restarted, SCRIPT FLUSH, failed over) answers NOSCRIPT
before it has run anything, so sending it again, with its source this time, is safe.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from redis.exceptions import NoScriptError

from occupancy.storage.client import OpsClient

_DIRECTORY = Path(__file__).parent / "lua"


class Script:
    """One script of lua/, bound to a client."""

    _before: tuple[str, ...] = ()  # what stands before its own source

    def __init__(self, client: OpsClient, name: str) -> None:
        self._client = client
        self.source = b"".join(
            (_DIRECTORY / f"{each}.lua").read_bytes() for each in (*self._before, name)
        )
        self.sha1 = hashlib.sha1(self.source).hexdigest()  # noqa: S324 - Redis names scripts so

    def run(self, keys: Sequence[str], args: Sequence[Any]) -> Any:
        """Run it; one round trip. Raises PoolTimeout and StoreUnavailable."""
        try:
            return self._client.execute_command("EVALSHA", self.sha1, len(keys), *keys, *args)
        except NoScriptError:
            return self._client.execute_command("EVAL", self.source, len(keys), *keys, *args)

    def run_many(self, calls: Sequence[tuple[Sequence[str], Sequence[Any]]]) -> list[Any]:
        """Run it for each of ``calls`` in one round trip; the replies in order.

        The script is loaded first, in the same pipeline, so that none can meet NOSCRIPT.
        """
        replies = self._client.run_pipeline(
            lambda pipeline: (
                pipeline.script_load(self.source),
                *(
                    pipeline.execute_command("EVALSHA", self.sha1, len(keys), *keys, *args)
                    for keys, args in calls
                ),
            )
        )
        return replies[1:]


class PublishingScript(Script):
    """A script that publishes, with ``publishing.lua`` before it.

    Its reply begins with how many publications the server has refused. That number goes to the
    client; :meth:`run` and :meth:`run_many` return the rest of the reply, as a list.
    """

    _before = ("publishing",)

    def run(self, keys: Sequence[str], args: Sequence[Any]) -> Any:
        return self._counted(super().run(keys, args))

    def run_many(self, calls: Sequence[tuple[Sequence[str], Sequence[Any]]]) -> list[Any]:
        return [self._counted(reply) for reply in super().run_many(calls)]

    def _counted(self, reply: Any) -> Any:
        refused, *rest = reply
        if refused:
            self._client.on_refused_publications(refused)
        return rest
