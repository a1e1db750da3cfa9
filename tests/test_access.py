"""Access: workers, tokens, and how long an answer is remembered."""

from __future__ import annotations

import time
from typing import Any

import gevent
import pytest

from occupancy import access as access_module
from occupancy.access import Access
from occupancy.errors import (
    AlreadyExists,
    InvalidRequest,
    NotFound,
    Unauthenticated,
    WorkerNotFound,
)
from occupancy.model import Role, Worker
from occupancy.services import Services
from tests.waiting import wait_until


class Clock:
    """Stands in for the module ``time``: moves only when told to."""

    def __init__(self) -> None:
        self.now_s = time.time()

    def monotonic(self) -> float:
        return self.now_s

    def time(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(access_module, "time", clock)
    return clock


@pytest.fixture
def access(services: Services) -> Access:
    return services.access


def another_process(services: Services) -> Access:
    """The same workers and tokens, with a memory of its own."""
    return Access(services.store.client, services.store.keys)


def new_token(access: Access, worker: str = "93", *, days: int | None = None) -> str:
    access.add_worker(worker, name=f"Worker {worker}", role=Role.WORKER)
    return access.create_token(worker, days=days)[0]


# Workers


def test_a_worker_that_was_added_is_found(access: Access) -> None:
    added = access.add_worker("93", name="Señal", role=Role.SUPERVISOR, pin_hash="x")
    assert added == Worker("93", "Señal", "supervisor", pin_hash="x")
    assert access.worker("93") == added
    assert access.workers() == [added]


def test_a_second_worker_of_that_id_is_refused_and_changes_nothing(access: Access) -> None:
    added = access.add_worker("93", name="One", role=Role.WORKER)
    with pytest.raises(AlreadyExists):
        access.add_worker("93", name="Two", role=Role.ADMIN)
    assert access.worker("93") == added


def test_workers_are_listed_in_the_order_of_their_ids(access: Access) -> None:
    for worker in ("b", "a", "10", "9"):
        access.add_worker(worker, name=worker, role=Role.WORKER)
    assert [worker.id for worker in access.workers()] == ["10", "9", "a", "b"]


@pytest.mark.parametrize("worker", ["", "a b", "a|b", "a}b", "-a", "x" * 65, "a\n", "é"])
def test_a_wrong_id_is_refused(access: Access, worker: str) -> None:
    with pytest.raises(InvalidRequest):
        access.add_worker(worker, name="One", role=Role.WORKER)
    assert access.workers() == []


@pytest.mark.parametrize("name", ["", "x" * 101, "a\nb", "a\0b", "\ud800"])
def test_a_wrong_name_is_refused(access: Access, name: str) -> None:
    with pytest.raises(InvalidRequest):
        access.add_worker("93", name=name, role=Role.WORKER)
    assert access.workers() == []


def test_editing_a_worker_changes_what_is_named_and_nothing_else(access: Access) -> None:
    access.add_worker("93", name="One", role=Role.WORKER, pin_hash="hash")
    edited = access.edit_worker("93", name="Two")
    assert edited == access.worker("93") == Worker("93", "Two", "worker", pin_hash="hash")
    assert access.edit_worker("93", name="Two") == edited
    with pytest.raises(InvalidRequest):
        access.edit_worker("93", name="a\nb")
    assert access.worker("93") == edited


def test_an_edit_does_not_undo_what_somebody_else_does_meanwhile(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    access, elsewhere = services.access, another_process(services)
    access.add_worker("93", name="One", role=Role.WORKER)
    run = access._swap.run
    disabled: list[Worker] = []

    def run_after_the_other(keys: Any, args: Any) -> Any:
        if not disabled:  # between our reading and our writing
            disabled.append(elsewhere.set_disabled("93", True))
        return run(keys, args)

    monkeypatch.setattr(access._swap, "run", run_after_the_other)
    access.edit_worker("93", name="Two")
    assert access.worker("93") == Worker("93", "Two", "worker", disabled=True)


def test_an_unknown_worker_is_not_found(access: Access) -> None:
    for call in (
        lambda: access.worker("93"),
        lambda: access.set_disabled("93", True),
        lambda: access.create_token("93"),
    ):
        with pytest.raises(WorkerNotFound):
            call()


# Tokens


def test_a_token_tells_its_worker(access: Access) -> None:
    secret = new_token(access)
    assert access.identify(secret) == access.worker("93")


@pytest.mark.parametrize("token", ["", "x", "occ_", "occ_" + "x" * 43, "é", "\udcff", "\0"])
def test_what_is_no_token_is_refused(access: Access, token: str) -> None:
    new_token(access)
    for _ in range(2):
        with pytest.raises(Unauthenticated):
            access.identify(token)


def test_a_secret_is_stored_nowhere(services: Services) -> None:
    secret = new_token(services.access)
    client: Any = services.store.client
    stored = [
        client.hgetall(services.store.keys.tokens),
        client.hgetall(services.store.keys.workers),
    ]
    assert secret.removeprefix("occ_") not in str(stored)
    assert secret.startswith("occ_")
    assert len(secret) > 40


def test_tokens_are_listed_oldest_first_without_their_secrets(access: Access, clock: Clock) -> None:
    access.add_worker("93", name="One", role=Role.WORKER)
    made = []
    for _ in range(3):
        made.append(access.create_token("93")[1])
        clock.now_s += 10
    assert access.tokens() == made
    assert len({token.id for token in made}) == 3


def test_a_token_expires_by_the_servers_clock(services: Services, clock: Clock) -> None:
    clock.now_s -= 2 * 86400  # made two days ago
    secret = new_token(services.access, days=1)
    with pytest.raises(Unauthenticated):
        services.access.identify(secret)


def test_a_token_is_good_until_it_expires(access: Access) -> None:
    secret = new_token(access, days=1)
    assert access.identify(secret).id == "93"
    assert access.tokens()[0].expires_s == access.tokens()[0].created_s + 86400


def test_a_revoked_token_is_refused_and_others_stay_good(access: Access) -> None:
    secret = new_token(access)
    other, token = access.create_token("93")
    assert access.identify(other).id == "93"
    assert access.revoke_token(token.id) == token
    with pytest.raises(Unauthenticated):
        access.identify(other)
    assert access.identify(secret).id == "93"
    with pytest.raises(NotFound):
        access.revoke_token(token.id)


def test_a_disabled_worker_is_refused_until_enabled_again(access: Access) -> None:
    secret = new_token(access)
    access.identify(secret)
    assert access.set_disabled("93", True).disabled
    with pytest.raises(Unauthenticated):
        access.identify(secret)
    assert not access.set_disabled("93", False).disabled
    assert access.identify(secret).id == "93"


# Remembered


def test_an_answer_is_remembered_for_two_seconds_at_most(services: Services, clock: Clock) -> None:
    here, elsewhere = services.access, another_process(services)
    secret = new_token(here)
    here.identify(secret)
    elsewhere.set_disabled("93", True)  # and the announcement is lost
    clock.now_s += 1.9
    assert here.identify(secret).id == "93"
    clock.now_s += 0.2
    with pytest.raises(Unauthenticated):
        here.identify(secret)


def test_being_asked_again_and_again_does_not_make_the_memory_last(
    services: Services, clock: Clock
) -> None:
    here, elsewhere = services.access, another_process(services)
    secret = new_token(here)
    here.identify(secret)
    elsewhere.set_disabled("93", True)
    for _ in range(3):
        clock.now_s += 0.6
        here.identify(secret)
    clock.now_s += 0.6
    with pytest.raises(Unauthenticated):
        here.identify(secret)


def test_a_refusal_is_not_remembered(services: Services) -> None:
    here, elsewhere = services.access, another_process(services)
    secret = new_token(here)
    elsewhere.set_disabled("93", True)
    with pytest.raises(Unauthenticated):
        here.identify(secret)
    elsewhere.set_disabled("93", False)
    assert here.identify(secret).id == "93"


def test_a_remembered_answer_costs_no_round_trip(services: Services) -> None:
    secret = new_token(services.access)
    services.access.identify(secret)
    before = services.ops_pool.stats()["acquired"]
    for _ in range(10):
        services.access.identify(secret)
    assert services.ops_pool.stats()["acquired"] == before


def test_a_change_elsewhere_is_announced_and_forgotten_at_once(
    valkey_services: Services, clock: Clock
) -> None:
    """The clock stands still, so only the announcement can end the memory."""
    services = valkey_services
    here, elsewhere = services.access, another_process(services)
    secret = new_token(here)
    services.hub.start()
    wait_until(lambda: services.hub.trouble is None, what="live delivery")
    here.identify(secret)
    elsewhere.set_disabled("93", True)

    def is_refused() -> bool:
        try:
            here.identify(secret)
        except Unauthenticated:
            return True
        return False

    wait_until(is_refused, what="the announcement")


def test_an_answer_under_way_while_the_worker_is_disabled_does_not_last(
    valkey_services: Services, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer was read before, arrives after the announcement, and counts from the question."""
    here, elsewhere = valkey_services.access, another_process(valkey_services)
    secret = new_token(here)
    run = here._identify.run

    def slowly(*arguments: Any) -> Any:
        reply = run(*arguments)
        elsewhere.set_disabled("93", True)
        here.forget()
        clock.now_s += 1.5
        return reply

    monkeypatch.setattr(here._identify, "run", slowly)
    assert here.identify(secret).id == "93"
    monkeypatch.undo()
    monkeypatch.setattr(access_module, "time", clock)
    clock.now_s += 0.6
    with pytest.raises(Unauthenticated):
        here.identify(secret)


def test_the_memory_is_bounded(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access_module, "_REMEMBERED_TOKENS", 3)
    access = services.access
    access.add_worker("93", name="One", role=Role.WORKER)
    for _ in range(10):
        access.identify(access.create_token("93")[0])
        assert len(access._remembered) <= 3


def test_many_that_ask_at_once_all_get_their_answer(services: Services) -> None:
    secret = new_token(services.access)
    asking = [gevent.spawn(services.access.identify, secret) for _ in range(30)]
    gevent.joinall(asking, raise_error=True)
    assert {each.value.id for each in asking} == {"93"}
