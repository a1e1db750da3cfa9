"""The connection budget: the share of connections of each process, and the slots that enforce it.

``OCCUPANCY_REDIS_BUDGET`` bounds the deployment's connections to each server, in two ways:

* **Shares.** Every process has the same share. The old and the new processes of a reload fit side
  by side: ``(budget / nodes - reserved) / (2 x processes)``. In a Cluster, one connection of each
  share reads the map.
* **Slots.** Shares do not cover a second reload before the first is over, ``TTIN``, or ten
  commands started at once. So each open connection also holds one slot: a byte of a lock file,
  locked with fcntl, which the kernel releases however its process dies. The command line has the
  ``reserved`` slots to itself: it neither starves the web server nor is starved by it.

Slots are of one machine, and so is ``budget / nodes``: machines share no state directory. The
budget does not count connections to Sentinels, of which each process has one to each.

The server counts a connection slightly longer than we do, until it notices the close. The halved
shares leave ample room for that.
"""

from __future__ import annotations

import dataclasses
import fcntl
import hashlib
import os
from pathlib import Path

from occupancy.core.errors import SettingError
from occupancy.core.settings import Settings
from occupancy.core.texts.plurals import counted

GENERATIONS = 2  # old and new processes during a reload


@dataclasses.dataclass(frozen=True)
class Budget:
    """The connections of each process and of the deployment; see :func:`plan`."""

    limit: int
    nodes: int
    processes: int
    reserved: int
    ops: int
    pubsub: int
    topology: int = 0  # of each process, for reading a Cluster's map

    @property
    def node_limit(self) -> int:
        """Connections that the processes of one machine may open together."""
        return self.limit // self.nodes


def plan(settings: Settings) -> Budget:
    """The sizes of the pools of each process for each server.

    Raises SettingError, with the calculation and a sufficient number, if the budget is too small.
    """
    per_node = settings.redis_budget // settings.nodes
    generations = GENERATIONS * settings.processes
    share = (per_node - settings.redis_reserved) // generations
    topology = int(settings.engine == "cluster")
    ops = settings.ops_pool_size or max(1, share - settings.pubsub_pool_size - topology)
    needed = generations * (ops + settings.pubsub_pool_size + topology) + settings.redis_reserved
    if needed > per_node:
        map_part = f" + {topology} for the map of the cluster" if topology else ""
        where = "on each server, from" if topology else "on"
        raise SettingError(
            f"OCCUPANCY_REDIS_BUDGET={settings.redis_budget} is too small: "
            f"{counted(settings.processes, 'process', 'processes')} x {GENERATIONS} (old and new "
            f"during a reload) x ({ops} for operations + {settings.pubsub_pool_size} for streams"
            f"{map_part}) + {settings.redis_reserved} reserved for the command line = "
            f"{counted(needed, 'connection')} {where} each of "
            f"{counted(settings.nodes, 'machine')}. "
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
        topology=topology,
    )


class Slots:
    """The slots that this process may take, in the lock file that all processes share.

    fcntl locks belong to the process. So the file is never opened twice in one process (closing
    either descriptor would drop the locks of both), and opened only after the fork.
    """

    def __init__(self, path: Path, numbers: range) -> None:
        self._path = path
        self._numbers = numbers
        self._held: set[int] = set()
        self._fd = -1

    @classmethod
    def for_workers(cls, settings: Settings, budget: Budget, server: str = "") -> Slots:
        """For the web server; ``server`` is its address where the deployment has several."""
        return cls(_slots_path(settings, server), range(budget.reserved, budget.node_limit))

    @classmethod
    def for_command_line(cls, settings: Settings, budget: Budget, server: str = "") -> Slots:
        """For one command; ``server`` as above."""
        return cls(_slots_path(settings, server), range(budget.reserved))

    def __len__(self) -> int:
        return len(self._numbers)

    def take(self) -> int | None:
        """The number of a free slot, or None if all are taken. Never waits."""
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
        if not self._held:  # no connection is open: do not keep the file open either
            os.close(self._fd)
            self._fd = -1


def _slots_path(settings: Settings, server: str) -> Path:
    # One file per server and prefix: deployments with a common state directory share no budget.
    where = f"{server or settings.server_url} {settings.prefix}"
    digest = hashlib.sha256(where.encode()).hexdigest()[:12]
    return settings.state_path / f"slots-{digest}.lock"
