"""Reconciliation of what no index shows: a log whose middle is wrong, a board that is not listed."""

from __future__ import annotations

from typing import Any

import pytest

from occupancy.boards.reconcile import Reconciler, reconcile_at_start
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


def test_at_the_start_a_board_that_the_index_has_lost_is_listed_again(
    valkey_services: Services,
) -> None:
    store = valkey_services.store
    store.boards.create("hall")
    store.client.srem(store.keys.boards, "hall")
    reconcile_at_start(store, lambda _s: None)
    assert store.client.sismember(store.keys.boards, "hall")
