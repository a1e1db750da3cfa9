"""The records of Idempotency-Keys: small, and yet the first answer comes again as it was."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from occupancy.boards.commands import Command
from occupancy.boards.records import Answer, Preconditions
from occupancy.boards.store import Store
from occupancy.core.entities import Person
from occupancy.core.errors import IdempotencyKeyReused
from occupancy.core.transitions import PUT, REMOVE, TRANSITIONS
from occupancy.services import Services
from occupancy.storage.capacity import RECORD_BYTES
from tests.conftest import services_on
from tests.support.api_client import Api, assert_problem, fields
from tests.support.servers import BINARIES, RealServer

ANA, BEN = Person("ana", "Ana"), Person("ben", "Ben")
FINGERPRINT = hashlib.sha256(b"this request").hexdigest()[:32]
OLD_ITEM = b'{"tag":"A","title":"old","epoch":1,"version":2,"worked_s":0.000}'


def do(store: Store, operation: str, *tags: str, actor: Person = ANA, **options: Any) -> Answer:
    row = {"put": PUT, "remove": REMOVE}.get(operation) or TRANSITIONS[operation]
    return store.commands.execute(Command("main", row, tags, actor=actor, **options))


def key(name: str = "k", fingerprint: str = FINGERPRINT) -> Preconditions:
    return Preconditions(idempotency_key=name, fingerprint=fingerprint)


def record_key(store: Store, name: str = "k") -> str:
    return store.keys.board("main").idempotency(ANA.id, name)


@pytest.fixture
def api(client: FlaskClient, people: dict[str, dict[str, str]], services: Services) -> Api:
    return Api(client, people, services)


@pytest.fixture
def store(services: Services) -> Store:
    do(services.store, "put", "A", "B", items=[{}, {}])
    return services.store


def test_the_item_of_a_repeated_answer_is_the_one_of_then(store: Store) -> None:
    first = do(store, "take", "A", preconditions=key())
    for _ in range(5):
        do(store, "pause", "A")
        do(store, "take", "A")
    again = do(store, "take", "A", preconditions=key())
    assert (again.is_replayed, again.outcomes, again.cursor) == (True, first.outcomes, first.cursor)


def test_an_answer_whose_event_came_late_into_the_history_comes_again_as_it_was(
    store: Store,
) -> None:
    first = do(store, "take", "A", preconditions=key())
    do(store, "pause", "A")
    # As after a server that hung for a minute between the log's entry and the history's.
    history = store.keys.board("main").history("A")
    entries: Any = store.client.xrange(history)
    store.client.delete(history)
    for cursor, entry in entries:
        ms, _, number = cursor.decode().partition("-")
        store.client.xadd(history, entry, id=f"{int(ms) + 60_000}-{number}")
    again = do(store, "take", "A", preconditions=key())
    assert (again.is_replayed, again.outcomes, again.cursor) == (True, first.outcomes, first.cursor)


def test_refusals_and_repeats_come_again_as_they_were(store: Store) -> None:
    do(store, "take", "A")
    held = do(store, "take", "A", actor=BEN, preconditions=key("held"))
    repeat = do(store, "take", "A", preconditions=key("repeat"))
    missing = do(store, "take", "NONE", preconditions=key("missing"))
    assert [each.outcomes[0].code for each in (held, repeat, missing)] == [
        "held", "ok", "item_not_found",
    ]  # fmt: skip
    do(store, "complete", "A")
    do(store, "put", "NONE", items=[{}])
    assert do(store, "take", "A", actor=BEN, preconditions=key("held")).outcomes == held.outcomes
    assert do(store, "take", "A", preconditions=key("repeat")).outcomes == repeat.outcomes
    assert do(store, "take", "NONE", preconditions=key("missing")).outcomes == missing.outcomes


def test_a_batch_comes_again_tag_by_tag(store: Store) -> None:
    do(store, "take", "B", actor=BEN)
    tags = ["A", "B", "NONE", "A"]
    first = do(store, "take", *tags, preconditions=key())
    do(store, "pause", "A")
    do(store, "pause", "B", actor=BEN)
    again = do(store, "take", *tags, preconditions=key())
    assert again.outcomes == first.outcomes
    assert [each.code for each in again.outcomes] == ["ok", "held", "item_not_found", "ok"]
    assert [each.changed for each in again.outcomes] == [True, False, False, False]


def test_a_removed_item_comes_again_as_it_was(store: Store) -> None:
    first = do(store, "remove", "A", preconditions=key())
    assert do(store, "remove", "A", preconditions=key()).outcomes == first.outcomes
    do(store, "put", "A", items=[{"title": '"another"'}])
    assert do(store, "remove", "A", preconditions=key()).outcomes == first.outcomes


def test_what_is_not_kept_any_more_is_the_present_item_marked_so(store: Store) -> None:
    first = do(store, "take", "A", preconditions=key())
    do(store, "pause", "A")
    store.client.delete(store.keys.board("main").history("A"))
    (again,) = do(store, "take", "A", preconditions=key()).outcomes
    assert (again.code, again.changed, again.item_is_current) == ("ok", True, True)
    assert again.item == store.queries.item("main", "A") != first.outcomes[0].item
    store.client.delete(store.keys.board("main").history("A"))
    do(store, "remove", "A")
    store.client.delete(store.keys.board("main").history("A"))
    (gone,) = do(store, "take", "A", preconditions=key()).outcomes
    assert (gone.code, gone.item) == ("item_not_found", b"")


def test_the_mark_stands_in_answers_problems_and_batches(api: Api) -> None:
    api.prepare("T-1", "occupied")
    api.prepare("T-2", "available")
    tags = ["T-1", "T-2"]
    sent: dict[str, Callable[[], TestResponse]] = {
        "held": lambda: api.do("take", "T-1", "colleague", headers={"Idempotency-Key": "held"}),
        "batch": lambda: api.batch("take", tags, "colleague", headers={"Idempotency-Key": "batch"}),
        "repeat": lambda: api.do("take", "T-1", "holder", headers={"Idempotency-Key": "repeat"}),
    }
    first = {name: send() for name, send in sent.items()}
    assert all("item_is_current" not in each.text for each in first.values())
    api.done("pause", "T-1", "holder")
    api.done("pause", "T-2", "colleague")
    keys = api.services.store.keys.board("main")
    api.services.store.client.delete(keys.history("T-1"), keys.history("T-2"))

    problem = assert_problem(sent["held"](), 409, "held")
    assert problem["item_is_current"] is True
    assert problem["item"]["state"] == "paused"
    assert "nobody" not in problem["detail"]
    repeated = fields(sent["repeat"]())
    assert (repeated["item_is_current"], repeated["item"]["state"]) == (True, "paused")
    results = fields(sent["batch"]())["results"]
    assert [each["item_is_current"] for each in results] == [True, True]
    assert [each["status"] for each in results] == [409, 200]


# Versions that run beside each other


def test_a_record_of_a_version_that_kept_whole_replies_is_still_answered(store: Store) -> None:
    reply = ["ok", "1763838000123-0", "ok", "1", OLD_ITEM.decode()]
    old = msgspec.json.encode({"fingerprint": FINGERPRINT, "reply": reply})
    store.client.set(record_key(store), old)
    answer = do(store, "take", "A", preconditions=key())
    (outcome,) = answer.outcomes
    assert (answer.is_replayed, answer.cursor) == (True, "1763838000123-0")
    assert (outcome.code, outcome.changed, outcome.item) == ("ok", True, OLD_ITEM)
    with pytest.raises(IdempotencyKeyReused):
        do(store, "take", "A", preconditions=key(fingerprint="f" * 32))


def test_an_item_is_found_in_a_history_that_an_older_version_has_written(store: Store) -> None:
    first = do(store, "take", "A", preconditions=key())
    do(store, "pause", "A")
    history = store.keys.board("main").history("A")
    entries: Any = store.client.xrange(history)
    store.client.delete(history)
    for cursor, entry in entries:
        assert int(entry.pop(b"version")) == json.loads(entry[b"event"])["item"]["version"]
        store.client.xadd(history, entry, id=cursor)
    assert do(store, "take", "A", preconditions=key()).outcomes == first.outcomes


def test_to_a_version_of_before_a_record_is_that_of_another_request(store: Store) -> None:
    """It then refuses the key, and carries nothing out a second time."""
    do(store, "take", "A", "B", preconditions=key())
    reads_as_before = """
    local first = cjson.decode(redis.call('GET', KEYS[1]))
    return first.fingerprint ~= ARGV[1] and 'idempotency_key_reused' or 'replayed'
    """
    client: Any = store.client
    found = client.eval(reads_as_before, 1, record_key(store), FINGERPRINT)
    assert found == b"idempotency_key_reused"


def test_another_request_is_told_by_its_fingerprint(store: Store) -> None:
    do(store, "take", "A", preconditions=key())
    with pytest.raises(IdempotencyKeyReused):
        do(store, "take", "A", preconditions=key(fingerprint="f" * 32))


# Their size


@pytest.mark.parametrize("backend", BINARIES)
def test_a_record_takes_no_more_than_the_readme_says(
    backend: str, tmp_path: Path, server_of: Callable[[str], RealServer]
) -> None:
    attributes = json.dumps({f"a{number}": "x" * 500 for number in range(20)})
    for services in services_on(backend, tmp_path, server_of):
        store = services.store
        do(store, "put", "A", items=[{"attributes": attributes}])
        names = [secrets.token_hex(16) for _ in range(3)]
        do(store, "take", "A", preconditions=key(names[0]))
        do(store, "take", "A", preconditions=key(names[1]))
        do(store, "take", "A", actor=BEN, preconditions=key(names[2]))
        keys = store.keys.board("main")
        owners = (ANA, ANA, BEN)
        for name, owner in zip(names, owners, strict=True):
            # MEMORY USAGE leaves out the two tables that have a place for the key.
            used: Any = store.client.memory_usage(keys.idempotency(owner.id, name))
            assert used <= RECORD_BYTES - 64
        tags = [f"T-{number}" for number in range(50)]
        do(store, "take", *tags, preconditions=key(names[0] + "b"))
        used = store.client.memory_usage(keys.idempotency(ANA.id, names[0] + "b"))
        assert used <= 50 * RECORD_BYTES / 4
