"""An installed package: a wheel works without the project's directory."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
import requests

from tests.conftest import require
from tests.support.deployment import ROOT
from tests.support.servers import free_port
from tests.support.waiting import wait_until

pytestmark = pytest.mark.thorough


def setuptools_that_builds_wheels() -> str | None:
    """Its version, if it takes our pyproject.toml."""
    with contextlib.suppress(metadata.PackageNotFoundError):
        version = metadata.version("setuptools")
        return version if int(version.partition(".")[0]) >= 77 else None
    return None


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built offline, from a copy: a build leaves files beside its sources."""
    require(setuptools_that_builds_wheels(), "setuptools 77 or later")
    directory = tmp_path_factory.mktemp("wheel")
    source = directory / "source"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "occupancy", source / "occupancy", ignore=ignored)
    for name in ("pyproject.toml", "requirements.txt", "LICENSE"):
        shutil.copy(ROOT / name, source)
    pip("wheel", "--no-build-isolation", "--no-deps", "-w", str(directory), str(source))
    (built,) = directory.glob("*.whl")
    return built


def pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run(
        [*command, *arguments], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr


class Installed:
    """The package below ``directory``, used from another working directory."""

    def __init__(self, directory: Path) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.home = directory / "home"
        self.elsewhere = directory / "elsewhere"
        self.program = directory / "packages" / "bin" / "occupancy"
        self.elsewhere.mkdir(parents=True)
        self.home.mkdir()
        ours = ("OCCUPANCY_", "REDIS_", "XDG_", "FLASK_", "WEB_")
        self.environ = {
            **{k: v for k, v in os.environ.items() if not k.startswith(ours)},
            "PYTHONPATH": os.pathsep.join([
                str(directory / "packages"),
                # What setuptools is found by where it is not installed must not hide the package.
                *filter(None, [os.environ.get("PYTHONPATH", "")]),
            ]),
            "HOME": str(self.home), "PORT": str(self.port), "OCCUPANCY_HOST": "127.0.0.1",
            "WEB_CONCURRENCY": "",
        }  # fmt: skip

    def run(self, *arguments: str) -> str:
        """The standard output of a command, which must succeed."""
        done = subprocess.run(
            [sys.executable, str(self.program), *arguments], cwd=self.elsewhere, env=self.environ,
            capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture
def installed(wheel: Path, tmp_path: Path) -> Iterator[Installed]:
    pip("install", "--no-deps", "--no-index", "--target", str(tmp_path / "packages"), str(wheel))
    yield Installed(tmp_path)


def test_the_wheel_has_every_file_of_the_package_and_the_pinned_requirements(wheel: Path) -> None:
    files = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "occupancy").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (described,) = [name for name in names if name.endswith(".dist-info/METADATA")]
        required = {
            line.removeprefix("Requires-Dist: ")
            for line in archive.read(described).decode().splitlines()
            if line.startswith("Requires-Dist: ")
        }
    assert {name for name in names if ".dist-info/" not in name} == files
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    assert required == {line for line in lines if line and not line.startswith("#")}


def test_an_installed_package_serves_and_its_commands_use_the_same_server(
    installed: Installed, tmp_path: Path
) -> None:
    log_path = tmp_path / "log"
    with log_path.open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, str(installed.program), "serve", "--workers", "1"],
            cwd=installed.elsewhere, env=installed.environ, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        wait_until(lambda: answers(installed.url), timeout_s=90, what=log_path.read_text())
        # The first start names the command that there is.
        wait_until(lambda: "occupancy workers add" in log_path.read_text(), what="the invitation")
        installed.run("workers", "add", "93", "--name", "Marta", "--role", "admin")
        installed.run("items", "put", "A-1", "--title", "One")
        token = installed.run("tokens", "create", "93").strip()
        headers = {"Authorization": f"Bearer {token}"}
        taken = requests.post(
            f"{installed.url}/api/boards/main/items/A-1/take", headers=headers, timeout=30
        )
        assert taken.status_code == 200, taken.text
        shown = json.loads(installed.run("items", "show", "A-1", "--json"))
        assert shown["holder"]["id"] == "93"
        for path in ("/sign-in", "/docs", "/api/openapi.json"):  # templates and texts are there
            assert requests.get(installed.url + path, timeout=30).status_code == 200
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(timeout=40)
    assert server.returncode == 0, log_path.read_text()
    assert (installed.home / ".local/state/occupancy/valkey").is_dir()
    assert list(installed.elsewhere.iterdir()) == []


def test_the_help_of_an_installed_package_starts_nothing(installed: Installed) -> None:
    assert "serve" in installed.run("--help")
    assert "TERM stops it" in installed.run("serve", "--help")
    assert not (installed.home / ".local").exists()


def answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/readyz", timeout=5).status_code == 200
    except requests.RequestException:
        return False
