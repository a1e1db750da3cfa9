"""An import on real gunicorn with two processes: any of them goes on with an upload."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from occupancy.core.entities import Role
from tests.support.deployment import Deployment
from tests.support.servers import RealServer


@pytest.fixture
def running(tmp_path: Path, own_server: RealServer) -> Iterator[Deployment]:
    made = Deployment(tmp_path / "state", own_server.url, "--workers", "2").start()
    made.sign_in("boss", Role.SUPERVISOR)
    yield made
    made.stop()


def test_a_large_file_is_imported_by_any_process(running: Deployment) -> None:
    rows = "".join(f"A-{n:04d};{'x' * 90}\r\n" for n in range(2000))
    data = f"Código;Nota\r\n{rows}".encode()  # three times the bound of other bodies
    imports = f"{running.url}/api/boards/main/imports"
    pieces = (data[n : n + 10_000] for n in range(0, len(data), 10_000))  # sent in chunks
    uploaded = requests.post(imports, data=pieces, headers=running.headers, timeout=120)
    assert uploaded.status_code == 201, uploaded.text
    assert uploaded.json()["preview"]["added"] == 2000
    path = f"{imports}/{uploaded.json()['id']}"
    for _ in range(6):  # each on a new connection, so by both processes
        found = requests.get(f"{path}/run", headers=running.headers, timeout=60)
        assert found.json()["state"] == "none"
    ran = requests.post(
        f"{path}/run", json={"code": "Código"}, headers=running.headers, timeout=120
    )
    assert (ran.status_code, ran.json()["added"]) == (200, 2000)
    assert '"event": "items_imported"' in running.log
    too_large = requests.post(
        imports, data=b"x" * (20 * 1024**2 + 1), headers=running.headers, timeout=120
    )
    assert too_large.status_code == 413
    alive = requests.get(f"{running.url}/readyz", timeout=60)
    assert alive.status_code == 200


@pytest.mark.parametrize("is_chunked", [False, True], ids=["with its length", "in chunks"])
def test_a_file_of_many_megabytes_is_read(running: Deployment, is_chunked: bool) -> None:
    cells = ";".join(["y" * 400] * 20)
    names = ";".join(f"n{number}" for number in range(20))
    rows = "".join(f"A-{number:04d};{cells}\n" for number in range(1200))
    data = f"code;{names}\n{rows}".encode()
    assert len(data) > 9 * 1024**2
    pieces = (data[n : n + 100_000] for n in range(0, len(data), 100_000))
    uploaded = requests.post(
        f"{running.url}/api/boards/main/imports", data=pieces if is_chunked else data,
        headers=running.headers, timeout=120,
    )  # fmt: skip
    assert uploaded.status_code == 201, uploaded.text
    assert uploaded.json()["preview"]["added"] == 1200
