"""How long it is remembered whose credential it is, and what ends that memory."""

from __future__ import annotations

from typing import Any

import gevent
import pytest

from occupancy.access import authenticator as access_module
from occupancy.core.entities import Role
from occupancy.core.errors import Unauthenticated
from occupancy.core.principal import Credential, digest_of
from occupancy.services import Services
from tests.access.callers import Clock, identify, new_token
from tests.support.elsewhere import tokens_elsewhere, workers_elsewhere
from tests.support.waiting import wait_until


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
