"""Reconciliation of a log that begins and ends as it should."""

from __future__ import annotations

from typing import Any

import pytest

from occupancy.boards.reconcile import Reconciler
from occupancy.services import Services
from tests.support.shop import change


@pytest.mark.parametrize("wrong", ["hole", "entry too many"])
def test_a_log_whose_middle_is_wrong_is_reported(valkey_services: Services, wrong: str) -> None:
    change(valkey_services, "main", 4)
    client, log = valkey_services.store.client, valkey_services.store.keys.board("main").log
    entries: Any = client.xrange(log)
    client.delete(log)
    for number, (cursor, fields) in enumerate(entries):
        if number == 1 and wrong == "hole":
            continue
        client.xadd(log, fields, id=cursor)
        if number == 1:
            ms, _, count = cursor.decode().partition("-")
            client.xadd(log, fields, id=f"{ms}-{int(count) + 1}")
    found = Reconciler(valkey_services.store).run("main", repair=False).problems
    assert [(each.tag, each.kind) for each in found] == [("", "log")]
