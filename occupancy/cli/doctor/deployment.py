"""The checks of a whole deployment: its servers together, and its machines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from occupancy.cli.doctor.checks import CHECKS, REPLICA_CHECKS, missing_rights
from occupancy.cli.doctor.cluster import cluster_checks
from occupancy.cli.doctor.facts import (
    Check,
    Counted,
    Denials,
    Facts,
    Level,
    denials_at,
    denials_of,
    facts_of,
    read_facts,
)
from occupancy.cli.doctor.rights import user_of
from occupancy.cli.doctor.sentinels import sentinel_checks
from occupancy.core.errors import OccupancyError
from occupancy.observability.processes import host_of
from occupancy.observability.servers import Answer, Boards
from occupancy.services import Services
from occupancy.storage.server_errors import unavailable_as_error
from occupancy.storage.topology.cluster import Cluster
from occupancy.storage.topology.misdirection import misdirection_of
from occupancy.storage.topology.sentinel import Sentinel
from occupancy.storage.topology.shard import Member

_CLOCKS_S = 1.0  # between the clocks of two servers
_WORST_FIRST = ("error", "warning", "unknown", "ok")
_MANY = 20  # boards; fewer need not be spread evenly
_UNEVEN = 2.0  # times the average


def examine(services: Services) -> list[Check]:
    """Every check: of the deployment, and then of each server, the worst first.

    Raises PoolTimeout and StoreUnavailable where the only server does not answer.
    """
    if not services.servers.are_several:
        with unavailable_as_error():
            found = misdirection_of(services.store.client)
        if found is not None:  # it answers nothing else
            return [Check("role", "error", found.finding, found.advice)]
        facts = read_facts(services)
        return [*(check(facts) for check in CHECKS), _machines(services)]
    checks: list[Check] = []
    topology = services.topology
    answers = read_all(services)
    user = user_of(services.settings)
    if isinstance(topology, Cluster) and topology.denied is not None:  # no server is known
        return [missing_rights([topology.denied], user, is_strict=False)]
    if isinstance(topology, Cluster):
        checks += cluster_checks(topology, answers)
    elif isinstance(topology, Sentinel):
        checks += sentinel_checks(topology, answers)
    checks += [_failovers(services), clocks(_facts_by_server(answers)), _machines(services)]
    if topology.is_sharded:
        checks.append(spread(services.servers.known_boards(answers), answers))
    groups = [_of_server(each, user) for each in answers]
    groups.sort(key=lambda group: min(_WORST_FIRST.index(each.level) for each in group))
    return [*checks, *(check for group in groups for check in group)]


def read_all(services: Services) -> list[Answer]:
    """The facts about each server, in the replies to it."""
    boards = _boards_or_none(services)
    counted = _counted(services, boards)
    access = services.servers.access_address

    def read(member: Member) -> list[Any]:
        address = member.primary or member.address
        return [
            facts_of(
                services, member, counted=counted.get(address, Counted(0, 0)),
                find_denials=_denials(services, member, access, boards),
            )
        ]  # fmt: skip

    return services.servers.each(read)


def _denials(
    services: Services, member: Member, access: str | None, boards: Boards
) -> Denials | None:
    if member.role == "primary" and member.address == access:
        return denials_of(services)
    names = boards.get(member.address, [])
    return denials_at(services, member, names[0]) if member.role == "primary" and names else None


def _boards_or_none(services: Services) -> Boards:
    try:
        services.topology.refresh()  # the first thing that this process does
        return services.servers.boards()
    except OccupancyError:
        return {}  # the checks of the servers say why


def _counted(services: Services, boards: Boards) -> dict[str, Counted]:
    try:
        items = {each.board: sum(each.counts.values()) for each in services.store.boards.all()}
    except OccupancyError:
        items = {}
    return {
        address: Counted(len(names), sum(items.get(name, 0) for name in names))
        for address, names in boards.items()
    }


def _of_server(answer: Answer, user: str) -> list[Check]:
    member = answer.member
    title = f"{member.address} ({member.role})"
    if answer.denied is not None:  # by a new connection
        found = missing_rights([answer.denied], user, is_strict=False)
        return [msgspec.structs.replace(found, server=title)]
    if answer.error is not None:
        level: Level = "error" if member.role == "primary" else "warning"
        advice = "Start it, or see whether this machine reaches it and may sign in."
        return [Check("answer", level, answer.error, advice, server=title)]
    (facts,) = answer.replies
    checks = CHECKS if member.role == "primary" else REPLICA_CHECKS
    return [msgspec.structs.replace(check(facts), server=title) for check in checks]


def _facts_by_server(answers: Sequence[Answer]) -> dict[str, Facts]:
    return {each.member.address: each.replies[0] for each in answers if each.error is None}


def clocks(facts: dict[str, Facts]) -> Check:
    """The clocks of all servers against each other: after a promotion another one counts."""
    leads = {address: each.clock_s for address, each in facts.items() if each.clock_s is not None}
    if len(leads) < 2:
        return Check("clocks", "unknown", "fewer than two servers tell their time")
    first, last = min(leads, key=leads.__getitem__), max(leads, key=leads.__getitem__)
    apart_s = leads[last] - leads[first]
    finding = f"{apart_s:.3f} s apart at most"
    if apart_s > _CLOCKS_S:
        advice = "Set them by NTP: after a failover the times of events would jump."
        return Check("clocks", "warning", f"{finding}: {last} is ahead of {first}", advice)
    return Check("clocks", "ok", finding)


def _failovers(services: Services) -> Check:
    """Whether the next failover will be noticed on every board."""
    topology, client, keys = services.topology, services.store.client, services.store.keys
    try:
        boards = services.servers.boards()
        names = [name for each in boards.values() for name in each]
        found = client.run_pipeline(
            lambda pipeline: [
                pipeline.hget(keys.board(name).board, "incarnation") for name in names
            ]
        )
    except OccupancyError:
        return Check("failover", "unknown", "the boards cannot be read")
    stored = dict(zip(names, (int(each or 0) for each in found), strict=True))
    marked = {
        address: max((stored[name] for name in each), default=0) for address, each in boards.items()
    }
    epochs = {each.address: each.incarnation for each in topology.shards()}
    service = topology.service if isinstance(topology, Sentinel) else None
    return failovers(epochs, marked, service)


def failovers(epochs: Mapping[str, int], marked: Mapping[str, int], service: str | None) -> Check:
    """Whether the epoch of each primary is at least what the boards on it have seen.

    A failover resets streams only where its epoch is above ``marked``, the highest of the boards of
    each primary. Sentinels that are set up anew, and data of another deployment, are the reasons.
    ``service`` is the name of the primary at the Sentinels; None in a Cluster.
    """
    below = {each: epoch for each, epoch in epochs.items() if epoch < marked.get(each, 0)}
    if not below:
        listed = ", ".join(f"{each}: {epoch}" for each, epoch in epochs.items())
        return Check("failover", "ok" if epochs else "unknown", listed or "no primary is known")
    finding = ", ".join(
        f"{each}: {epoch}, but its boards have seen {marked[each]}" for each, epoch in below.items()
    )
    most = max(marked[each] for each in below)
    how = (
        f"Stop the Sentinels, write `sentinel config-epoch {service} {most}` below `sentinel "
        "monitor` into the configuration of each, and start them"
        if service is not None
        else f"Send CLUSTER BUMPEPOCH to two primaries in turn until each epoch is {most} or more"
    )
    advice = f"{how}: until then a failover resets no streams, and what it loses stays unnoticed."
    return Check("failover", "error", finding, advice)


def spread(boards: Boards, answers: Sequence[Answer]) -> Check:
    """How the boards are spread over the primaries."""
    counts = {
        each.member.address: len(boards.get(each.member.address, ()))
        for each in answers if each.member.role == "primary"
    }  # fmt: skip
    finding = ", ".join(f"{address}: {count}" for address, count in counts.items()) or "unknown"
    total = sum(counts.values())
    if total >= _MANY and max(counts.values()) > _UNEVEN * total / len(counts):
        advice = "Move slots from the fullest server to the others (CLUSTER SETSLOT, reshard)."
        return Check("boards", "warning", finding, advice)
    return Check("boards", "ok" if counts else "unknown", finding)


def _machines(services: Services) -> Check:
    """Whether more machines report than the budget is divided by."""
    try:
        hosts = {host_of(each["process"]) for each in services.processes.all()}
    except OccupancyError:
        return Check("machines", "unknown", "the reports of the processes cannot be read")
    return machines(hosts, services.settings.nodes)


def machines(hosts: set[str], nodes: int) -> Check:
    finding = f"{len(hosts)} report, OCCUPANCY_NODES is {nodes}"
    if len(hosts) > nodes:
        advice = (
            f"Set OCCUPANCY_NODES to {len(hosts)} on each: otherwise each takes a share of the "
            "budget that is too large. Containers with a name of their own count as machines."
        )
        return Check("machines", "warning", f"{finding}: {', '.join(sorted(hosts)[:10])}", advice)
    return Check("machines", "ok", finding)
