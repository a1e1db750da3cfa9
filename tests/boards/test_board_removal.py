"""The removal of a board: when it is allowed, what is left, and what a new one begins with."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest

from occupancy.boards import queries as queries_module
from occupancy.boards import removal as removal_module
from occupancy.boards.commands import Command
from occupancy.boards.reconcile import Reconciler
from occupancy.boards.records import Preconditions
from occupancy.boards.removal import Removal
from occupancy.core.entities import MAIN_BOARD, Person, Role
from occupancy.core.errors import (
    AlreadyExists,
    BoardNotEmpty,
    BoardNotFound,
    BoardRemoved,
    ItemNotFound,
    StoreUnavailable,
)
from occupancy.core.requests.boards import BoardSettingsBody
from occupancy.core.requests.decoding import decode
from occupancy.core.transitions import PUT, REMOVE, TRANSITIONS
from occupancy.observability.audit_trail.reader import filters_of
from occupancy.services import Services
from tests.conftest import services_on
from tests.support.elsewhere import store_elsewhere
from tests.support.servers import RealServer

ANA = Person("ana", "Ana")


@pytest.fixture
def hall(services: Services) -> str:
    """A board with items that were worked on, and one that was removed."""
    board = services.store.boards.create("hall", steps=["ARM", "SOLD"]).board
    for tag in "ABC":
        do(services, "put", tag)
    for operation in ("take", "release", "take", "complete", "take"):
        do(services, operation, "A")
    do(services, "remove", "C")
    return board


def do(services: Services, operation: str, tag: str, board: str = "hall", key: str = "") -> Any:
    row = {"put": PUT, "remove": REMOVE}.get(operation) or TRANSITIONS[operation]
    given = Preconditions(idempotency_key=key, fingerprint="ab") if key else Preconditions()
    options: dict[str, Any] = {"items": [{}]} if row is PUT else {}
    return services.store.commands.execute(
        Command(board, row, [tag], actor=ANA, preconditions=given, **options)
    )


def remove(services: Services, board: str = "hall") -> None:
    services.removal.remove(board, with_items=True, recording=services.audit_trail.recording)
    assert services.removal.sweep(board)


def keys_of(services: Services, board: str = "hall") -> set[str]:
    """What the keys of a board are, by their second part."""
    client, root = services.store.client, services.store.keys.board(board).root
    found = client.client_of(f"{root}:").scan_iter(match=f"{root}:*", count=1000)
    return {key.decode().removeprefix(f"{root}:").partition(":")[0] for key in found}


def item(services: Services, tag: str, board: str = "hall") -> Any:
    return json.loads(services.store.queries.item(board, tag))


def elsewhere(services: Services) -> Removal:
    """The same, as another process has it."""
    store = store_elsewhere(services.store)
    return Removal(
        store, writes=store.client, revoke_credentials=services.tokens.revoke_of_board,
        sweep_recording=services.audit_trail.recording,
    )  # fmt: skip


# Allowed or not


def test_an_empty_board_is_removed(services: Services) -> None:
    services.store.boards.create("hall")
    assert (
        services.removal.remove("hall", with_items=False, recording=services.audit_trail.recording)
        == 0
    )
    with pytest.raises(BoardNotFound):
        services.store.boards.get("hall")
    assert [each.board for each in services.store.boards.all()] == [MAIN_BOARD]


def test_a_board_with_items_is_removed_only_with_them(services: Services, hall: str) -> None:
    before = services.store.boards.get(hall)
    with pytest.raises(BoardNotEmpty, match="has 2 items") as refused:
        services.removal.remove(hall, with_items=False, recording=services.audit_trail.recording)
    assert refused.value.extra == {"items": 2}
    assert services.store.boards.get(hall) == before
    services.removal.resume()
    assert item(services, "A")["state"] == "occupied"
    assert (
        services.removal.remove(hall, with_items=True, recording=services.audit_trail.recording)
        == 2
    )


def test_a_board_that_is_not_there_is_not_removed(services: Services) -> None:
    with pytest.raises(BoardNotFound):
        services.removal.remove(
            "nowhere", with_items=True, recording=services.audit_trail.recording
        )
    assert services.removal.sweep("nowhere") is False
    assert keys_of(services, "nowhere") == set()


def test_a_removal_that_is_repeated_is_done_already(services: Services, hall: str) -> None:
    assert (
        services.removal.remove(hall, with_items=True, recording=services.audit_trail.recording)
        == 2
    )
    assert (
        services.removal.remove(hall, with_items=False, recording=services.audit_trail.recording)
        is None
    )
    services.removal.sweep(hall)
    with pytest.raises(BoardNotFound):
        services.removal.remove(hall, with_items=True, recording=services.audit_trail.recording)


# Gone


@pytest.mark.parametrize("is_swept", [False, True])
def test_nothing_finds_a_board_that_was_removed(
    services: Services, hall: str, is_swept: bool
) -> None:
    store = services.store
    services.removal.remove(hall, with_items=True, recording=services.audit_trail.recording)
    if is_swept:
        services.removal.sweep(hall)
    for ask in (
        lambda: store.boards.get(hall), lambda: store.queries.snapshot(hall),
        lambda: store.queries.item(hall, "A"), lambda: store.snapshot_cache.find(hall),
        lambda: store.queries.history(hall, "A", limit=9), lambda: store.log.head(hall),
        lambda: store.timelines.get(hall, hours=1), lambda: do(services, "put", "D"),
        lambda: do(services, "complete", "A"), lambda: Reconciler(store).run(hall, repair=True),
        lambda: store.boards.configure(hall, decode(b'{"title":"H"}', BoardSettingsBody)),
    ):  # fmt: skip
        with pytest.raises(BoardNotFound):
            ask()
    assert hall not in [each.board for each in store.boards.all()]


def test_only_what_must_not_come_again_is_left(services: Services, hall: str) -> None:
    do(services, "pause", "A", key="k")
    remove(services)
    assert keys_of(services) <= {"board", "log", "rights", "rate"}
    left: Any = services.store.client.hkeys(services.store.keys.board(hall).board)
    assert {each.decode() for each in left} == {
        "seq", "seq_before", "cursor", "promoted", "incarnation", "floor_epoch", "floor_version",
        "settings_version",
    }  # fmt: skip
    assert services.store.client.smembers(services.store.keys.removing) == set()
    assert services.store.client.sismember(services.store.keys.boards, hall) == 0


def test_another_board_keeps_everything(services: Services, hall: str) -> None:
    for other in ("hall2", "hal", "Hall"):
        services.store.boards.create(other)
        do(services, "put", "A", board=other)
    remove(services)
    for other in ("hall2", "hal", "Hall"):
        assert item(services, "A", other)["version"] == 1
        assert Reconciler(services.store).run(other, repair=False).problems == []


def test_the_tokens_of_a_board_end_with_it(services: Services, hall: str) -> None:
    services.workers.add("93", name="Marta", role=Role.WORKER)
    for board in (hall, hall, None):
        services.tokens.create("93", board=board)
    remove(services)
    assert [each.token.board for each in services.tokens.all()] == [None]


def test_the_sweep_revokes_what_a_process_that_died_has_left_and_records_it_without_a_name(
    services: Services, hall: str
) -> None:
    services.workers.add("93", name="Marta", role=Role.WORKER)
    services.removal.remove(hall, with_items=True, recording=services.audit_trail.recording)
    token = services.tokens.create("93", board=hall)[1]
    station = services.stations.create("Hall", by="93", board=hall)[1]
    services.removal.sweep(hall)
    assert (services.tokens.all(), services.stations.all()) == ([], [])
    told = [each.as_dict() for each in services.audit_reader.all(filters_of({}))]
    assert [(each["event"], each["by"], each["details"]) for each in told] == [
        ("station_revoked", None, {"station": station.id, "name": "Hall"}),
        ("token_revoked", None, {"token": token.id}),
        ("board_removed", None, {"items": 2}),
    ]


def test_what_two_processes_revoke_at_once_is_recorded_once(
    services: Services, hall: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    services.workers.add("93", name="Marta", role=Role.WORKER)
    services.tokens.create("93", board=hall)
    services.stations.create("Hall", by="93", board=hall)
    stored = services.tokens._stored

    def revoked_elsewhere() -> Any:
        found = stored()
        monkeypatch.setattr(services.tokens, "_stored", stored)
        services.removal._revoke_credentials(hall, services.audit_trail.recording)
        return found

    monkeypatch.setattr(services.tokens, "_stored", revoked_elsewhere)
    services.removal.remove(hall, with_items=True, recording=services.audit_trail.recording)
    told = [each.as_dict()["event"] for each in services.audit_reader.all(filters_of({}))]
    assert told == ["station_revoked", "token_revoked", "board_removed"]


# Again


def test_a_board_of_the_same_name_is_new_and_counts_on(services: Services, hall: str) -> None:
    before = services.store.boards.get(hall)
    highest = item(services, "A")
    do(services, "pause", "A", key="k")
    remove(services)
    services.store.boards.create(hall, title="New")
    again = services.store.boards.get(hall)
    assert (again.title, again.steps) == ("New", ["work"])
    assert again.settings.version > before.settings.version
    assert not any(again.counts.values())
    assert again.seq == before.seq + 1  # of the pause
    answer = do(services, "put", "A", key="k")
    assert not answer.is_replayed
    found = item(services, "A")
    assert found["version"] > highest["version"] + 1
    do(services, "take", "A")
    assert item(services, "A")["epoch"] > highest["epoch"] + 1
    events, _ = services.store.queries.history(hall, "A", limit=99)
    assert len(events) == 2
    with pytest.raises(ItemNotFound):
        services.store.queries.history(hall, "C", limit=99)
    assert Reconciler(services.store).run(hall, repair=False).problems == []


def test_no_cursor_of_a_removed_board_is_known_to_a_new_one(services: Services, hall: str) -> None:
    log, keys = services.store.log, services.store.keys.board(hall)
    cursors = [each.decode() for each, _ in services.store.client.xrange(keys.log)]  # type: ignore[union-attr]
    remove(services)
    services.store.boards.create(hall)
    for cursor in ["0-0", *cursors]:
        assert not log.replay(hall, cursor, 10).is_known
    head = log.head(hall).head_cursor
    assert head not in cursors
    do(services, "put", "A")
    assert [each.seq for each in log.replay(hall, head, 10).entries] == [log.head(hall).head_seq]


def test_a_cached_snapshot_of_a_removed_board_is_never_that_of_a_new_one(
    services: Services, hall: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries_module, "_LARGE_ITEMS", 1)
    cache = services.store.snapshot_cache
    known = cache.find(hall)
    assert known is not None
    remove(services)
    services.store.boards.create(hall)
    found = cache.find(hall, known.cursor)
    assert found is not None
    assert found.snapshot.items == []


def test_a_board_is_not_created_while_one_of_its_name_is_being_removed(
    services: Services, hall: str
) -> None:
    services.removal.remove(hall, with_items=True, recording=services.audit_trail.recording)
    with pytest.raises(AlreadyExists, match="still being removed"):
        services.store.boards.create(hall)
    services.removal.sweep(hall)
    services.store.boards.create(hall)
    assert hall in [each.board for each in services.store.boards.all()]


def test_after_a_promotion_a_removed_board_counts_on_from_higher(
    services: Services, hall: str
) -> None:
    remove(services)
    services.store.client.has_failover = True
    services.store.client.connection_pool.incarnation = 3
    services.store.boards.create(hall)
    do(services, "put", "A")
    assert item(services, "A")["version"] == 3 * 10**9 + 1
    assert services.store.boards.get(hall).settings.version == 3 * 10**9 + 1


def test_main_is_emptied_and_is_unused_again(services: Services) -> None:
    services.store.boards.create("hall")
    do(services, "put", "A", board=MAIN_BOARD)
    services.store.boards.configure(MAIN_BOARD, decode(b'{"title":"M"}', BoardSettingsBody))
    services.removal.remove(MAIN_BOARD, with_items=True, recording=services.audit_trail.recording)
    for ask in (
        lambda: do(services, "put", "B", board=MAIN_BOARD),
        lambda: services.store.queries.snapshot(MAIN_BOARD),
        lambda: services.store.log.head(MAIN_BOARD),
        lambda: services.store.timelines.get(MAIN_BOARD, hours=1),
    ):
        with pytest.raises(BoardNotFound):
            ask()
    services.removal.sweep(MAIN_BOARD)
    assert [each.board for each in services.store.boards.visible()] == ["hall"]
    assert services.store.boards.get(MAIN_BOARD).title == MAIN_BOARD
    do(services, "put", "A", board=MAIN_BOARD)
    assert item(services, "A", MAIN_BOARD)["version"] == 2
    assert Reconciler(services.store).run(MAIN_BOARD, repair=False).problems == []


# Interrupted, late, and together


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(removal_module, "_KEYS_PER_PIECE", 2)


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("pieces", [0, 1, 2])  # of three
def test_a_sweep_that_was_killed_is_ended_by_another_process(
    services: Services, hall: str, pieces: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    highest = item(services, "A")["version"]
    services.removal.remove(hall, with_items=True, recording=services.audit_trail.recording)
    run, left = services.removal._sweep.run, iter(range(pieces))

    def die(*args: Any) -> Any:
        if next(left, None) is None:
            raise gevent.GreenletExit
        return run(*args)

    monkeypatch.setattr(services.removal._sweep, "run", die)
    with pytest.raises(gevent.GreenletExit):
        services.removal.sweep(hall)
    other = elsewhere(services)
    assert other.sweep(hall) is False  # the dead one's lease
    services.store.client.delete(services.store.keys.board(hall).sweeper)  # as when it expires
    other.resume()
    assert other._sweeping is not None
    other._sweeping.get(timeout=10)
    assert keys_of(services) <= {"board", "log", "rights", "rate"}
    services.store.boards.create(hall)
    do(services, "put", "A")
    assert item(services, "A")["version"] > highest


@pytest.mark.usefixtures("small_pieces")
def test_a_sweep_that_is_late_deletes_nothing_of_a_new_board(
    services: Services, hall: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    services.removal.remove(hall, with_items=True, recording=services.audit_trail.recording)
    found, other = services.removal._found, elsewhere(services)

    def late(*args: Any) -> Iterator[str]:
        keys = list(found(*args))
        monkeypatch.setattr(services.removal, "_found", found)
        services.store.client.delete(services.store.keys.board(hall).sweeper)
        assert other.sweep(hall)
        services.store.boards.create(hall)
        do(services, "put", "A")
        return iter(keys)

    monkeypatch.setattr(services.removal, "_found", late)
    services.removal.sweep(hall)
    assert item(services, "A")["state"] == "available"
    assert services.store.boards.get(hall).counts["available"] == 1
    assert hall in [each.board for each in store_elsewhere(services.store).boards.all()]
    assert Reconciler(services.store).run(hall, repair=False).problems == []


def test_a_removal_whose_name_is_lost_is_found_by_the_check_at_the_start(
    services: Services, hall: str
) -> None:
    services.removal.remove(hall, with_items=True, recording=services.audit_trail.recording)
    services.store.client.delete(services.store.keys.removing)
    Reconciler(services.store).check_index(repair=True)
    assert services.store.client.smembers(services.store.keys.removing) == {hall.encode()}


def test_an_operation_at_the_moment_of_the_removal_is_done_before_it_or_not_at_all(
    valkey_services: Services,
) -> None:
    services = valkey_services
    for _ in range(15):
        services.store.boards.create("hall")
        outcomes: list[bool] = []

        def put(tag: str, outcomes: list[bool] = outcomes) -> None:
            try:
                do(services, "put", tag)
            except BoardNotFound:
                outcomes.append(False)
            else:
                outcomes.append(True)

        putting = [gevent.spawn(put, f"T-{number}") for number in range(8)]
        gevent.sleep(0)
        items = services.removal.remove(
            "hall", with_items=True, recording=services.audit_trail.recording
        )
        gevent.joinall(putting, timeout=10, raise_error=True)
        assert items == sum(outcomes)
        assert services.removal.sweep("hall")
        assert keys_of(services) <= {"board", "log", "rights", "rate"}


def test_a_full_server_lets_a_board_go(own_server: RealServer, tmp_path: Path) -> None:
    for services in services_on("valkey", tmp_path, lambda _: own_server):
        services.store.boards.create("hall")
        do(services, "put", "A")
        client = services.store.client
        client.config_set("maxmemory", "1")
        with pytest.raises(StoreUnavailable):
            do(services, "put", "B")
        try:
            with pytest.raises(StoreUnavailable):  # its name is not noted: said, and repeated
                services.removal.remove(
                    "hall", with_items=True, recording=services.audit_trail.recording
                )
        finally:
            client.config_set("maxmemory", "0")
        with pytest.raises(BoardRemoved):
            services.store.log.head("hall")
        assert (
            services.removal.remove(
                "hall", with_items=False, recording=services.audit_trail.recording
            )
            is None
        )
        assert services.removal.sweep("hall")
