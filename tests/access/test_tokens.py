"""Tokens: what they tell, how long they are good, and that their secrets are stored nowhere."""

from __future__ import annotations

import pytest

from occupancy.access.tokens import Tokens
from occupancy.access.workers import Workers
from occupancy.core.entities import Role
from occupancy.core.errors import NotFound, Unauthenticated
from occupancy.core.principal import digest_of
from occupancy.services import Services
from tests.access.callers import Clock, identify, new_token
from tests.support.stored import stored_text


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
