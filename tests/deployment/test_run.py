"""bin/run: the terminal shows the address of the service, and the boards and people there are."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from tests.conftest import require
from tests.support.deployment import ROOT
from tests.support.servers import RealServer, free_port
from tests.support.waiting import wait_until


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The project with its environment as it is installed here: bin/setup has nothing to do."""
    directory = tmp_path / "project"
    (directory / "bin").mkdir(parents=True)
    (directory / "bin/run").write_bytes((ROOT / "bin/run").read_bytes())
    (directory / "bin/setup").write_text("#!/bin/sh\n")
    for script in (directory / "bin").iterdir():
        script.chmod(0o755)
    for name in ("occupancy", "wsgi.py", "gunicorn.conf.py"):
        (directory / name).symlink_to(ROOT / name)
    (directory / ".venv").symlink_to(sys.prefix)
    return directory


def ipv6_loopback() -> bool | None:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return None
    return True


@pytest.mark.parametrize(
    ("settings", "shown"),
    [
        ({"OCCUPANCY_HOST": "::1"}, "http://[::1]:PORT"),
        ({"OCCUPANCY_HOST": "127.0.0.1"}, "http://127.0.0.1:PORT"),
        ({"OCCUPANCY_HOST": "0.0.0.0"}, "http://127.0.0.1:PORT"),
    ],
)
def test_the_address_that_it_prints_can_be_opened(
    project: Path, module_server: RealServer, settings: dict[str, str], shown: str
) -> None:
    if settings["OCCUPANCY_HOST"] == "::1":
        require(ipv6_loopback(), "IPv6 on loopback")
    port = free_port()
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("OCCUPANCY_", "REDIS_"))}
    environ |= {"PORT": str(port), "REDIS_URL": module_server.url, "WEB_CONCURRENCY": "1"}
    environ |= {"OCCUPANCY_STATE_DIR": str(project / "state"), **settings}
    said = project / "said"
    with said.open("wb") as out:
        process = subprocess.Popen([project / "bin/run"], env=environ, stdout=out, stderr=out)
    try:
        wait_until(lambda: "first start" in said.read_text(), timeout_s=60, what="the address")
        addresses = set(re.findall(r"http://[^/\s]+", said.read_text().partition("[20")[0]))
        assert addresses == {shown.replace("PORT", str(port))}
        wait_until(lambda: _answers(addresses), timeout_s=60, what=said.read_text())
        # There is nothing yet, so the link is the only thing to do.
        assert "flask demo" not in said.read_text()
        assert "tokens create 93" not in said.read_text()
        assert "boards/taller" not in said.read_text()
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=40)


def _answers(addresses: set[str]) -> bool:
    try:
        return all(requests.get(f"{each}/livez", timeout=5).ok for each in addresses)
    except requests.RequestException:
        return False


@pytest.fixture
def without_a_web_server(project: Path) -> Path:
    """The project, where gunicorn ends at once: only what bin/run does itself is run."""
    (project / ".venv").unlink()
    programs = project / ".venv" / "bin"
    programs.mkdir(parents=True)
    for name, text in {
        "python": f'exec {sys.executable} "$@"',
        "flask": f'exec {sys.executable} -m flask "$@"',
        "gunicorn": 'echo "gunicorn $*"',
    }.items():
        (programs / name).write_text(f"#!/bin/sh\n{text}\n")
        (programs / name).chmod(0o755)
    return project


def said_by(project: Path, *arguments: str) -> str:
    ours = ("OCCUPANCY_", "REDIS_", "PORT", "WEB_", "FLASK_")
    environ = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
    done = subprocess.run(
        [project / "bin/run", *arguments], env=environ, capture_output=True, text=True,
        check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_its_help_starts_nothing(without_a_web_server: Path) -> None:
    for option in ("--help", "-h"):
        said = said_by(without_a_web_server, option)
        assert "bin/run --workers 4" in said
        assert "gunicorn --" not in said
    assert not (without_a_web_server / "var").exists()


def test_the_first_start_loads_no_sample_and_leaves_the_link_to_the_server(
    without_a_web_server: Path,
) -> None:
    for _ in range(2):  # nobody has opened it meanwhile
        said = said_by(without_a_web_server, "--workers", "4")
        shown, _, rest = said.partition("gunicorn")
        assert rest == " --workers 4 wsgi:app\n"
        assert [line[:13].strip() for line in shown.splitlines()] == ["occupancy on", "first start"]
        assert shown.count("http") == 1


def test_the_sample_in_one_go_shows_its_pins_once_and_never_comes_back_by_itself(
    without_a_web_server: Path,
) -> None:
    project = without_a_web_server
    flask = [str(project / ".venv/bin/flask"), "--app", "wsgi"]

    def command(*arguments: str) -> None:
        subprocess.run([*flask, *arguments], cwd=project, check=True, timeout=60)

    first = said_by(project, "--workers", "4", "--sample")
    pins = re.findall(r"(?m)^93 +Marta Ruiz +worker +(\d+)$", first)
    assert len(pins) == 1
    assert "taller (40 items)" in first
    assert "1 admin, 1 supervisor, 3 workers, 1 observer" in first
    assert "tokens create 93" in first
    assert "boards/taller/items/MK-1335-" in first
    assert "gunicorn --workers 4 wsgi:app" in first

    second = said_by(project)
    assert "taller (40 items)" in second
    assert pins[0] not in second
    assert "Marta" not in second
    kept = (path for path in (project / "var").rglob("*") if path.is_file())
    assert all(pins[0].encode() not in path.read_bytes() for path in kept if path.suffix != ".aof")

    command("demo", "unload")
    command("boards", "create", "hall")
    command("items", "put", "T-1", "--board", "hall")
    command("workers", "add", "eva", "--name", "Eva", "--role", "worker")
    third = said_by(project)
    assert "taller" not in third
    assert "hall (1 item)" in third
    assert "1 worker\n" in third
    assert "workers pin eva" in third
    assert "boards/hall/items/T-1/take" in third


def test_people_without_a_board_are_told_how_to_begin(without_a_web_server: Path) -> None:
    project = without_a_web_server
    flask = [str(project / ".venv/bin/flask"), "--app", "wsgi"]
    add = ["workers", "add", "eva", "--name", "Eva", "--role", "admin"]
    subprocess.run([*flask, *add], cwd=project, check=True, timeout=60)
    said = said_by(project)
    assert "taller" not in said
    assert "none yet" in said
    assert "/setup" in said


def test_a_server_that_is_away_does_not_keep_it_from_starting(
    without_a_web_server: Path,
) -> None:
    environ = {**os.environ, "REDIS_URL": f"redis://127.0.0.1:{free_port()}"}
    done = subprocess.run(
        [without_a_web_server / "bin/run"], env=environ, capture_output=True, text=True,
        check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "/sign-in" in done.stdout
    assert "boards" not in done.stdout
    assert "gunicorn wsgi:app" in done.stdout.replace("  ", " ")
