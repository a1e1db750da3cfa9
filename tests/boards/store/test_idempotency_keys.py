"""Idempotency keys in the store: one effect, one answer."""

from __future__ import annotations

from typing import Any

import gevent
import pytest

from occupancy.boards.records import Preconditions
from occupancy.core.errors import (
    IdempotencyKeyReused,
)
from occupancy.services import Services
from tests.boards.store.changes import ANA, BEN, add, do, everything, item_of, seqs_of


def test_the_same_key_sent_twenty_times_at_once_changes_once(services: Services) -> None:
    store = services.store
    add(store, "A")
    given = Preconditions(idempotency_key="key", fingerprint="take A")
    senders = [gevent.spawn(do, store, "take", "A", preconditions=given) for _ in range(20)]
    gevent.joinall(senders, raise_error=True)
    answers = [each.value for each in senders]
    assert sum(not each.is_replayed for each in answers) == 1
    assert {each.outcomes[0].item for each in answers} == {answers[0].outcomes[0].item}
    assert all(each.outcomes[0].changed for each in answers)
    assert seqs_of(store) == [1, 2]


def test_the_first_answer_stands_whatever_has_happened_since(services: Services) -> None:
    store = services.store
    add(store, "A")
    given = Preconditions(idempotency_key="key", fingerprint="f")
    first = do(store, "take", "A", preconditions=given)
    do(store, "release", "A")
    again = do(store, "take", "A", preconditions=given)
    assert again.is_replayed
    assert again.outcomes == first.outcomes
    assert item_of(store, "A")["state"] == "available"


def test_a_refusal_is_kept_too(services: Services) -> None:
    store = services.store
    add(store, "A")
    do(store, "take", "A", actor=BEN)
    given = Preconditions(idempotency_key="key", fingerprint="f")
    assert do(store, "take", "A", preconditions=given).outcomes[0].code == "held"
    do(store, "release", "A", actor=BEN)
    assert do(store, "take", "A", preconditions=given).outcomes[0].code == "held"


def test_a_key_used_for_another_request_is_refused(services: Services) -> None:
    store = services.store
    add(store, "A", "B")
    do(store, "take", "A", preconditions=Preconditions(idempotency_key="key", fingerprint="f"))
    kept = everything(services)
    with pytest.raises(IdempotencyKeyReused):
        do(store, "take", "B", preconditions=Preconditions(idempotency_key="key", fingerprint="g"))
    assert everything(services) == kept


def test_keys_of_different_workers_have_nothing_to_do_with_each_other(services: Services) -> None:
    store = services.store
    add(store, "A")
    given = Preconditions(idempotency_key="key", fingerprint="f")
    do(store, "take", "A", preconditions=given)
    assert do(store, "take", "A", actor=BEN, preconditions=given).outcomes[0].code == "held"
    record: Any = store.client.ttl(store.keys.board("main").idempotency(ANA.id, "key"))
    assert 23 * 3600 < record <= 24 * 3600
