"""Fixtures of these tests: one kind of server, because others run the scripts on each; commands."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import Result

from occupancy.boards.commands import Command
from occupancy.core.entities import Role
from occupancy.core.transitions import PUT
from occupancy.services import Services
from tests.cli.command_line import ADMIN, Run
from tests.conftest import services_on_one
from tests.support.applications import application
from tests.support.servers import RealServer


@pytest.fixture
def services(
    request: pytest.FixtureRequest, tmp_path: Path, server_of: Callable[[str], RealServer]
) -> Iterator[Services]:
    yield from services_on_one(request, tmp_path, server_of)


@pytest.fixture
def environ(valkey_services: Services, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The environment of a command on the shared Valkey, under the test's own prefix."""
    for name in list(os.environ):
        if name.startswith("OCCUPANCY_") or name in ("REDIS_URL", "WEB_CONCURRENCY", "PORT"):
            monkeypatch.delenv(name)
    settings = valkey_services.settings
    chosen = {
        "REDIS_URL": settings.redis_url,
        "OCCUPANCY_PREFIX": settings.prefix,
        "OCCUPANCY_STATE_DIR": settings.state_dir,
    }
    for name, value in chosen.items():
        monkeypatch.setenv(name, value)
    return {**os.environ, **chosen}


@pytest.fixture
def shop(valkey_services: Services) -> Services:
    """Two workers, and the items T-1 (One, area B2) and T-2 on main."""
    valkey_services.workers.add("93", name="Marta", role=Role.WORKER)
    valkey_services.workers.add("94", name="Iván", role=Role.WORKER)
    attributes = {"title": '"One"', "attributes": '{"area":"B2"}'}
    valkey_services.store.commands.execute(
        Command("main", PUT, ["T-1"], actor=ADMIN, items=[attributes])
    )
    valkey_services.store.commands.execute(Command("main", PUT, ["T-2"], actor=ADMIN, items=[{}]))
    return valkey_services


@pytest.fixture
def run(valkey_services: Services, environ: dict[str, str]) -> Run:
    """Run a command in this process."""
    runner = application(valkey_services).test_cli_runner()

    def invoke(*args: str, stdin: str | bytes | None = None) -> Result:
        return runner.invoke(args=args, input=stdin)

    return invoke
