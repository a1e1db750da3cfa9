"""What a backup has while work goes on, and what it leaves out."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

from occupancy.boards.reconcile import Reconciler
from occupancy.cli.backup.reader import Reader
from occupancy.cli.backup.selection import is_kept, place_of
from occupancy.core.errors import BackupError
from tests.cli.backup.plants import Make, do, item_of, plant, restore, write


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


def test_sessions_uploads_and_what_only_counts_are_left_out() -> None:
    left_out = (
        "boards", "reconciling", "{access}:sessions", "{access}:session_ends:93",
        "{access}:session_ends|HASH", "{access}:link:HASH", "{access}:ticket:HASH",
        "{access}:failures:93|10.0.0.1", "{access}:process:host-1", "{main}:rate:93",
        "{main}:rights", "{access}:rights:none", "{access}:notes", "{main}:uploads",
        "{main}:upload:1", "{main}:upload:1:0",
    )  # fmt: skip
    kept = (
        "{access}:workers", "{access}:tokens", "{access}:stations", "{access}:renamed",
        "{main}:item:rate:1", "{main}:history:A", "{main}:idem:93:HASH", "{access}:a-new-kind",
        "a-new-kind", "{process:1}:board",
    )  # fmt: skip
    assert [each for each in left_out if is_kept(place_of(each))] == []
    assert [each for each in kept if not is_kept(place_of(each))] == []
