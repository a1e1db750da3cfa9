"""Two nodes behind nginx on a Cluster, nothing sticky: each node is as good as the other."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

import pytest
import requests

from occupancy.access.pins import hash_pin
from occupancy.core.entities import Role
from proof.deployment.proxy import nginx_path
from proof.deployment.site import BUDGET, Site, site_on
from proof.failover.checks import violations
from proof.failover.load import FailoverLoad
from proof.failover.record import Record
from tests.conftest import require, require_binary
from tests.support.sse_client import EventStream
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.alone, pytest.mark.thorough]

PIN = "4711"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    require(nginx_path(), "nginx")
    require_binary("valkey")
    with site_on("cluster", "valkey", tmp_path_factory.mktemp("site")) as made:
        yield made


def test_a_rolling_restart_is_not_noticed(site: Site) -> None:
    """Node by node: TERM, start. Streams reconnect and go on without a gap; operations go on."""
    before = {each: site.log_of(each) for each in site.boards}
    load = FailoverLoad(site, random.Random(1))
    try:
        load.begin()
        began_s = time.monotonic()
        for node in site.nodes:
            node.stop(timeout_s=60)
            node.start()
            done = len(load.calls)
            wait_until(lambda done=done: len(load.calls) > done + 20, what="operations")  # type: ignore[misc] # mypy infers no lambda with defaults
        restarted_s = time.monotonic()
        load.end()
        record = Record(
            people=site.people, calls=load.calls, watchers=load.watchers, items=load.settle(),
            logs={each: site.log_of(each) for each in site.boards}, logs_before=before,
            struck_s=began_s, ended_s=began_s, concerned=site.boards, most_connections={},
            budget=BUDGET, is_strict=True,
        )  # fmt: skip
    finally:
        load.stop()
    assert violations(record) == {}
    statuses = [status for call in record.calls for status in call.statuses]
    # nginx has sent a POST to a node whose connection ended: 502. It does not send it again by
    # itself; its sender does, with the same key.
    assert set(statuses) <= {200, 403, 409, 502}
    for each in load.watchers:
        assert "reset" not in {seen.kind for seen in each.trail}, each.name
        assert "bye" in {seen.kind for seen in each.trail}, "it was on a node that was restarted"
        times = [seen.at_s for seen in each.trail if began_s <= seen.at_s <= restarted_s]
        assert times, each.name


def test_who_has_signed_in_at_one_node_is_known_at_the_other(site: Site) -> None:
    services = site.services()
    try:
        services.workers.add("signer", name="S", role=Role.WORKER, pin_hash=hash_pin(PIN))
    finally:
        services.close()
    first, second = (each.url for each in site.nodes)
    with requests.Session() as browser:
        signed_in = browser.post(
            f"{first}/api/session", json={"worker": "signer", "pin": PIN}, timeout=30
        )
        assert signed_in.status_code in (200, 201), signed_in.text
        csrf = {"X-CSRF-Token": signed_in.json()["csrf_token"]}
        item = f"/api/boards/{site.boards[0]}/items/T-0"
        for url in (second, first, f"http://127.0.0.1:{site.proxy.port}"):
            known = browser.get(f"{url}/api/session", timeout=30)
            assert known.status_code == 200
            assert known.json()["worker"]["id"] == "signer"
            done = browser.post(f"{url}{item}/take", headers=csrf, timeout=30)
            assert done.status_code in (200, 409), done.text


def test_a_revocation_at_one_node_ends_the_stream_at_the_other(site: Site) -> None:
    secret, token_id = site.new_token()
    first, second = (each.url for each in site.nodes)
    headers = {"Authorization": f"Bearer {secret}"}
    stream = EventStream(f"{second}/api/boards/{site.boards[0]}/events", headers).read()
    try:
        stream.wait_for("ready")
        admin = {"Authorization": f"Bearer {site.tokens['admin']}"}
        revoked = requests.delete(f"{first}/api/tokens/{token_id}", headers=admin, timeout=30)
        assert revoked.status_code in (200, 204), revoked.text
        wait_until(lambda: stream.has_ended, timeout_s=5, what="the end of the stream")
        assert requests.get(f"{second}/api/session", headers=headers, timeout=30).status_code == 401
    finally:
        stream.close()
