"""Limits of operations with two processes, and without Redis."""

from __future__ import annotations

import json
import time
from pathlib import Path

import gevent
import requests

from occupancy.core.entities import Role
from tests.support.deployment import Deployment
from tests.support.servers import RealServer


def test_both_processes_together_keep_one_limit(tmp_path: Path, own_server: RealServer) -> None:
    deployment = Deployment(
        tmp_path / "state", own_server.url, WEB_CONCURRENCY="2", OCCUPANCY_OPERATIONS_PER_S="5"
    ).start()
    try:
        deployment.sign_in("93", Role.WORKER)
        url = f"{deployment.url}/api/boards/main/items/T-1/take"
        statuses: list[int] = []

        def send() -> None:
            for _ in range(20):  # each on a connection of its own, and so on either process
                answer = requests.post(url, headers=deployment.headers, timeout=10)
                statuses.append(answer.status_code)
                if answer.status_code == 429:
                    assert int(answer.headers["Retry-After"]) >= 1

        started = time.monotonic()
        gevent.joinall([gevent.spawn(send) for _ in range(6)], raise_error=True)
        elapsed_s = time.monotonic() - started
        assert set(statuses) == {404, 429}  # there is no such item
        assert 50 <= statuses.count(404) <= 50 + 5 * elapsed_s + 1

        own_server.stop()
        answer = deployment.request("POST", "/api/boards/main/items/T-1/take")
        assert answer.status_code == 503
        assert answer.json()["code"] == "store_unavailable"
        assert int(answer.headers["Retry-After"]) >= 1
    finally:
        deployment.stop()
    trail = [json.loads(each) for each in deployment.log.splitlines() if each.startswith("{")]
    denied = [each for each in trail if each["event"] == "denied"]
    assert {each["worker"] for each in denied} == {"93"}
    # A line at once, and a count of the others, of each process.
    assert len(denied) <= 4
    assert sum(each.get("more", 1) for each in denied) == statuses.count(429)
