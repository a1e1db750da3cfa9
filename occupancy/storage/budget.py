"""The connection budget: how many connections each process may open, and the slots that hold it.

``OCCUPANCY_REDIS_BUDGET`` bounds what the whole deployment opens. Two things keep it:

* **Shares.** Every worker process gets the same share, sized so that the old and the new workers
  of a reload fit side by side: ``(budget / nodes - reserved) / (2 x workers)``.
* **Slots.** Shares cannot know of a second reload before the first is over, of ``TTIN``, or of
  ten commands started at once. So each connection also holds one slot while it is open: a byte
  of a lock file, locked with fcntl. The kernel gives a slot back when its process dies, however
  it dies. The command line has the ``reserved`` slots to itself: it can neither starve the
  workers nor be starved by them.

The server counts a connection a moment longer than we do (it has to notice the close), which
the halved shares leave ample room for.
"""

from __future__ import annotations

import dataclasses
import fcntl
import hashlib
import os
from pathlib import Path

from occupancy.core.errors import SettingError
from occupancy.core.settings import Settings

GENERATIONS = 2  # old and new workers while a reload overlaps them


@dataclasses.dataclass(frozen=True)
class Budget:
    """How the connections are dealt out; see :func:`plan`."""

    limit: int
    nodes: int
    processes: int
    reserved: int
    ops: int
    pubsub: int

    @property
    def node_limit(self) -> int:
        """Connections that the processes of one machine may open together."""
        return self.limit // self.nodes


def plan(settings: Settings) -> Budget:
    """Deal the budget out to the worker processes.

    Returns the sizes of the two pools of each worker process. Raises SettingError, with the
    sum and the numbers that would do, if the budget cannot hold them.
    """
    per_node = settings.redis_budget // settings.nodes
    generations = GENERATIONS * settings.processes
    share = (per_node - settings.redis_reserved) // generations
    ops = settings.ops_pool_size or max(1, share - settings.pubsub_pool_size)
    needed = generations * (ops + settings.pubsub_pool_size) + settings.redis_reserved
    if needed > per_node:
        raise SettingError(
            f"OCCUPANCY_REDIS_BUDGET={settings.redis_budget} is too small: {settings.processes} "
            f"workers x {GENERATIONS} (old and new ones during a reload) x ({ops} for operations "
            f"+ {settings.pubsub_pool_size} for streams) + {settings.redis_reserved} reserved for "
            f"the command line = {needed} connections on each of {settings.nodes} machine(s). "
            f"Set it to {needed * settings.nodes} or more, or lower WEB_CONCURRENCY, "
            "OCCUPANCY_OPS_POOL_SIZE or OCCUPANCY_PUBSUB_POOL_SIZE."
        )
    return Budget(
        limit=settings.redis_budget,
        nodes=settings.nodes,
        processes=settings.processes,
        reserved=settings.redis_reserved,
        ops=ops,
        pubsub=settings.pubsub_pool_size,
    )


class Slots:
    """The slots that this process may take, out of the lock file that all processes share.

    fcntl locks belong to the process: never opened twice in one process (closing either
    descriptor would drop the locks of both), and opened only after the fork.
    """

    def __init__(self, path: Path, numbers: range) -> None:
        self._path = path
        self._numbers = numbers
        self._held: set[int] = set()
        self._fd = -1

    @classmethod
    def for_workers(cls, settings: Settings, budget: Budget) -> Slots:
        return cls(_slots_path(settings), range(budget.reserved, budget.node_limit))

    @classmethod
    def for_command_line(cls, settings: Settings, budget: Budget) -> Slots:
        return cls(_slots_path(settings), range(budget.reserved))

    def __len__(self) -> int:
        return len(self._numbers)

    def take(self) -> int | None:
        """A free slot's number, or None when all are taken. Never waits."""
        if self._fd < 0:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        for number in self._numbers:
            if number in self._held:
                continue
            try:
                fcntl.lockf(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, number)
            except BlockingIOError:
                continue  # another process has it
            self._held.add(number)
            return number
        return None

    def give_back(self, number: int) -> None:
        fcntl.lockf(self._fd, fcntl.LOCK_UN, 1, number)
        self._held.discard(number)
        if not self._held:  # else whoever is done with Redis would keep a file open for good
            os.close(self._fd)
            self._fd = -1


def _slots_path(settings: Settings) -> Path:
    # One file a server and prefix: two deployments that share a state directory share no budget.
    digest = hashlib.sha256(f"{settings.server_url} {settings.prefix}".encode()).hexdigest()[:12]
    return settings.state_path / f"slots-{digest}.lock"
