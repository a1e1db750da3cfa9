"""A slow machine made of a fast one: each server gets a share of a core, by a cgroup's CPU quota.

A server that may use a third of a core does each piece of work in three times the time. The quota
is per server and not over all of them, because a machine's slowness does not depend on how many
processes run. Load generators and the benchmark itself have no quota: a generator that is the
bottleneck would be measured in place of the server.

It needs write access to a cgroup tree with the cpu controller: version 1 (``cpu.cfs_quota_us``) or
2 (``cpu.max``), so usually root.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

_V1, _V2 = Path("/sys/fs/cgroup/cpu"), Path("/sys/fs/cgroup")
_ENTER = 'echo $$ > "$0/cgroup.procs" && exec "$@"'
# The least that the kernel takes is 1 ms; the shorter, the more a stop is like slowness.
_QUOTA_US = 2000


class CpuQuota:
    """Starts commands so that each runs ``slowdown`` times slower; 1 changes nothing.

    Raises RuntimeError where the quota cannot be set.
    """

    def __init__(self, slowdown: float = 1.0) -> None:
        self.slowdown = slowdown
        self._groups: list[Path] = []
        self._numbers = itertools.count()
        if slowdown > 1:
            self.command(["true"])
            self.remove()

    def command(self, command: Sequence[str], *, processes: int = 1) -> list[str]:
        """The command line that runs ``command`` in a cgroup of its own.

        ``processes`` is how many of its processes are busy: each has its share of a core.
        """
        if self.slowdown <= 1:
            return list(command)
        self.remove()  # those of servers that have ended
        is_v1 = (_V1 / "tasks").exists()
        group = (_V1 if is_v1 else _V2) / f"occupancy-bench-{os.getpid()}-{next(self._numbers)}"
        quota_us, period_us = _QUOTA_US * processes, round(_QUOTA_US * self.slowdown)
        try:
            if not is_v1:
                (_V2 / "cgroup.subtree_control").write_text("+cpu")
            group.mkdir()
            self._groups.append(group)
            if is_v1:
                (group / "cpu.cfs_period_us").write_text(str(period_us))
                (group / "cpu.cfs_quota_us").write_text(str(quota_us))
            else:
                (group / "cpu.max").write_text(f"{quota_us} {period_us}")
        except OSError as error:
            raise RuntimeError(f"a CPU quota needs a writable cgroup: {error}") from error
        return ["sh", "-c", _ENTER, str(group), *command]

    def output(self, command: Sequence[str]) -> str:
        """What a command prints. Raises RuntimeError if it fails."""
        try:
            done = subprocess.run(
                self.command(command), stdout=subprocess.PIPE, text=True, check=True,
                cwd=Path(__file__).parent.parent,
            )  # fmt: skip
        except (OSError, subprocess.CalledProcessError) as error:
            raise RuntimeError(f"{command[0]} has failed: {error}") from error
        return done.stdout

    def remove(self) -> None:
        """Remove the cgroups whose processes have ended."""
        for group in list(self._groups):
            with contextlib.suppress(OSError):  # EBUSY: it still has processes
                group.rmdir()
                self._groups.remove(group)


UNLIMITED = CpuQuota()
