"""A refused operation is charged to nobody, whichever of its limits refuses it."""

from __future__ import annotations

import pytest

from occupancy.boards.commands import Command
from occupancy.boards.records import Rate
from occupancy.core.entities import Person
from occupancy.core.errors import RateLimited
from occupancy.core.transitions import PUT
from occupancy.services import Services

# Neither charge is paid off within seconds; two bursts of the slow one are within the fast one's.
FAST, SLOW = Rate("worker", 10), Rate("address", 1)


@pytest.mark.parametrize("rates", [[FAST, SLOW], [SLOW, FAST]], ids=["fast first", "slow first"])
def test_what_one_limit_refuses_is_not_charged_to_another(
    services: Services, rates: list[Rate]
) -> None:
    tags = [f"T-{number}" for number in range(50)]  # the whole burst of the slow one
    command = Command("main", PUT, tags, Person("ana", "Ana"), items=[{}] * 50, rates=rates)
    services.store.commands.execute(command)
    keys, client = services.store.keys.board("main"), services.store.client
    before = [client.get(keys.rate(each.who)) for each in (FAST, SLOW)]
    assert None not in before
    with pytest.raises(RateLimited):
        services.store.commands.execute(command)
    after = [client.get(keys.rate(each.who)) for each in (FAST, SLOW)]
    assert after[1] == before[1]
    assert after[0] in (before[0], None)  # it may have expired
