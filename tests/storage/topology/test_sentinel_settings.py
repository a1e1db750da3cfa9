"""Settings of Sentinels: passwords, TLS, and what a wrong one is told."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from occupancy.core.errors import StoreUnavailable
from tests.conftest import require
from tests.storage.topology.behind_sentinels import Make, is_at_port, set_, wait_for_writes
from tests.support.clusters import RealSentinels
from tests.support.deployment import ROOT
from tests.support.servers import RealServer, free_port
from tests.support.tls import make_certificate
from tests.support.waiting import wait_until


def test_passwords_of_servers_and_of_sentinels_and_a_database(
    kind: str, tmp_path: Path, make: Make
) -> None:
    real = RealSentinels(
        kind, tmp_path, replicas=1, sentinels=1, password="servers", sentinel_password="sentinels"
    )
    real.start()
    try:
        where = f"127.0.0.1:{real.ports[0]}/board/3"
        services = make(f"redis+sentinel://:servers@{where}?sentinel_password=sentinels")
        assert set_(services)
        assert set_(
            make(
                f"redis+sentinel://default:servers@{where}"
                "?sentinel_username=default&sentinel_password=sentinels"
            )
        )
        key = f"{services.settings.prefix}:key"
        with real.client(real.primary()) as admin:
            admin.select(3)
            assert admin.get(key) == b"key"
        for wrong in ("", "?sentinel_password=wrong"):
            with pytest.raises(StoreUnavailable, match="sentinel_password"):
                make(f"redis+sentinel://:servers@{where}{wrong}").store.client.get(key)
        with pytest.raises(StoreUnavailable) as caught:
            make(f"redis+sentinel://:no@{where}?sentinel_password=sentinels").store.client.get(key)
        assert "password" in str(caught.value.__cause__)
    finally:
        real.stop()


def test_tls_is_spoken_with_servers_and_sentinels(tmp_path: Path, make: Make) -> None:
    """On redis-server only: the wheel's Valkey is built without TLS."""
    require(shutil.which("openssl"), "openssl")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    make_certificate(key, certificate)
    real = RealSentinels("redis", tmp_path, replicas=0, sentinels=1, tls=(key, certificate))
    real.start()
    try:
        where = f"127.0.0.1:{real.ports[0]}/board"
        query = f"ssl_ca_certs={certificate}&ssl_check_hostname=false"
        services = make(f"rediss+sentinel://{where}?{query}")
        wait_for_writes(services)
        assert is_at_port(services, real.tls_ports[0])
        with real.servers[0].client() as admin:
            key_name = f"{services.settings.prefix}:key"
            assert admin.get(key_name) == b"key"
        with pytest.raises(StoreUnavailable):  # an unknown certificate
            make(f"rediss+sentinel://{where}").store.client.get("key")
        with pytest.raises(StoreUnavailable):  # without TLS
            make(f"redis+sentinel://{where}").store.client.get("key")
    finally:
        real.stop()


def test_a_name_that_the_sentinels_do_not_know_is_said(
    real: RealSentinels, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    services = make(real.url.replace("/board", "/unknown"))
    with pytest.raises(StoreUnavailable, match="know no primary of the name in REDIS_URL"):
        services.store.client.get("key")
    wait_until(
        lambda: "knows no primary named 'unknown'" in caplog.text, what="the line in the log"
    )
    assert set_(make(real.url))  # under its right name it is found


def test_a_server_that_is_no_sentinel_is_said(
    server_of: Callable[[str], RealServer], kind: str, make: Make,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    services = make(f"redis+sentinel://127.0.0.1:{server_of(kind).port}/board")
    with pytest.raises(StoreUnavailable, match="must name Sentinels"):
        services.store.client.get("key")
    wait_until(lambda: "it is no Sentinel" in caplog.text, what="the line in the log")


def test_the_command_line_says_it_in_one_line(tmp_path: Path) -> None:
    url = f"redis+sentinel://127.0.0.1:{free_port()}/board"
    ran = subprocess.run(
        [sys.executable, "-m", "flask", "boards", "list"], cwd=ROOT, capture_output=True, text=True,
        env={**os.environ, "REDIS_URL": url, "OCCUPANCY_STATE_DIR": str(tmp_path)},
        timeout=60, check=False,
    )  # fmt: skip
    assert ran.returncode == 1
    (line,) = ran.stderr.splitlines()
    assert "No Sentinel says where the primary is" in line
    assert url.removeprefix("redis+sentinel://").removesuffix("/board") in line
