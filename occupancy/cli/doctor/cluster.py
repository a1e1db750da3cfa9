"""The checks of a Cluster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from occupancy.cli.doctor.facts import SLOWEST_FAILOVER_MS, Check
from occupancy.observability.servers import Answer
from occupancy.storage.topology.cluster import Cluster
from occupancy.storage.topology.cluster_nodes import Node
from occupancy.storage.topology.shard import SLOTS

FULL_COVERAGE = "cluster-require-full-coverage"
NODE_TIMEOUT = "cluster-node-timeout"


def cluster_checks(topology: Cluster, answers: Sequence[Answer]) -> list[Check]:
    """Every check of the Cluster as a whole."""
    told = {each.member.address: each.replies[0].config for each in answers if each.error is None}
    return [
        coverage(topology.nodes),
        full_coverage(told),
        node_timeout(told),
        replicas(answers),
    ]


def coverage(nodes: Sequence[Node]) -> Check:
    """Whether each slot has a server that is up."""
    covered = sum(
        len(slots) for node in nodes if node.is_primary and not node.is_failing
        for slots in node.slots
    )  # fmt: skip
    finding = f"{covered} of {SLOTS} slots have a server"
    if covered == SLOTS:
        return Check("coverage", "ok", finding)
    advice = "Boards in the other slots are away: start their servers, or assign the slots."
    return Check("coverage", "error", finding, advice)


def full_coverage(told: Mapping[str, Mapping[str, str] | None]) -> Check:
    """Whether the other boards go on while one server is away."""
    values = {address: (config or {}).get(FULL_COVERAGE) for address, config in told.items()}
    wrong = [address for address, value in values.items() if value == "yes"]
    if wrong:
        advice = f"CONFIG SET {FULL_COVERAGE} no: otherwise one lost server stops every board."
        return Check("full coverage", "warning", f"required by {', '.join(wrong)}", advice)
    if None in values.values() or not values:
        return Check("full coverage", "unknown", "withheld", f"{FULL_COVERAGE} should be no.")
    return Check("full coverage", "ok", "not required")


def node_timeout(told: Mapping[str, Mapping[str, str] | None]) -> Check:
    """How long a server must be away before another one is promoted."""
    values = [(config or {}).get(NODE_TIMEOUT) for config in told.values()]
    known = [int(each) for each in values if each is not None]
    if not known:
        return Check("node timeout", "unknown", "withheld", f"{NODE_TIMEOUT}: 15 s at most.")
    finding = f"{max(known) / 1000:g} s"
    if max(known) > SLOWEST_FAILOVER_MS:
        advice = f"CONFIG SET {NODE_TIMEOUT} 5000: a failover begins only after that time."
        return Check("node timeout", "warning", finding, advice)
    return Check("node timeout", "ok", finding)


def replicas(answers: Sequence[Answer]) -> Check:
    """Whether each primary has a replica that answers."""
    copied = [
        each.member.primary for each in answers
        if each.member.role == "replica" and each.error is None
    ]  # fmt: skip
    counts = {
        each.member.address: copied.count(each.member.address)
        for each in answers if each.member.role == "primary"
    }  # fmt: skip
    bare = [address for address, count in counts.items() if not count]
    if bare:
        advice = "Add one: its boards are away while the server is, and lost with its disk."
        return Check("replicas", "warning", f"none of {', '.join(bare)}", advice)
    return Check("replicas", "ok", f"{min(counts.values(), default=0)} or more of each primary")
