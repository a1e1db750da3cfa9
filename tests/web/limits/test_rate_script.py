"""Rates of operations, in the script: what is refused, charged and remembered."""

from __future__ import annotations

from typing import Any

import pytest

from occupancy.boards.commands import RATE_BURST_S, Command
from occupancy.boards.records import Answer, Preconditions, Rate
from occupancy.core.errors import RateLimited
from occupancy.core.transitions import TRANSITIONS
from occupancy.services import Services
from tests.support.shop import change, log_of
from tests.web.limits.limited import ACTOR, AT_ONCE, MORE, TAGS, TAKE


class Rated:
    """Operations on the main board under two rates."""

    def __init__(self, services: Services, caller_per_s: int = 1, address_per_s: int = 1) -> None:
        self.services = services
        self.rates = (Rate("caller:93", caller_per_s), Rate("address:192.0.2.1", address_per_s))
        self.client: Any = services.store.client

    def take(self, tags: list[str], given: Preconditions | None = None) -> Answer:
        options: Any = {} if given is None else {"preconditions": given}
        return self.services.store.commands.execute(
            Command("main", TAKE, tags, actor=ACTOR, rates=self.rates, **options)
        )

    def wait_s(self, tags: list[str], given: Preconditions | None = None) -> int:
        """How long the refusal of an operation asks to wait."""
        with pytest.raises(RateLimited) as refused:
            self.take(tags, given)
        seconds: int = refused.value.extra["retry_after"]
        return seconds

    def key(self, number: int) -> str:
        return self.services.store.keys.board("main").rate(self.rates[number].who)

    def even_ms(self) -> list[bytes | None]:
        return [self.client.get(self.key(number)) for number in (0, 1)]

    def server_ms(self) -> int:
        seconds, microseconds = self.client.time()
        return int(seconds) * 1000 + int(microseconds) // 1000


@pytest.fixture
def rated(services: Services) -> Rated:
    return Rated(services)


def test_who_has_used_up_the_rate_is_refused_and_nothing_changes(rated: Rated) -> None:
    change(rated.services, "main", 0)
    rated.take(TAGS[2:])
    rated.take([TAGS[0]])
    rated.take([TAGS[1]])
    log = log_of(rated.services, "main")
    assert 1 <= rated.wait_s(MORE) <= len(MORE)
    assert log_of(rated.services, "main") == log


def test_a_refusal_costs_nothing(rated: Rated) -> None:
    rated.rates = (rated.rates[0], Rate("address:192.0.2.1", 8))
    rated.take(TAGS)
    charged = rated.even_ms()
    for _ in range(20):
        assert rated.wait_s(MORE) <= len(MORE)
    assert rated.even_ms() == charged


def test_the_address_is_not_charged_for_what_the_caller_may_not_and_the_other_way_round(
    rated: Rated,
) -> None:
    fast = Rate("address:192.0.2.1", 8), Rate("caller:93", 8)
    for rates in ((rated.rates[0], fast[0]), (rated.rates[1], fast[1])):
        rated.rates = rates
        rated.client.delete(rated.key(0), rated.key(1))
        rated.take(TAGS)
        charged = rated.even_ms()
        rated.wait_s(MORE)
        assert rated.even_ms() == charged


def test_a_batch_is_charged_by_its_tags_and_refused_as_a_whole(rated: Rated) -> None:
    change(rated.services, "main", 0)
    rated.take(TAGS[:40])
    seq = len(log_of(rated.services, "main"))
    assert 1 <= rated.wait_s(TAGS[:30]) <= 20
    assert len(log_of(rated.services, "main")) == seq
    rated.take(TAGS[:10])
    rated.wait_s(MORE)


@pytest.mark.parametrize("per_s", [*range(1, 14), 49, 50, 51, 60, 333, 500, 2000, 100_000])
def test_a_batch_of_fifty_passes_whoever_was_idle(valkey_services: Services, per_s: int) -> None:
    rated = Rated(valkey_services, per_s, per_s)
    assert len(rated.take(TAGS).outcomes) == len(TAGS)


@pytest.mark.parametrize("per_s", [7, 60, 333])
def test_no_more_than_ten_seconds_worth_passes_at_once(
    valkey_services: Services, per_s: int
) -> None:
    rated = Rated(valkey_services, per_s, 100_000)
    started_ms = rated.server_ms()
    passed = 0
    tags = TAGS[: per_s // 7]  # a busy machine does not do 333 calls a second
    with pytest.raises(RateLimited):
        while passed < 2 * RATE_BURST_S * per_s:  # bounded, whatever the limit does
            rated.take(tags)
            passed += len(tags)
    elapsed_s = (rated.server_ms() - started_ms + 1) / 1000
    assert RATE_BURST_S * per_s < passed + len(tags)
    assert passed <= (RATE_BURST_S + elapsed_s) * per_s * 1.001 + 1


def test_the_keys_expire_when_their_owner_is_even_again(rated: Rated) -> None:
    rated.take(TAGS[:10])
    for number in (0, 1):
        assert 0 < rated.client.pttl(rated.key(number)) <= 10_000
    rated.take(TAGS[:40])
    for number in (0, 1):
        assert 10_000 < rated.client.pttl(rated.key(number)) <= 50_000


def test_a_clock_that_was_set_back_by_an_hour_stops_nobody(rated: Rated) -> None:
    for number in (0, 1):
        rated.client.set(rated.key(number), f"{rated.server_ms() + 3_600_000}.00")
    rated.take(["T-1"])
    even_ms = [float(each or 0) for each in rated.even_ms()]
    assert all(each <= rated.server_ms() + 1000 for each in even_ms)


def test_a_clock_that_was_set_back_a_little_stops_for_a_little(rated: Rated) -> None:
    for number in (0, 1):
        rated.client.set(rated.key(number), f"{rated.server_ms() + 60_000}.00")
    assert 1 <= rated.wait_s(["T-1"]) <= 2 * AT_ONCE


def test_other_callers_addresses_and_boards_have_their_own(rated: Rated) -> None:
    rated.take(TAGS)
    store = rated.services.store
    board = store.boards.create("north").board
    own = rated.rates
    for others in (Rate("caller:94", 1), Rate("address:192.0.2.2", 1)), ():
        store.commands.execute(Command("main", TAKE, ["T-1"], actor=ACTOR, rates=others))
    store.commands.execute(Command(board, TAKE, ["T-1"], actor=ACTOR, rates=own))
    rated.wait_s(MORE)


def test_a_refused_request_may_be_sent_again_with_its_idempotency_key(rated: Rated) -> None:
    change(rated.services, "main", 0)
    given = Preconditions(idempotency_key="k", fingerprint="f")
    rated.take(TAGS)
    rated.services.store.commands.execute(
        Command("main", TRANSITIONS["release"], ["T-1"], actor=ACTOR)
    )
    rated.wait_s(MORE, given)
    rated.client.delete(rated.key(0), rated.key(1))  # time passes
    first = rated.take(MORE, given)
    assert not first.is_replayed
    assert first.outcomes[1].changed
    again = rated.take(MORE, given)
    assert again.is_replayed
    assert again.outcomes == first.outcomes


def test_a_replay_is_charged_too_and_refused_without_forgetting_the_first_answer(
    rated: Rated,
) -> None:
    change(rated.services, "main", 0)
    given = Preconditions(idempotency_key="k", fingerprint="f")
    first = rated.take(MORE, given)
    rated.take(TAGS[:10])
    assert rated.take(MORE, given).is_replayed
    rated.wait_s(MORE, given)
    rated.client.delete(rated.key(0), rated.key(1))
    assert rated.take(MORE, given).outcomes == first.outcomes
