"""One server and a node of two processes, with boards, and people who have PINs."""

from __future__ import annotations

from pathlib import Path

from occupancy.access.pins import hash_pin
from occupancy.core.entities import Role
from occupancy.core.settings import Settings
from occupancy.services import Services
from tests.support.deployment import Deployment
from tests.support.servers import RealServer, binary_of

BOARDS = ("line-1", "line-2", "line-3")
ITEMS_PER_BOARD = 60
SHIFTS = 3
PEOPLE_OF_A_SHIFT = 24
PROCESSES = 2
_STEPS = ("ARM", "SOLD", "METROLOGIA")
_PREFIX = "day"
_BUDGET = 60


class DaySite:
    """Runs from :meth:`start` to :meth:`stop`."""

    def __init__(self, kind: str, directory: Path) -> None:
        binary = binary_of(kind)
        assert binary is not None, f"this machine has no {kind}"
        self.server = RealServer(binary, directory / "server")
        self.first_step = _STEPS[0]
        self.key_pattern = f"{_PREFIX}:*"
        self.pins: dict[str, str] = {}
        self.token = ""  # of an administrator
        self.environ = {
            "REDIS_URL": self.server.url, "OCCUPANCY_PREFIX": _PREFIX,
            "OCCUPANCY_STATE_DIR": str(directory / "node"),
            "OCCUPANCY_REDIS_BUDGET": str(_BUDGET), "WEB_CONCURRENCY": str(PROCESSES),
        }  # fmt: skip
        own = {
            name: text for name, text in self.environ.items()
            if name not in ("REDIS_URL", "OCCUPANCY_STATE_DIR")
        }  # fmt: skip
        self.node = Deployment(directory / "node", self.server.url, **own)
        self.port = self.node.port

    def person(self, shift: int, place: int) -> str:
        return f"p{shift % SHIFTS}-{place}"

    def start(self) -> None:
        """Add boards, items and people, and start the node."""
        self.server.start()
        services = Services.for_command_line(
            Settings(
                redis_url=self.server.url, prefix=_PREFIX, redis_budget=_BUDGET,
                state_dir=str(self.node.log_path.parent),
            )
        )  # fmt: skip
        try:
            services.workers.add("admin", name="Admin", role=Role.ADMIN)
            self.token = services.tokens.create("admin")[0]
            admin = services.workers.get("admin")
            pin = "4826"
            pin_hash = hash_pin(pin)  # one hash for all: each costs a tenth of a second
            for shift in range(SHIFTS):
                for place in range(PEOPLE_OF_A_SHIFT):
                    name = self.person(shift, place)
                    services.workers.add(
                        name, name=name.title(), role=Role.WORKER, pin_hash=pin_hash
                    )
                    self.pins[name] = pin
            rows = [(f"T-{number}", {"title": '"Spool"'}) for number in range(ITEMS_PER_BOARD)]
            for board in BOARDS:
                services.store.boards.create(board, steps=_STEPS)
                list(services.store.commands.put_many(board, rows, actor=admin.person))
        finally:
            services.close()
        self.node.start()

    def stop(self) -> None:
        """End everything, whatever state it is in."""
        try:
            self.node.stop(timeout_s=60)
        finally:
            self.server.stop()
