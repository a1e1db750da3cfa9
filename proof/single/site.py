"""One server, and a node of two processes, or two nodes behind nginx; links between them."""

from __future__ import annotations

import contextlib
import itertools
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import redis

from occupancy.core.entities import Role
from occupancy.core.keys import Keys
from occupancy.services import Services
from proof.deployment.contents import add_people
from proof.deployment.proxy import Proxy
from proof.deployment.running import running, services_on
from proof.load.wire import Client
from proof.single.preload import Preload
from tests.support.deployment import Deployment
from tests.support.servers import RealServer, binary_of
from tests.support.waiting import wait_until

PROCESSES = 2
BUDGET = 60
BOARDS = 10
WORKERS_PER_BOARD = 20
ITEMS_PER_BOARD = 20
STEPS = ("ARM", "SOLD", "METROLOGIA")
_SUPERVISORS_EVERY = 3


class Link(Protocol):
    """A proxy on ``port`` between a client and a server, which can cause faults."""

    port: int

    def start(self) -> None: ...

    def stop(self) -> None: ...


MakeLink = Callable[[int], Link]  # to a port of this machine


class Site:
    """Runs from :meth:`start` to :meth:`stop`.

    With ``make_link``, ``client_link`` stands between clients and nginx or gunicorn, and
    ``server_link`` between gunicorn and the server. With ``has_preloads``, the clocks of the
    server and of the nodes can be set, and the free space of the server's disk.
    """

    def __init__(
        self, kind: str, directory: Path, *, nodes: int = 1, make_link: MakeLink | None = None,
        has_preloads: bool = False, server_directory: Path | None = None,
    ) -> None:  # fmt: skip
        binary = binary_of(kind)
        assert binary is not None, f"{kind} is not installed"
        self.kind, self.directory = kind, directory
        self.server_directory = server_directory or directory / "server"
        self.server = RealServer(binary, self.server_directory, appendfsync="everysec")
        self.server.has_file = True
        self.server_preload = Preload(directory / "server-preload") if has_preloads else None
        self.node_preload = Preload(directory / "node-preload") if has_preloads else None
        if self.server_preload is not None:
            self.server.environment.update(self.server_preload.environment)
        node_environment = self.node_preload.environment if self.node_preload is not None else {}
        self.server_link = make_link(self.server.port) if make_link else None
        server_port = self.server_link.port if self.server_link else self.server.port
        self.url = f"redis://127.0.0.1:{server_port}/0"  # as the nodes know it
        self.prefix = f"single-{secrets.token_hex(4)}"
        self.keys = Keys(self.prefix)
        self.roles = {  # of each worker of the load
            f"w{number}": Role.WORKER if number % _SUPERVISORS_EVERY else Role.SUPERVISOR
            for number in range(BOARDS * WORKERS_PER_BOARD)
        }
        self.tokens: dict[str, str] = {}  # of each worker, and of `watcher` and `admin`
        self.nodes = [
            Deployment(
                directory / f"node-{number}", self.url,
                WEB_CONCURRENCY=str(PROCESSES), OCCUPANCY_NODES=str(nodes),
                OCCUPANCY_PREFIX=self.prefix, OCCUPANCY_REDIS_BUDGET=str(BUDGET),
                OCCUPANCY_PROXIES=str(int(nodes > 1)), OCCUPANCY_OPERATIONS_PER_S="1000",
                OCCUPANCY_ADDRESS_OPERATIONS_PER_S="100000", **node_environment,
            )
            for number in range(nodes)
        ]  # fmt: skip
        self.proxy = (
            Proxy(directory / "proxy", [each.port for each in self.nodes]) if nodes > 1 else None
        )
        entry = self.proxy.port if self.proxy else self.nodes[0].port
        self.client_link = make_link(entry) if make_link else None
        self.port = self.client_link.port if self.client_link else entry  # where clients connect
        self._round_numbers = itertools.count(1)

    def start(self) -> None:
        """Add the people, and start everything."""
        self.server.start()
        for link in self._links():
            link.start()
        services = self.services()
        try:
            everybody = {**self.roles, "watcher": Role.OBSERVER, "admin": Role.ADMIN}
            self.tokens = add_people(services, everybody)
        finally:
            services.close()
        for node in self.nodes:
            node.start()
        if self.proxy is not None:
            self.proxy.start()

    def stop(self) -> None:
        """Stop everything that runs, also after a failed start."""
        with contextlib.ExitStack() as stack:
            stack.callback(self.server.stop)
            for link in self._links():
                stack.callback(link.stop)
            for node in self.nodes:
                stack.callback(node.stop, timeout_s=60)
            if self.proxy is not None:
                stack.callback(self.proxy.stop)

    def new_boards(self) -> list[str]:
        """Create the boards and items of a round; call it before any fault."""
        # After a full disk the server refuses writes until it has written what it had.
        wait_until(self._takes_writes, what="the server to take writes")
        round_number = next(self._round_numbers)
        boards = [f"r{round_number}-b{number}" for number in range(BOARDS)]
        services = self.services()
        rows = [
            (f"T-{number}", {"title": f'"Spool {number}"'}) for number in range(ITEMS_PER_BOARD)
        ]
        try:
            admin = services.workers.get("admin")
            for board in boards:
                services.store.boards.create(board, steps=STEPS)
                list(services.store.commands.put_many(board, rows, actor=admin.person))
        finally:
            services.close()
        return boards

    def _takes_writes(self) -> bool:
        with self.admin() as admin:
            state: Any = admin.info("persistence")
        return bool(state["aof_last_write_status"] == "ok")

    def client(self, name: str) -> Client:
        """A client for one greenlet."""
        return Client(self.port, self.tokens[name])

    def is_ready(self) -> bool:
        """Whether the processes of each node are ready, asked directly."""
        return all(node.status_of("/readyz") == 200 for node in self.nodes for _ in range(2))

    def admin(self, *, timeout_s: float = 5.0) -> redis.Redis:
        """A direct client of the server, through no link; the caller closes it."""
        return redis.Redis(port=self.server.port, protocol=2, socket_timeout=timeout_s)

    def log_text(self) -> str:
        """The logs of the nodes."""
        return "\n".join(each.log for each in self.nodes)

    def services(self) -> Services:
        """The deployment's services, for the run's own process; the caller closes them."""
        return services_on(
            self.server.url, self.prefix, self.directory,
            redis_budget=BUDGET, nodes=len(self.nodes),
        )  # fmt: skip

    def _links(self) -> list[Link]:
        return [each for each in (self.server_link, self.client_link) if each is not None]


__all__ = ["BOARDS", "BUDGET", "PROCESSES", "STEPS", "WORKERS_PER_BOARD", "Site", "running"]
