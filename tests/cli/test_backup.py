"""Backup and restore: what comes back, what never comes again, and what is refused."""

from __future__ import annotations

import contextlib
import gzip
import itertools
import json
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from occupancy.boards.commands import Command
from occupancy.boards.reconcile import Reconciler
from occupancy.boards.records import Preconditions
from occupancy.cli.backup import file
from occupancy.cli.backup.reader import Reader
from occupancy.cli.backup.restorer import Restorer
from occupancy.cli.backup.selection import is_kept, place_of
from occupancy.core.entities import Person, Role
from occupancy.core.errors import BackupError, OccupancyError
from occupancy.core.principal import Credential, digest_of
from occupancy.core.settings import Settings
from occupancy.core.transitions import PUT, REMOVE, TRANSITIONS
from occupancy.services import Services
from tests.cli.command_line import Run, answer, error
from tests.support.selection import CLUSTER
from tests.support.servers import BINARIES, RealServer

ANA = Person("ana", "Ana")
Make = Callable[[str], Services]


@pytest.fixture
def make(tmp_path: Path, server_of: Callable[[str], RealServer]) -> Iterator[Make]:
    """Makes services below an empty prefix of a kind of server."""
    made: list[Services] = []

    def make(kind: str) -> Services:
        url, prefix = server_of(kind).url, f"t-{secrets.token_hex(6)}"
        state_dir = str(tmp_path / f"state-{len(made)}")
        made.append(Services.for_web(Settings(redis_url=url, prefix=prefix, state_dir=state_dir)))
        made[-1].topology.start()
        return made[-1]

    yield make
    for each in made:
        client = each.store.client
        for server in client.every_server():
            for key in list(server.scan_iter(match=f"{each.settings.prefix}:*")):
                client.delete(key)
        each.close()


def do(services: Services, board: str, operation: str, tag: str, key: str = "", **more: Any) -> Any:
    transition = {"put": PUT, "remove": REMOVE}.get(operation) or TRANSITIONS[operation]
    if operation == "put":
        more["items"] = [{"title": json.dumps("A spool")}]
    preconditions = Preconditions(idempotency_key=key, fingerprint="f" * 64) if key else None
    if preconditions is not None:
        more["preconditions"] = preconditions
    return services.store.commands.execute(Command(board, transition, [tag], actor=ANA, **more))


def item_of(services: Services, board: str, tag: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(services.store.queries.item(board, tag))
    return found


def write(services: Services, path: Path, between: Callable[[], object] = lambda: None) -> None:
    """What the command does; ``between`` is called when the boards have been read."""
    reader = Reader(services.store.client, services.store.keys)
    header = file.Header(at="2026-11-28T00:00:00.000Z", boards=reader.find())
    with file.created(path) as stream:
        writer = file.Writer(stream, header)
        for board in header.boards:
            for record in reader.board(board):
                writer.add(record)
        between()
        for record in [*reader.access(), *reader.grown(lambda count: None)]:
            writer.add(record)
        writer.finish()


def restore(services: Services, path: Path, **options: Any) -> None:
    restorer = Restorer(services.store.client, services.store.keys)
    restorer.restore(path, advance=lambda count: None, **options)


def plant(services: Services) -> str:
    """A plant with some work behind it; returns a token."""
    services.store.boards.create("hall", steps=["cut", "weld"], title="Hall")
    services.workers.add("ana", name="Ana", role=Role.WORKER)
    for tag in ("A", "B", "C"):
        do(services, "hall", "put", tag)
    do(services, "hall", "take", "A", key="k")
    do(services, "hall", "take", "B")
    do(services, "hall", "complete", "B")
    do(services, "hall", "remove", "C")
    do(services, "main", "put", "M")
    return services.tokens.create("ana")[0]


def kept(services: Services) -> dict[str, Any]:
    """Every key of a backup but a board's own and its log, with type and value."""
    root, client = f"{services.settings.prefix}:", services.store.client
    read: dict[Any, Callable[[Any], Any]] = {
        b"string": client.get, b"hash": client.hgetall, b"list": lambda k: client.lrange(k, 0, -1),
        b"zset": lambda k: client.zrange(k, 0, -1, withscores=True), b"stream": client.xrange,
    }  # fmt: skip
    found = {}
    for server in client.every_server():
        for key in server.scan_iter(match=f"{root}*"):
            place = place_of(key.decode().removeprefix(root))
            if is_kept(place) and place.name not in ("board", "log"):
                found[f"{place.board}:{place.name}"] = read[client.type(key)](key)
    return found


@pytest.mark.parametrize(
    ("of", "onto"),
    [("valkey", "redis"), ("redis", "valkey"), ("valkey", CLUSTER), (CLUSTER, "valkey")],
)
def test_everything_comes_back_on_any_kind_of_server(
    make: Make, tmp_path: Path, of: str, onto: str
) -> None:
    old, new = make(of), make(onto)
    token = plant(old)
    write(old, tmp_path / "backup")
    restore(new, tmp_path / "backup")
    assert len(kept(old)) > 15
    assert kept(new) == kept(old)
    assert [
        (each.board, each.title, each.steps, each.counts) for each in new.store.boards.all()
    ] == [(each.board, each.title, each.steps, each.counts) for each in old.store.boards.all()]
    for board in ("hall", "main"):
        assert Reconciler(new.store).run(board, repair=False).problems == []
    assert Reconciler(new.store).check_index(repair=False) == []
    assert new.authenticator.identify(Credential("token", digest_of(token))).worker.id == "ana"
    assert do(new, "hall", "take", "A", key="k").is_replayed


def test_what_somebody_saw_after_the_backup_never_comes_again(make: Make, tmp_path: Path) -> None:
    old = make("valkey")
    plant(old)
    write(old, tmp_path / "backup")
    seen: list[tuple[int, int]] = []
    cursors: list[str] = [old.store.log.head("hall").head_cursor]  # of the backup's end

    def work(services: Services, board: str, tag: str) -> None:
        for operation in ("take", "pause"):
            answered = do(services, board, operation, tag)
            item = item_of(services, board, tag)
            seen.append((item["epoch"], item["version"]))
            cursors.append(answered.cursor)

    do(old, "hall", "put", "LOST")
    work(old, "hall", "B")
    work(old, "hall", "LOST")
    for _ in range(2):  # each restore of the same backup counts from a floor of its own
        new = make("valkey")
        restore(new, tmp_path / "backup")
        for cursor in ["0-0", *cursors]:
            assert not new.store.log.replay("hall", cursor, 10).is_known, "the stream is reset"
        assert item_of(new, "hall", "B")["version"] < new.store.log.head("hall").version_floor
        do(new, "hall", "put", "LOST")
        before = set(seen)
        work(new, "hall", "B")
        work(new, "hall", "LOST")
        assert not before & set(seen[len(before) :])
        assert min(seen[-4:]) > max(before)
        head = new.store.log.head("hall")
        assert new.store.log.replay("hall", cursors[-1], 10).is_known
        assert item_of(new, "hall", "B")["version"] > head.version_floor
        assert Reconciler(new.store).run("hall", repair=False).problems == []


def test_a_board_that_the_backup_lacks_counts_on_when_it_is_made_again(
    make: Make, tmp_path: Path
) -> None:
    old, new = make("valkey"), make("valkey")
    write(old, tmp_path / "backup")
    restore(new, tmp_path / "backup")
    for services in (old, new):
        services.store.boards.create("late")
        for board in ("late", "main"):
            do(services, board, "put", "A")
            do(services, board, "take", "A")
    for board in ("late", "main"):
        assert item_of(new, board, "A")["version"] > item_of(old, board, "A")["version"]
        assert item_of(new, board, "A")["epoch"] > item_of(old, board, "A")["epoch"]


@pytest.mark.parametrize("kind", BINARIES)
def test_a_promotion_after_a_restore_is_still_noticed(
    make: Make, tmp_path: Path, kind: str
) -> None:
    old, new = make(kind), make(kind)
    plant(old)
    write(old, tmp_path / "backup")
    restore(new, tmp_path / "backup")
    answered = do(new, "hall", "take", "B")
    before = item_of(new, "hall", "B")["version"]
    new.store.client.connection_pool.incarnation = 1  # a low one, as of Sentinels set up anew
    do(new, "hall", "pause", "B")
    assert item_of(new, "hall", "B")["version"] > before + 900_000_000
    assert not new.store.log.replay("hall", answered.cursor, 10).is_known


def test_what_happens_while_the_backup_is_written_is_not_in_it(make: Make, tmp_path: Path) -> None:
    old, new = make("valkey"), make("valkey")
    plant(old)
    before = old.store.queries.snapshot("hall")
    head = old.store.log.head("hall")

    def work() -> None:
        do(old, "hall", "pause", "A", key="late")
        do(old, "hall", "take", "B", key="later")
        do(old, "hall", "put", "NEW")
        do(old, "hall", "put", "C")  # it was removed: its history goes on
        do(old, "hall", "complete", "B")
        old.workers.edit("ana", name="Ana María")

    write(old, tmp_path / "backup", work)
    restore(new, tmp_path / "backup")
    after = new.store.queries.snapshot("hall")
    assert before is not None and after is not None
    assert after.items == before.items
    assert after.seq == head.head_seq
    assert Reconciler(new.store).run("hall", repair=False).problems == []
    histories = {tag: new.store.queries.history("hall", tag, limit=20)[0] for tag in "ABC"}
    assert [len(histories[tag]) for tag in "ABC"] == [2, 3, 2]
    assert not do(new, "hall", "take", "B", key="later").is_replayed
    # The name is of later than the board, so the items that she holds are to be rendered again.
    assert new.store.client.hexists(new.store.keys.renamed, "ana")


def test_an_item_that_is_added_after_the_search_for_keys_is_whole_or_not_in_it(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = make("valkey"), make("valkey")
    plant(old)
    find = Reader.find

    def find_and_add(self: Reader) -> list[str]:
        found = find(self)
        do(old, "hall", "put", "LATE")
        return found

    monkeypatch.setattr(Reader, "find", find_and_add)
    write(old, tmp_path / "backup")
    restore(new, tmp_path / "backup")
    assert item_of(new, "hall", "LATE") == item_of(old, "hall", "LATE")
    assert Reconciler(new.store).run("hall", repair=False).problems == []


def test_a_board_that_gets_items_all_the_time_is_given_up(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = make("valkey")
    plant(old)
    read, count = old.store.client.read_atomically, itertools.count()

    def read_and_add(fill: Any) -> Any:
        do(old, "hall", "put", f"N-{next(count)}")
        return read(fill)

    monkeypatch.setattr(old.store.client, "read_atomically", read_and_add)
    with pytest.raises(BackupError, match="try again when the import has ended"):
        write(old, tmp_path / "backup")
    assert list(tmp_path.glob("*backup*")) == []


def test_a_restore_touches_nothing_where_there_is_data(make: Make, tmp_path: Path) -> None:
    old, new = make("valkey"), make("valkey")
    plant(old)
    write(old, tmp_path / "backup")
    new.workers.add("eva", name="Eva", role=Role.WORKER)
    was = kept(new)
    with pytest.raises(BackupError, match="overwrites nothing"):
        restore(new, tmp_path / "backup")
    assert kept(new) == was
    assert not new.store.client.exists(new.store.keys.restoring)


def test_a_restore_that_fails_leaves_nothing(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = make("valkey"), make("valkey")
    plant(old)
    write(old, tmp_path / "backup")
    write_chunk, calls = new.store.client.run_pipeline, []

    def fail_late(fill: Any, **options: Any) -> Any:
        calls.append(fill)
        if len(calls) == 1:
            write_chunk(fill, **options)
            raise OccupancyError("full")
        return write_chunk(fill, **options)

    monkeypatch.setattr(new.store.client, "run_pipeline", fail_late)
    with pytest.raises(OccupancyError, match="full"):
        restore(new, tmp_path / "backup")
    assert kept(new) == {}
    restore(new, tmp_path / "backup")  # and it can be tried again
    assert kept(new) == kept(old)


def test_a_restore_finds_out_that_the_server_has_something_else(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = make("valkey"), make("valkey")
    plant(old)
    write(old, tmp_path / "backup")
    compare = Restorer._compare

    def meddle(self: Restorer, digests: Any) -> None:
        new.store.client.hset(new.store.keys.board("hall").item("A"), "state", "paused")
        compare(self, digests)

    monkeypatch.setattr(Restorer, "_compare", meddle)
    with pytest.raises(BackupError, match=r"another \{hall\}:item:A than the backup"):
        restore(new, tmp_path / "backup")
    assert kept(new) == {}


def test_an_interrupted_restore_is_not_taken_for_data_and_can_be_repeated(
    make: Make, tmp_path: Path
) -> None:
    old, new = make("valkey"), make("valkey")
    plant(old)
    write(old, tmp_path / "backup")
    new.store.client.set(new.store.keys.restoring, "1")  # its process was killed
    new.store.client.hset(new.store.keys.board("half").board, "steps", "[]")
    with pytest.raises(BackupError, match="--discard-interrupted"):
        restore(new, tmp_path / "backup")
    restore(new, tmp_path / "backup", is_again=True)
    assert kept(new) == kept(old)
    assert [each.board for each in new.store.boards.all()] == ["hall", "main"]


def test_a_kind_of_key_that_is_not_known_comes_back_with_its_end(
    make: Make, tmp_path: Path
) -> None:
    old, new = make("valkey"), make("valkey")
    plant(old)
    names = ("{access}:new", "{hall}:new", "new")
    for name in names:
        old.store.client.set(f"{old.settings.prefix}:{name}", name, ex=1000)
        old.store.client.sadd(f"{old.settings.prefix}:{name}:set", "b", "a")
    write(old, tmp_path / "backup")
    restore(new, tmp_path / "backup")
    for name in names:
        key = f"{new.settings.prefix}:{name}"
        assert new.store.client.get(key) == name.encode()
        assert 0 < new.store.client.ttl(key) <= 1000
        assert new.store.client.smembers(f"{key}:set") == {b"a", b"b"}
        assert new.store.client.ttl(f"{key}:set") == -1


def test_tokens_can_be_left_out(make: Make, tmp_path: Path) -> None:
    old, new = make("valkey"), make("valkey")
    plant(old)
    write(old, tmp_path / "backup")
    restore(new, tmp_path / "backup", has_tokens=False)
    assert new.tokens.all() == []
    assert [each.id for each in new.workers.all()] == ["ana"]


def test_sessions_and_what_only_counts_are_left_out() -> None:
    left_out = (
        "boards", "reconciling", "{access}:sessions", "{access}:session_ends:93",
        "{access}:session_ends|HASH", "{access}:link:HASH", "{access}:ticket:HASH",
        "{access}:failures:93|10.0.0.1", "{access}:process:host-1", "{main}:rate:93",
        "{main}:rights", "{access}:rights:none", "{access}:notes",
    )  # fmt: skip
    kept = (
        "{access}:workers", "{access}:tokens", "{access}:renamed", "{main}:item:rate:1",
        "{main}:history:A", "{main}:idem:93:HASH", "{access}:a-new-kind", "a-new-kind",
        "{process:1}:board",
    )  # fmt: skip
    assert [each for each in left_out if is_kept(place_of(each))] == []
    assert [each for each in kept if not is_kept(place_of(each))] == []


def written(path: Path, records: int = 3) -> bytes:
    """A small file; its bytes."""
    with file.created(path) as stream:
        writer = file.Writer(stream, file.Header(at="", boards=[]))
        for number in range(records):
            writer.add(file.Record(f"key-{number}", "string", 0, [b"value"]))
        writer.finish(items=7)
    return path.read_bytes()


def test_a_file_is_only_its_owners(tmp_path: Path) -> None:
    written(tmp_path / "backup")
    assert (tmp_path / "backup").stat().st_mode & 0o777 == 0o600
    assert file.verified(tmp_path / "backup")[1].items == 7


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    with contextlib.suppress(ZeroDivisionError), file.created(tmp_path / "backup") as stream:
        file.Writer(stream, file.Header(at="", boards=[]))
        _ = 1 / 0
    with pytest.raises(BackupError, match="ends too early"), file.created(tmp_path / "backup") as s:
        file.Writer(s, file.Header(at="", boards=[]))  # without a trailer
    assert list(tmp_path.iterdir()) == []
    was = written(tmp_path / "backup")
    with pytest.raises(BackupError, match="already"):
        written(tmp_path / "backup", records=1)
    assert (tmp_path / "backup").read_bytes() == was
    assert len(list(tmp_path.iterdir())) == 1


def test_damage_anywhere_in_a_file_is_found(tmp_path: Path) -> None:
    path = tmp_path / "backup"
    whole = gzip.decompress(written(path))
    damaged = tmp_path / "damaged"
    for position in range(len(whole)):
        changed = bytearray(whole)
        changed[position] ^= 0x01
        damaged.write_bytes(gzip.compress(bytes(changed), compresslevel=1))
        with pytest.raises(BackupError):
            file.verified(damaged)
    for end in range(0, len(whole), 7):
        damaged.write_bytes(gzip.compress(whole[:end], compresslevel=1))
        with pytest.raises(BackupError):
            file.verified(damaged)
    damaged.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(BackupError):
        file.verified(damaged)
    damaged.write_text("no backup at all")
    with pytest.raises(BackupError):
        file.verified(damaged)


def test_the_commands_move_a_deployment_to_another_prefix(
    run: Run, shop: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "plant.backup"
    told = answer(run("backup", str(path), "--json"))
    assert (told["boards"], told["items"], told["events"], told["workers"]) == (1, 2, 2, 2)
    assert "already" in error(run("backup", str(path)))
    assert "overwrites nothing" in error(run("restore", str(path)))
    elsewhere = f"t-{secrets.token_hex(6)}"
    monkeypatch.setenv("OCCUPANCY_PREFIX", elsewhere)
    try:
        done = run("restore", str(path))
        assert done.exit_code == 0, done.output
        assert "1 board, 2 items, 2 events, 2 workers, 0 tokens." in done.stdout
        assert answer(run("items", "show", "T-1", "--json"))["title"] == "One"
        assert run("items", "reconcile").exit_code == 0
    finally:
        client = shop.store.client
        for key in list(client.scan_iter(match=f"{elsewhere}:*")):
            client.delete(key)


def test_a_restore_below_a_running_web_server_is_refused(
    run: Run, shop: Services, tmp_path: Path
) -> None:
    path = tmp_path / "plant.backup"
    assert run("backup", str(path)).exit_code == 0
    shop.process_report.publish()
    try:
        assert "stop it" in error(run("restore", str(path)))
    finally:
        shop.process_report.withdraw()
