"""Faults: cut connections, and servers that are stopped, restarted, full, read-only or hung.

Each time: a clear answer while it lasts, nothing lost and no restart needed after it.
"""

from __future__ import annotations

import contextlib
import functools
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest
import redis
import requests

from occupancy.boards.commands import Command
from occupancy.core.entities import Role
from occupancy.core.transitions import PUT
from occupancy.services import Services
from tests.conftest import require_binary
from tests.support.deployment import Deployment
from tests.support.raw_http import Wire, request
from tests.support.servers import RealServer
from tests.support.shop import SUPERVISOR, change, log_of
from tests.support.waiting import wait_until


@pytest.fixture(scope="module")
def deployment(
    tmp_path_factory: pytest.TempPathFactory, module_server: RealServer
) -> Iterator[Deployment]:
    running = Deployment(
        tmp_path_factory.mktemp("state"),
        module_server.url,
        OCCUPANCY_REDIS_TIMEOUT_S="1",
        OCCUPANCY_POOL_WAIT_S="1",
    ).start()
    running.sign_in("admin", Role.ADMIN)
    yield running
    running.stop()


@pytest.fixture
def shop(deployment: Deployment) -> Services:
    return deployment.services()


@pytest.fixture
def server(deployment: Deployment, module_server: RealServer) -> Iterator[RealServer]:
    """The deployment's server, for a test to damage; afterwards it runs again, whatever failed."""
    yield module_server
    deployment.close_streams()
    if not module_server.is_running:
        module_server.start()
    module_server.signal(signal.SIGCONT)
    with module_server.client() as client:
        client.config_set("maxmemory", "0")
        client.replicaof("NO", "ONE")
    wait_until(lambda: deployment.status_of("/readyz") == 200, what="readiness after the test")


def test_streams_equal_the_log_while_the_live_connection_is_killed_and_the_server_restarted(
    deployment: Deployment, shop: Services, server: RealServer, board: str
) -> None:
    streams = [deployment.stream(board, after="0-0") for _ in range(10)]
    for stream in streams:
        stream.wait_for("ready")

    def kill_again_and_again() -> None:
        with server.client() as client:
            while True:
                client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
                gevent.sleep(0.05)

    killer = gevent.spawn(kill_again_and_again)
    for number in range(40):
        change(shop, board, 9, tag=f"T-{number}")
        gevent.sleep(0.02)  # so that the kills fall into the middle, not a wait for anything
    killer.kill()

    server.stop()
    for stream in streams:
        stream.wait_for("degraded")
    server.start()
    for stream in streams:
        stream.wait_for("recovered", timeout_s=20)
    change(shop, board, 9, tag="T-after")

    log = log_of(shop, board)
    assert len(log) == 410
    for stream in streams:
        wait_until(functools.partial(stream.has, 410), what="the last event")
        assert [event.data for event in stream.of_kind("item")] == log
        assert stream.of_kind("reset") == []
    assert not streams[0].has_ended


def test_events_whose_publication_is_lost_are_found_in_the_log(
    deployment: Deployment, shop: Services, board: str
) -> None:
    stream = deployment.stream(board)
    stream.wait_for("ready")
    shop.store.keys.board(board).channel = "nowhere"
    change(shop, board, 4)
    wait_until(lambda: stream.seqs() == [1, 2, 3, 4, 5], what="the probe to find them")


def test_a_lost_log_resets_the_streams(
    deployment: Deployment, shop: Services, server: RealServer, board: str
) -> None:
    change(shop, board, 9)
    stream = deployment.stream(board)
    stream.wait_for("ready")
    with server.client() as client:
        keys = shop.store.keys.board(board)
        client.delete(*client.keys(f"{keys.root}:*"))
        client.hset(keys.board, "steps", '["work"]')
    change(shop, board, 3)
    reset = stream.wait_for("reset")
    assert reset.data["seq"] <= 4
    change(shop, board, 1, tag="T-2")
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
        wait_until(  # what it says may be a second old
            lambda: deployment.request("GET", "/api/redis-health").json()["status"] == "healthy",
            what="health",
        )
    finally:
        deployment.stop()


def test_a_stream_opened_while_redis_is_away_gets_200_degraded_and_an_end(
    deployment: Deployment, shop: Services, server: RealServer, board: str
) -> None:
    server.stop()
    stream = deployment.stream(board)
    assert stream.status == 200
    assert stream.headers["content-type"] == "text/event-stream"
    assert stream.wait_for("degraded").data["detail"]
    stream.wait_for_end()
    assert stream.retry_ms is not None


def test_readyz_is_503_soon_after_redis_stops_and_livez_stays_200(
    deployment: Deployment, shop: Services, server: RealServer, board: str
) -> None:
    server.stop()
    wait_until(lambda: deployment.status_of("/readyz") == 503, what="not ready")
    answer = deployment.request("GET", "/readyz").json()
    assert set(answer["reasons"]) == {"operations", "live"}
    assert deployment.status_of("/livez") == 200


def test_metrics_say_whether_the_server_answers(deployment: Deployment, server: RealServer) -> None:
    def told() -> list[str]:
        text = deployment.request("GET", "/metrics").text
        return re.findall(r'^occupancy_redis_up\{server=""\} (\S+)$', text, re.MULTILINE)

    wait_until(lambda: told() == ["1.0"], what="a server that is up")
    server.stop()
    wait_until(lambda: told() == ["0.0"], what="a server that is away")
    server.start()
    wait_until(lambda: told() == ["1.0"], what="a server that is up again")


@pytest.mark.parametrize("trouble", ["READONLY", "OOM"])
def test_an_operation_that_the_server_refuses_is_503_and_leaves_no_trace(
    deployment: Deployment, shop: Services, server: RealServer, board: str, trouble: str
) -> None:
    change(shop, board, 2)
    with server.client() as client:
        before = dump(client)
        if trouble == "READONLY":
            client.replicaof("127.0.0.1", "1")
        else:
            client.config_set("maxmemory", "1")
        path = f"/api/boards/{board}/items/T-1/take"
        refused = deployment.request("POST", path, headers={"Idempotency-Key": "k"})
        assert refused.status_code == 503, refused.text
        assert refused.json()["code"] == "store_unavailable"
        assert int(refused.headers["Retry-After"]) > 0
        after = dump(client)
        expired = {key for key in before.keys() - after.keys() if b":rate:" in key}
        assert after == {key: before[key] for key in before.keys() - expired}
        # What can still be done goes on: live delivery, and reads. It is not ready, and says why.
        reasons = functools.partial(reasons_of, deployment)
        wait_until(lambda: reasons() == {"operations"}, what="operations not to be ready")
        assert deployment.request("GET", f"/api/boards/{board}/items/T-1").status_code == 200
        if trouble == "READONLY":
            client.replicaof("NO", "ONE")
        else:
            client.config_set("maxmemory", "0")
    again = deployment.request("POST", path, headers={"Idempotency-Key": "k"})
    assert again.json()["changed"] is True
    assert "Idempotency-Replayed" not in again.headers


def test_an_operation_sent_again_after_a_lost_answer_takes_effect_once(
    deployment: Deployment, shop: Services, server: RealServer, board: str
) -> None:
    change(shop, board, 0)
    path = f"/api/boards/{board}/items/T-1/take"
    headers = {"Idempotency-Key": "once"}
    wait_until(
        lambda: deployment.status_of(f"/api/boards/{board}") == 200
    )  # the token is remembered
    server.signal(signal.SIGSTOP)
    try:
        lost = deployment.request("POST", path, headers=headers)
    finally:
        server.signal(signal.SIGCONT)
    assert lost.status_code == 503
    again = deployment.request("POST", path, headers=headers)
    assert again.status_code == 200
    assert again.json()["item"]["epoch"] == 1
    assert [event["type"] for event in log_of(shop, board)] == ["item.added", "item.taken"]


def test_a_server_that_hangs_degrades_the_streams_until_it_goes_on(
    deployment: Deployment, shop: Services, server: RealServer, board: str
) -> None:
    stream = deployment.stream(board)
    stream.wait_for("ready")
    server.signal(signal.SIGSTOP)
    try:
        stream.wait_for("degraded", timeout_s=15)
    finally:
        server.signal(signal.SIGCONT)
    stream.wait_for("recovered", timeout_s=20)
    change(shop, board, 1)
    wait_until(functools.partial(stream.has, 2), what="the events after it")
    assert stream.seqs() == [1, 2]


def test_an_unauthenticated_client_is_told_that_the_server_hangs_and_reconnects(
    deployment: Deployment, shop: Services, server: RealServer, board: str
) -> None:
    path = f"GET /api/boards/{board}/events"
    asked = [
        request(path, f"Authorization: Bearer {shop.tokens.create('admin')[0]}") for _ in range(20)
    ]
    for stream in [deployment.stream(board) for _ in range(10)]:
        stream.wait_for("ready")  # so that the board is followed
    with contextlib.ExitStack() as held:
        server.signal(signal.SIGSTOP)
        held.callback(server.signal, signal.SIGCONT)
        for wire in [held.enter_context(each) for each in deployment.send_at_once(asked)]:
            received = wire.until(b"event: degraded")
            assert received.startswith(b"HTTP/1.1 200 OK\r\n")
            assert b"retry: " in received
            wire.until(b"0\r\n")
        server.signal(signal.SIGCONT)
        for wire in [held.enter_context(each) for each in deployment.send_at_once(asked)]:
            wire.until(b"event: ready")


def test_script_flush_goes_unnoticed(
    deployment: Deployment, shop: Services, server: RealServer, board: str
) -> None:
    change(shop, board, 0)
    with server.client() as client:
        client.script_flush()
    assert deployment.request("POST", f"/api/boards/{board}/items/T-1/take").status_code == 200


def test_a_client_that_goes_away_in_the_middle_of_a_request_hurts_nobody(
    deployment: Deployment, shop: Services, board: str
) -> None:
    change(shop, board, 0)
    for _ in range(20):
        with pytest.raises(requests.exceptions.ReadTimeout):
            requests.post(
                f"{deployment.url}/api/boards/{board}/items/T-1/take",
                headers={**deployment.headers, "Content-Length": "100"},
                data=b"",
                timeout=(10, 0.01),
            )
    assert deployment.request("POST", f"/api/boards/{board}/items/T-1/take").status_code == 200


def test_a_malformed_chunk_is_a_problem_and_no_crash(
    deployment: Deployment, shop: Services, board: str
) -> None:
    change(shop, board, 0)
    head = request(
        f"POST /api/boards/{board}/items/T-1/take",
        "Content-Type: application/json", "Transfer-Encoding: chunked",
        f"Authorization: {deployment.headers['Authorization']}",
    )  # fmt: skip
    with Wire(deployment.port) as wire:
        answer = wire.ask(head + b"zz\r\n{}\r\n0\r\n\r\n")
    assert (answer.status, answer.code) == (400, "invalid_request")


def test_a_wrong_password_is_reported_and_does_not_stop_the_process(tmp_path: Path) -> None:
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
    deployment: Deployment, shop: Services, server: RealServer, board: str
) -> None:
    """LOADING: the server has its socket open, and refuses commands until it has read its data."""
    change(shop, board, 1)
    with server.client() as client, client.pipeline(transaction=False) as pipeline:
        for number in range(6000):  # it answers LOADING once in 1024 commands
            pipeline.set(f"filler:{number}", "", ex=60)
        pipeline.execute()
    server.stop()
    server.config["key-load-delay"] = "500"  # microseconds a command
    server.start(until_ready=False)
    del server.config["key-load-delay"]
    wait_until(lambda: is_loading(server), what="the server to load")
    seen = []

    def is_back() -> bool:
        answer = deployment.request("GET", f"/api/boards/{board}")
        seen.append((answer.status_code, is_loading(server)))
        return answer.status_code == 200

    wait_until(is_back, timeout_s=40, what="the data to be loaded")
    assert (503, True) in seen, "it was asked while it loaded"
    assert {status for status, _ in seen} == {200, 503}


def is_loading(server: RealServer) -> bool:
    with server.client() as client:
        try:
            client.ping()
        except redis.BusyLoadingError:
            return True
        except redis.ConnectionError:  # it does not listen yet
            return False
    return False


def test_put_survives_a_restart_of_the_server(
    deployment: Deployment, shop: Services, server: RealServer, board: str
) -> None:
    shop.store.commands.execute(Command(board, PUT, ["T-1"], actor=SUPERVISOR, items=[{}]))
    server.stop()
    server.start()
    wait_until(lambda: deployment.status_of("/readyz") == 200, what="readiness")
    assert deployment.request("GET", f"/api/boards/{board}/items/T-1").status_code == 200


def reasons_of(deployment: Deployment) -> set[str]:
    """The responding process's reasons for not being ready."""
    return set(deployment.request("GET", "/readyz").json().get("reasons", ()))


def dump(client: redis.Redis) -> dict[bytes, Any]:
    """Every key with its serialised value, except those that the processes keep or let expire."""
    return {
        key: client.dump(key)
        for key in client.scan_iter()
        if not any(
            each in key for each in (b":process", b"reconciling", b":rights", b":invitation:")
        )
    }
