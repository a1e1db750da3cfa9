"""A restore: what comes back, what never comes again, what is refused, and the commands."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

import pytest

from occupancy.boards.reconcile import Reconciler
from occupancy.cli.backup.restorer import Restorer
from occupancy.core.entities import Role
from occupancy.core.errors import BackupError, OccupancyError
from occupancy.core.principal import Credential, digest_of
from occupancy.services import Services
from tests.cli.backup.plants import Make, do, item_of, kept, plant, restore, write
from tests.cli.command_line import Run, answer, error
from tests.support.selection import CLUSTER
from tests.support.servers import BINARIES


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


def test_tokens_and_stations_can_be_left_out(make: Make, tmp_path: Path) -> None:
    old, new = make("valkey"), make("valkey")
    plant(old)
    old.stations.pair(old.stations.create("Tablet", by="ana")[0])
    assert len(old.stations.all()) == 1
    write(old, tmp_path / "backup")
    restore(new, tmp_path / "backup", has_tokens=False)
    assert new.tokens.all() == []
    assert new.stations.all() == []
    assert [each.id for each in new.workers.all()] == ["ana"]


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
