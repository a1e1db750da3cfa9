"""The facts about one server, which the checks judge."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

import msgspec

from occupancy.cli.doctor.rights import denied_at, user_of
from occupancy.core.errors import StoreUnavailable
from occupancy.core.server_url import Engine
from occupancy.services import Services
from occupancy.storage import confirmation
from occupancy.storage.capacity import WorstCase, worst_case
from occupancy.storage.client import OpsClient
from occupancy.storage.permissions import denied_subscriptions
from occupancy.storage.scripts import Script
from occupancy.storage.server_errors import denied_command, unavailable_as_error
from occupancy.storage.topology.shard import Member, ServerRole

Level = Literal["ok", "warning", "error", "unknown"]

PINGS = 50
SLOWEST_FAILOVER_MS = 15_000  # until one begins; longer is a warning
_CONFIG = ("save", "cluster-require-full-coverage", "cluster-node-timeout")


class Check(msgspec.Struct, frozen=True):
    """One finding; ``advice`` says what to change, '' for nothing.

    ``server`` is the server that it is about; '' for the deployment, or its only server.
    """

    name: str
    level: Level
    finding: str
    advice: str = ""
    server: str = ""


class Facts(msgspec.Struct, frozen=True):
    """The facts about a server. If it withholds them, ``info`` is empty and the others are None.

    ``ping_ms``: the median round trip; ``clock_s``: the lead of the server's clock over ours;
    ``denied``: commands and channels that our user may not use; ``needs``: the most memory that the
    data of this number of ``boards`` can take.
    """

    info: Mapping[str, Any]
    config: Mapping[str, str] | None
    clients: list[str] | None
    ping_ms: float | None
    clock_s: float | None
    budget: int
    denied: list[str]
    needs: WorstCase
    boards: int
    role: ServerRole = "primary"
    engine: Engine = "single"
    confirm_replicas: int = 0
    unsound: str | None = None  # why that number is not enough, or too much
    unequal: str | None = None  # why no number is
    replicas: int = 0  # of this primary, not down
    user: str = "default"


Denials = Callable[[], list[str]]
"""Tries what our user needs on a server, and returns what is denied."""


class Counted(NamedTuple):
    """How many boards a server has, and how many items they have together."""

    boards: int
    items: int


def read_facts(services: Services) -> Facts:
    """The facts about a single server. Raises PoolTimeout and StoreUnavailable."""
    (member,) = services.topology.members()
    return facts_of(services, member, counted=None, find_denials=denials_of(services))


def denials_of(services: Services) -> Denials:
    """Tries the scripts' commands and the live channels on the server that has access."""

    def find() -> list[str]:
        denied = set(services.store.permissions.check())
        with unavailable_as_error():
            shard = services.topology.shard_of(services.store.keys.workers)
            if shard is not None and not services.topology.is_sharded:
                denied |= set(denied_subscriptions(shard.pubsub_pool, services.store.keys))
        return sorted(denied)

    return find


def denials_at(services: Services, member: Member, board: str) -> Denials:
    """Tries the scripts' commands on another primary, with keys of a board that it has."""
    script = Script(member.client, "board/check_permissions")
    keys = services.store.keys.board(board).rights
    return lambda: [each.decode() for each in script.run(keys, [])]


def facts_of(
    services: Services, member: Member, *, counted: Counted | None, find_denials: Denials | None
) -> Facts:
    """Read the facts about a server. Raises PoolTimeout and StoreUnavailable.

    A command that the user may not run is added to ``denied`` and does not end the reading. The
    boards are counted here if ``counted`` is None.
    """
    client = member.client
    all_shards = services.topology.shards()
    unequal = confirmation.unequal(all_shards)
    shards = [each for each in all_shards if each.address == member.address]
    denied: set[str] = set()

    def allowed(read: Callable[[], Any]) -> Any:
        try:
            return read()
        except StoreUnavailable as error:
            if (command := denied_command(error)) is None:
                raise
            denied.add(command)
            return None

    info, config, clients = client.run_optional(
        lambda pipeline: (pipeline.info(), pipeline.config_get(*_CONFIG), pipeline.client_list())
    )
    if counted is None:
        boards = allowed(services.store.boards.all) or []
        counted = Counted(len(boards), sum(sum(each.counts.values()) for each in boards))
    if find_denials is not None:
        denied.update(allowed(find_denials) or ())
    denied.update(allowed(lambda: denied_at(services, member)) or ())
    return Facts(
        info=info or {},
        config=config,
        clients=None if clients is None else [each.get("name", "") for each in clients],
        ping_ms=allowed(lambda: _ping_ms(client)),
        clock_s=allowed(lambda: _clock_s(client)),
        budget=services.budget.limit,
        denied=sorted(denied),
        needs=worst_case(services.settings, boards=counted.boards, items=counted.items),
        boards=counted.boards,
        role=member.role,
        engine=services.settings.engine,
        confirm_replicas=services.settings.confirm_replicas,
        unsound=confirmation.unsound(
            services.settings.confirm_replicas, all_shards if unequal else shards
        ),
        unequal=unequal,
        replicas=min((each.replicas for each in shards), default=0),
        user=user_of(services.settings),
    )


def _ping_ms(client: OpsClient) -> float:
    """The median round trip of PINGS pings."""
    pings = []
    for _ in range(PINGS):
        started = time.perf_counter()
        client.ping()
        pings.append(time.perf_counter() - started)
    return statistics.median(pings) * 1000


def _clock_s(client: OpsClient) -> float:
    """The lead of the server's clock over ours."""
    before = time.time()
    seconds, microseconds = client.time()
    return float(seconds + microseconds / 1e6 - (before + time.time()) / 2)
