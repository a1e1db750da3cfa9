"""Faults of resources: a full disk, no file descriptors, a reader that does not read."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import socket
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import gevent

from occupancy.core.errors import StoreUnavailable
from proof.deployment.servers import raw
from proof.single.stage import Fault, Stage

_BOOTED_S = 3.0  # a process has its modules by then
_IDLE = 100  # connections that a client opens and does not use
_RECEIVE_BYTES = 4096
_LARGE_EVENTS, _LARGE_ITEMS, _LARGE_CHARACTERS = 30, 50, 150


def fill_disk(stage: Stage) -> None:
    """The disk is full in the middle of an entry of the append-only file, and later not."""
    preload = stage.site.server_preload
    assert preload is not None, "the site's server has no disk of its own"
    with stage.site.admin() as admin:

        def says(status: str) -> bool:
            return bool(admin.info("persistence")["aof_last_write_status"] == status)

        stage.strike()
        try:
            preload.set_free_bytes(stage.random.randint(0, 5000))
            was_full = stage.wait_for(lambda: says("err"), 10)
            stage.last(0.5, 3.0)
        finally:
            preload.set_free_bytes(None)
        if stage.wait_for(lambda: says("ok"), 10) and was_full:
            stage.happened()


def exhaust_nodes_files(stage: Stage) -> None:
    """gunicorn's processes have no file descriptor left; a client has opened the last."""
    nodes = stage.site.nodes
    # A process that has just been started needs files for its modules, and the node ends without.
    if not stage.wait_for(lambda: all(_age_s(pid) > _BOOTED_S for pid in _processes(stage)), 30):
        return
    logged = sum(each.log.count("Too many open files") for each in nodes)
    stage.strike()
    with contextlib.ExitStack() as stack:
        pids = _processes(stage)
        stack.enter_context(_no_files(pids, spare=stage.random.randint(0, 4)))
        for node in nodes:
            stack.enter_context(_idle_connections(node.port))
        had_none: set[int] = set()  # at any time: a process closes idle connections to go on
        until_s = time.monotonic() + stage.random.uniform(0.5, 2.0)
        while time.monotonic() < until_s:
            had_none.update(each for each in pids if _has_no_file(each))
            gevent.sleep(0.01)
    logged = sum(each.log.count("Too many open files") for each in nodes) - logged
    stage.note = f"{len(had_none)} of {len(pids)} processes without a file, said {logged} times"
    if (had_none or logged) and stage.wait_for(stage.site.is_ready, 30):
        stage.happened()


def exhaust_servers_files(stage: Stage) -> None:
    """The server has no file descriptor left, and all its connections are lost."""
    with stage.site.admin() as admin, admin.client() as kept:
        pid = int(raw(kept, "INFO", "server").split(b"process_id:")[1].split()[0])
        stage.strike()
        with _no_files([pid]):
            # The idle connections below take the freed descriptors at once.
            raw(kept, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            raw(kept, "CLIENT", "KILL", "TYPE", "pubsub")
            with _idle_connections(stage.site.server.port):
                stage.last(0.5, 3.0)
                had_none = _has_no_file(pid)
    if had_none and stage.wait_for(stage.site.is_ready, 30):
        stage.happened()


def read_slowly(stage: Stage) -> None:
    """Readers of each board's stream read nothing for a while; one, of large events, gets a reset.

    The large events are on a board of the fault's own: only workers change the boards of the load.
    """
    node = stage.random.choice(stage.site.nodes)
    own_board = f"slow-{stage.random.getrandbits(48):012x}"
    services = stage.site.services()
    try:
        services.store.boards.create(own_board)
        actor = services.workers.get("admin").person
        with contextlib.ExitStack() as stack:
            readers = [
                stack.enter_context(_unread_stream(stage, node.port, board))
                for board in (*stage.boards, own_board)
            ]
            stage.strike()
            for number in range(_LARGE_EVENTS):
                title = json.dumps(f"{number} {'x' * _LARGE_CHARACTERS}")
                rows = [(f"T-{each}", {"title": title}) for each in range(_LARGE_ITEMS)]
                with contextlib.suppress(StoreUnavailable):  # another fault
                    list(services.store.commands.put_many(own_board, rows, actor=actor))
                gevent.sleep(0.05)
            stage.last(1.0, 4.0)
            if _is_reset(readers[-1]):
                stage.happened()
    except (StoreUnavailable, OSError) as error:
        stage.note = str(error)  # another fault is in the way
    finally:
        services.close()


@contextlib.contextmanager
def _unread_stream(stage: Stage, port: int, board: str) -> Iterator[socket.socket]:
    with contextlib.closing(socket.socket()) as reader:
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BYTES)
        reader.settimeout(30)
        reader.connect(("127.0.0.1", port))
        lines = [
            f"GET /api/boards/{board}/events HTTP/1.1", "Host: 127.0.0.1",
            f"Authorization: Bearer {stage.site.tokens['watcher']}", "", "",
        ]  # fmt: skip
        reader.sendall("\r\n".join(lines).encode())
        yield reader


def _is_reset(reader: socket.socket) -> bool:
    """Whether it gets a reset now, or its end."""
    received = b""
    with contextlib.suppress(OSError), gevent.Timeout(10, False):
        while piece := reader.recv(65536):
            received = received[-100:] + piece
            if b"event: reset" in received:
                return True
        return True
    return False


@contextlib.contextmanager
def _no_files(pids: Iterable[int], spare: int = 0) -> Iterator[None]:
    """Let the processes open ``spare`` files more than they have now.

    It lowers the soft limit and raises it again, which needs no root for processes of one's own.
    """
    before = {pid: resource.prlimit(pid, resource.RLIMIT_NOFILE) for pid in pids}
    try:
        for pid, (_, hard) in before.items():
            limit = max(_files_of(pid)) + 1 + spare
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (limit, hard))
        yield
    finally:
        for pid, limits in before.items():
            with contextlib.suppress(ProcessLookupError):  # another fault has ended it
                resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)


def _processes(stage: Stage) -> list[int]:
    return [pid for node in stage.site.nodes for pid in node.worker_pids()]


def _age_s(pid: int) -> float:
    """Since the process began; none once it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[19]) / os.sysconf("SC_CLK_TCK")


def _files_of(pid: int) -> list[int]:
    return [int(each.name) for each in Path(f"/proc/{pid}/fd").iterdir()]


def _has_no_file(pid: int) -> bool:
    with contextlib.suppress(OSError):
        limit, _ = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        return len(_files_of(pid)) >= limit
    return False


@contextlib.contextmanager
def _idle_connections(port: int) -> Iterator[None]:
    """Connections that are opened and not used."""
    with contextlib.ExitStack() as stack:
        for _ in range(_IDLE):
            opened = stack.enter_context(contextlib.closing(socket.socket()))
            opened.setblocking(False)
            with contextlib.suppress(OSError):
                opened.connect(("127.0.0.1", port))
        yield


FAULTS: dict[str, Fault] = {
    "disk-full": Fault(fill_disk, "server", stops_everything=True),
    "nodes-files": Fault(exhaust_nodes_files, "processes"),
    "server-files": Fault(exhaust_servers_files, "server", stops_everything=True),
    "slow-reader": Fault(read_slowly, "client link"),
}
