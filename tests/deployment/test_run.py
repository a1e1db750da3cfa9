"""bin/run: the terminal shows the address at which the service can be reached."""

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
        wait_until(lambda: "sign in " in said.read_text(), timeout_s=20, what="the addresses")
        addresses = set(re.findall(r"http://[^/\s]+", said.read_text().partition("[20")[0]))
        assert addresses == {shown.replace("PORT", str(port))}
        wait_until(lambda: _answers(addresses), timeout_s=20, what=said.read_text())
        # A server of one's own has no sample, so nothing is said that holds for it only.
        assert "tokens create 93" not in said.read_text()
        assert "boards/taller" not in said.read_text()
        assert "flask demo load" in said.read_text()
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=20)


def _answers(addresses: set[str]) -> bool:
    try:
        return all(requests.get(f"{each}/livez", timeout=5).ok for each in addresses)
    except requests.RequestException:
        return False
