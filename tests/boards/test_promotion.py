"""A board on a server that was promoted: marked once, and everything counts on from higher."""

from __future__ import annotations

import dataclasses
import json
import secrets
from typing import Any

import pytest

from occupancy.boards import queries as queries_module
from occupancy.boards.commands import Command
from occupancy.boards.reconcile import Reconciler
from occupancy.boards.records import Answer, Preconditions
from occupancy.core.entities import MAIN_BOARD, Person
from occupancy.core.errors import AlreadyExists, StoreUnavailable
from occupancy.core.settings import Settings
from occupancy.core.transitions import PUT, REMOVE, TRANSITIONS
from occupancy.services import Services
from tests.support.servers import RealServer

ANA = Person("ana", "Ana")
LEAST = 10**9  # what an incarnation of one adds to each epoch and version
EXACT = 2**53  # whole numbers below it are exact in Lua and JavaScript


def promote(services: Services, incarnation: int) -> None:
    """What the topology does: the server is known to have this failover epoch."""
    services.store.client.has_failover = True
    services.store.client.connection_pool.incarnation = incarnation


@pytest.fixture
def board(services: Services) -> str:
    """A board with two items, of before the promotion of its server."""
    name = services.store.boards.create("promoted").board
    services.store.commands.execute(Command(name, PUT, ["A", "B"], actor=ANA, items=[{}, {}]))
    do(services, name, "take", "A")
    return name


def do(services: Services, board: str, operation: str, *tags: str, **options: Any) -> Answer:
    row = {"put": PUT, "remove": REMOVE}.get(operation) or TRANSITIONS[operation]
    if row is PUT:
        options["items"] = [{"title": json.dumps(secrets.token_hex(4))}] * len(tags)
    return services.store.commands.execute(Command(board, row, tags, actor=ANA, **options))


def item_of(services: Services, board: str, tag: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(services.store.queries.item(board, tag))
    return found


def marks_of(services: Services, board: str) -> list[int]:
    """The incarnations that the log's marks name."""
    entries: Any = services.store.client.xrange(services.store.keys.board(board).log)
    return [int(fields[b"promotion"]) for _, fields in entries if b"promotion" in fields]


def everything(services: Services, board: str) -> dict[bytes, Any]:
    client: Any = services.store.client
    keys = client.scan_iter(match=f"{services.store.keys.board(board).root}:*", count=1000)
    return {key: client.dump(key) for key in keys if b":idem:" not in key}


def test_without_a_failover_nothing_is_marked(services: Services, board: str) -> None:
    services.store.log.promote([board])
    assert marks_of(services, board) == []
    fields: Any = services.store.client.hgetall(services.store.keys.board(board).board)
    assert not {b"incarnation", b"promoted"} & set(fields)
    assert item_of(services, board, "A")["version"] == 2


def test_the_first_change_after_a_promotion_marks_the_log_and_lifts_epoch_and_version(
    services: Services, board: str
) -> None:
    promote(services, 7)
    do(services, board, "pause", "A")
    assert marks_of(services, board) == [7]
    item = item_of(services, board, "A")
    assert (item["epoch"], item["version"]) == (7 * LEAST + 1, 7 * LEAST + 1)
    do(services, board, "take", "A")
    assert marks_of(services, board) == [7]
    item = item_of(services, board, "A")
    assert (item["epoch"], item["version"]) == (7 * LEAST + 2, 7 * LEAST + 2)
    untouched = item_of(services, board, "B")
    assert (untouched["epoch"], untouched["version"]) == (0, 1)
    assert Reconciler(services.store).run(board, repair=False).problems == []


@pytest.mark.parametrize("is_large", [False, True])
def test_each_read_says_which_versions_are_from_after_the_promotion(
    services: Services, board: str, monkeypatch: pytest.MonkeyPatch, *, is_large: bool
) -> None:
    if is_large:  # the cache reads it as a whole, and follows the log
        monkeypatch.setattr(queries_module, "_LARGE_ITEMS", 2)
    store = services.store
    cache = store.snapshot_cache

    def floors() -> set[int]:
        whole, one = cache.find(board), cache.select(board, limit=1, pause=lambda: None)
        assert whole is not None
        assert one is not None
        assert json.loads(whole.plain())["version_floor"] == whole.snapshot.version_floor
        return {
            whole.snapshot.version_floor, one.version_floor,
            store.queries.item_and_floor(board, "A")[1],
            store.queries.history_and_floor(board, "A", limit=1)[2],
            store.log.head(board).version_floor,
            store.log.replay(board, "0-0", 10).version_floor,
            store.log.replay(board, "5-5", 10).version_floor,
        }  # fmt: skip

    assert floors() == {0}
    promote(services, 5)
    store.log.promote([board])
    assert floors() == {5 * LEAST}
    do(services, board, "pause", "A")
    assert floors() == {5 * LEAST}
    assert item_of(services, board, "B")["version"] == 1  # it is not above the floor
    assert item_of(services, board, "A")["version"] == 5 * LEAST + 1


@pytest.mark.parametrize("incarnation", [9_000_000, 9_000_001, EXACT])
def test_the_floor_is_what_the_scripts_count_from(
    services: Services, board: str, incarnation: int
) -> None:
    promote(services, incarnation)
    do(services, board, "pause", "A")
    floor = services.store.log.head(board).version_floor
    assert item_of(services, board, "A")["version"] == floor + 1
    assert services.store.queries.item_and_floor(board, "A")[1] == floor


def test_a_batch_marks_once_and_lifts_each_item(services: Services, board: str) -> None:
    promote(services, 3)
    answer = do(services, board, "block", "A", "B", reason="weld")
    assert marks_of(services, board) == [3]
    assert [each.version for each in answer.outcomes] == [3 * LEAST + 1] * 2
    entries = services.store.log.replay(board, mark_of(services, board), 10).entries
    assert [each.seq for each in entries] == [4, 5]


def mark_of(services: Services, board: str) -> str:
    found: Any = services.store.client.hget(services.store.keys.board(board).board, "promoted")
    return bytes(found).decode()


@pytest.mark.parametrize("is_empty", [False, True])
def test_the_mark_comes_without_a_change_too(
    services: Services, board: str, *, is_empty: bool
) -> None:
    if is_empty:
        board = services.store.boards.create("empty").board
    before = services.store.log.head(board)
    promote(services, 2)
    for _ in range(2):
        services.store.log.promote([board, "no-such-board"])
        assert marks_of(services, board) == [2]
    head = services.store.log.head(board)
    assert (head.head_cursor, head.head_seq) == (mark_of(services, board), before.head_seq)
    assert not services.store.log.replay(board, before.head_cursor, 10).is_known
    do(services, board, "put", "C")
    assert marks_of(services, board) == [2]
    entries = services.store.log.replay(board, head.head_cursor, 10).entries
    assert [each.seq for each in entries] == [before.head_seq + 1]
    assert services.store.client.exists(services.store.keys.board("no-such-board").board) == 0


def test_every_cursor_from_before_the_mark_is_unknown_and_those_after_it_go_on(
    services: Services, board: str
) -> None:
    old = [each.cursor for each in services.store.log.replay(board, "0-0", 10).entries]
    promote(services, 1)
    new = [do(services, board, each, "A").cursor for each in ("pause", "take", "pause")]
    for cursor in ("0-0", "damaged", *old):
        assert not services.store.log.replay(board, cursor, 10).is_known
    assert services.store.log.replay(board, mark_of(services, board), 10).is_known
    following = services.store.log.replay(board, new[0], 10)
    assert [each.cursor for each in following.entries] == new[1:]
    assert b'"promotion"' not in b"".join(each.event for each in following.entries)


@pytest.mark.parametrize("ahead", [1, 2**40])
def test_a_cursor_of_the_millisecond_of_the_mark_is_before_it(
    services: Services, board: str, ahead: int
) -> None:
    last = services.store.log.head(board).head_cursor
    ms, _, number = last.partition("-")
    mark = f"{ms}-{int(number) + ahead}"
    keys, client = services.store.keys.board(board), services.store.client
    client.xadd(keys.log, {"promotion": "1"}, id=mark)
    client.hset(keys.board, mapping={"cursor": mark, "promoted": mark, "incarnation": "1"})
    assert not services.store.log.replay(board, last, 10).is_known
    assert not services.store.log.replay(board, f"{ms}-{int(number) + ahead - 1}", 10).is_known
    assert services.store.log.replay(board, mark, 10).is_known


def test_a_lower_incarnation_later_changes_nothing(services: Services, board: str) -> None:
    promote(services, 9)
    do(services, board, "pause", "A")
    promote(services, 4)
    services.store.log.promote([board])
    do(services, board, "take", "A")
    assert marks_of(services, board) == [9]
    item = item_of(services, board, "A")
    assert (item["epoch"], item["version"]) == (9 * LEAST + 2, 9 * LEAST + 2)
    do(services, board, "take", "B")
    assert item_of(services, board, "B")["version"] == 9 * LEAST + 1


def test_each_higher_incarnation_is_marked_and_only_the_newest_mark_counts(
    services: Services, board: str
) -> None:
    promote(services, 1)
    first = do(services, board, "pause", "A").cursor
    promote(services, 2)
    services.store.log.promote([board])
    second = do(services, board, "take", "A").cursor
    assert marks_of(services, board) == [1, 2]
    assert not services.store.log.replay(board, first, 10).is_known
    assert services.store.log.replay(board, second, 10).is_known
    assert Reconciler(services.store).run(board, repair=False).problems == []


def test_an_item_that_is_removed_and_added_again_goes_on_higher(
    services: Services, board: str
) -> None:
    promote(services, 5)
    do(services, board, "pause", "A")
    do(services, board, "remove", "A")
    do(services, board, "put", "A")
    assert item_of(services, board, "A")["version"] == 5 * LEAST + 3
    do(services, board, "take", "A")
    assert item_of(services, board, "A")["epoch"] == 5 * LEAST + 2


@pytest.mark.parametrize(
    ("operation", "options"),
    [
        ("pause", {}), ("pause", {"actor": Person("ben", "Ben")}), ("take", {"dry_run": True}),
        ("unblock", {}),
    ],
)  # fmt: skip
def test_what_changes_nothing_writes_no_mark(
    services: Services, board: str, operation: str, options: dict[str, Any]
) -> None:
    """Refused, without effect, or only tried."""
    promote(services, 6)
    before = everything(services, board)
    row = TRANSITIONS[operation]
    given = Preconditions(idempotency_key=secrets.token_hex(4), fingerprint=secrets.token_hex(16))
    command = Command(board, row, ["B"], **{"actor": ANA, "preconditions": given, **options})
    services.store.commands.execute(command)
    assert everything(services, board) == before
    assert marks_of(services, board) == []


def test_an_answer_from_before_the_promotion_is_repeated_as_it_was(
    services: Services, board: str
) -> None:
    given = Preconditions(idempotency_key="k", fingerprint=secrets.token_hex(16))
    first = do(services, board, "take", "B", preconditions=given)
    promote(services, 1)
    again = do(services, board, "take", "B", preconditions=given)
    assert (again.is_replayed, again.cursor) == (True, first.cursor)
    assert again.outcomes[0].version == 2
    assert marks_of(services, board) == []
    do(services, board, "pause", "B")
    again = do(services, board, "take", "B", preconditions=given)
    assert (again.is_replayed, again.outcomes[0].item) == (True, first.outcomes[0].item)


def test_the_first_write_of_a_new_board_needs_no_mark(services: Services) -> None:
    """Nothing of it can be lost, so nobody need be told that."""
    promote(services, 4)
    board = services.store.boards.create("new").board
    cursor = do(services, board, "put", "A").cursor
    services.store.log.promote([board])
    assert marks_of(services, board) == []
    assert [each.cursor for each in services.store.log.replay(board, "0-0", 9).entries] == [cursor]
    assert item_of(services, board, "A")["version"] == 4 * LEAST + 1
    promote(services, 5)
    do(services, board, "take", "A")
    assert marks_of(services, board) == [5]


@pytest.mark.parametrize("is_first_read", [False, True])
def test_the_implicit_board_is_marked_before_anything_is_written(
    services: Services, *, is_first_read: bool
) -> None:
    """What its first items were may be lost, and a page may show them."""
    promote(services, 1)
    if is_first_read:
        services.store.log.promote([MAIN_BOARD])
        assert marks_of(services, MAIN_BOARD) == [1]
    do(services, MAIN_BOARD, "put", "A")
    assert marks_of(services, MAIN_BOARD) == [1]
    assert not services.store.log.replay(MAIN_BOARD, "0-0", 10).is_known
    assert services.store.boards.get(MAIN_BOARD).seq == 1
    do(services, MAIN_BOARD, "remove", "A")
    assert services.store.boards.create(MAIN_BOARD, steps=["ARM"]).steps == ["ARM"]


def test_trying_to_create_a_board_that_is_there_takes_no_mark_from_it(
    services: Services,
) -> None:
    board = services.store.boards.create("old").board
    do(services, board, "put", "A")
    do(services, board, "remove", "A")
    promote(services, 1)
    with pytest.raises(AlreadyExists):
        services.store.boards.create(board, title="Other")
    assert services.store.boards.get(board).title == board
    do(services, board, "put", "A")
    assert marks_of(services, board) == [1]


def test_numbers_stay_exact_whatever_the_incarnation(services: Services, board: str) -> None:
    promote(services, 2**40)
    versions = [do(services, board, "put", "A").outcomes[0].version for _ in range(3)]
    assert versions == [versions[0], versions[0] + 1, versions[0] + 2]
    assert versions[-1] < EXACT


def test_the_snapshot_from_memory_is_the_board_across_promotions(
    services: Services, board: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache, queries = services.store.snapshot_cache, services.store.queries
    monkeypatch.setattr(queries_module, "_LARGE_ITEMS", 1)
    for incarnation in (1, 2):
        for operation in ("put", "block", "unblock"):
            reason = {"reason": "weld"} if operation == "block" else {}
            do(services, board, operation, "B", **reason)
            found, read = cache.find(board), queries.snapshot(board)
            assert found is not None
            assert read is not None
            assert found.snapshot.items == read.items
            assert found.cursor == read.cursor
        promote(services, incarnation)
        services.store.log.promote([board])
        found = cache.find(board)
        assert found is not None
        assert found.cursor == mark_of(services, board)


@pytest.mark.parametrize("command", ["xadd", "hset"])
def test_without_the_rights_for_all_of_it_no_part_of_a_mark_is_written(
    own_server: RealServer, settings: Settings, command: str
) -> None:
    with own_server.client() as admin:
        admin.execute_command("ACL", "SETUSER", "app", "reset", "on", ">pw", "~*", "&*", "+@all")
    url = own_server.url.replace("redis://", "redis://app:pw@")
    services = Services.for_command_line(dataclasses.replace(settings, redis_url=url))
    try:
        board = services.store.boards.create("rights").board
        do(services, board, "put", "A")
        before = everything(services, board)
        with own_server.client() as admin:
            admin.execute_command("ACL", "SETUSER", "app", f"-{command}")
        promote(services, 1)
        with pytest.raises(StoreUnavailable):
            services.store.log.promote([board])
        with pytest.raises(StoreUnavailable):
            do(services, board, "take", "A")
        assert everything(services, board) == before
    finally:
        services.close()


def test_a_full_server_refuses_the_change_and_its_mark_together(
    own_server: RealServer, settings: Settings
) -> None:
    services = Services.for_command_line(dataclasses.replace(settings, redis_url=own_server.url))
    try:
        board = services.store.boards.create("full").board
        do(services, board, "put", "A")
        before = everything(services, board)
        promote(services, 1)
        with own_server.client() as admin:
            admin.config_set("maxmemory", "1")
            for change in (
                lambda: services.store.log.promote([board]),
                lambda: do(services, board, "take", "A"),
            ):
                with pytest.raises(StoreUnavailable):
                    change()
            admin.config_set("maxmemory", "0")
        assert everything(services, board) == before
        do(services, board, "take", "A")
        assert marks_of(services, board) == [1]
    finally:
        services.close()
