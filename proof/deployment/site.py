"""A whole deployment: servers, two nodes of two processes each, the proxy, boards and people."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from pathlib import Path

from occupancy.core.entities import Role
from occupancy.core.keys import Keys
from occupancy.services import Services
from proof.deployment.contents import add_people, read_log
from proof.deployment.proxy import Proxy
from proof.deployment.running import running, services_on
from proof.deployment.servers import ClusterServers, SentinelServers, Servers, slot_of_board
from proof.load.wire import Client
from tests.support.deployment import Deployment
from tests.support.servers import RealServer
from tests.support.waiting import wait_until

NODES = 2
PROCESSES = 2
BUDGET = 50
BOARDS = 6
WORKERS_PER_BOARD = 2
_ITEMS = 6
_PER_PRIMARY = 2


class Site:
    """Runs from :meth:`start` to :meth:`stop`; ``is_strict`` says whether replicas confirm."""

    def __init__(self, servers: Servers, directory: Path, *, is_strict: bool = False) -> None:
        self.servers, self.is_strict = servers, is_strict
        self.prefix = f"run-{secrets.token_hex(4)}"
        self.keys = Keys(self.prefix)
        self.boards = list(_boards(servers))
        self.people = [f"w{number}" for number in range(WORKERS_PER_BOARD)]
        self.tokens: dict[str, str] = {}  # of each worker, and of `watcher` and `admin`
        self._directory = directory
        confirmed = {"OCCUPANCY_CONFIRM_REPLICAS": str(servers.replicas)} if is_strict else {}
        self.nodes = [
            Deployment(
                directory / f"node-{number}", servers.url,
                WEB_CONCURRENCY=str(PROCESSES), OCCUPANCY_NODES=str(NODES),
                OCCUPANCY_PREFIX=self.prefix, OCCUPANCY_REDIS_BUDGET=str(BUDGET),
                OCCUPANCY_PROXIES="1", OCCUPANCY_OPERATIONS_PER_S="1000", **confirmed,
            )
            for number in range(NODES)
        ]  # fmt: skip
        self.proxy = Proxy(directory / "proxy", [each.port for each in self.nodes])

    def start(self) -> None:
        """Make boards, items and people, and start the nodes and the proxy."""
        with_people = self.services()
        try:
            for each in self.boards:
                with_people.store.boards.create(each)
            roles = {"watcher": Role.OBSERVER, "admin": Role.ADMIN}
            roles |= dict.fromkeys(self.people, Role.SUPERVISOR)
            self.tokens |= add_people(with_people, roles)
        finally:
            with_people.close()
        for node in self.nodes:
            node.start()
        self.proxy.start()
        admin = self.client("admin")
        for board in self.boards:
            for number in range(_ITEMS):
                path = f"/api/boards/{board}/items/T-{number}"
                wait_until(
                    lambda path=path: admin.send("PUT", path, {}).status in (200, 201),  # type: ignore[misc] # mypy infers no lambda with defaults
                    timeout_s=30, what=f"{path} to be added",
                )  # fmt: skip
        admin.close()

    def stop(self) -> None:
        self.proxy.stop()
        for each in self.nodes:
            each.stop(timeout_s=60)

    def client(self, name: str) -> Client:
        """A client of the proxy, for one greenlet."""
        return Client(self.proxy.port, self.tokens[name])

    def new_token(self) -> tuple[str, str]:
        """A further token of the watcher: its secret and its id."""
        services = self.services()
        try:
            secret, token = services.tokens.create("watcher")
        finally:
            services.close()
        return secret, token.id

    def primary_of(self, board: str) -> RealServer:
        return self.servers.primary_of(self.keys.board(board).log)

    def access_primary(self) -> RealServer:
        return self.servers.primary_of(self.keys.tokens)

    def log_of(self, board: str) -> list[tuple[str, dict[str, str]]]:
        """Every entry of a board's log on its primary, oldest first."""
        with self.servers.client(self.primary_of(board)) as client:
            return read_log(client, self.keys, board)

    def log_text(self) -> str:
        """The logs of the nodes."""
        return "\n".join(each.log for each in self.nodes)

    def services(self) -> Services:
        """The deployment's services, for the run's own process; the caller closes them."""
        return services_on(
            self.servers.url, self.prefix, self._directory, redis_budget=BUDGET, nodes=NODES
        )


@contextlib.contextmanager
def site_on(
    topology: str, server: str, directory: Path, *, is_strict: bool = False
) -> Iterator[Site]:
    """A site that runs, on servers of its own."""
    make = ClusterServers if topology == "cluster" else SentinelServers
    servers: Servers = make(server, directory)
    try:
        servers.start()
        with running(Site(servers, directory, is_strict=is_strict)) as site:
            yield site
    finally:
        servers.stop()


def _boards(servers: Servers) -> Iterator[str]:
    """Names of boards: some on every primary; any names where there is one."""
    if isinstance(servers, SentinelServers):
        yield from (f"b{number}" for number in range(BOARDS))
        return
    assert isinstance(servers, ClusterServers)
    for first, last in servers.shares():
        found = 0
        for number in range(10_000):
            if found < _PER_PRIMARY and first <= slot_of_board(f"b{number}") <= last:
                found += 1
                yield f"b{number}"
