"""Commands as the clients send them: their keys, their marker, and what confirms them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from occupancy.core.errors import OccupancyError


class Command(NamedTuple):
    """A command as redis-py's pipeline records it."""

    args: tuple[Any, ...]
    options: dict[str, Any]


class Waiting(Protocol):
    """What follows some commands, and says whether the replicas have their writes."""

    def commands(self, *, asking: bool) -> list[tuple[Any, ...]]:
        """What to send, after ASKING if the commands are sent so."""

    def verdict(self, replies: Sequence[Any]) -> OccupancyError | None:
        """The error, unless enough replicas have the commands' writes."""


class Confirming(Protocol):
    """How commands are confirmed by the replicas."""

    def after(self, commands: Sequence[Command], replicas: int) -> Waiting | None:
        """What follows ``commands`` at a server with that many replicas; None for nothing."""


class _Incarnation:
    """Its only instance, INCARNATION, stands for a number in the arguments of a script."""


INCARNATION = _Incarnation()
"""In a script's arguments: the failover epoch of the server that the script is sent to.

The client puts it in as it sends the command, when the connection, and so the server, is known.
"""

_WITHOUT_KEY = frozenset({
    "ACL", "CLIENT", "CLUSTER", "COMMAND", "CONFIG", "DBSIZE", "INFO", "MEMORY", "PING", "PUBLISH",
    "ROLE", "SCAN", "SCRIPT", "TIME", "WAIT",
})  # fmt: skip


def key_of(args: Sequence[Any]) -> str | bytes | None:
    """The first key, or sharded channel, of a command; None if it has none."""
    name = args[0]
    key: str | bytes | None
    if name in ("EVALSHA", "EVAL"):
        key = args[3] if int(args[2]) else None
    elif len(args) < 2 or name.partition(" ")[0] in _WITHOUT_KEY:
        key = None
    elif name == "XREAD":
        key = args[list(args).index(b"STREAMS") + 1]  # as redis-py writes it
    else:
        key = args[1]
    return key
