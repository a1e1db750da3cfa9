"""The OpenAPI document's part about health, connections and metrics."""

from __future__ import annotations

from typing import Any

from occupancy.web.openapi.operations import STORE, answer, operation
from occupancy.web.openapi.schemas import INTEGER, NUMBER, TEXT, TIME, array, nullable, obj

_SEVERAL = "Where the deployment may have several servers."
_COUNTS = ("maxclients", "connected", "ops", "pubsub", "cli", "other")


def paths() -> dict[str, Any]:
    """The paths of health, connections and metrics."""
    status = obj(status=TEXT)
    health = obj(status={"enum": ["healthy", "unhealthy"]}, latency_ms=nullable(NUMBER))
    figures = ("uptime_s", "used_memory_bytes", "maxmemory_bytes", "connected_clients")
    health["properties"] |= {
        **dict.fromkeys(("server", "version", "role"), nullable(TEXT)),
        **dict.fromkeys(figures, nullable(INTEGER)),
        "detail": TEXT,
    }
    health["description"] = "What the server withholds is null. May be a second old."
    health["properties"]["servers"] = array(
        _server(latency_ms=nullable(NUMBER)), description=_SEVERAL
    )
    texts = {"type": "object", "additionalProperties": TEXT}
    ready, not_ready = obj(status=TEXT), obj(status=TEXT, reasons=texts)
    for each in (ready, not_ready):
        each["properties"]["impaired"] = {
            **texts, "description": "In a Cluster: servers of which only the boards are concerned.",
        }  # fmt: skip
    text = {"200": {"description": "Prometheus text.", "content": {"text/plain": {"schema": TEXT}}}}

    def get(name: str, summary: str, ok: Any, kinds: Any = ()) -> dict[str, Any]:
        return {"get": operation("health", name, summary, None, ok, kinds)}

    return {
        "/livez": get("livez", "The process serves. Never touches Redis.", answer(status)),
        "/readyz": get("readyz", "Operations and live delivery both work.",
            {**answer(ready), **answer(not_ready, status=503, text="Not ready, and why.")}),
        "/api/redis-health": get("redisHealth", "Whether Redis answers, how fast, and what it is.",
            {**answer(health), **answer(health, status=503, text="Redis does not answer.")}),
        "/api/redis-connection-stats": get("redisConnectionStats",
            "The budget and every process's pools.", answer(_statistics()), STORE),
        "/metrics": get("metrics", "Prometheus metrics over all processes.", text),
    }  # fmt: skip


def _server(**more: Any) -> dict[str, Any]:
    return obj(
        address=TEXT, role={"enum": ["primary", "replica", "spare"]},
        status={"enum": ["healthy", "unreachable"]}, **more,
    )  # fmt: skip


def _statistics() -> dict[str, Any]:
    counts = dict.fromkeys(_COUNTS, nullable(INTEGER))
    topology = {
        **nullable(INTEGER), "description": "Connections that read which server has what.",
    }  # fmt: skip
    server = {
        **obj(**counts),
        "description": "Connections, as the server counts them; null where it withholds it. Of "
        "several servers, the sum over the primaries that answer.",
    }
    server["properties"] |= {"topology": topology}
    pool = obj(max=INTEGER, in_use=INTEGER)
    worker = obj(pid=INTEGER, ops=pool, pubsub=pool, streams={"type": "object"})
    worker["properties"]["shards"] = array(
        obj(address=TEXT, ops=pool, pubsub=pool),
        description="In a Cluster: the pools for each primary; `ops` and `pubsub` are their sums.",
    )
    stats = obj(
        budget=obj(limit=INTEGER, workers=INTEGER, nodes=INTEGER, reserved=INTEGER),
        server=server,
        workers=array(worker),
    )
    names = array(TEXT, description="50 at most, for supervisors; for others empty.")
    each = _server(
        **counts, topology=topology,
        primary={**nullable(TEXT), "description": "The server that a replica copies."},
        detail={**nullable(TEXT), "description": "Why it is unreachable."},
        incarnation={**INTEGER, "description": "The failover epoch that made it a primary."},
        used={**nullable(INTEGER), "description": "Connections of this deployment."},
        limit={**INTEGER, "description": "The budget, which holds on each server."},
        boards=nullable(obj(count=INTEGER, names=names)),
    )  # fmt: skip
    sentinel = obj(
        address=TEXT, status={"enum": ["healthy", "unreachable"]}, primary=nullable(TEXT),
        incarnation=nullable(INTEGER),
    )  # fmt: skip
    promotion = obj(
        at=TIME, server=TEXT, incarnation=INTEGER, boards=INTEGER, streams=INTEGER,
        kind={"enum": ["promotion", "slot_move"]},
    )  # fmt: skip
    stats["properties"] |= {
        "servers": array(each, description=_SEVERAL),
        "sentinels": array(sentinel, description="With Sentinel."),
        "promotions": {
            **nullable(array(promotion)),
            "description": f"{_SEVERAL} Of the last day, newest first, at most 20: `streams` were "
            "reset, of at most `boards` boards in one process. Slots that move to a server reset "
            "them too. null while it is not known.",
        },
    }
    return stats
