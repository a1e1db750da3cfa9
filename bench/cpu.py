"""What processes cost: CPU time and memory from /proc, and a yardstick for the machine.

CPU time is user + system time of whole processes, all threads included, in clock ticks of
(usually) 10 ms; so it is taken over seconds, never over one operation.
"""

from __future__ import annotations

import os
import resource
import socket
import threading
import time
from collections.abc import Iterable
from pathlib import Path

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PPID, _UTIME, _STIME = 1, 11, 12  # fields of /proc/PID/stat, counted after the command's name
_YARDSTICK_SENDS = 20_000


def cpu_s(pids: Iterable[int]) -> float:
    """CPU seconds that these processes have used together. Raises OSError if one has gone."""
    fields = [_stat(pid) for pid in pids]
    return sum(int(each[_UTIME]) + int(each[_STIME]) for each in fields) / _TICKS_PER_S


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


def bare_send_us(size_bytes: int) -> float:
    """The yardstick: CPU µs for one bare send() of that size on a loopback TCP connection.

    No server can deliver an event for less, so costs per delivery are read as multiples of it.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        sender = socket.create_connection(listener.getsockname())
        receiver, _ = listener.accept()
    with sender, receiver:
        sender.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        reading = threading.Thread(target=_read_to_the_end, args=(receiver,))
        reading.start()
        frame = b"x" * size_bytes
        started = time.thread_time()
        for _ in range(_YARDSTICK_SENDS):
            sender.sendall(frame)
        used = time.thread_time() - started
        sender.shutdown(socket.SHUT_WR)
        reading.join()
    return used / _YARDSTICK_SENDS * 1e6


def _read_to_the_end(connection: socket.socket) -> None:
    while connection.recv(1 << 16):
        pass


def _stat(pid: int) -> list[str]:
    # The command's name stands in parentheses and may hold anything, so count after the last one.
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
