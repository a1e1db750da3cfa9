"""The cost of a measurement: CPU of a server, of its store, and of everything else."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import Protocol

from bench.cpu import cpu_s, machine_cpu_s

_SAMPLE_S = 0.4


class Measured(Protocol):
    """A server with all its processes, including its store."""

    @property
    def server_pids(self) -> list[int]: ...

    @property
    def pids(self) -> list[int]: ...


@dataclass(frozen=True)
class Used:
    """CPU seconds used; ``other_cores`` is the number of cores busy with anything else."""

    server_s: float
    store_s: float
    other_cores: float

    def per(self, count: int, what: str) -> dict[str, float]:
        """Figures in µs: of server and store together, and of each."""
        share = 1e6 / max(1, count)
        return {
            f"cpu_us_per_{what}": (self.server_s + self.store_s) * share,
            f"server_us_per_{what}": self.server_s * share,
            f"store_us_per_{what}": self.store_s * share,
            "other_cores": self.other_cores,
        }


def settle(server: Measured, *, within_s: float = 60.0) -> None:
    """Wait until a server has finished its start: it uses less than a twentieth of a core."""
    ends = time.monotonic() + within_s
    while time.monotonic() < ends:
        before_s = cpu_s(server.pids)
        time.sleep(_SAMPLE_S)
        if cpu_s(server.pids) - before_s <= _SAMPLE_S / 20:
            return


class Meter:
    """Measures from its construction to :meth:`read`."""

    def __init__(self, server: Measured) -> None:
        servers = server.server_pids
        stores = [pid for pid in server.pids if pid not in servers]
        self._pids = servers, stores, [os.getpid()]
        self._before_s = [cpu_s(pids) for pids in self._pids]
        self._machine_s = machine_cpu_s()
        self._started = time.monotonic()

    def read(self, generator_s: float) -> Used:
        used_s = [
            cpu_s(pids) - before_s
            for pids, before_s in zip(self._pids, self._before_s, strict=True)
        ]
        other_s = machine_cpu_s() - self._machine_s - sum(used_s) - generator_s
        wall_s = time.monotonic() - self._started
        return Used(used_s[0], used_s[1], max(0.0, other_s / wall_s))
