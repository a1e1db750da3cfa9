"""Workers, tokens, and how long it is remembered whose token it is."""

from __future__ import annotations

import time
from typing import Any

import gevent
import pytest

from occupancy.access import authenticator as access_module
from occupancy.access import tokens as tokens_module
from occupancy.access.authenticator import Authenticator
from occupancy.access.tokens import Tokens
from occupancy.access.workers import Workers
from occupancy.core.entities import Role, Worker
from occupancy.core.errors import (
    AlreadyExists,
    InvalidRequest,
    NotFound,
    StoreUnavailable,
    Unauthenticated,
    WorkerNotFound,
)
from occupancy.core.principal import Credential, digest_of
from occupancy.services import Services
from tests.support.elsewhere import tokens_elsewhere, workers_elsewhere
from tests.support.stored import stored_text
from tests.support.waiting import wait_until


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
    monkeypatch.setattr(tokens_module, "time", clock)
    return clock


@pytest.fixture
def workers(services: Services) -> Workers:
    return services.workers


@pytest.fixture
def tokens(services: Services) -> Tokens:
    return services.tokens


def new_token(services: Services, worker: str = "93", *, days: int | None = None) -> str:
    services.workers.add(worker, name=f"Worker {worker}", role=Role.WORKER)
    return services.tokens.create(worker, days=days)[0]


def identify(services: Services, secret: str) -> Worker:
    """Whose token it is."""
    return services.authenticator.identify(Credential("token", digest_of(secret))).worker


# Workers


def test_a_worker_that_was_added_is_found(workers: Workers) -> None:
    added = workers.add("93", name="Señal", role=Role.SUPERVISOR, pin_hash="x")
    assert added == Worker("93", "Señal", "supervisor", pin_hash="x")
    assert workers.get("93") == added
    assert workers.all() == [added]


def test_a_second_worker_of_that_id_is_refused_and_changes_nothing(workers: Workers) -> None:
    added = workers.add("93", name="One", role=Role.WORKER)
    with pytest.raises(AlreadyExists):
        workers.add("93", name="Two", role=Role.ADMIN)
    assert workers.get("93") == added


def test_workers_are_listed_in_the_order_of_their_ids(workers: Workers) -> None:
    for worker in ("b", "a", "10", "9"):
        workers.add(worker, name=worker, role=Role.WORKER)
    assert [worker.id for worker in workers.all()] == ["10", "9", "a", "b"]


@pytest.mark.parametrize("worker", ["", "a b", "a|b", "a}b", "-a", "x" * 65, "a\n", "é"])
def test_a_wrong_id_is_refused(workers: Workers, worker: str) -> None:
    with pytest.raises(InvalidRequest):
        workers.add(worker, name="One", role=Role.WORKER)
    assert workers.all() == []


@pytest.mark.parametrize("name", ["", "x" * 101, "a\nb", "a\0b", "\ud800"])
def test_a_wrong_name_is_refused(workers: Workers, name: str) -> None:
    with pytest.raises(InvalidRequest):
        workers.add("93", name=name, role=Role.WORKER)
    assert workers.all() == []


def test_editing_a_worker_changes_what_is_named_and_nothing_else(workers: Workers) -> None:
    workers.add("93", name="One", role=Role.WORKER, pin_hash="hash")
    edited = workers.edit("93", name="Two")
    assert edited == workers.get("93") == Worker("93", "Two", "worker", pin_hash="hash")
    assert workers.edit("93", name="Two") == edited
    with pytest.raises(InvalidRequest):
        workers.edit("93", name="a\nb")
    assert workers.get("93") == edited


def test_an_edit_does_not_undo_what_somebody_else_does_meanwhile(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    workers, elsewhere = services.workers, workers_elsewhere(services)
    workers.add("93", name="One", role=Role.WORKER)
    run = workers._replace_worker.run
    disabled: list[Worker] = []

    def run_after_the_other(keys: Any, args: Any) -> Any:
        if not disabled:  # between our reading and our writing
            disabled.append(elsewhere.edit("93", disabled=True))
        return run(keys, args)

    monkeypatch.setattr(workers._replace_worker, "run", run_after_the_other)
    workers.edit("93", name="Two")
    assert workers.get("93") == Worker("93", "Two", "worker", disabled=True, session_generation=1)


def test_an_unknown_worker_is_not_found(workers: Workers, tokens: Tokens) -> None:
    for call in (
        lambda: workers.get("93"),
        lambda: workers.edit("93", disabled=True),
        lambda: tokens.create("93"),
    ):
        with pytest.raises(WorkerNotFound):
            call()


# Tokens


def test_a_token_tells_its_worker(services: Services, workers: Workers) -> None:
    secret = new_token(services)
    assert identify(services, secret) == workers.get("93")


@pytest.mark.parametrize("token", ["", "x", "occ_", "occ_" + "x" * 43, "é", "\udcff", "\0"])
def test_what_is_no_token_is_refused(services: Services, token: str) -> None:
    new_token(services)
    for _ in range(2):
        with pytest.raises(Unauthenticated):
            identify(services, token)


def test_a_secret_is_stored_nowhere(services: Services) -> None:
    secret = new_token(services)
    identify(services, secret)
    stored = stored_text(services.store.client, f"{services.settings.prefix}:*")
    assert digest_of(secret) in stored  # the token itself is there
    assert secret.removeprefix("occ_") not in stored
    assert secret.startswith("occ_")
    assert len(secret) > 40


def test_tokens_are_listed_oldest_first_without_their_secrets(
    workers: Workers, tokens: Tokens, clock: Clock
) -> None:
    workers.add("93", name="One", role=Role.WORKER)
    secrets, made = [], []
    for _ in range(3):
        secret, token = tokens.create("93")
        secrets.append(secret.removeprefix("occ_"))
        made.append(token)
        clock.now_s += 10
    listed = tokens.all()
    assert [each.token for each in listed] == made
    assert len({token.id for token in made}) == 3
    assert [each for each in secrets if each in repr(listed)] == []


def test_a_token_expires_by_the_servers_clock(services: Services, clock: Clock) -> None:
    clock.now_s -= 2 * 86400  # made two days ago
    secret = new_token(services, days=1)
    with pytest.raises(Unauthenticated):
        identify(services, secret)


def test_a_token_is_good_until_it_expires(services: Services, tokens: Tokens) -> None:
    secret = new_token(services, days=1)
    assert identify(services, secret).id == "93"
    assert tokens.all()[0].token.expires_s == tokens.all()[0].token.created_s + 86400


def test_a_revoked_token_is_refused_and_others_stay_good(
    services: Services, tokens: Tokens
) -> None:
    secret = new_token(services)
    other, token = tokens.create("93")
    assert identify(services, other).id == "93"
    assert tokens.revoke(token.id) == token
    with pytest.raises(Unauthenticated):
        identify(services, other)
    assert identify(services, secret).id == "93"
    with pytest.raises(NotFound):
        tokens.revoke(token.id)


def test_a_disabled_worker_is_refused_until_enabled_again(
    services: Services, workers: Workers
) -> None:
    secret = new_token(services)
    identify(services, secret)
    assert workers.edit("93", disabled=True).disabled
    with pytest.raises(Unauthenticated):
        identify(services, secret)
    assert not workers.edit("93", disabled=False).disabled
    assert identify(services, secret).id == "93"


# Remembered


def test_an_answer_is_remembered_for_two_seconds_at_most(services: Services, clock: Clock) -> None:
    elsewhere = workers_elsewhere(services)
    secret = new_token(services)
    identify(services, secret)
    elsewhere.edit("93", disabled=True)  # and the announcement is lost
    clock.now_s += 1.9
    assert identify(services, secret).id == "93"
    clock.now_s += 0.2
    with pytest.raises(Unauthenticated):
        identify(services, secret)


def test_being_asked_again_and_again_does_not_make_the_memory_last(
    services: Services, clock: Clock
) -> None:
    elsewhere = workers_elsewhere(services)
    secret = new_token(services)
    identify(services, secret)
    elsewhere.edit("93", disabled=True)
    for _ in range(3):
        clock.now_s += 0.6
        identify(services, secret)
    clock.now_s += 0.6
    with pytest.raises(Unauthenticated):
        identify(services, secret)


def test_a_refusal_is_not_remembered(services: Services) -> None:
    elsewhere = workers_elsewhere(services)
    secret = new_token(services)
    elsewhere.edit("93", disabled=True)
    with pytest.raises(Unauthenticated):
        identify(services, secret)
    elsewhere.edit("93", disabled=False)
    assert identify(services, secret).id == "93"


def test_a_remembered_answer_costs_no_round_trip(services: Services) -> None:
    secret = new_token(services)
    identify(services, secret)
    before = services.topology.shards()[0].ops_pool.stats()["acquired"]
    for _ in range(10):
        identify(services, secret)
    assert services.topology.shards()[0].ops_pool.stats()["acquired"] == before


@pytest.mark.parametrize("change", ["disabled", "revoked"])
def test_a_change_elsewhere_is_announced_and_forgotten_at_once(
    valkey_services: Services, clock: Clock, change: str
) -> None:
    """The clock stands still, so only the announcement can end the memory."""
    services = valkey_services
    elsewhere = workers_elsewhere(services)
    secret = new_token(services)
    services.hub.start()
    wait_until(lambda: services.hub.trouble is None, what="live delivery")
    identify(services, secret)
    if change == "disabled":
        elsewhere.edit("93", disabled=True)
    else:
        [listed] = services.tokens.all()
        tokens_elsewhere(services).revoke(listed.token.id)

    def is_refused() -> bool:
        try:
            identify(services, secret)
        except Unauthenticated:
            return True
        return False

    wait_until(is_refused, what="the announcement")


@pytest.mark.parametrize("is_announced", [True, False])
def test_an_answer_under_way_while_the_worker_is_disabled_does_not_last(
    valkey_services: Services, clock: Clock, monkeypatch: pytest.MonkeyPatch, is_announced: bool
) -> None:
    """It was read before. One that arrives after the announcement is not remembered at all; where
    the announcement is lost, the two seconds count from the question."""
    services = valkey_services
    elsewhere = workers_elsewhere(services)
    secret = new_token(services)
    run = services.authenticator._identify.run

    def slowly(*arguments: Any) -> Any:
        reply = run(*arguments)
        elsewhere.edit("93", disabled=True)
        if is_announced:
            services.authenticator.forget()
        clock.now_s += 1.5
        return reply

    monkeypatch.setattr(services.authenticator._identify, "run", slowly)
    assert identify(services, secret).id == "93"
    monkeypatch.undo()
    monkeypatch.setattr(access_module, "time", clock)
    if not is_announced:
        clock.now_s += 0.6
    with pytest.raises(Unauthenticated):
        identify(services, secret)


def test_the_memory_is_bounded(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access_module, "_MAX_REMEMBERED", 3)
    workers, tokens = services.workers, services.tokens
    workers.add("93", name="One", role=Role.WORKER)
    sizes = []
    for _ in range(10):
        identify(services, tokens.create("93")[0])
        sizes.append(len(services.authenticator._remembered))
    assert (min(sizes), max(sizes)) == (1, 3)


def test_many_that_ask_at_once_all_get_their_answer(services: Services) -> None:
    secret = new_token(services)
    asking = [gevent.spawn(identify, services, secret) for _ in range(30)]
    gevent.joinall(asking, raise_error=True)
    assert {each.value.id for each in asking} == {"93"}


def test_a_change_of_one_worker_forgets_only_what_that_worker_shows(
    valkey_services: Services, clock: Clock
) -> None:
    """The clock stands still, so a caller who is asked for again was forgotten."""
    services = valkey_services
    elsewhere = workers_elsewhere(services)
    changed, other = new_token(services, "93"), new_token(services, "94")
    services.hub.start()
    wait_until(lambda: services.hub.trouble is None, what="live delivery")
    credentials = [Credential("token", digest_of(each)) for each in (changed, other)]
    elsewhere.edit("94", name="Olga")  # from here on it is known that none was missed
    wait_until(lambda: services.revocation._heard, what="the announcement")
    services.authenticator.identify_many(credentials)
    elsewhere.edit("93", name="Marta")
    wait_until(
        lambda: services.authenticator.remembered(credentials[0]) is None, what="the announcement"
    )
    assert services.authenticator.remembered(credentials[1]) is not None
    assert identify(services, changed).name == "Marta"
    services.revocation.on_announcement(None)  # some may have been missed
    assert [services.authenticator.remembered(each) for each in credentials] == [None, None]


def test_an_answer_about_another_worker_is_remembered_though_one_changed_meanwhile(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = {each: new_token(services, each) for each in ("93", "94")}
    run = services.authenticator._identify.run

    def overtaken(*arguments: Any) -> Any:
        reply = run(*arguments)
        services.authenticator.forget("93")
        return reply

    monkeypatch.setattr(services.authenticator._identify, "run", overtaken)
    for secret in secrets.values():
        identify(services, secret)
    known = [services.authenticator.remembered(Credential("token", digest_of(secrets[each])))
             for each in ("93", "94")]  # fmt: skip
    assert known[0] is None
    assert known[1] is not None


def test_changes_of_more_workers_than_are_kept_forget_everybody(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access_module, "_MAX_CHANGES", 3)
    secret = new_token(services)
    credential = Credential("token", digest_of(secret))
    identify(services, secret)
    for number in range(3):
        services.authenticator.forget(f"w{number}")
    assert services.authenticator.remembered(credential) is not None
    services.authenticator.forget("w4")
    assert services.authenticator.remembered(credential) is None
    assert len(services.authenticator._changed) <= 3


# Access on a server of its own


class Away:
    """Stands in for the script that identifies, on a server that does not answer."""

    def __init__(self) -> None:
        self.asked = 0

    def run(self, *_: Any) -> Any:
        self.asked += 1
        raise StoreUnavailable("away")


@pytest.fixture
def alone(services: Services) -> Authenticator:
    """An authenticator like that of a Cluster, where access has a server of its own."""
    made = Authenticator(services.store.client, services.store.keys)
    made._has_own_server = True
    return made


def test_who_was_valid_lately_is_taken_while_the_server_of_access_is_away(
    services: Services, alone: Authenticator, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    credential = Credential("token", digest_of(new_token(services)))
    assert alone.identify(credential).worker.id == "93"
    away = Away()
    monkeypatch.setattr(alone, "_identify", away)
    clock.now_s += 3
    alone.forget()  # the live connection was lost: any may have changed
    for _ in range(3):
        assert alone.identify(credential).worker.id == "93"
    assert away.asked == 1, "one caller a second asks"
    clock.now_s += 11
    assert alone.identify(credential).worker.id == "93"
    clock.now_s += 2
    with pytest.raises(StoreUnavailable):
        alone.identify(credential)


def test_who_was_changed_or_is_not_known_is_not_taken(
    services: Services, alone: Authenticator, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    credential = Credential("token", digest_of(new_token(services)))
    other = Credential("token", digest_of(new_token(services, "94")))
    alone.identify(credential)
    monkeypatch.setattr(alone, "_identify", Away())
    alone.forget("93")
    for each in (credential, other):
        with pytest.raises(StoreUnavailable):
            alone.identify(each)


def test_a_change_while_the_server_is_asked_counts(
    services: Services, alone: Authenticator, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    credential = Credential("token", digest_of(new_token(services)))
    alone.identify(credential)
    clock.now_s += 3

    class Revoked(Away):
        def run(self, *_: Any) -> Any:
            alone.forget("93")
            return super().run()

    monkeypatch.setattr(alone, "_identify", Revoked())
    with pytest.raises(StoreUnavailable):
        alone.identify(credential)


def test_where_access_shares_its_server_nobody_is_taken(
    services: Services, alone: Authenticator, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone._has_own_server = False
    credential = Credential("token", digest_of(new_token(services)))
    alone.identify(credential)
    clock.now_s += 3
    monkeypatch.setattr(alone, "_identify", Away())
    with pytest.raises(StoreUnavailable):
        alone.identify(credential)


def test_the_server_is_asked_again_and_answers(
    services: Services, alone: Authenticator, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    credential = Credential("token", digest_of(new_token(services)))
    alone.identify(credential)
    with monkeypatch.context() as patch:
        patch.setattr(alone, "_identify", Away())
        clock.now_s += 3
        alone.identify(credential)
    workers_elsewhere(services).edit("93", name="Other")
    clock.now_s += 1.1
    assert alone.identify(credential).worker.name == "Other"


def test_a_server_that_hangs_delays_a_caller_for_a_moment_only(
    services: Services, alone: Authenticator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access_module, "_REMEMBERED_S", 0.0)
    credential = Credential("token", digest_of(new_token(services)))
    alone.identify(credential)

    class Hung(Away):
        def run(self, *_: Any) -> Any:
            gevent.sleep(30)

    monkeypatch.setattr(alone, "_identify", Hung())
    with gevent.Timeout(5):
        assert alone.identify(credential).worker.id == "93"
