"""The rights that several servers need beside those of the scripts.

Each command is tried where it has no effect, also on replicas: a server has its own users, and may
be promoted.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from occupancy.core import server_url
from occupancy.core.errors import StoreUnavailable
from occupancy.core.server_url import Engine
from occupancy.core.settings import Settings
from occupancy.services import Services
from occupancy.storage.server_errors import denied_command
from occupancy.storage.topology.shard import Member

_OF_ENGINE: dict[Engine, tuple[tuple[Any, ...], ...]] = {
    "single": (),
    "sentinel": (("ROLE",),),  # asked on each new connection
    "cluster": (("CLUSTER", "NODES"), ("CLUSTER", "INFO"), ("ASKING",)),
}
_CONFIRMING = ("WAIT", 0, 0)  # for no replica: it returns at once


def commands_of(services: Services) -> list[tuple[Any, ...]]:
    """What to try. WAIT is sent in strict mode, and with changes of access where replicas are."""
    commands = list(_OF_ENGINE[services.settings.engine])
    has_replicas = any(each.known_replicas for each in services.topology.shards())
    if services.settings.confirm_replicas or has_replicas:
        commands.append(_CONFIRMING)
    return commands


def denied_at(services: Services, member: Member) -> set[str]:
    """Those that our user may not run on a server. Raises PoolTimeout and StoreUnavailable."""
    commands = commands_of(services)
    if not commands:
        return set()
    replies = member.client.run_separately(
        lambda pipeline: [pipeline.execute_command(*each) for each in commands]
    )
    errors = [each for each in replies if isinstance(each, StoreUnavailable)]
    return {denied for each in errors if (denied := denied_command(each)) is not None}


def user_of(settings: Settings) -> str:
    """The name of our user on the servers."""
    url = settings.redis_url
    parts = urlsplit(url if settings.engine == "single" else server_url.parse(url).base_url)
    named = parts.username or parse_qs(parts.query).get("username", [""])[0]
    return unquote(named) or "default"
