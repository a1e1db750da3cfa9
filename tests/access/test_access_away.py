"""Access on a server that does not answer: who was valid lately is taken for a moment."""

from __future__ import annotations

from typing import Any

import gevent
import pytest

from occupancy.access import authenticator as access_module
from occupancy.access.authenticator import Authenticator
from occupancy.core.errors import StoreUnavailable
from occupancy.core.principal import Credential, digest_of
from occupancy.services import Services
from tests.access.callers import Clock, new_token
from tests.support.elsewhere import workers_elsewhere


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
