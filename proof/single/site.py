"""One server, and a node of two processes, or two nodes behind nginx; links between them."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import redis

from occupancy.core.entities import Role
from occupancy.core.keys import Keys
from occupancy.core.settings import Settings
from occupancy.services import Services
from proof.deployment.proxy import Proxy
from proof.load.wire import Client
from tests.support.deployment import Deployment
from tests.support.servers import RealServer, binary_of
from tests.support.waiting import wait_until

PROCESSES = 2
BUDGET = 60
BOARDS = 10
WORKERS_PER_BOARD = 20
ITEMS_PER_BOARD = 20
STEPS = ("ARM", "SOLD", "METROLOGIA")


class Link(Protocol):
    """What may stand between a client and a server: a proxy on ``port`` that can do harm."""

    port: int

    def start(self) -> None: ...

    def stop(self) -> None: ...


MakeLink = Callable[[int], Link]  # to a port of this machine


class Site:
    """Runs from :meth:`start` to :meth:`stop`.

    With ``make_link``, ``client_link`` stands between clients and nginx or gunicorn, and
    ``server_link`` between gunicorn and the server.
    """

    def __init__(
        self, kind: str, directory: Path, *, nodes: int = 1, make_link: MakeLink | None = None,
        server_environment: Mapping[str, str] | None = None, server_directory: Path | None = None,
    ) -> None:  # fmt: skip
        binary = binary_of(kind)
        assert binary is not None, f"{kind} is not installed"
        self.kind, self.directory = kind, directory
        self.server = RealServer(
            binary, server_directory or directory / "server", appendfsync="everysec"
        )
        self.server.environment.update(server_environment or {})
        self.server_link = make_link(self.server.port) if make_link else None
        server_port = self.server_link.port if self.server_link else self.server.port
        self.url = f"redis://127.0.0.1:{server_port}/0"  # as the nodes know it
        self.prefix = f"single-{secrets.token_hex(4)}"
        self.keys = Keys(self.prefix)
        self.boards = [f"b{number}" for number in range(BOARDS)]
        self.roles: dict[str, Role] = {}  # of each worker of the load
        self.tokens: dict[str, str] = {}  # of each worker, and of `watcher` and `admin`
        self.nodes = [
            Deployment(
                directory / f"node-{number}", self.url,
                WEB_CONCURRENCY=str(PROCESSES), OCCUPANCY_NODES=str(nodes),
                OCCUPANCY_PREFIX=self.prefix, OCCUPANCY_REDIS_BUDGET=str(BUDGET),
                OCCUPANCY_PROXIES=str(int(nodes > 1)), OCCUPANCY_OPERATIONS_PER_S="1000",
            )
            for number in range(nodes)
        ]  # fmt: skip
        self.proxy = (
            Proxy(directory / "proxy", [each.port for each in self.nodes]) if nodes > 1 else None
        )
        entry = self.proxy.port if self.proxy else self.nodes[0].port
        self.client_link = make_link(entry) if make_link else None
        self.port = self.client_link.port if self.client_link else entry  # where clients connect

    def start(self) -> None:
        """Make boards, items and people, and start everything."""
        raise NotImplementedError

    def stop(self) -> None:
        raise NotImplementedError

    def admin(self, *, timeout_s: float = 5.0) -> redis.Redis:
        """A client of the server, beside any link; the caller closes it."""
        return redis.Redis(port=self.server.port, protocol=2, socket_timeout=timeout_s)
