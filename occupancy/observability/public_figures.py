"""Public figures, gathered at most once a second per process, whatever the number of requests.

Gathering costs more than a request should: CLIENT LIST, INFO, a metrics file of each process.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

import gevent

from occupancy.core.errors import OccupancyError
from occupancy.observability.metrics import Metrics
from occupancy.observability.processes import Processes
from occupancy.observability.servers import Answer, Boards, Servers
from occupancy.storage.client import OpsClient

KEPT_S = 1.0
T = TypeVar("T")


class AtMostOnceASecond(Generic[T]):
    """Calls ``make`` at most once a second; other callers get the latest result or error.

    ``make`` runs in a greenlet of its own: killing a caller that waits for it interrupts no other.
    Errors are kept as well, or the callers would wait for the server one after the other.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._latest: gevent.Greenlet | None = None
        self._made_at = 0.0  # monotonic

    def __call__(self) -> T:
        """Raises what ``make`` raises."""
        making = self._latest
        if making is None or (making.ready() and time.monotonic() - self._made_at >= KEPT_S):
            making = self._latest = gevent.spawn(self._outcome)  # no switch point since the check
        value, error = making.get()
        if error is not None:
            raise error.with_traceback(None)
        made: T = value
        return made

    def _outcome(self) -> tuple[T | None, Exception | None]:
        try:
            return self._make(), None
        except Exception as error:  # noqa: BLE001 - raised in the callers
            return None, error
        finally:
            self._made_at = time.monotonic()


class PublicFigures:
    """The servers' health, the connections of all processes, the metrics. One per process."""

    def __init__(
        self, client: OpsClient, processes: Processes, servers: Servers, metrics: Metrics
    ) -> None:
        self._servers = servers
        self._metrics = metrics
        self.health = AtMostOnceASecond(
            lambda: health_of_all(servers) if servers.are_several else health_of(client)
        )
        self.connections = AtMostOnceASecond(processes.connections)
        self.metrics = AtMostOnceASecond(self._exposition)

    def _exposition(self) -> bytes:
        if self._servers.are_several:
            self._metrics.copy_servers(self._servers.described())
        return self._metrics.exposition()


def health_of(client: OpsClient) -> dict[str, Any]:
    """Whether Redis answers, how fast, and its facts; None for what it withholds."""
    started = time.monotonic()
    try:
        client.ping()
        latency_ms = (time.monotonic() - started) * 1000
        (reply,) = client.run_optional(lambda pipeline: pipeline.info())
    except OccupancyError as error:
        return {"status": "unhealthy", "latency_ms": None, "detail": error.detail}
    return {"status": "healthy", "latency_ms": round(latency_ms, 2), **_facts(reply)}


def health_of_all(servers: Servers) -> dict[str, Any]:
    """The health of several servers; the facts are those of the server of access.

    Healthy while that one answers, and at least one that has boards. Without access nobody may do
    anything; with another server only its own boards are away.
    """
    answers = servers.ask(lambda pipeline: pipeline.info())
    boards = servers.known_boards(answers)
    primaries = [each for each in answers if each.member.role == "primary"]
    access = next(
        (each for each in primaries if each.member.address == servers.access_address), None
    )
    is_access_up = access is not None and access.error is None
    are_boards_up = any(
        each.error is None and (each.member.address in boards or not boards) for each in primaries
    )
    lost = [
        f"{each.member.address} does not answer{_loss(each, access, boards)}"
        for each in answers if each.error is not None
    ]  # fmt: skip
    if access is None:
        lost.insert(0, "no server is known to have access")
    facts = _facts(access.replies[0]) if access is not None and access.replies else {}
    return {
        "status": "healthy" if is_access_up and are_boards_up else "unhealthy",
        "latency_ms": _rounded(access.latency_ms) if access is not None else None,
        **facts,
        **({"detail": f"{'; '.join(lost)}."} if lost else {}),
        "servers": [
            {
                "address": each.member.address,
                "role": each.member.role,
                "status": "healthy" if each.error is None else "unreachable",
                "latency_ms": _rounded(each.latency_ms),
            }
            for each in answers
        ],
    }  # fmt: skip


def _loss(answer: Answer, access: Answer | None, boards: Boards) -> str:
    """What is away with a server, in words."""
    if answer.member.role != "primary":
        return f" (a {answer.member.role})"
    count = len(boards.get(answer.member.address, ()))
    parts = ["access"] * (answer is access) + [f"{count} board{'s' * (count != 1)}"] * bool(count)
    return f", and {' and '.join(parts)} with it" if parts else ""


def _rounded(latency_ms: float | None) -> float | None:
    return None if latency_ms is None else round(latency_ms, 2)


def _facts(reply: Mapping[str, Any] | None) -> dict[str, Any]:
    info = reply or {}
    return {
        "server": info.get("server_name", "redis") if info else None,
        "version": info.get("valkey_version", info.get("redis_version")),
        "role": info.get("role"),
        "uptime_s": info.get("uptime_in_seconds"),
        "used_memory_bytes": info.get("used_memory"),
        "maxmemory_bytes": info.get("maxmemory"),
        "connected_clients": info.get("connected_clients"),
    }
