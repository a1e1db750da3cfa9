"""Faults of the server: it is killed, hangs, restarts, loses data, is full, read-only or paused."""

from __future__ import annotations

import os
import re
import signal
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from proof.history.history import Loss
from proof.single.stage import Fault, Stage

_LOST_S = 3.0  # longer than the writes took that are cut off or not yet on disk
_MOST_CUT_BYTES = 30_000
_TIME_OF_EVENT = re.compile(rb'"at":"([^"]+)"')


def kill(stage: Stage) -> None:
    """kill -9 of the server, and a new start. What it had not yet written is lost."""
    _kill(stage)
    stage.last(0.0, 1.0)
    stage.site.server.start()
    stage.happened()


def stop(stage: Stage) -> None:
    """SIGSTOP of the server, and CONT some seconds later."""
    stage.strike()
    stage.site.server.signal(signal.SIGSTOP)
    try:
        stage.last(0.5, 5.0)
    finally:
        stage.site.server.signal(signal.SIGCONT)
    stage.happened()


def restart(stage: Stage) -> None:
    """TERM of the server, which saves, and a new start."""
    stage.strike()
    stage.site.server.stop()
    stage.last(0.0, 2.0)
    stage.site.server.start()
    stage.happened()


def cut_aof(stage: Stage) -> None:
    """kill -9 of the server, its append-only file cut in the middle of an entry, a new start."""
    _kill(stage)
    path = max(stage.site.server_directory.glob("appendonlydir/*.incr.aof"), key=_number_of)
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - _MOST_CUT_BYTES))
        tail = file.read()
    kept = stage.random.randrange(len(tail))
    while tail[kept - 1 : kept + 1] == b"\n*" or not kept:  # between two entries
        kept = (kept + 1) % len(tail)
    os.truncate(path, size - len(tail) + kept)
    # While another fault kept everything waiting, little was written: more than seconds are cut.
    if times := _TIME_OF_EVENT.findall(tail[kept:]):
        ago_s = time.time() - datetime.fromisoformat(min(times).decode()).timestamp()
        stage.losses.append(Loss(time.monotonic() - ago_s - _LOST_S, time.monotonic()))
    stage.note = f"{len(tail) - kept} bytes cut"
    stage.site.server.start()
    stage.happened()


def out_of_memory(stage: Stage) -> None:
    """The server has no memory left (maxmemory, noeviction)."""
    _refuse(stage, "OOM", maxmemory="1mb", **{"maxmemory-policy": "noeviction"})


def read_only(stage: Stage) -> None:
    """The server takes no writes (min-replicas-to-write without replicas)."""
    _refuse(stage, "NOREPLICAS", **{"min-replicas-to-write": "1"})


def pause(stage: Stage) -> None:
    """CLIENT PAUSE: the server answers nobody for some seconds."""
    with stage.site.admin(timeout_s=30) as admin:
        pause_s = stage.random.uniform(0.5, 4.0)
        stage.strike()
        admin.execute_command("CLIENT", "PAUSE", int(pause_s * 1000), "ALL")
        admin.ping()
    if time.monotonic() - stage.struck_s > 0.9 * pause_s:
        stage.happened()


def flush_scripts(stage: Stage) -> None:
    """SCRIPT FLUSH, several times."""
    with stage.site.admin() as admin:
        stage.strike()
        for _ in range(stage.random.randint(1, 5)):
            admin.script_flush()
            if not stage.wait_for(lambda: _info(admin, "memory")["number_of_cached_scripts"] > 0):
                return
            stage.last(0.0, 0.3)
    stage.happened()


def few_clients(stage: Stage) -> None:
    """maxclients below what is connected, written to the file; connections are killed."""
    with stage.site.admin() as admin:
        refused = _info(admin, "stats")["rejected_connections"]
        most = _info(admin, "clients")["connected_clients"]
        before = admin.config_get("maxclients")["maxclients"]
        stage.strike()
        admin.config_set("maxclients", max(2, most // 2))
        try:
            admin.execute_command("CONFIG", "REWRITE")
            admin.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            has_refused = stage.wait_for(
                lambda: _info(admin, "stats")["rejected_connections"] > refused
            )
            stage.last(0.3, 2.0)
        finally:
            admin.config_set("maxclients", before)
            admin.execute_command("CONFIG", "REWRITE")
    if has_refused:
        stage.happened()


def kill_connections(stage: Stage) -> None:
    """CLIENT KILL of the connections for operations and of those for streams, several times."""
    with stage.site.admin() as admin:
        stage.strike()
        killed = 0
        for _ in range(stage.random.randint(1, 6)):
            kind = stage.random.choice(["normal", "pubsub"])
            killed += int(admin.execute_command("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes"))
            stage.last(0.05, 0.6)
    stage.note = f"{killed} connections"
    if killed:
        stage.happened()


def _kill(stage: Stage) -> None:
    stage.strike()
    stage.site.server.stop(signal.SIGKILL)
    stage.losses.append(Loss(stage.struck_s - _LOST_S, time.monotonic()))


def _refuse(stage: Stage, error: str, **settings: str) -> None:
    """Make the server refuse writes with this error for some seconds."""
    with stage.site.admin() as admin:
        before = {name: admin.config_get(name)[name] for name in settings}
        refused = _count_of(admin, error)
        stage.strike()
        for name, text in settings.items():
            admin.config_set(name, text)
        try:
            has_refused = stage.wait_for(lambda: _count_of(admin, error) > refused)
            stage.last(0.5, 3.0)
        finally:
            for name, text in before.items():
                admin.config_set(name, text)
    if has_refused:
        stage.happened()


def _count_of(admin: Any, error: str) -> int:
    """How often the server has answered with ``error``."""
    found = _info(admin, "errorstats").get(f"errorstat_{error}", {"count": 0})
    return int(found["count"])


def _info(admin: Any, section: str) -> dict[str, Any]:
    found: dict[str, Any] = admin.info(section)
    return found


def _number_of(path: Path) -> int:
    """The number of a part of the append-only file: ``appendonly.aof.3.incr.aof``."""
    return int(path.name.split(".")[-3])


FAULTS = {
    "server-kill": Fault(kill, "server", stops_everything=True, may_lose=True),
    "server-stop": Fault(stop, "server", stops_everything=True),
    "server-restart": Fault(restart, "server", stops_everything=True),
    "aof-cut": Fault(cut_aof, "server", stops_everything=True, may_lose=True),
    "out-of-memory": Fault(out_of_memory, "server", stops_everything=True),
    "read-only": Fault(read_only, "server", stops_everything=True),
    "pause": Fault(pause, "server", stops_everything=True),
    "script-flush": Fault(flush_scripts, "server"),
    "few-clients": Fault(few_clients, "server"),
    "connections-killed": Fault(kill_connections, "server"),
}
