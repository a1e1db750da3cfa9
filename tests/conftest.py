"""Fixtures: real servers, a store on each kind of server, and a client of the application.

A real server that cannot be had is skipped on a laptop and fails where ``CI=true``. Each test
works under a random key prefix; a server lives for the whole run.
"""

# ruff: noqa: E402 - gevent must patch before anything else is imported

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import contextlib
import functools
import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import fakeredis
import pytest
from flask.testing import FlaskClient
from xdist.workermanage import WorkerController

from occupancy.core.entities import Role, Worker
from occupancy.core.settings import Settings
from occupancy.observability.audit_limit import AuditLimit
from occupancy.services import Services
from occupancy.storage.pool import FairPool
from occupancy.storage.topology.single import SingleServer
from tests.support.applications import application, take_back
from tests.support.selection import (  # noqa: F401 - hooks
    CLUSTER,
    pytest_addoption,
    pytest_collection_modifyitems,
    pytest_configure,
    pytest_ignore_collect,
    pytest_xdist_make_scheduler,
)
from tests.support.servers import BINARIES, OneNodeCluster, RealServer, binary_of
from tests.support.switch_claims import guarded_places
from tests.support.switch_guard import SwitchGuard
from tests.support.waiting import wait_until

BACKENDS = ["fakeredis", *BINARIES, CLUSTER]
BENCHMARK = pytest.StashKey[str]()  # what the short benchmark has printed
T = TypeVar("T")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Pass on what the benchmark has printed to the process that prints the summary."""
    config = session.config
    if BENCHMARK in config.stash and hasattr(config, "workeroutput"):
        config.workeroutput["benchmark"] = config.stash[BENCHMARK]


def pytest_testnodedown(node: WorkerController) -> None:
    if printed := getattr(node, "workeroutput", {}).get("benchmark"):
        node.config.stash[BENCHMARK] = printed


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if BENCHMARK in terminalreporter.config.stash:
        terminalreporter.section("benchmark, short form")
        terminalreporter.write_line(terminalreporter.config.stash[BENCHMARK])


def require(found: T | None, what: str) -> T:
    """What a test needs of the machine; skips, or fails in CI, where there is none."""
    if found is not None:
        return found
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what} is not installed, and CI must not skip it")
    pytest.skip(f"{what} is not installed")


def require_binary(kind: str) -> Path:
    """The server's binary; skips, or fails in CI, where there is none."""
    return require(binary_of(kind), kind)


@pytest.fixture(scope="session")
def server_of(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], RealServer]]:
    """A running server of a kind, shared by all tests of the run: do not stop or flush it."""
    running: dict[str, RealServer] = {}

    def get(kind: str) -> RealServer:
        if kind not in running:
            make = OneNodeCluster if kind == CLUSTER else RealServer
            binary = require_binary("valkey" if kind == CLUSTER else kind)
            running[kind] = make(binary, tmp_path_factory.mktemp(kind))
            running[kind].start()
        return running[kind]

    yield get
    for server in running.values():
        server.stop()


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[RealServer]:
    """A Valkey of the test's own, to be stopped, filled or starved as it likes."""
    server = RealServer(require_binary("valkey"), tmp_path / "server")
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def module_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    """A Valkey for the tests of one module."""
    server = RealServer(require_binary("valkey"), tmp_path_factory.mktemp("server"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(autouse=True)
def _each_test_tells_of_its_own_refusals(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A process logs its count of further refusals within a minute: not during a later test."""
    made: list[AuditLimit] = []
    begin = AuditLimit.__init__

    def begin_and_note(self: AuditLimit, *write: Callable[..., None]) -> None:
        begin(self, *write)
        made.append(self)

    monkeypatch.setattr(AuditLimit, "__init__", begin_and_note)
    yield
    for each in made:
        if each._minute is not None:
            each._minute.kill()
        each.flush()


@pytest.fixture(autouse=True)
def _applications_are_for_one_test() -> Iterator[None]:
    yield
    take_back()


@functools.cache
def _switch_guard() -> SwitchGuard:
    return SwitchGuard(guarded_places())


@pytest.fixture(autouse=True)
def _no_switch_where_the_code_says_there_is_none() -> Iterator[None]:
    """Costs 5 µs a switch, so every test has it."""
    guard = _switch_guard()
    with guard.watching():
        yield
    guard.check()


@pytest.fixture
def board(shop: Services) -> str:
    """A fresh board of the shop."""
    return shop.store.boards.create(f"b-{secrets.token_hex(4)}").board


@pytest.fixture
def settings(tmp_path: Path, server_of: Callable[[str], RealServer]) -> Settings:
    """Settings for the shared Valkey, under a random prefix."""
    return Settings(
        redis_url=server_of("valkey").url,
        prefix=f"t-{secrets.token_hex(6)}",
        state_dir=str(tmp_path / "state"),
    )


@pytest.fixture(params=BACKENDS)
def services(
    request: pytest.FixtureRequest, tmp_path: Path, server_of: Callable[[str], RealServer]
) -> Iterator[Services]:
    """Services on each kind of server in turn, under a random prefix that is deleted after."""
    yield from services_on(request.param, tmp_path, server_of)


@pytest.fixture
def valkey_services(tmp_path: Path, server_of: Callable[[str], RealServer]) -> Iterator[Services]:
    """Services on the shared Valkey only, for what a fake cannot show."""
    yield from services_on("valkey", tmp_path, server_of)


def services_on_one(
    request: pytest.FixtureRequest, tmp_path: Path, server_of: Callable[[str], RealServer]
) -> Iterator[Services]:
    """Services for what is the same on each kind of server: on Valkey, or a fake to be quick."""
    kind = "fakeredis" if request.config.getoption("--quick") else "valkey"
    yield from services_on(kind, tmp_path, server_of)


def services_on(
    kind: str, tmp_path: Path, server_of: Callable[[str], RealServer]
) -> Iterator[Services]:
    prefix = f"t-{secrets.token_hex(6)}"
    state_dir = str(tmp_path / "state")
    if kind == "fakeredis":
        settings = Settings(redis_url="redis://fake", prefix=prefix, state_dir=state_dir)
        fake = fakeredis.FakeServer()

        def pool(size: int) -> FairPool:
            return FairPool(
                size=size, wait_s=5.0, connection_class=fakeredis.FakeRedisConnection, server=fake
            )

        made = Services(settings, SingleServer(pool(4), pool(1)))
    else:
        url = server_of(kind).url
        made = Services.for_web(Settings(redis_url=url, prefix=prefix, state_dir=state_dir))
    yield made
    if made.hub._greenlets and not made.hub.is_draining and kind != "fakeredis":
        # Else it may be killed while it connects, and redis-py leaves that socket to the collector.
        with contextlib.suppress(AssertionError):  # the test has taken the server away
            wait_until(lambda: made.hub.trouble is None, timeout_s=3, what="live delivery")
    made.hub.drain(timeout_s=1.0)
    made.revocation.stop()
    client = made.store.client
    keys = list(client.scan_iter(match=f"{prefix}:*", count=1000))
    for first in range(0, len(keys), 1000):
        client.run_pipeline(functools.partial(_delete_each, keys[first : first + 1000]))
    made.close()


def _delete_each(keys: Sequence[bytes], pipeline: Any) -> None:
    for each in keys:  # not one command: in a Cluster they have several slots
        pipeline.delete(each)


@pytest.fixture
def client(services: Services) -> FlaskClient:
    """The application's test client, on each kind of server in turn."""
    return application(services).test_client()


@pytest.fixture
def shells(tmp_path: Path) -> Iterator[FlaskClient]:
    """The application's test client for pages that ask the store nothing, on a fake one."""
    for services in services_on("fakeredis", tmp_path, _no_server):
        yield application(services).test_client()


def _no_server(kind: str) -> RealServer:
    raise AssertionError(f"no {kind} is needed here")


@pytest.fixture
def people(services: Services) -> dict[str, dict[str, str]]:
    """Actors by their relation to the data: the headers that each sends."""
    return add_people(services)


def add_people(services: Services) -> dict[str, dict[str, str]]:
    """Add an outsider and a worker of each role; returns their Authorization headers."""
    roles = {
        "watcher": Role.OBSERVER,
        "holder": Role.WORKER,
        "colleague": Role.WORKER,
        "supervisor": Role.SUPERVISOR,
        "admin": Role.ADMIN,
    }
    headers: dict[str, dict[str, str]] = {"outsider": {}}
    for name, role in roles.items():
        worker: Worker = services.workers.add(name, name=name.title(), role=role)
        secret, _ = services.tokens.create(worker.id)
        headers[name] = {"Authorization": f"Bearer {secret}"}
    return headers
