"""The snapshot cache: a large board followed through its log equals a fresh reading of it."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable
from typing import Any

import gevent
import pytest
from isal import isal_zlib

from occupancy.boards import queries as queries_module
from occupancy.boards import snapshot_cache as cache_module
from occupancy.boards.commands import Command
from occupancy.boards.reconcile import Reconciler
from occupancy.boards.snapshot_cache import SnapshotCache, SnapshotResponse
from occupancy.boards.store import Store
from occupancy.core.entities import MAX_SNAPSHOT_ITEMS, Person
from occupancy.core.errors import BoardNotFound, InvalidRequest, StoreUnavailable
from occupancy.core.transitions import PUT, REMOVE, TRANSITIONS
from occupancy.services import Services
from tests.support.waiting import wait_until

ANA = Person("ana", 'Ana "},"means":"x","item":{"tag":"A-1" \\')  # a name like an event's parts
BEN = Person("ben", "Ben {O'Hara}, ñ\u2028")
TITLES = [
    "Plain",
    '"},"item":{"tag":"A-1","title":"',
    "back\\slash\\",
    "{}[]",
    "löng " * 30,
    "\n\t",
]
TAGS = [f"{letter}{mark}{number}" for letter in "Aaz" for mark in "-.:_" for number in (1, 10, 2)]
FEW = 3


@pytest.fixture(autouse=True)
def large_boards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Boards are large from a few items on."""
    monkeypatch.setattr(queries_module, "_LARGE_ITEMS", FEW)


@pytest.fixture
def store(services: Services) -> Store:
    return services.store


def put(store: Store, *tags: str, board: str = "main", **texts: str) -> str:
    items = [texts] * len(tags)
    return store.commands.execute(Command(board, PUT, tags, actor=ANA, items=items)).cursor


def do(store: Store, operation: str, *tags: str, board: str = "main", **options: Any) -> str:
    row = REMOVE if operation == "remove" else TRANSITIONS[operation]
    return store.commands.execute(Command(board, row, tags, **{"actor": ANA, **options})).cursor


def fresh(store: Store, board: str = "main") -> bytes:
    snapshot = store.queries.snapshot(board)
    assert snapshot is not None
    return SnapshotResponse(snapshot).plain()


def found(store: Store, board: str = "main") -> bytes:
    response = store.snapshot_cache.find(board)
    assert response is not None
    return response.plain()


def counted(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> list[tuple[Any, ...]]:
    """The arguments of each call of a method from now on."""
    calls: list[tuple[Any, ...]] = []
    real = getattr(owner, name)

    def call(*args: Any) -> Any:
        calls.append(args)
        return real(*args)

    monkeypatch.setattr(owner, name, call)
    return calls


def change_at_random(store: Store, chance: random.Random) -> None:
    """One operation of any kind on some items, which may well be refused."""
    tags = chance.sample(TAGS, chance.choice([1, 1, 1, 4]))
    actor = chance.choice([ANA, BEN])
    kind = chance.choice(["put", "put", "remove", "block", "unblock", "reassign", *TRANSITIONS])
    if kind == "put":
        title = json.dumps(chance.choice(TITLES), ensure_ascii=chance.random() < 0.5)
        attributes = json.dumps({"item": chance.choice(TITLES)})
        items = [{"title": title, "attributes": attributes}] * len(tags)
        store.commands.execute(Command("main", PUT, tags, actor=actor, items=items))
    else:
        do(store, kind, *tags, actor=actor, reason='why, "item"', to=BEN)


# Equal to a fresh reading


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.thorough
def test_a_cached_board_equals_the_board_after_any_changes(
    store: Store, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(cache_module, "_MAX_ENTRIES", 12)
    chance = random.Random(seed)
    for tag in TAGS[::2]:
        put(store, tag)
    assert found(store) == fresh(store)
    readings = counted(monkeypatch, store.queries, "whole")
    updates = 150
    for _ in range(updates):
        for _ in range(chance.choice([0, 1, 1, 2, 8])):
            change_at_random(store, chance)
        response = store.snapshot_cache.find("main")
        assert response is not None
        expected = fresh(store)
        assert response.plain() == expected
        assert gzip.decompress(response.packed() or gzip.compress(expected)) == expected
    # Of ours beside the fresh ones: where more than the bound came at once, and no other.
    assert updates <= len(readings) < updates * 1.4


def test_a_board_that_is_followed_is_not_read_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(store, "A", "B", "C")
    found(store)
    readings = counted(monkeypatch, store.queries, "whole")
    put(store, "Aa", title='"x\\"},{"', attributes='{"tag":"B"}')
    do(store, "take", "Aa", actor=BEN)
    do(store, "remove", "B")
    do(store, "take", "A", "C")
    do(store, "pause", "A", reason='","item":{"tag":"C",')
    response = store.snapshot_cache.find("main")
    assert readings == []
    assert response is not None
    assert response.plain() == fresh(store)
    assert store.snapshot_cache.find("main") is response  # what is compressed is compressed once
    assert store.snapshot_cache.find("main", response.cursor) is None
    assert store.snapshot_cache.find("main", "1-1") is response


@pytest.mark.parametrize("count", [FEW - 1, FEW])
def test_a_small_board_is_read_each_time(store: Store, count: int) -> None:
    cursor = put(store, *TAGS[:count])
    assert found(store) == fresh(store)
    assert (store.snapshot_cache.size > 0) == (count >= FEW)
    assert store.snapshot_cache.find("main", cursor) is None


def test_a_board_may_become_small_or_empty_and_large_again(store: Store) -> None:
    put(store, "A", "B", "C")
    for tag in "ABC":
        found(store)
        do(store, "remove", tag)
        assert found(store) == fresh(store)
        assert not store.snapshot_cache._boards
    for number in range(FEW + 1):
        put(store, f"N-{number}")
        assert found(store) == fresh(store)
    assert store.snapshot_cache.size > 0


def test_a_board_that_grows_beyond_the_limit_has_pages(valkey_services: Services) -> None:
    store = valkey_services.store
    rows: list[tuple[str, dict[str, str]]] = [
        (f"T-{number:05}", {}) for number in range(MAX_SNAPSHOT_ITEMS)
    ]
    list(store.commands.put_many("main", rows, actor=ANA))
    assert found(store) == fresh(store)
    assert store.snapshot_cache.size > 0
    put(store, "A")
    response = store.snapshot_cache.find("main")
    assert response is not None
    assert len(response.snapshot.items) == MAX_SNAPSHOT_ITEMS
    assert response.snapshot.next is not None
    assert response.plain() == fresh(store)
    do(store, "remove", "T-00004")
    assert found(store) == fresh(store)
    assert json.loads(found(store))["next"] is None


# Where the log does not tell


def _trim(store: Store) -> None:
    for tag in ("A", "B"):
        do(store, "take", tag)
    store.client.xtrim(store.keys.board("main").log, maxlen=1, approximate=False)


def _punch_a_hole(store: Store) -> None:
    cursors = [do(store, "take", tag) for tag in "ABC"]
    store.client.xdel(store.keys.board("main").log, cursors[1])


def _cut_the_end(store: Store) -> None:
    store.client.xdel(store.keys.board("main").log, do(store, "take", "A"))


def _cut_all(store: Store) -> None:
    do(store, "take", "A")
    store.client.delete(store.keys.board("main").log)


def _exceed(store: Store) -> None:
    for number in range(cache_module._MAX_ENTRIES + 1):
        do(store, "release" if number % 2 else "take", "A")


def _speak_otherwise(store: Store) -> None:
    keys = store.keys.board("main")
    seq: Any = store.client.hincrby(keys.board, "seq", 1)
    fields: Any = {"seq": seq, "event": '{"item":{"tag":"A"}}'}
    cursor = store.client.xadd(keys.log, fields)
    store.client.hset(keys.board, "cursor", cursor)


def _edit_by_hand(store: Store) -> None:
    store.client.hdel(store.keys.board("main").view, "A")
    put(store, "A", title='"there again"')
    found(store)  # an edit of what is there
    store.client.hdel(store.keys.board("main").view, "C")
    do(store, "remove", "C")
    put(store, "C")


def _remove_what_nobody_saw(store: Store) -> None:
    store.client.hdel(store.keys.board("main").view, "B")
    store.snapshot_cache._boards.clear()
    found(store)
    do(store, "remove", "B")


def _count_by_hand(store: Store) -> None:
    store.client.hset(store.keys.board("main").board, "seq", 100)


def _empty(store: Store) -> None:
    keys = list(
        store.client.scan_iter(match=store.keys.board("main").board.removesuffix("board") + "*")
    )
    assert store.keys.board("main").view.encode() in keys
    store.client.delete(*keys)
    # Within a millisecond a new log would repeat cursors of the old one. No operator is so fast,
    # but this test is.
    emptied_ms = now_ms(store)
    wait_until(lambda: now_ms(store) > emptied_ms, what="the server's next millisecond")


def now_ms(store: Store) -> int:
    seconds, microseconds = store.client.time()
    return int(seconds) * 1000 + int(microseconds) // 1000


def _empty_and_fill(store: Store) -> None:
    _empty(store)
    put(store, "C", "D", "E", "F")  # as many events as there were, and more


@pytest.mark.parametrize(
    "happen",
    [
        _trim, _punch_a_hole, _cut_the_end, _cut_all, _exceed, _speak_otherwise, _edit_by_hand,
        _remove_what_nobody_saw, _count_by_hand, _empty, _empty_and_fill,
    ],
)  # fmt: skip
def test_where_the_log_does_not_tell_the_board_is_read_anew(
    store: Store, monkeypatch: pytest.MonkeyPatch, happen: Callable[[Store], None]
) -> None:
    monkeypatch.setattr(cache_module, "_MAX_ENTRIES", 20)
    put(store, "A", "B", "C")
    found(store)
    happen(store)
    assert found(store) == fresh(store)
    do(store, "take", "E") if happen is _empty_and_fill else put(store, "E")
    assert found(store) == fresh(store)


def test_a_board_that_is_gone_is_not_found(store: Store) -> None:
    for board in ("line", "other"):
        store.boards.create(board)
        put(store, "A", "B", "C", board=board)
        found(store, board)
    keys = store.keys.board("line")
    store.client.delete(keys.board, keys.view, keys.by_tag, keys.log)
    for _ in range(2):
        with pytest.raises(BoardNotFound):
            store.snapshot_cache.find("line")
    with pytest.raises(BoardNotFound):
        store.snapshot_cache.find("nowhere")
    assert found(store, "other") == fresh(store, "other")
    store.boards.create("line")
    assert found(store, "line") == fresh(store, "line")


def test_what_was_repaired_shows_after_a_while(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(store, "A", "B", "C")
    good, view = fresh(store), store.keys.board("main").view
    text = store.queries.item("main", "B")
    store.client.hset(view, "B", text.replace(b'"available"', b'"occupied"'))
    assert found(store) != good
    assert Reconciler(store).audit("main", ["A", "B", "C"], mend=True) == [("B", "view")]
    assert found(store) != good  # no event says so
    monkeypatch.setattr(cache_module, "_MAX_FOLLOWED_S", 0.0)
    assert found(store) == good


# Many at once


def test_no_listing_is_a_mix_of_two_moments(valkey_services: Services) -> None:
    store = valkey_services.store
    put(store, *TAGS[:20])
    seen: list[SnapshotResponse] = []
    is_over = False

    def change(seed: int) -> None:
        chance = random.Random(seed)
        own = f"own-{seed}"
        for count in range(60):
            change_at_random(store, chance)
            put(store, own, title=f'"{count}"')
            response = store.snapshot_cache.find("main")
            assert response is not None
            seen.append(response)
            item = next(each for each in response.snapshot.items if own.encode() in each)
            assert json.loads(item)["title"] == str(count)  # their own write

    def read() -> None:
        last = 0
        while not is_over:
            response = store.snapshot_cache.find("main")
            assert response is not None
            assert response.snapshot.seq >= last  # nobody goes back
            last = response.snapshot.seq
            seen.append(response)

    writers = [gevent.spawn(change, seed) for seed in range(4)]
    readers = [gevent.spawn(read) for _ in range(6)]
    gevent.joinall(writers, timeout=60, raise_error=True)
    is_over = True
    gevent.joinall(readers, timeout=10, raise_error=True)

    # From the log alone: what the board was after each event.
    boards: dict[int, tuple[str, list[bytes]]] = {}
    items: dict[str, bytes] = {}
    wanted = {response.snapshot.seq for response in seen}
    for entry in store.log.replay("main", "0-0", 10_000).entries:
        event = json.loads(entry.event)
        tag = event["item"]["tag"]
        items[tag] = entry.event[entry.event.index(b',"item":{"tag":"' + tag.encode()) + 8 : -1]
        if event["type"] == "item.removed":
            del items[tag]
        if entry.seq in wanted:
            boards[entry.seq] = entry.cursor, [items[each] for each in sorted(items)]
    assert len(wanted) > 50
    for response in seen:
        snapshot = response.snapshot
        assert (snapshot.cursor, snapshot.items) == boards[snapshot.seq]
        assert json.loads(response.plain())["seq"] == snapshot.seq


def at_once(many: int, act: Callable[[], Any]) -> list[Any]:
    greenlets = [gevent.spawn(act) for _ in range(many)]
    gevent.joinall(greenlets, timeout=20, raise_error=True)
    return [each.value for each in greenlets]


def test_of_a_hundred_requests_at_once_one_reads_and_compresses(
    valkey_services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = valkey_services.store
    put(store, *TAGS)
    readings = counted(monkeypatch, store.queries, "whole")
    updates = counted(monkeypatch, store.log, "replay")
    compressed = counted(monkeypatch, isal_zlib, "compressobj")

    def answer() -> bytes | None:
        response = store.snapshot_cache.find("main")
        return response.packed() if response is not None else None

    assert len(set(at_once(100, answer))) == 1
    assert (len(readings), len(compressed)) == (1, 1)
    assert len(updates) <= 2
    do(store, "take", TAGS[0])
    updates.clear()
    assert len(set(at_once(100, answer))) == 1
    assert (len(readings), len(updates), len(compressed)) == (1, 1, 2)


def test_a_read_that_was_under_way_serves_no_later_request(
    valkey_services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its answer may be from before the write of who comes while it is on its way."""
    store = valkey_services.store
    put(store, *TAGS)
    found(store)
    real = store.log.replay
    answered, go_on = gevent.event.Event(), gevent.event.Event()

    def slow(*args: Any) -> Any:
        replay = real(*args)
        answered.set()
        go_on.wait()
        return replay

    monkeypatch.setattr(store.log, "replay", slow)
    early = gevent.spawn(store.snapshot_cache.find, "main")
    answered.wait()
    cursor = do(store, "take", TAGS[0])
    late = gevent.spawn(store.snapshot_cache.find, "main")
    gevent.sleep(0.05)
    go_on.set()
    gevent.joinall([early, late], timeout=5, raise_error=True)
    assert early.value.cursor != cursor
    assert late.value.cursor == cursor


def test_a_failure_is_that_of_all_who_wait_and_is_forgotten(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(store, "A", "B", "C")
    found(store)
    calls = []

    def fail(*args: Any) -> Any:
        calls.append(args)
        gevent.sleep(0.02)
        raise StoreUnavailable("away", retry_after=2) from ConnectionError("cause")

    def fails() -> StoreUnavailable:
        with pytest.raises(StoreUnavailable, match="away") as caught:
            store.snapshot_cache.find("main")
        return caught.value

    with monkeypatch.context() as patch:
        patch.setattr(store.log, "replay", fail)
        errors = at_once(20, fails)
        assert len(calls) == 1
        assert len({id(error) for error in errors}) == 20  # tracebacks of their own
        assert {error.extra["retry_after"] for error in errors} == {2}
        assert {str(error.__cause__) for error in errors} == {"cause"}
    readings = counted(monkeypatch, store.queries, "whole")
    do(store, "take", "A")
    assert b"occupied" in found(store)
    assert readings == []  # what was known is known still


def test_a_request_killed_while_it_reads_hinders_no_other(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(store, "A", "B", "C")
    found(store)
    real, go_on = store.log.replay, gevent.event.Event()

    def slow(*args: Any) -> Any:
        go_on.wait()
        return real(*args)

    monkeypatch.setattr(store.log, "replay", slow)
    waiting = [gevent.spawn(store.snapshot_cache.find, "main") for _ in range(3)]
    gevent.sleep(0.01)
    do(store, "take", "A")
    waiting += [
        gevent.spawn(store.snapshot_cache.find, "main") for _ in range(3)
    ]  # of the next read
    gevent.sleep(0.01)
    waiting[0].kill()
    waiting[3].kill()
    go_on.set()
    gevent.joinall(waiting, timeout=5, raise_error=True)
    expected = fresh(store)
    assert [waiting[number].value.plain() for number in (1, 2, 4, 5)] == [expected] * 4


def test_a_board_dropped_during_a_read_is_put_back(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(store, "A", "B", "C")
    found(store)
    real = store.log.replay

    def dropped(*args: Any) -> Any:
        store.snapshot_cache._boards.clear()
        replay = real(*args)
        assert found(store) == fresh(store)  # the same board, cached again
        return replay

    with monkeypatch.context() as patch:
        patch.setattr(store.log, "replay", dropped)
        do(store, "take", "A")
        assert found(store) == fresh(store)
    assert list(store.snapshot_cache._boards) == ["main"]
    do(store, "take", "B")
    assert found(store) == fresh(store)


# Memory


def test_cached_boards_take_no_more_than_their_bound(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    boards = [f"b{number}" for number in range(4)]
    for board in boards:
        store.boards.create(board)
        put(store, "A", "B", "C", board=board)
    found(store, "b0")
    one = store.snapshot_cache.size
    text = fresh(store, "b0")
    assert one > 2 * (len(text) - 100)  # as if both the items and the text were kept
    monkeypatch.setattr(cache_module, "_MAX_CACHE_BYTES", one * 5 // 2)
    for board in boards:
        assert found(store, board) == fresh(store, board)
        assert store.snapshot_cache.size <= one * 5 // 2
    assert list(store.snapshot_cache._boards) == ["b2", "b3"]
    found(store, "b2")
    found(store, "b0")
    assert list(store.snapshot_cache._boards) == [
        "b2",
        "b0",
    ]  # the one that was not used for longest went
    monkeypatch.setattr(cache_module, "_MAX_CACHE_BYTES", one // 2)
    for _ in range(2):
        assert found(store, "b1") == fresh(store, "b1")
        assert store.snapshot_cache.size == 0


def test_the_size_is_counted_along(store: Store) -> None:
    put(store, *TAGS[:8])
    found(store)
    put(store, *TAGS[4:12], title='"' + "x" * 100 + '"')
    do(store, "remove", *TAGS[:3])
    response = store.snapshot_cache.find("main")
    assert response is not None
    assert response.size == sum(len(each) for each in response.snapshot.items)


def test_an_unused_board_is_dropped(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_module, "_SWEEP_S", 0.01)
    monkeypatch.setattr(cache_module, "_UNUSED_S", 0.1)
    cache = SnapshotCache(store.queries, store.log)
    put(store, "A", "B", "C")
    for _ in range(2):
        cache.find("main")
        assert cache.size > 0
        with gevent.Timeout(5):
            while cache.size:
                gevent.sleep(0.01)


# The text


def test_a_listing_says_where_it_goes_on(store: Store) -> None:
    put(store, "A", "B")
    for limit in (1, 2):
        snapshot = store.queries.snapshot("main", limit=limit)
        assert snapshot is not None
        said = json.loads(SnapshotResponse(snapshot).plain())
        assert said["items"] == [json.loads(each) for each in snapshot.items]
        assert said["next"] == snapshot.next
        assert (said["cursor"], said["seq"]) == (snapshot.cursor, 2)


# Searches


def test_a_large_board_is_searched_as_it_is_kept_with_what_the_server_would_have_found(
    valkey_services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = valkey_services.store
    put(store, *TAGS)
    do(store, "take", *TAGS[::3])
    tricky = '{"a":"\\"state\\":\\"paused\\"","b":"\\"holder\\":{\\"id\\":\\"93\\""}'
    tag = TAGS[5]
    store.commands.execute(Command("main", PUT, [tag], actor=ANA, items=[{"attributes": tricky}]))
    store.snapshot_cache.find("main")
    walks = counted(monkeypatch, store.queries._snapshot, "run")
    paused: list[int] = []
    for filters in (
        {"text": TAGS[1]}, {"text": TAGS[1][:3].lower()}, {"text": "nowhere"}, {"text": '"'},
        {"state": "occupied"}, {"state": "paused"}, {"holder": ANA.id}, {"holder": "nobody"},
        {"holder": ANA.id, "state": "available"}, {"holder": ANA.id, "state": "occupied"},
        {"state": "available", "text": TAGS[1]}, {"limit": 7}, {"state": "occupied", "limit": 7},
    ):  # fmt: skip
        page: str | None = None
        while True:
            asked: dict[str, Any] = {**filters, "page": page}
            expected = store.queries.snapshot("main", **asked)
            walks.clear()
            found = store.snapshot_cache.select("main", **asked, pause=lambda: paused.append(1))
            assert found == expected
            assert found is not None
            assert walks == []
            page = found.next
            if page is None:
                break
        assert (
            store.snapshot_cache.select(
                "main", **filters, known_cursor=found.cursor, pause=lambda: None
            )
            is None
        )
    with pytest.raises(InvalidRequest):
        store.snapshot_cache.select("main", page="!", pause=lambda: None)


def test_a_compressed_answer_lets_others_run_and_is_whole(store: Store) -> None:
    put(store, *TAGS)
    expected = fresh(store)
    response = store.snapshot_cache.find("main")
    assert response is not None
    others: list[int] = []

    def pause() -> None:
        others.append(1)
        gevent.sleep(0)

    packed = at_once(5, lambda: response.packed(pause))
    assert gzip.decompress(packed[0]) == expected
    assert all(each is packed[0] for each in packed)
    again = SnapshotResponse(response.snapshot)
    killed = gevent.spawn(again.packed, lambda: gevent.sleep(5))
    gevent.sleep(0)
    killed.kill()
    assert gzip.decompress(again.packed() or b"") == expected
