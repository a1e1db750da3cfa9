"""The timeline of a board: what is sampled, how samples are joined, and what the API says of it."""

from __future__ import annotations

import time
from typing import Any

import pytest
from flask.testing import FlaskClient

from occupancy.boards.history.timeline import SAMPLE_MS, SAMPLES_KEPT, Sample
from occupancy.core.entities import STATES
from occupancy.core.errors import BoardNotFound
from occupancy.services import Services
from tests.support.api_client import Api, assert_problem, fields

HOUR_MS = 3600 * 1000


@pytest.fixture
def api(client: FlaskClient, people: dict[str, dict[str, str]], services: Services) -> Api:
    return Api(client, people, services)


def began(hours_ago: float) -> int:
    """The beginning of five minutes, so long ago."""
    ms = int((time.time() - hours_ago * 3600) * 1000)
    return ms - ms % SAMPLE_MS


def keep(services: Services, at_ms: int, completions: int = 0, **counts: int) -> None:
    """A sample as an operation at that time would have kept it."""
    found: dict[str, int] = {**dict.fromkeys(STATES, 0), **counts, "completions": completions}
    services.store.client.xadd(services.store.keys.board("main").samples, found, id=f"{at_ms}-0")  # type: ignore[arg-type] # redis-py's dict is invariant


def samples(services: Services) -> list[Any]:
    found: Any = services.store.client.xrange(services.store.keys.board("main").samples)
    return list(found)


def points(services: Services, hours: int = 24) -> list[Sample]:
    return services.store.timelines.get("main", hours=hours).points


def occupied(services: Services, hours: int = 24) -> list[tuple[int, int]]:
    """The timeline without its end, for a board of which one state is kept."""
    return [(each.at_ms, each.counts["occupied"]) for each in points(services, hours)[:-1]]


# What is sampled


def test_before_anything_has_happened_there_is_only_now(services: Services) -> None:
    (now,) = points(services)
    assert now.counts == dict.fromkeys(STATES, 0)
    assert now.completions == 0
    assert abs(now.at_ms - time.time() * 1000) < 60_000


def test_the_end_is_what_the_board_is_now(api: Api, services: Services) -> None:
    for state in STATES:
        api.prepare(state[:3].upper(), state)
    api.prepare("O-2", "occupied")
    found = services.store.timelines.get("main", hours=1)
    board = services.store.boards.get("main")
    assert found.points[-1].counts == board.counts
    assert board.counts["occupied"] == 2
    assert (found.cursor, found.seq) == (board.cursor, board.seq)


def test_five_minutes_keep_one_sample_of_how_they_began(api: Api, services: Services) -> None:
    for tag in ("A", "B", "C"):
        api.prepare(tag, "occupied")
    kept = samples(services)
    assert 1 <= len(kept) <= 2  # two, if five minutes ended while this ran
    assert int(kept[0][0].partition(b"-")[0]) % SAMPLE_MS == 0
    first = points(services)[0]
    assert first.counts == dict.fromkeys(STATES, 0)


def test_every_completed_step_counts_and_only_an_undo_takes_it_back(
    api: Api, services: Services
) -> None:
    services.store.boards.create("main", steps=("ARM", "SOLD"))
    api.put("T-1")
    for _ in range(2):
        api.done("take", "T-1", "holder")
        api.done("complete", "T-1", "holder")
    api.do("complete", "T-1", "holder")  # a repeat
    api.done("reopen", "T-1", "supervisor")
    assert points(services)[-1].completions == 2
    api.done("take", "T-1", "holder")
    api.done("complete", "T-1", "holder")
    assert points(services)[-1].completions == 3
    api.done("undo", "T-1", "holder")
    api.do("undo", "T-1", "holder")  # a repeat
    assert points(services)[-1].completions == 2


def test_what_changes_nothing_keeps_no_sample(api: Api, services: Services) -> None:
    api.prepare("T-1", "occupied")
    services.store.client.delete(services.store.keys.board("main").samples)
    api.do("take", "T-1", "holder")
    api.do("take", "T-1", "colleague")
    api.do("take", "T-2", "holder")
    api.put("T-1")
    assert samples(services) == []
    api.done("pause", "T-1", "holder")
    assert len(samples(services)) == 1


def test_a_clock_that_is_set_back_stops_no_operation(api: Api, services: Services) -> None:
    keep(services, began(-3), occupied=9)
    api.prepare("T-1", "occupied")
    assert len(samples(services)) == 1
    (now,) = points(services)
    assert now.counts["occupied"] == 1


def test_samples_are_kept_for_a_week(api: Api, services: Services) -> None:
    start = began(24 * 15)
    for number in range(SAMPLES_KEPT + 500):
        keep(services, start + number * SAMPLE_MS)
    api.put("T-1")
    assert SAMPLES_KEPT <= len(samples(services)) <= SAMPLES_KEPT + 100


# How samples are joined


def test_where_five_minutes_have_no_sample_nothing_changed(services: Services) -> None:
    first, second = began(3), began(2)
    keep(services, first, occupied=1)
    keep(services, second, occupied=4)
    assert occupied(services) == [
        (first, 1),
        (first + SAMPLE_MS, 4),
        (second, 4),
        (second + SAMPLE_MS, 0),  # as it is now
    ]


def test_samples_of_five_minutes_in_a_row_stand_as_they_are(services: Services) -> None:
    start = began(3)
    for number in range(4):
        keep(services, start + number * SAMPLE_MS, occupied=number)
    assert occupied(services)[:4] == [(start + n * SAMPLE_MS, n) for n in range(4)]


def test_a_window_begins_with_what_stood_when_it_began(services: Services) -> None:
    last = began(1)
    keep(services, last - 4 * HOUR_MS, occupied=1)
    keep(services, last - 3 * HOUR_MS, occupied=2)
    keep(services, last, occupied=3)
    earliest = began(2)
    start, first, *_ = occupied(services, hours=2)
    assert start in {(earliest, 3), (began(2), 3)}  # five minutes may end just now
    assert first == (last, 3)


def test_before_the_first_sample_nothing_is_known(services: Services) -> None:
    first = began(3)
    keep(services, first, occupied=1)
    assert occupied(services)[0] == (first, 1)


def test_a_board_that_nothing_happened_on_for_days_has_been_as_it_is(api: Api) -> None:
    services = api.services
    api.prepare("T-1", "paused")
    services.store.client.delete(services.store.keys.board("main").samples)
    keep(services, began(60))
    earliest = began(12)
    start, now = points(services, hours=12)
    assert start.at_ms in {earliest, began(12)}  # five minutes may end just now
    assert start.counts["paused"] == now.counts["paused"] == 1


# Over HTTP


def test_the_api_tells_points_with_their_times(api: Api, services: Services) -> None:
    api.prepare("T-1", "occupied")
    found = fields(api.get("/main/timeline?hours=1"))
    assert found.keys() == {"cursor", "seq", "interval_s", "points"}
    assert (found["seq"], found["interval_s"]) == (2, 300)
    now = found["points"][-1]
    assert now["counts"] == services.store.boards.get("main").counts
    assert now["at"].endswith("Z")
    assert now["completions"] == 0


@pytest.mark.parametrize("hours", ["0", "169", "-1", "1.5", "x", ""])
def test_hours_are_a_whole_number_up_to_a_week(api: Api, hours: str) -> None:
    assert_problem(api.get(f"/main/timeline?hours={hours}"), 400, "invalid_request")


def test_a_board_that_is_not_there_has_no_timeline(api: Api, services: Services) -> None:
    assert_problem(api.get("/nowhere/timeline"), 404, "board_not_found")
    with pytest.raises(BoardNotFound):
        services.store.timelines.get("nowhere", hours=1)
