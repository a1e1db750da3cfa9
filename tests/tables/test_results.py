"""The result of an import: what is added, updated and left alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from occupancy.boards.commands import Command
from occupancy.core.errors import BoardNotFound, StoreUnavailable
from occupancy.core.settings import Settings
from occupancy.core.transitions import TRANSITIONS
from occupancy.services import Services
from occupancy.tables.imports.item_import import import_items
from occupancy.tables.imports.item_rows import read_items
from tests.support.servers import RealServer
from tests.tables.rows import ADMIN, counts, items, load


def test_items_are_added_updated_or_left_alone(services: Services) -> None:
    assert counts(load(services, "tag,title\nT-1,One\nT-2,Two\n")) == (2, 0, 0, 0)
    report = load(services, "tag,title\nT-1,One\nT-2,Zwei\nT-3,Three\nT 4,x\n")
    assert counts(report) == (1, 1, 1, 1)
    assert [item.title for item in items(services)] == ["One", "Zwei", "Three"]
    assert services.store.log.head("main").head_seq == 4


def test_a_dry_run_counts_the_same_and_changes_nothing(services: Services) -> None:
    load(services, "tag,title\nT-1,One\nT-2,Two\n")
    text = "tag,title\nT-1,One\nT-2,Zwei\nT-3,Three\nT 4,x\n"
    assert counts(load(services, text, dry_run=True)) == (1, 1, 1, 1)
    assert [item.title for item in items(services)] == ["One", "Two"]
    assert services.store.log.head("main").head_seq == 2


def test_fields_without_a_column_stay(services: Services) -> None:
    load(services, "tag,title,area\nT-1,One,B2\n")
    services.store.commands.execute(Command("main", TRANSITIONS["take"], ["T-1"], actor=ADMIN))
    load(services, "tag,title\nT-1,Uno\n")
    (item,) = items(services)
    assert (item.title, item.attributes, item.state) == ("Uno", {"area": "B2"}, "occupied")


def test_columns_of_attributes_replace_all_attributes(services: Services) -> None:
    load(services, "tag,title,area,bay\nT-1,One,B2,7\nT-2,Two,B2,7\n")
    load(services, "tag,area\nT-1,C1\nT-2,\n")
    assert [(item.title, item.attributes) for item in items(services)] == [
        ("One", {"area": "C1"}), ("Two", {}),
    ]  # fmt: skip


def test_a_board_that_is_not_there_is_an_error_even_without_rows(services: Services) -> None:
    with pytest.raises(BoardNotFound):
        import_items(services.store, "nowhere", [], actor=ADMIN)


def test_ten_thousand_rows_go_in(valkey_services: Services) -> None:
    text = "tag,title,area\n" + "".join(f"T-{n:05d},Spool {n},B2\n" for n in range(10_000))
    steps: list[int] = []
    report = import_items(
        valkey_services.store, "main", read_items(text.encode()),
        actor=ADMIN, on_progress=steps.append,
    )  # fmt: skip
    assert counts(report) == (10_000, 0, 0, 0)
    assert sum(steps) == 10_000
    board = valkey_services.store.boards.get("main")
    assert (board.counts["available"], board.seq) == (10_000, 10_000)


def test_an_import_interrupted_by_the_server_reports_its_position(
    tmp_path: Path, own_server: RealServer
) -> None:
    settings = Settings(redis_url=own_server.url, state_dir=str(tmp_path / "state"))
    services = Services.for_command_line(settings)
    rows = read_items(b"tag\n" + b"".join(b"T-%d\n" % n for n in range(1000)))
    steps: list[int] = []

    def stop_at_the_first_row(_steps: int) -> None:
        steps.append(1)
        if len(steps) == 2:  # the first call counts the rejected rows
            own_server.stop()

    try:
        with pytest.raises(StoreUnavailable, match=r"200 of 1000 rows are done; it is safe"):
            import_items(
                services.store, "main", rows, actor=ADMIN, on_progress=stop_at_the_first_row
            )
        own_server.start()
        assert counts(import_items(services.store, "main", rows, actor=ADMIN)) == (800, 0, 200, 0)
    finally:
        services.close()
