"""Whether REDIS_URL leads to a server of another kind than it says, and what to set instead."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from occupancy.core.errors import OccupancyError
from occupancy.core.server_url import Engine
from occupancy.storage.client import OpsClient
from occupancy.storage.server_errors import ServerError

log = logging.getLogger(__name__)

_RETRY_S = 2.0


class Misdirection(NamedTuple):
    """What REDIS_URL leads to, and what to set."""

    finding: str
    advice: str


def misdirection(info: Mapping[str, Any], engine: Engine) -> Misdirection | None:
    """What is wrong with the server that said ``info`` (INFO), for a URL of ``engine``; else None.

    A server that withholds INFO has nothing wrong.
    """
    if info.get("redis_mode", info.get("server_mode")) == "sentinel":
        return Misdirection(
            "a Sentinel", "Set REDIS_URL=redis+sentinel://host:port,host:port/NAME."
        )
    is_cluster = bool(info.get("cluster_enabled"))
    if is_cluster and engine != "cluster":
        return Misdirection(
            "a node of a cluster",
            "Set REDIS_URL=redis+cluster://host:port,host:port with some of its nodes.",
        )
    if engine == "cluster" and "cluster_enabled" in info and not is_cluster:
        return Misdirection(
            "a server without cluster mode",
            "Set REDIS_URL=redis://… for a single server, or redis+sentinel://….",
        )
    if info.get("role") == "slave" and engine == "single":
        primary = f"{info.get('master_host')}:{info.get('master_port')}"
        return Misdirection(
            "a replica, which takes no operations",
            f"Set REDIS_URL to the address of its primary, which is {primary} now, or to "
            "redis+sentinel://… if Sentinels choose the primary.",
        )
    return None


def misdirection_of(client: OpsClient) -> Misdirection | None:
    """Ask the single server. Raises PoolTimeout, StoreUnavailable and redis's errors."""
    (info,) = client.run_optional(lambda pipeline: pipeline.info())
    return misdirection(info or {}, "single")


def log_misdirection(client: OpsClient, sleep: Callable[[float], object]) -> None:
    """Log once that REDIS_URL is wrong, as soon as the single server answers. Never raises."""
    while True:
        try:
            found = misdirection_of(client)
        except (OccupancyError, ServerError):
            sleep(_RETRY_S)
            continue
        if found is not None:
            log.error("REDIS_URL leads to %s. %s", *found)
        return
