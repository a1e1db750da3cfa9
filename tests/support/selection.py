"""The selection of tests: which run, in which order, and which share a process.

Hooks of pytest and pytest-xdist; ``tests/conftest.py`` imports them.
"""

from __future__ import annotations

import os
from pathlib import Path, PurePath

import gevent
import pytest
from xdist.scheduler import LoadScopeScheduling

CLUSTER = "cluster"  # a kind of server: a Cluster of one node
SERVERS = {"valkey", "redis", CLUSTER}
# These run on a Cluster too. They send every command of the operations, of the reads and of access;
# the rest would send the same again and double the time. `--cluster` runs all on it.
_ON_A_CLUSTER = {
    "store", "test_reconcile.py", "test_timeline.py", "sessions", "test_authenticator.py",
    "test_access_away.py", "test_links.py", "test_tokens.py", "test_workers.py",
}  # fmt: skip
_SMOKE = {"store"}  # run on a real server, whatever else is left out
_STARTERS = ("Deployment", "RealCluster", "RealSentinels")  # of a module that starts many processes
_STARTS_A_SERVER = {"own_server", "module_server", "valkey_services", "settings", "site"}
# In the order in which they begin: what takes longest comes first, so that no process is left alone
# with it in the end. The first few are never quick.
_SLOW = ("bench", "browser", "deployment", "embedded", "test_schemathesis.py")
_ORDER = (*_SLOW, "server", "live", "storage", "observability", "access")

if "PYTEST_XDIST_WORKER" in os.environ:
    # xdist hands out the tests from a thread that gevent does not know. Without a watcher of its
    # own the event loop would end ("would block forever") while it waits for the next test.
    _xdist = gevent.get_hub().loop.async_()
    _xdist.start(lambda: None)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--quick",
        action="store_true",
        help="leave out what starts a server, gunicorn or a browser, but for one smoke test",
    )
    parser.addoption(
        "--cluster",
        action="store_true",
        help="run every test of services on a Cluster of one node, and on no other server",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "alone: measures time or uses all processors, so nothing may run beside it"
    )
    config.addinivalue_line("markers", "thorough: takes a second or more; not in the quick run")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Not even imports what is slow, where the tests are to be quick."""
    return True if config.getoption("--quick") and collection_path.name in _SLOW else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    items.sort(key=_rank)
    is_chosen = _is_quick if config.getoption("--quick") else _is_worth_it
    if config.getoption("--cluster"):
        is_chosen = _is_on_a_cluster
    left_out = [each for each in items if not is_chosen(each)]
    items[:] = [each for each in items if is_chosen(each)]
    config.hook.pytest_deselected(items=left_out)


class _ByFile(LoadScopeScheduling):  # type: ignore[misc] # untyped there
    """One process runs all tests of a file; two have a browser, so that there are no more."""

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.split("::", 1)[0]
        if not path.startswith("tests/browser/"):
            return path
        return "browser, first half" if path < "tests/browser/test_people" else "browser, the rest"


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> LoadScopeScheduling:
    return _ByFile(config, log)


def _rank(item: pytest.Item) -> int:
    places = _places(item)
    return next((n for n, name in enumerate(_ORDER) if name in places), len(_ORDER))


def _places(item: pytest.Item) -> set[str]:
    """The names of the directories and of the module that the test is in."""
    return set(PurePath(item.nodeid.split("::", 1)[0]).parts)


def _parameters(item: pytest.Item) -> set[str]:
    parameters = item.callspec.params.values() if hasattr(item, "callspec") else ()
    return {each for each in parameters if isinstance(each, str)}


def _is_worth_it(item: pytest.Item) -> bool:
    """Where real servers run a test too, fakeredis proves no more; one package shows it fits."""
    parameters = _parameters(item)
    if CLUSTER in parameters:
        return bool(_ON_A_CLUSTER & _places(item))
    return "fakeredis" not in parameters or bool(_SMOKE & _places(item))


def _is_on_a_cluster(item: pytest.Item) -> bool:
    return CLUSTER in _parameters(item)


def _is_quick(item: pytest.Item) -> bool:
    assert isinstance(item, pytest.Function)
    parameters = _parameters(item)
    if SERVERS & parameters:
        return bool(_SMOKE & _places(item)) and "valkey" in parameters
    starts_processes = any(hasattr(item.module, each) for each in _STARTERS)
    is_thorough = item.get_closest_marker("thorough") is not None
    return not (starts_processes or is_thorough or _STARTS_A_SERVER & set(item.fixturenames))
