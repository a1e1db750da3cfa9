"""One server, and gunicorn of two processes."""

from __future__ import annotations

import contextlib
import secrets
from pathlib import Path

from occupancy.core.entities import Role
from occupancy.services import Services
from proof.deployment.running import services_on
from proof.single.preload import Preload
from tests.support.deployment import Deployment
from tests.support.servers import RealServer, binary_of

PROCESSES = 2
BOARD, OTHER_BOARD = "main", "other"
STEPS = ("ARM", "SOLD")


class Site:
    """Runs from :meth:`start` to :meth:`stop`.

    With ``has_preload`` the server's clock can be set. ``proxies`` is how many are declared; who
    sends requests is the last of them.
    """

    def __init__(
        self, directory: Path, *, kind: str = "valkey", proxies: int = 0, has_preload: bool = False
    ) -> None:
        binary = binary_of(kind)
        assert binary is not None, f"{kind} is not installed"
        self.server = RealServer(binary, directory / "server", appendonly="no")
        self.preload = Preload(directory / "preload") if has_preload else None
        if self.preload is not None:
            self.server.environment.update(self.preload.environment)
        self.prefix = f"access-{secrets.token_hex(4)}"
        self._directory = directory
        self.gunicorn = Deployment(
            directory / "gunicorn", self.server.url,
            WEB_CONCURRENCY=str(PROCESSES), OCCUPANCY_PREFIX=self.prefix,
            OCCUPANCY_PROXIES=str(proxies), OCCUPANCY_OPERATIONS_PER_S="10000",
            OCCUPANCY_ADDRESS_OPERATIONS_PER_S="100000",
        )  # fmt: skip
        self.port = self.gunicorn.port
        self._opened: list[Services] = []

    def start(self) -> None:
        self.server.start()
        self.services = self.services_of(self.prefix)
        self.services.store.boards.create(BOARD, steps=STEPS)
        self.services.store.boards.create(OTHER_BOARD)
        self.services.workers.add("admin", name="Admin", role=Role.ADMIN)
        self.admin_token, _ = self.services.tokens.create("admin")
        self.gunicorn.start()

    def stop(self) -> None:
        with contextlib.ExitStack() as stack:
            stack.callback(self.server.stop)
            stack.callback(self.gunicorn.stop, timeout_s=60)
            for each in self._opened:
                stack.callback(each.close)

    def services_of(self, prefix: str) -> Services:
        """The services of the deployment, or of another one on the same server."""
        services = services_on(self.server.url, prefix, self._directory)
        self._opened.append(services)
        return services
