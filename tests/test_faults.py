"""Trouble: connections cut, servers stopped, restarted, filled up, made read-only, hung.

Each time: a clear answer while it lasts, nothing lost and no restart needed after it.
"""

from __future__ import annotations

import functools
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest
import redis
import requests

from occupancy.model import PUT, Role
from tests.conftest import require_binary
from tests.deployment import Deployment
from tests.servers import RealServer
from tests.shop import SUPERVISOR, change, log_of
from tests.waiting import wait_until


@pytest.fixture
def deployment(tmp_path: Path, own_server: RealServer) -> Iterator[Deployment]:
    running = Deployment(
        tmp_path / "state", own_server.url, OCCUPANCY_REDIS_TIMEOUT_S="1", OCCUPANCY_POOL_WAIT_S="1"
    )
    running.start()
    running.sign_in(running.services().access, "admin", Role.ADMIN)
    yield running
    running.stop()


def test_streams_equal_the_log_while_the_live_connection_is_killed_and_the_server_restarted(
    deployment: Deployment, own_server: RealServer
) -> None:
    shop = deployment.services()
    streams = [deployment.stream(after="0-0") for _ in range(10)]
    for stream in streams:
        stream.wait_for("ready")

    def kill_again_and_again() -> None:
        with own_server.client() as client:
            while True:
                client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
                gevent.sleep(0.05)

    killer = gevent.spawn(kill_again_and_again)
    for number in range(40):
        change(shop, "main", 9, tag=f"T-{number}")
        gevent.sleep(0.02)  # so that the kills fall into the middle, not a wait for anything
    killer.kill()

    own_server.stop()
    for stream in streams:
        stream.wait_for("degraded")
    own_server.start()
    for stream in streams:
        stream.wait_for("recovered", timeout_s=20)
    change(shop, "main", 9, tag="T-after")

    log = log_of(shop, "main")
    assert len(log) == 410
    for stream in streams:
        wait_until(functools.partial(stream.has, 410), what="the last event")
        assert [event.data for event in stream.of_kind("item")] == log
        assert stream.of_kind("reset") == []
    assert not streams[0].has_ended


def test_events_whose_publication_is_lost_are_found_in_the_log(deployment: Deployment) -> None:
    shop = deployment.services()
    stream = deployment.stream()
    stream.wait_for("ready")
    shop.store.keys.board("main").channel = "nowhere"
    change(shop, "main", 4)
    wait_until(lambda: stream.seqs() == [1, 2, 3, 4, 5], what="the probe to find them")


def test_a_lost_log_resets_the_streams(deployment: Deployment, own_server: RealServer) -> None:
    shop = deployment.services()
    change(shop, "main", 9)
    stream = deployment.stream()
    stream.wait_for("ready")
    with own_server.client() as client:
        keys = shop.store.keys.board("main")
        for key in client.scan_iter(match=f"{keys.root}:*"):
            client.delete(key)
    change(shop, "main", 3)
    reset = stream.wait_for("reset")
    assert reset.data["seq"] <= 4
    change(shop, "main", 1, tag="T-2")
    wait_until(lambda: stream.seqs()[-1:] == [6], what="the stream to go on")


def test_a_start_without_redis_serves_and_recovers_by_itself(
    tmp_path: Path, own_server: RealServer
) -> None:
    own_server.stop()
    deployment = Deployment(tmp_path / "state", own_server.url).start(until="/livez")
    try:
        assert deployment.status_of("/readyz") == 503
        health = deployment.request("GET", "/api/redis-health")
        assert (health.status_code, health.json()["status"]) == (503, "unhealthy")
        refused = deployment.request(
            "GET", "/api/boards", headers={"Authorization": "Bearer occ_x"}
        )
        assert refused.status_code == 503
        assert refused.json()["code"] == "store_unavailable"
        assert int(refused.headers["Retry-After"]) > 0
        own_server.start()
        wait_until(lambda: deployment.status_of("/readyz") == 200, what="the recovery")
        assert deployment.request("GET", "/api/redis-health").json()["status"] == "healthy"
    finally:
        deployment.stop()


def test_a_stream_opened_while_redis_is_away_gets_200_degraded_and_an_end(
    deployment: Deployment, own_server: RealServer
) -> None:
    own_server.stop()
    stream = deployment.stream()
    assert stream.status == 200
    assert stream.headers["content-type"] == "text/event-stream"
    assert stream.wait_for("degraded").data["detail"]
    stream.wait_for_end()
    assert stream.retry_ms is not None


def test_readyz_is_503_soon_after_redis_stops_and_livez_stays_200(
    deployment: Deployment, own_server: RealServer
) -> None:
    own_server.stop()
    wait_until(lambda: deployment.status_of("/readyz") == 503, what="not ready")
    answer = deployment.request("GET", "/readyz").json()
    assert set(answer["reasons"]) == {"operations", "live"}
    assert deployment.status_of("/livez") == 200


@pytest.mark.parametrize("trouble", ["READONLY", "OOM"])
def test_an_operation_that_the_server_refuses_is_503_and_leaves_no_trace(
    deployment: Deployment, own_server: RealServer, trouble: str
) -> None:
    shop = deployment.services()
    change(shop, "main", 2)
    with own_server.client() as client:
        before = dump(client)
        if trouble == "READONLY":
            client.replicaof("127.0.0.1", "1")
        else:
            client.config_set("maxmemory", "1")
        path = "/api/boards/main/items/T-1/take"
        refused = deployment.request("POST", path, headers={"Idempotency-Key": "k"})
        assert refused.status_code == 503, refused.text
        assert refused.json()["code"] == "store_unavailable"
        assert int(refused.headers["Retry-After"]) > 0
        assert dump(client) == before
        if trouble == "READONLY":
            client.replicaof("NO", "ONE")
        else:
            client.config_set("maxmemory", "0")
    again = deployment.request("POST", path, headers={"Idempotency-Key": "k"})
    assert again.json()["changed"] is True
    assert "Idempotency-Replayed" not in again.headers


def test_an_operation_sent_again_after_a_lost_answer_takes_effect_once(
    deployment: Deployment, own_server: RealServer
) -> None:
    shop = deployment.services()
    change(shop, "main", 0)
    path = "/api/boards/main/items/T-1/take"
    headers = {"Idempotency-Key": "once"}
    wait_until(lambda: deployment.status_of("/api/boards/main") == 200)  # the token is remembered
    own_server.signal(signal.SIGSTOP)
    try:
        lost = deployment.request("POST", path, headers=headers)
    finally:
        own_server.signal(signal.SIGCONT)
    assert lost.status_code == 503
    again = deployment.request("POST", path, headers=headers)
    assert again.status_code == 200
    assert again.json()["item"]["epoch"] == 1
    assert [event["type"] for event in log_of(shop, "main")] == ["item.added", "item.taken"]


def test_script_flush_goes_unnoticed(deployment: Deployment, own_server: RealServer) -> None:
    shop = deployment.services()
    change(shop, "main", 0)
    with own_server.client() as client:
        client.script_flush()
    assert deployment.request("POST", "/api/boards/main/items/T-1/take").status_code == 200


def test_a_client_that_goes_away_in_the_middle_of_a_request_hurts_nobody(
    deployment: Deployment,
) -> None:
    change(deployment.services(), "main", 0)
    for _ in range(20):
        with pytest.raises(requests.exceptions.ReadTimeout):
            requests.post(
                f"{deployment.url}/api/boards/main/items/T-1/take",
                headers={**deployment.headers, "Content-Length": "100"},
                data=b"",
                timeout=0.01,
            )
    assert deployment.request("POST", "/api/boards/main/items/T-1/take").status_code == 200


def test_a_wrong_password_is_said_and_does_not_stop_the_process(tmp_path: Path) -> None:
    binary = require_binary("valkey")
    server = RealServer(binary, tmp_path / "server", requirepass="right")
    server.start()
    url = server.url.replace("redis://", "redis://:wrong@")
    deployment = Deployment(tmp_path / "state", url)
    try:
        deployment.start(until="/livez")
        answer = deployment.request("GET", "/readyz")
        assert answer.status_code == 503
        assert "wrong" not in answer.text
    finally:
        deployment.stop()
        server.stop()
    assert "password" in deployment.log


def test_a_reload_of_the_server_is_waited_for(
    deployment: Deployment, own_server: RealServer
) -> None:
    """LOADING: the server has its socket open, and refuses commands until it has read its data."""
    shop = deployment.services()
    change(shop, "main", 1)
    own_server.stop()
    own_server.config["key-load-delay"] = "100000"  # microseconds a key
    own_server.start(until_ready=False)
    seen = set()

    def is_back() -> bool:
        seen.add(deployment.request("GET", "/api/boards/main").status_code)
        return 200 in seen

    wait_until(is_back, timeout_s=20, what="the data to be loaded")
    assert seen <= {200, 503}


def test_put_survives_a_restart_of_the_server(
    deployment: Deployment, own_server: RealServer
) -> None:
    shop = deployment.services()
    shop.store.operate("main", PUT, ["T-1"], actor=SUPERVISOR, items=[{}])
    own_server.stop()
    own_server.start()
    wait_until(lambda: deployment.status_of("/readyz") == 200, what="readiness")
    assert deployment.request("GET", "/api/boards/main/items/T-1").status_code == 200


def dump(client: redis.Redis) -> dict[bytes, Any]:
    """Every key with its serialised value, but for what the processes report about themselves."""
    return {
        key: client.dump(key)
        for key in client.scan_iter()
        if b":process" not in key and b"reconciling" not in key
    }
