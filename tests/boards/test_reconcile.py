"""Reconciliation: what disagrees is found, and indexes are mended from the items."""

from __future__ import annotations

import random
from typing import Any

import pytest

from occupancy.boards import reconcile
from occupancy.boards.commands import Command
from occupancy.boards.reconcile import Reconciler, reconcile_at_start
from occupancy.boards.records import Board
from occupancy.core.errors import BoardNotFound, StoreUnavailable
from occupancy.core.transitions import PUT, TRANSITIONS
from occupancy.services import Services
from occupancy.storage.scripts import Script
from tests.support.shop import SUPERVISOR, change, log_of


@pytest.fixture
def board(services: Services) -> str:
    """A board with a held, a paused and an available item."""
    change(services, "main", 1, tag="HELD")
    change(services, "main", 2, tag="FREE")
    change(services, "main", 1, tag="PAUSED")
    services.store.commands.execute(
        Command("main", TRANSITIONS["pause"], ["PAUSED"], actor=SUPERVISOR)
    )
    return "main"


def problems(services: Services, board: str, *, repair: bool = False) -> set[tuple[str, str]]:
    report = Reconciler(services.store).run(board, repair=repair)
    assert report.is_complete
    return {(problem.tag, problem.kind) for problem in report.problems}


def test_a_sound_board_has_no_problems(services: Services, board: str) -> None:
    report = Reconciler(services.store).run(board, repair=False)
    assert (report.items, report.problems, report.is_complete) == (3, [], True)


@pytest.mark.parametrize(
    "wrong",  # the index, what it has lost, what it has too much, what is to be found
    [
        ("by_tag", "HELD", None, ("HELD", "by_tag")),
        ("by_tag", None, "GHOST", ("GHOST", "by_tag")),
        ("by_state", "occupied|HELD", None, ("HELD", "by_state")),
        ("by_state", None, "paused|HELD", ("HELD", "by_state")),
        ("by_state", None, "blocked|GHOST", ("GHOST", "by_state")),
        ("by_holder", "sup|HELD", None, ("HELD", "by_holder")),
        ("by_holder", None, "93|HELD", ("HELD", "by_holder")),
        ("by_holder", None, "93|FREE", ("FREE", "by_holder")),
        ("by_holder", None, "93|GHOST", ("GHOST", "by_holder")),
    ],
)
def test_a_wrong_index_is_found_and_mended(
    services: Services, board: str, wrong: tuple[str, str | None, str | None, tuple[str, str]]
) -> None:
    index, lost, added, found = wrong
    key = getattr(services.store.keys.board(board), index)
    if lost is not None:
        assert services.store.client.zrem(key, lost)
    if added is not None:
        services.store.client.zadd(key, {added: 0})
    before = log_of(services, board)
    assert problems(services, board) == {found}
    assert problems(services, board) == {found}  # looking has changed nothing
    assert problems(services, board, repair=True) == {found}
    assert problems(services, board) == set()
    assert log_of(services, board) == before


def test_a_stale_view_is_found_and_rendered_again(services: Services, board: str) -> None:
    view = services.store.keys.board(board).view
    right = services.store.queries.item(board, "HELD")
    services.store.client.hset(view, "HELD", right.replace(b'"version":2', b'"version":1'))
    services.store.client.hdel(view, "FREE")
    services.store.client.hset(view, "GHOST", "{}")
    expected = {("HELD", "view"), ("FREE", "view"), ("GHOST", "view")}
    assert problems(services, board, repair=True) == expected
    assert problems(services, board) == set()
    assert services.store.queries.item(board, "HELD") == right


def test_a_history_that_disagrees_is_reported_and_left_alone(
    services: Services, board: str
) -> None:
    services.store.client.delete(services.store.keys.board(board).history("FREE"))
    assert problems(services, board, repair=True) == {("FREE", "history")}
    assert problems(services, board) == {("FREE", "history")}


@pytest.mark.parametrize("entry", [("event", "garbage"), ("event", "{}"), ("other", "1")])
def test_a_damaged_history_is_reported_and_does_not_end_the_check(
    services: Services, board: str, entry: tuple[str, str]
) -> None:
    history = services.store.keys.board(board).history("FREE")
    services.store.client.xadd(history, {entry[0]: entry[1]})
    assert problems(services, board) == {("FREE", "history")}


def test_a_log_with_a_hole_is_reported(services: Services, board: str) -> None:
    log = services.store.keys.board(board).log
    entries: Any = services.store.client.xrange(log)
    services.store.client.xdel(log, entries[2][0])
    assert problems(services, board) == {("", "log")}


def promote(services: Services, board: str, *incarnations: int) -> None:
    """Mark promotions of the board's server in its log."""
    keys, script = services.store.keys.board(board), Script(services.store.client, "board/promote")
    for each in incarnations:
        assert script.run([keys.board, keys.log], [each, random.getrandbits(48), 1]) == 1


@pytest.mark.parametrize("entries_per_page", [1, 2, 1000])
def test_a_hole_as_large_as_the_number_of_promotions_is_reported(
    services: Services, board: str, entries_per_page: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconcile, "_ENTRIES_PER_PAGE", entries_per_page)
    log = services.store.keys.board(board).log
    events: Any = services.store.client.xrange(log)
    promote(services, board, 101, 102)
    change(services, board, 1, tag="HELD")
    assert problems(services, board) == set()
    services.store.client.xdel(log, events[1][0], events[2][0])
    (problem,) = Reconciler(services.store).run(board, repair=False).problems
    assert (problem.kind, problem.text) == ("log", "events 2 to 3 are missing")


def test_a_log_that_ends_with_many_promotions_is_sound(services: Services, board: str) -> None:
    promote(services, board, *range(101, 115))
    assert problems(services, board) == set()
    services.store.client.xtrim(services.store.keys.board(board).log, maxlen=12, approximate=False)
    assert problems(services, board) == set()


def test_a_log_that_is_trimmed_while_it_is_read_has_no_hole(
    services: Services, board: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconcile, "_ENTRIES_PER_PAGE", 1)
    promote(services, board, 101)
    change(services, board, 3)
    log, client = services.store.keys.board(board).log, services.store.client
    read, pages = client.xrange, [0]

    def read_and_trim(*args: Any, **options: Any) -> Any:
        found = read(*args, **options)
        pages[0] += 1
        client.xtrim(log, maxlen=2, approximate=False)
        return found

    monkeypatch.setattr(client, "xrange", read_and_trim)
    assert problems(services, board) == set()
    assert pages[0] > 2


def test_a_log_that_lost_its_end_is_reported(services: Services, board: str) -> None:
    log = services.store.keys.board(board).log
    entries: Any = services.store.client.xrange(log)
    services.store.client.xdel(log, entries[-1][0])
    assert problems(services, board) == {("", "log")}


def test_it_stops_when_its_time_is_up_and_says_so(services: Services, board: str) -> None:
    report = Reconciler(services.store).run(board, repair=False, limit_s=-1)
    assert (report.items, report.problems, report.is_complete) == (0, [], False)


@pytest.mark.thorough
def test_more_items_than_one_chunk_are_all_checked(services: Services) -> None:
    rows = [(f"T-{number}", {"title": '"x"'}) for number in range(350)]
    assert all(
        each.changed for each in services.store.commands.put_many("main", rows, actor=SUPERVISOR)
    )
    services.store.client.zrem(services.store.keys.board("main").by_tag, "T-3", "T-333")
    assert problems(services, "main", repair=True) == {("T-3", "by_tag"), ("T-333", "by_tag")}
    assert problems(services, "main") == set()


def test_an_unknown_board_is_an_error(services: Services) -> None:
    with pytest.raises(BoardNotFound):
        Reconciler(services.store).run("nowhere", repair=False)


def test_the_elected_process_tries_again_when_the_store_fails_after_its_election(
    services: Services,
    board: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    all_boards = services.store.boards.all
    failures = [StoreUnavailable("gone for a moment")]

    def fail_once() -> list[Board]:
        if failures:
            raise failures.pop()
        return all_boards()

    monkeypatch.setattr(services.store.boards, "all", fail_once)
    with caplog.at_level("INFO", logger="occupancy"):
        reconcile_at_start(services.store, sleep=lambda _seconds: None)
    assert any("3 items checked" in record.message for record in caplog.records)


def never(_seconds: float) -> None:
    pytest.fail("the store can be reached: there is nothing to wait for")


def test_at_the_start_one_process_reports_and_the_others_leave_it_to_it(
    services: Services, board: str, caplog: pytest.LogCaptureFixture
) -> None:
    services.store.commands.execute(Command(board, PUT, ["NEW"], actor=SUPERVISOR, items=[{}]))
    services.store.client.zrem(services.store.keys.board(board).by_tag, "NEW")
    with caplog.at_level("INFO", logger="occupancy"):
        reconcile_at_start(services.store, sleep=never)
        reconcile_at_start(services.store, sleep=never)
    summaries = [record for record in caplog.records if "items checked" in record.message]
    assert [record.levelname for record in summaries] == ["WARNING"]
    assert "4 items checked, 1 problem;" in summaries[0].message
