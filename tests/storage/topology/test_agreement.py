"""How many Sentinels it takes to overrule the highest epoch."""

from __future__ import annotations

import types

import pytest

from occupancy.core.server_url import Address
from occupancy.storage.topology import sentinel_agreement
from occupancy.storage.topology.sentinel_agreement import AGREEMENT_S, Agreement
from occupancy.storage.topology.sentinel_answers import Answer, Primary

OLD, NEW, *SENTINELS = (Address("127.0.0.1", port) for port in range(1, 6))


@pytest.mark.parametrize(("sentinels", "is_enough"), [(1, False), (2, True), (3, True)])
def test_only_a_majority_leads_back_from_a_dead_primary(
    monkeypatch: pytest.MonkeyPatch, sentinels: int, *, is_enough: bool
) -> None:
    now = [100.0]
    clock = types.SimpleNamespace(monotonic=lambda: now[0])
    monkeypatch.setattr(sentinel_agreement, "time", clock)
    agreement, known = Agreement(3, "board"), Primary(NEW, 2)
    for each in SENTINELS[:sentinels]:
        agreement.take(each, Answer(Primary(OLD, 1), {}, 0, 0))
    assert agreement.next_primary(known, unreached_since=0.0) is None
    now[0] += AGREEMENT_S
    found = agreement.next_primary(known, unreached_since=0.0)
    assert found == (Primary(OLD, 2) if is_enough else None)
