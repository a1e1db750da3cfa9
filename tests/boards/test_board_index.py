"""The index of boards: a board that it lost is listed again, and a name without a board is none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from occupancy.boards.commands import Command
from occupancy.boards.reconcile import Reconciler, reconcile_at_start
from occupancy.boards.store import Store
from occupancy.core.entities import Person
from occupancy.core.errors import AlreadyExists
from occupancy.core.settings import Settings
from occupancy.core.transitions import PUT
from occupancy.services import Services
from tests.support.clusters import RealCluster
from tests.support.elsewhere import store_elsewhere
from tests.support.servers import BINARIES

ANA = Person("ana", "Ana")


@pytest.fixture
def board(services: Services) -> str:
    return services.store.boards.create("lost").board


@pytest.fixture
def other_process(services: Services, board: str) -> Store:
    """The store as a process has it that has not seen the board yet."""
    return store_of_another_process(services)


def store_of_another_process(services: Services) -> Store:
    return store_elsewhere(services.store)


def put(store: Store, board: str, tag: str = "A") -> None:
    store.commands.execute(Command(board, PUT, [tag], actor=ANA, items=[{}]))


def lose(services: Services, board: str) -> None:
    services.store.client.srem(services.store.keys.boards, board)


def names_of(store: Store) -> list[str]:
    return [each.board for each in store.boards.all()]


def is_listed(services: Services, board: str) -> bool:
    return bool(services.store.client.sismember(services.store.keys.boards, board))


@pytest.mark.parametrize(
    "see",
    [
        put, lambda store, board: store.log.head(board),
        lambda store, board: store.boards.get(board),
    ],
    ids=["operation", "stream", "page"],
)  # fmt: skip
def test_a_process_that_sees_a_board_lists_it_again(
    services: Services, other_process: Store, board: str, see: Callable[[Store, str], object]
) -> None:
    lose(services, board)
    assert board not in names_of(other_process)
    see(other_process, board)
    assert not is_listed(services, board)
    assert board in names_of(other_process)  # it knows better than the index
    other_process.boards.index.mend()
    assert is_listed(services, board)


def test_a_name_that_is_lost_later_is_listed_again_when_boards_are_listed(
    services: Services, other_process: Store, board: str
) -> None:
    put(other_process, board)
    other_process.boards.index.mend()
    lose(services, board)
    put(other_process, board, "B")
    other_process.boards.index.mend()
    assert not is_listed(services, board)  # once, because each costs a round trip
    assert board in names_of(other_process)
    other_process.boards.index.mend()
    assert is_listed(services, board)


def test_what_is_listed_costs_no_further_round_trip(
    services: Services, other_process: Store, board: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(other_process, board)
    other_process.boards.index.mend()
    names_of(other_process)

    def forbidden(*_: str) -> None:
        pytest.fail("there is nothing to list")

    monkeypatch.setattr(other_process.boards.index, "add", forbidden)
    put(other_process, board, "B")
    other_process.boards.index.mend()


def test_the_check_at_the_start_lists_a_lost_board_again(
    services: Services, other_process: Store, board: str, caplog: pytest.LogCaptureFixture
) -> None:
    lose(services, board)
    with caplog.at_level("INFO", logger="occupancy"):
        reconcile_at_start(other_process, sleep=lambda _: None)
    assert is_listed(services, board)
    assert f"the board {board} is missing in the index of boards; it is listed again" in caplog.text
    assert f"reconciliation of {board}: 0 items checked" in caplog.text


def test_the_check_finds_it_and_lists_it_only_if_it_may_repair(
    services: Services, other_process: Store, board: str
) -> None:
    lose(services, board)
    put(services.store, "main")
    reconciler = Reconciler(other_process)
    for repair in (False, True):
        (problem,) = reconciler.check_index(repair=repair)
        assert problem.kind == "boards"
        assert board in problem.text
        assert is_listed(services, board) == repair
    assert reconciler.check_index(repair=True) == []


def test_a_name_whose_board_is_lost_is_no_board_and_can_be_created(
    services: Services, other_process: Store, board: str
) -> None:
    services.store.client.delete(services.store.keys.board(board).board)
    for store in (services.store, other_process):
        assert board not in names_of(store)
        assert Reconciler(store).check_index(repair=True) == []
    created = other_process.boards.create(board, title="Again", steps=["ARM"])
    assert (created.title, created.steps, created.seq) == ("Again", ["ARM"], 0)
    put(other_process, board)
    assert board in names_of(other_process)


def test_creating_a_board_that_is_there_but_not_listed_lists_it(
    services: Services, other_process: Store, board: str
) -> None:
    put(services.store, board)
    lose(services, board)
    with pytest.raises(AlreadyExists):
        other_process.boards.create(board)
    assert is_listed(services, board)


def test_of_two_who_create_a_board_one_wins_and_its_fields_are_together(services: Services) -> None:
    services.store.boards.create("once", title="First", steps=["ARM"], max_holds=2)
    with pytest.raises(AlreadyExists):
        services.store.boards.create("once", title="Second", steps=["SOLD"])
    found = services.store.boards.get("once")
    assert (found.title, found.steps, found.max_holds) == ("First", ["ARM"], 2)


@pytest.fixture(scope="module", params=BINARIES)
def cluster(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RealCluster]:
    made = RealCluster(request.param, tmp_path_factory.mktemp("cluster"), primaries=3, replicas=0)
    try:
        made.start()
        yield made
    finally:
        made.stop()


@pytest.fixture
def cluster_services(cluster: RealCluster, tmp_path: Path) -> Iterator[Services]:
    settings = Settings(redis_url=cluster.url, state_dir=str(tmp_path / "state"))
    services = Services.for_web(settings)
    yield services
    services.close()


def test_in_a_cluster_a_lost_name_and_the_items_of_each_board_are_found_on_their_servers(
    cluster: RealCluster, cluster_services: Services, tmp_path: Path
) -> None:
    store = cluster_services.store
    names = [f"b{number}" for number in range(6)]
    assert len({cluster.primary_of(store.keys.board(each).board).port for each in names}) > 1
    for name in names:
        store.boards.create(name)
        put(store, name, "A")
        put(store, name, "B")
    lose(cluster_services, "b1")
    lose(cluster_services, "b4")
    found = Reconciler(store_of_another_process(cluster_services)).check_index(repair=True)
    assert [each.text.split()[2] for each in found] == ["b1", "b4"]
    assert names_of(store) == [*names, "main"]
    for name in names:
        store.client.zrem(store.keys.board(name).by_tag, "A")
        report = Reconciler(store).run(name, repair=True)
        assert [(each.tag, each.kind) for each in report.problems] == [("A", "by_tag")]
        assert report.items == 2
        assert Reconciler(store).run(name, repair=False).problems == []
