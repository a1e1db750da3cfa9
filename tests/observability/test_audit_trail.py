"""The audit trail: what it keeps, what it never holds, and what becomes of it in trouble."""

from __future__ import annotations

import ast
import json
import os
import re
import signal
import time
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from occupancy.core.entities import Role
from occupancy.core.errors import InvalidRequest, StoreUnavailable, Unconfirmed
from occupancy.core.settings import Settings
from occupancy.observability.audit_trail import events, reader, trail
from occupancy.observability.audit_trail.entries import MAX_ENTRY_BYTES, entry_of
from occupancy.observability.audit_trail.events import EVENTS, STREAMS
from occupancy.observability.audit_trail.reader import filters_of
from occupancy.services import Services
from tests.storage.test_confirmation import (
    never_count_as_down,
    replicas_of,
    sentinels_of,
    services_on,
    stopped,
    until_confirmed,
)
from tests.support.deployment import ROOT, Deployment
from tests.support.servers import RealServer
from tests.support.tablets import PIN, Shop
from tests.support.waiting import wait_until


def found(services: Services, **filters: str) -> list[dict[str, Any]]:
    """Every entry that the filters select, newest first, as the API shows it."""
    services.audit_trail.flush()
    return [each.as_dict() for each in services.audit_reader.all(filters_of(filters))]


def events_of(services: Services, **filters: str) -> list[str]:
    return [each["event"] for each in found(services, **filters)]


def make_small(monkeypatch: pytest.MonkeyPatch, *, entries: int, size: int = 10**9) -> None:
    """Streams with other bounds; each keeps its place."""
    small = tuple(each._replace(max_entries=entries, max_bytes=size) for each in STREAMS)
    monkeypatch.setattr(trail, "STREAMS", small)
    changed = {name: small[STREAMS.index(each)] for name, each in EVENTS.items()}
    monkeypatch.setattr(events, "EVENTS", changed)


# What is recorded


def test_every_event_that_the_code_can_record_is_listed() -> None:
    recorded = {
        event
        for path in (ROOT / "occupancy").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and (event := _event_of(node))
    }
    assert {"signed_in", "token_revoked", "denied", "signed_out", "items_imported"} <= recorded
    # The lines about closed streams are a consequence of what is in the trail.
    assert recorded - {"streams_closed"} <= EVENTS.keys()


def _event_of(call: ast.Call) -> str | None:
    """The event that ``call`` records, if it names one."""
    name = ast.unparse(call.func)
    if "audit" not in name and not name.endswith("_recording"):
        return None
    place = 1 if name == "audit_log.recording" else 0  # after the function that writes
    argument = call.args[place] if len(call.args) > place else None
    is_text = isinstance(argument, ast.Constant) and isinstance(argument.value, str)
    return str(argument.value) if is_text else None  # type: ignore[union-attr] # as just asked


def test_sign_ins_refusals_and_changes_are_there_newest_first(valkey_services: Services) -> None:
    shop = Shop(valkey_services)
    browser, csrf = shop.signed_in("1")
    shop.sign_in(shop.browser("203.0.113.9"), "93", "0000")
    browser.put("/api/workers/93", json={"disabled": True}, headers=csrf)
    browser.post("/api/boards", json={"board": "hall"}, headers=csrf)
    shop.browser().get("/api/boards/hall/items")
    browser.delete("/api/session", headers=csrf)
    entries = found(valkey_services)
    told = {each["event"]: each for each in entries}
    assert told.keys() == {
        "signed_in", "sign_in_refused", "worker_edited", "board_added", "denied", "signed_out",
    }  # fmt: skip
    order = [tuple(map(int, each["id"].split("-"))) for each in entries]
    assert order == sorted(order, reverse=True)
    assert (told["signed_in"]["by"], told["signed_in"]["means"]) == ("1", "pin")
    assert told["sign_in_refused"]["by"] is None
    assert told["sign_in_refused"]["worker"] == "93"
    assert told["sign_in_refused"]["address"] == "203.0.113.9"
    edited = told["worker_edited"]
    assert (edited["by"], edited["worker"], edited["means"]) == ("1", "93", "session")
    assert edited["details"] == {"role": "worker", "fields": "disabled", "disabled": True}
    assert told["denied"]["board"] == told["board_added"]["board"] == "hall"


@pytest.mark.parametrize("field", ["worker", "pin"])
def test_no_secret_is_in_the_trail(valkey_services: Services, field: str) -> None:
    shop = Shop(valkey_services)
    browser, csrf = shop.signed_in("1")
    typed = (
        {"worker": "864213", "pin": "93"}
        if field == "worker"
        else {"worker": "93", "pin": "864213"}
    )
    assert shop.browser().post("/api/session", json=typed).status_code == 401
    token = browser.post("/api/tokens", json={"worker": "93"}, headers=csrf).get_json()["token"]
    link = browser.post("/api/workers/93/links", headers=csrf).get_json()["path"].partition("#")[2]
    cookie = browser.get_cookie(valkey_services.settings.cookie_name)
    assert cookie is not None
    answer = browser.post("/api/stations", json={"name": "Gate"}, headers=csrf)
    pairing = answer.get_json()["path"].partition("#")[2]
    for secret in (token, link, pairing, cookie.value):
        assert shop.browser().post("/api/session", json={"token": secret}).status_code in (200, 401)
        shop.browser().get(f"/api/boards/main/items/{secret}")
        browser.delete(f"/api/tokens/{secret}")
    browser.put("/api/session/pin", json={"pin": PIN, "new_pin": "975310"}, headers=csrf)
    text = json.dumps(found(valkey_services))
    held = ("864213", "975310", PIN, token, link, pairing, cookie.value, csrf["X-CSRF-Token"])
    assert [each for each in held if f'"{each}"' in text] == []
    assert [each for each in held if len(each) > 9 and each in text] == []


def test_an_entry_is_bounded_and_always_json() -> None:
    for text in ("\x00" * 5000, "\ud800" * 5000, "ñ" * 5000):
        encoded = entry_of("denied", {f"field_{number}": text for number in range(9)})
        assert len(encoded) <= MAX_ENTRY_BYTES
        assert msgspec.json.decode(encoded)["event"] == "denied"


# Bounds


def test_the_trail_is_bounded_in_entries_and_bytes_and_the_oldest_go_first(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_small(monkeypatch, entries=40)
    for number in range(100):
        services.audit_trail.add("token_added", token=f"t{number}", by="1")
    assert [each["details"]["token"] for each in found(services)] == [
        f"t{number}" for number in range(99, 59, -1)
    ]
    make_small(monkeypatch, entries=40, size=2000)
    services.audit_trail.add("token_added", token="last", by="1")
    kept = found(services)
    assert kept[0]["details"]["token"] == "last"
    client, keys = services.store.client, services.store.keys
    counted: Any = client.hgetall(keys.audit_bytes)
    entries: Any = client.xrange(keys.audit("changes"))
    stored = [fields[b"entry"] for _, fields in entries]
    assert int(counted[b"1"]) == sum(len(each) + 40 for each in stored) <= 2000
    assert 0 < len(stored) == len(kept) < 40


def test_a_flood_of_refusals_removes_no_change(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_small(monkeypatch, entries=50)
    services.audit_trail.add("token_revoked", worker="93", by="1")
    for number in range(300):
        services.audit_trail.record_soon("denied", code="forbidden", worker=str(number))
    kept = events_of(services)
    assert kept.count("denied") == 50
    assert kept.count("token_revoked") == 1


def test_entries_older_than_400_days_go(valkey_services: Services) -> None:
    client, keys = valkey_services.store.client, valkey_services.store.keys
    old = entry_of("token_added", {"token": "old"})
    client.xadd(keys.audit("changes"), {"entry": old}, id="1000-1")
    client.hset(keys.audit_bytes, "1", len(old) + 40)
    assert found(valkey_services) == []
    valkey_services.audit_trail.add("signed_in", by="pin", worker="93")
    assert client.xlen(keys.audit("changes")) == 0
    assert client.hget(keys.audit_bytes, "1") == b"0"


def test_what_waits_is_bounded_and_what_is_dropped_is_said(
    own_server: RealServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trail, "MAX_WAITING", 20)
    services = Services.for_web(
        Settings(redis_url=own_server.url, state_dir=str(tmp_path / "state"))
    )
    try:
        with own_server.client() as admin:
            admin.config_set("maxmemory", "1")
            for number in range(50):
                services.audit_trail.record_soon("denied", code="forbidden", worker=str(number))
            with pytest.raises(StoreUnavailable):
                services.audit_trail.flush()
            with pytest.raises(StoreUnavailable):  # a change is not acknowledged
                services.audit_trail.record("token_added", worker="93", by="1")
            assert list(services.audit_reader.all(filters_of({}))) == []
            admin.config_set("maxmemory", "0")
        entries = found(services)
        assert [each["event"] for each in entries].count("denied") == 20
        assert [each["event"] for each in entries].count("token_added") == 1
        [dropped] = [each for each in entries if each["event"] == "entries_dropped"]
        assert dropped["details"] == {"more": 30}
    finally:
        services.close()


# Trouble


def test_a_full_server_refuses_no_sign_out(own_server: RealServer, tmp_path: Path) -> None:
    services = Services.for_web(
        Settings(redis_url=own_server.url, state_dir=str(tmp_path / "state"))
    )
    try:
        shop = Shop(services)
        browser, csrf = shop.signed_in("93")
        with own_server.client() as admin:
            admin.config_set("maxmemory", "1")
            assert browser.delete("/api/session", headers=csrf).status_code == 204
            admin.config_set("maxmemory", "0")
        assert events_of(services) == ["signed_out", "signed_in"]
        assert shop.who(browser) is None
    finally:
        services.close()


def test_a_trail_that_cannot_be_written_refuses_no_sign_out_but_a_change(
    valkey_services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = Shop(valkey_services)
    browser, csrf = shop.signed_in("1")
    other, others_csrf = shop.signed_in("93")

    def refuse(*_args: Any) -> None:
        raise StoreUnavailable("It is away.", retry_after=1)

    with monkeypatch.context() as patched:
        patched.setattr(valkey_services.audit_trail._confirmed, "run", refuse)
        assert other.delete("/api/session", headers=others_csrf).status_code == 204
        answer = browser.delete("/api/workers/94/sessions", headers=csrf)
        assert (answer.status_code, answer.get_json()["code"]) == (503, "store_unavailable")
    assert set(events_of(valkey_services)) == {"signed_in", "signed_out", "signed_out_everywhere"}
    assert shop.who(other) is None


def test_a_change_that_was_answered_is_there_after_its_processes_are_killed(
    own_server: RealServer, tmp_path: Path
) -> None:
    deployment = Deployment(tmp_path / "state", own_server.url, WEB_CONCURRENCY="1")
    try:
        deployment.sign_in("boss", Role.ADMIN)
        deployment.start()
        body = {"name": "Eva", "role": "worker"}
        assert deployment.request("PUT", "/api/workers/eva", json=body).status_code == 201
        for pid in deployment.worker_pids():
            os.kill(pid, signal.SIGKILL)
        deployment.signal(signal.SIGKILL)
        services = deployment.services()
        assert [(each["event"], each["worker"]) for each in found(services)] == [
            ("worker_added", "eva")
        ]
    finally:
        deployment.stop()


def test_refusals_are_written_within_seconds_and_at_the_end_of_a_process(
    own_server: RealServer, tmp_path: Path
) -> None:
    deployment = Deployment(tmp_path / "state", own_server.url, WEB_CONCURRENCY="1")
    try:
        services = deployment.services()
        deployment.start()
        assert deployment.request("GET", "/api/workers").status_code == 401
        wait_until(lambda: "denied" in events_of(services), what="the refusal")
        for _ in range(30):
            deployment.request("GET", "/api/tokens")
        process = deployment.process
        deployment.signal(signal.SIGTERM)
        assert process is not None
        process.wait(timeout=20)
        entries = found(services, event="denied")
        assert sum(each["details"].get("more", 1) for each in entries) == 31
        assert any("more" in each["details"] for each in entries), "the count of the flood"
    finally:
        deployment.stop()


def record(services: Services, worker: str) -> bool:
    services.audit_trail.record("token_revoked", worker=worker, by="1")
    return True


def test_a_recorded_change_is_there_after_a_failover_or_was_not_acknowledged(
    tmp_path: Path,
) -> None:
    with (
        sentinels_of("valkey", tmp_path / "servers") as sentinels,
        services_on(sentinels.url, tmp_path) as services,
    ):
        record(services, "first")
        never_count_as_down(sentinels)
        with stopped(*replicas_of(sentinels)), pytest.raises(Unconfirmed):
            record(services, "second")
        until_confirmed(partial(record, services, "third"))
        old = services.topology.shards()[0].address
        sentinels.fail_over()
        wait_until(lambda: services.topology.shards()[0].address != old, timeout_s=30, what="it")
        kept = [each["worker"] for each in found(services)]
        assert {"first", "third"} <= set(kept)


# Reading


@pytest.fixture
def filled(valkey_services: Services, monkeypatch: pytest.MonkeyPatch) -> Services:
    monkeypatch.setattr(reader, "_WRITTEN_LATE_S", 10**10)  # whatever day it is now

    def add(event: str, **fields: str) -> None:
        """In a millisecond of its own: those of one have no order between the streams."""
        valkey_services.audit_trail.add(event, **fields)
        written_ms = time.time_ns() // 1_000_000
        wait_until(lambda: time.time_ns() // 1_000_000 > written_ms, what="the next millisecond")

    add("signed_in", by="pin", worker="93", address="10.0.0.1", at="2026-11-01T06:00:00.000Z")
    add("token_added", by="1", worker="93", board="hall", token="a1", means="session",
        at="2026-11-28T23:30:00.000Z")  # fmt: skip
    add("denied", worker="94", code="forbidden", address="2001:db8:1:2::7", method="POST",
        path="/api/boards/hall/items/T-1/take", at="2026-11-29T00:30:00.000Z")  # fmt: skip
    add("worker_edited", by="root", means="cli", worker="94", fields="pin",
        at="2026-11-29T12:00:00.000Z")  # fmt: skip
    return valkey_services


@pytest.mark.parametrize(
    ("filters", "selected"),
    [
        ({}, ["worker_edited", "denied", "token_added", "signed_in"]),
        ({"event": "denied"}, ["denied"]),
        ({"worker": "93"}, ["token_added", "signed_in"]),
        ({"by": "93"}, ["signed_in"]),
        ({"by": "root"}, ["worker_edited"]),
        ({"board": "hall"}, ["denied", "token_added"]),
        ({"address": "10.0.0.1"}, ["signed_in"]),
        ({"address": "2001:db8:1:2::9"}, ["denied"]),
        ({"since": "2026-11-29"}, ["worker_edited", "denied"]),
        ({"until": "2026-11-28"}, ["token_added", "signed_in"]),
        ({"since": "2026-11-28T23:00:00Z", "until": "2026-11-29T02:30:00+02:00"}, ["token_added"]),
        ({"text": "FORCE"}, []),
        ({"text": "take 94"}, ["denied"]),
        ({"board": "hall", "worker": "93"}, ["token_added"]),
    ],
)
def test_filters_select(filled: Services, filters: dict[str, str], selected: list[str]) -> None:
    assert events_of(filled, **filters) == selected


@pytest.mark.parametrize(
    "wrong", [{"since": "yesterday"}, {"until": "2026-13-01"}, {"event": "x"}, {"since": "9999-99"}]
)
def test_a_wrong_filter_is_refused(filled: Services, wrong: dict[str, str]) -> None:
    with pytest.raises(InvalidRequest):
        filters_of(wrong)


def test_pages_have_every_entry_once_and_their_token_is_of_these_filters(
    valkey_services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "_BATCH", 7)
    trail_, audit = valkey_services.audit_trail, valkey_services.audit_reader
    for number in range(60):
        trail_.add("token_added", by="1", token=str(number))
        trail_.record_soon("denied", code="forbidden", worker=str(number))
        trail_.flush()
    listed, page = [], None
    while True:
        entries, page = audit.page(filters_of({}), limit=11, page=page)
        listed += entries
        if page is None:
            break
        trail_.add("token_added", by="1", token="newer")
    assert len({each.position for each in listed}) == len(listed) == 120
    monkeypatch.setattr(reader, "MAX_SCANNED", 25)
    rare, page = audit.page(filters_of({"text": "59"}), limit=10)
    assert page is not None
    for tampered in (page[:-2], "x", "", page + "AA", "é", page.swapcase()):
        with pytest.raises(InvalidRequest):
            audit.page(filters_of({"text": "59"}), page=tampered)
    with pytest.raises(InvalidRequest):
        audit.page(filters_of({"text": "60"}), page=page)
    while page is not None:
        more, page = audit.page(filters_of({"text": "59"}), limit=10, page=page)
        rare += more
    assert sorted(each.entry.event for each in rare) == ["denied", "token_added"]


def test_the_keys_of_the_trail_are_those_that_keys_names(services: Services) -> None:
    services.audit_trail.add("signed_in", by="pin", worker="93")
    prefix = services.store.keys.prefix
    names = {
        re.sub(rf"^{prefix}:", "", key.decode())
        for key in services.store.client.scan_iter(match=f"{prefix}:*audit*")
    }
    assert names == {"{access}:audit:sign_ins", "{access}:audit_bytes"}
