"""Two limits on one request: where one refuses, the other is not charged, whichever comes first."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from occupancy.boards.commands import Command
from occupancy.boards.records import Rate
from occupancy.core.entities import Person
from occupancy.core.errors import RateLimited
from occupancy.core.transitions import TRANSITIONS
from occupancy.live.limits import Place, StreamLimits
from occupancy.services import Services

TAGS = [f"T-{number}" for number in range(50)]  # what a rate of 1/s lets through at once
SLOW, QUICK = Rate("caller:93", 1), Rate("address:192.0.2.1", 20)


@pytest.mark.parametrize("rates", [(SLOW, QUICK), (QUICK, SLOW)], ids=["slow first", "slow last"])
def test_a_refused_operation_is_charged_to_nobody(
    valkey_services: Services, rates: tuple[Rate, ...]
) -> None:
    store = valkey_services.store

    def take(tags: list[str]) -> None:
        actor = Person("93", "Worker 93")
        store.commands.execute(Command("main", TRANSITIONS["take"], tags, actor, rates=rates))

    def charged() -> list[Any]:
        keys = store.keys.board("main")
        return [store.client.get(keys.rate(each.who)) for each in (SLOW, QUICK)]

    take(TAGS)
    before = charged()
    assert None not in before
    for _ in range(3):
        with pytest.raises(RateLimited):
            take(TAGS[:20])  # so many that no slow machine makes them pass after all
    assert charged() == before


class Opening:
    """Streams that are opened at one moment."""

    def __init__(self, *, of_credential: int, of_address: int) -> None:
        self._limits = StreamLimits(per_caller=of_credential, per_process=of_address)

    def opened(self, attempts: int, credential: str, address: str) -> int:
        """How many of ``attempts`` are let in; none of them stays open."""
        count = 0
        for _ in range(attempts):
            try:
                self._limits.check(Place("93", credential, address))
            except RateLimited:
                continue
            count += 1
        return count


@pytest.fixture
def _one_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(monotonic=lambda: 1000.0)
    monkeypatch.setattr("occupancy.live.limits.time", clock)


@pytest.mark.usefixtures("_one_moment")
def test_a_credential_that_is_refused_uses_up_no_rate_of_its_address() -> None:
    opening = Opening(of_credential=20, of_address=50)
    assert opening.opened(60, "eager", "here") == 20
    assert opening.opened(20, "calm", "here") == 20
    assert opening.opened(20, "late", "here") == 10


@pytest.mark.usefixtures("_one_moment")
def test_a_credential_whose_address_is_refused_uses_up_no_rate_of_its_own() -> None:
    opening = Opening(of_credential=20, of_address=50)
    for credential, count in (("one", 20), ("two", 20), ("three", 10), ("four", 0)):
        assert opening.opened(20, credential, "here") == count
    assert opening.opened(20, "three", "there") == 10
    assert opening.opened(20, "four", "there") == 20
