"""Confirmed changes over HTTP, and the start of a deployment in strict mode."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from occupancy import create_app
from occupancy.cli.doctor import examine
from occupancy.core.entities import Role
from tests.storage.test_confirmation import (
    never_count_as_down,
    replicas_of,
    sentinels_of,
    services_on,
    stopped,
)
from tests.support.clusters import RealCluster, RealSentinels
from tests.support.deployment import ROOT, Deployment
from tests.support.tablets import audit_lines_of
from tests.support.waiting import wait_until


@pytest.fixture(scope="module")
def sentinels(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealSentinels]:
    with sentinels_of("valkey", tmp_path_factory.mktemp("sentinels"), replicas=2) as made:
        never_count_as_down(made)  # a test stops its replicas
        yield made


def test_a_change_without_its_replicas_is_answered_503_and_may_be_sent_again(
    sentinels: RealSentinels, tmp_path: Path
) -> None:
    with services_on(sentinels.url, tmp_path, replicas=2) as services:
        services.workers.add("boss", name="Boss", role=Role.ADMIN)
        secret, _ = services.tokens.create("boss")
        _, token = services.tokens.create("boss")
        headers = {"Authorization": f"Bearer {secret}", "Idempotency-Key": "one"}
        app = create_app(services)
        app.testing = False
        client = app.test_client()
        item, old_token = "/api/boards/main/items/T-1", f"/api/tokens/{token.id}"
        assert client.put(item, json={"title": "One"}, headers=headers).status_code in (200, 201)
        headers["Idempotency-Key"] = "two"
        take = f"{item}/take"
        with stopped(*replicas_of(sentinels)):
            for answer in (
                client.delete(old_token, headers=headers),
                client.post(take, json={}, headers=headers),
                client.post(take, json={}, headers=headers),
            ):
                problem = answer.get_json()
                assert (answer.status_code, problem["code"]) == (503, "unconfirmed")
                assert int(answer.headers["Retry-After"]) >= 1
                assert "Send it again" in problem["detail"]
            assert client.get(item, headers=headers).get_json()["item"]["state"] == "occupied"

        def again() -> int:
            return client.post(take, json={}, headers=headers).status_code

        wait_until(lambda: again() == 200, what="the replicas")
        answer = client.post(take, json={}, headers=headers)
        assert answer.headers["Idempotency-Replayed"] == "true"
        assert answer.get_json()["changed"] is True
        assert client.delete(old_token, headers=headers).status_code == 404


def test_a_sign_out_that_is_not_confirmed_deletes_the_cookie(
    sentinels: RealSentinels, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with services_on(sentinels.url, tmp_path, replicas=2) as services:
        services.workers.add("w", name="W", role=Role.WORKER)
        token, _ = services.tokens.create("w")
        app = create_app(services)
        app.testing = False
        client = app.test_client()
        signed_in = client.post("/api/session", json={"token": token})
        headers = {"X-CSRF-Token": signed_in.get_json()["csrf_token"]}
        with (
            stopped(*replicas_of(sentinels)),
            caplog.at_level(logging.INFO, "occupancy.observability.audit_log"),
        ):
            answer = client.delete("/api/session", headers=headers)
        assert (answer.status_code, answer.get_json()["code"]) == (503, "unconfirmed")
        assert int(answer.headers["Retry-After"]) >= 1
        name, _, value = signed_in.headers["Set-Cookie"].partition("=")
        cookie = answer.headers["Set-Cookie"]
        assert cookie.startswith(f"{name}=;")
        assert "Max-Age=0" in cookie
        ended = {"Cookie": f"{name}={value.partition(';')[0]}"}
        assert app.test_client().get("/api/session", headers=ended).status_code == 401
        assert "signed_out" in [each["event"] for each in audit_lines_of(caplog)]


@pytest.mark.parametrize(("number", "told"), [("1", "too low"), ("3", "never be reached")])
def test_an_unsound_number_ends_the_start(
    sentinels: RealSentinels, tmp_path: Path, number: str, told: str
) -> None:
    deployment = Deployment(tmp_path / "state", sentinels.url, OCCUPANCY_CONFIRM_REPLICAS=number)
    ended = subprocess.run(
        [sys.executable, "-m", "gunicorn", "wsgi:app"], cwd=ROOT, env=deployment.environ,
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert ended.returncode == 3
    assert f"occupancy: OCCUPANCY_CONFIRM_REPLICAS={number}" in ended.stderr
    assert told in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_start_without_the_servers_waits_for_them_and_then_serves_or_ends(
    tmp_path: Path,
) -> None:
    made = RealSentinels("valkey", tmp_path / "servers", replicas=2)
    sound = Deployment(tmp_path / "a", made.url, OCCUPANCY_CONFIRM_REPLICAS="2")
    unsound = Deployment(tmp_path / "b", made.url, OCCUPANCY_CONFIRM_REPLICAS="1")
    try:
        sound.start(until="/livez")
        unsound.start(until="/livez")
        assert sound.status_of("/readyz") == 503
        made.start()
        wait_until(lambda: sound.status_of("/readyz") == 200, timeout_s=30, what="readiness")
        process = unsound.process
        assert process is not None
        wait_until(lambda: process.poll() == 3, timeout_s=30, what="the end")
        assert "too low" in unsound.log
    finally:
        sound.stop()
        unsound.stop()
        made.stop()


def test_unequal_numbers_of_replicas_end_the_start_and_the_check_says_what_to_do(
    tmp_path: Path,
) -> None:
    cluster = RealCluster("valkey", tmp_path / "cluster", primaries=2, replicas=1)
    deployment = Deployment(tmp_path / "state", cluster.url, OCCUPANCY_CONFIRM_REPLICAS="1")
    told = "until each primary has 2; then set it to 2"
    try:
        cluster.start()
        bare, primary, moved, _ = cluster.nodes
        with primary.client() as admin, moved.client() as replica:
            replica.execute_command(
                "CLUSTER", "REPLICATE", admin.execute_command("CLUSTER", "MYID")
            )
        wait_until(lambda: len(cluster.replicas_of(primary)) == 2, what="the replica to move")
        ended = subprocess.run(
            [sys.executable, "-m", "gunicorn", "wsgi:app"], cwd=ROOT, env=deployment.environ,
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert ended.returncode == 3
        assert told in ended.stderr
        assert f"127.0.0.1:{bare.port}: 0" in ended.stderr
        for replicas, level in ((1, "error"), (0, "ok")):
            with services_on(cluster.url, tmp_path, replicas=replicas) as services:
                checks = [each for each in examine(services) if each.name == "confirmation"]
            assert {each.level for each in checks} == {level}
            assert all(told in each.advice for each in checks)
            assert len(checks) == 2
    finally:
        cluster.stop()
