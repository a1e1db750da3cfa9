"""CPU time and memory of processes, as the kernel counts them.

CPU time is user and system time of whole processes, all threads included, by the clock that the
kernel keeps for each (clock_getcpuclockid(3)); that of the machine is from /proc, in clock ticks of
(usually) 10 ms.
"""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Iterable
from pathlib import Path

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PPID = 1  # a field of /proc/PID/stat, counted after the command's name


def cpu_s(pids: Iterable[int]) -> float:
    """CPU seconds that these processes have used together. Raises OSError if one has gone."""
    return sum(time.clock_gettime(_clock_of(pid)) for pid in pids)


def machine_cpu_s() -> float:
    """CPU seconds that the whole machine has used, stolen time of a virtual machine included."""
    line = Path("/proc/stat").read_text().partition("\n")[0].split()
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, line[1:9])
    return (user + nice + system + irq + softirq + steal) / _TICKS_PER_S


def rss_bytes(pid: int) -> int:
    """The memory that a process occupies. Raises OSError if it has gone."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise ProcessLookupError(f"process {pid} has ended")


def children(pid: int) -> list[int]:
    """The processes whose parent is ``pid``, in ascending order."""
    found = []
    for each in Path("/proc").iterdir():
        if each.name.isdigit():
            try:
                fields = _stat(int(each.name))
            except OSError:
                continue  # ended meanwhile
            if int(fields[_PPID]) == pid:
                found.append(int(each.name))
    return sorted(found)


def raise_file_limit() -> int:
    """Allow as many open files as this user may; processes started later inherit it.

    Returns the limit.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = 65536 if hard == resource.RLIM_INFINITY else hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    return limit


def _clock_of(pid: int) -> int:
    return ~pid << 3 | 2  # as clock_getcpuclockid makes it, which Python lacks


def _stat(pid: int) -> list[str]:
    # The command's name stands in parentheses and may hold anything, so count after the last one.
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
