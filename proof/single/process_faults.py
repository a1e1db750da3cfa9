"""Faults of gunicorn's processes: killed, hung, reloaded, restarted, more or fewer of them."""

from __future__ import annotations

import os
import signal
from collections.abc import Collection
from pathlib import Path

from proof.single.site import PROCESSES
from proof.single.stage import Fault, Stage
from tests.support.deployment import Deployment

_RELOADED_S = 60.0  # on a loaded machine


def kill_process(stage: Stage) -> None:
    """kill -9 of a process."""
    node = stage.random.choice(stage.site.nodes)
    target = stage.random.choice(sorted(node.worker_pids()))
    stage.strike()
    os.kill(target, signal.SIGKILL)
    if _wait_for_processes(stage, node, without={target}):
        stage.happened()


def stop_process(stage: Stage) -> None:
    """SIGSTOP of a process, and CONT some seconds later."""
    node = stage.random.choice(stage.site.nodes)
    target = stage.random.choice(sorted(node.worker_pids()))
    stage.strike()
    os.kill(target, signal.SIGSTOP)
    try:
        stage.last(0.3, 3.0)
        has_hung = _state_of(target) == "T"
    finally:
        os.kill(target, signal.SIGCONT)
    if has_hung:
        stage.happened()


def reload(stage: Stage) -> None:
    """HUP: new processes take over from the old ones."""
    node = stage.random.choice(stage.site.nodes)
    stage.strike()
    if _reload(stage, node):
        stage.happened()


def restart(stage: Stage) -> None:
    """TERM of a node, and a new start."""
    node = stage.random.choice(stage.site.nodes)
    stage.strike()
    _restart(node)
    stage.happened()


def more_and_fewer(stage: Stage) -> None:
    """TTIN, a process more; then TTOU, one fewer."""
    node = stage.random.choice(stage.site.nodes)
    stage.strike()
    node.signal(signal.SIGTTIN)
    try:
        has_more = stage.wait_for(lambda: len(node.worker_pids()) == PROCESSES + 1, _RELOADED_S)
        stage.last(0.5, 1.5)
    finally:
        node.signal(signal.SIGTTOU)
    if _wait_for_processes(stage, node) and has_more:
        stage.happened()


def rolling_restart(stage: Stage) -> None:
    """A rolling restart: node by node behind a proxy, else HUP."""
    stage.strike()
    if len(stage.site.nodes) == 1:
        if not _reload(stage, stage.site.nodes[0]):
            return
    else:
        for node in stage.site.nodes:
            _restart(node)
    stage.rolling_restarts += 1
    stage.happened()


def _reload(stage: Stage, node: Deployment) -> bool:
    old = node.worker_pids()
    node.signal(signal.SIGHUP)
    return _wait_for_processes(stage, node, without=old)


def _restart(node: Deployment) -> None:
    process = node.process
    assert process is not None
    process.send_signal(signal.SIGTERM)
    process.wait(timeout=_RELOADED_S)
    node.start()


def _wait_for_processes(stage: Stage, node: Deployment, *, without: Collection[int] = ()) -> bool:
    """Wait until all processes run, none of ``without`` among them, and the node is ready."""

    def is_so() -> bool:
        found = node.worker_pids()
        return len(found) == PROCESSES and not found & set(without)

    return stage.wait_for(is_so, _RELOADED_S) and stage.wait_for(
        lambda: node.status_of("/readyz") == 200, _RELOADED_S
    )


def _state_of(pid: int) -> str:
    """The letter of the process state in /proc: ``T`` is stopped."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


FAULTS = {
    "process-kill": Fault(kill_process, "processes"),
    "process-stop": Fault(stop_process, "processes"),
    "reload": Fault(reload, "processes"),
    "restart": Fault(restart, "processes", stops_everything=True),
    "more-and-fewer": Fault(more_and_fewer, "processes"),
    "rolling-restart": Fault(rolling_restart, "processes"),
}
