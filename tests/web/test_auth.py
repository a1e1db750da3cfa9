"""Who gets in: tokens that are missing, garbage, expired, revoked, or of a disabled worker."""

from __future__ import annotations

import hashlib

import msgspec
import pytest
from flask.testing import FlaskClient

from occupancy.access.tokens import Token
from occupancy.services import Services
from tests.support.api_client import Api, assert_problem


@pytest.fixture
def api(client: FlaskClient, people: dict[str, dict[str, str]], services: Services) -> Api:
    return Api(client, people, services)


def token_of(api: Api, who: str) -> str:
    return api.people[who]["Authorization"].removeprefix("Bearer ")


def token_id(api: Api, who: str) -> str:
    return next(each.token.id for each in api.services.tokens.all() if each.token.worker == who)


def expire(api: Api, who: str, expires_s: int) -> None:
    token = Token(id="00000000", worker=who, created_s=0, expires_s=expires_s)
    digest = hashlib.sha256(token_of(api, who).encode()).hexdigest()
    key = api.services.store.keys.tokens
    api.services.store.client.hset(key, digest, msgspec.json.encode(token))
    api.services.authenticator.forget()


def assert_locked_out(api: Api, who: str) -> None:
    for path in ("", "/main/items", "/main/events"):
        response = api.get(path, who)
        assert_problem(response, 401, "unauthenticated")
        assert response.headers["WWW-Authenticate"] == 'Bearer realm="occupancy"'
    assert_problem(api.put("T-1", who=who), 401, "unauthenticated")


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        "Bearer x",
        "Bearer \xff\xfe",
        "Bearer " + "x" * 5000,
        "Basic dXNlcjpwYXNz",
        "Token x",
        "Bearer occ_",
        "Bearer *",
    ],
)
def test_a_header_that_is_no_good_token_is_refused(api: Api, header: str) -> None:
    api.people["stranger"] = {"Authorization": header}
    assert_locked_out(api, "stranger")


def test_a_token_with_something_before_or_after_it_is_another(api: Api) -> None:
    token = token_of(api, "holder")
    for wrong in (token + "x", token[:-1], token.upper(), f"{token} x", f"{token},{token}"):
        api.people["stranger"] = {"Authorization": f"Bearer {wrong}"}
        assert_locked_out(api, "stranger")


def test_the_scheme_may_be_written_in_any_case(api: Api) -> None:
    api.people["quiet"] = {"Authorization": f"bearer  {token_of(api, 'watcher')} "}
    assert api.get("", "quiet").status_code == 200


def test_without_a_token_nothing_is_told(api: Api) -> None:
    assert_locked_out(api, "outsider")
    assert_problem(api.get("/nowhere/items", "outsider"), 401, "unauthenticated")


def test_a_revoked_token_is_refused_at_once(api: Api) -> None:
    assert api.get("", "holder").status_code == 200
    api.services.tokens.revoke(token_id(api, "holder"))
    assert_locked_out(api, "holder")
    assert api.get("", "colleague").status_code == 200


def test_the_tokens_of_a_disabled_worker_are_refused_at_once_and_good_again_after(api: Api) -> None:
    assert api.get("", "holder").status_code == 200
    api.services.workers.edit("holder", disabled=True)
    assert_locked_out(api, "holder")
    api.services.workers.edit("holder", disabled=False)
    assert api.get("", "holder").status_code == 200


def test_what_a_disabled_worker_holds_stays_held(api: Api) -> None:
    api.prepare("T-1", "occupied")
    api.services.workers.edit("holder", disabled=True)
    assert_problem(api.do("take", "T-1", "colleague"), 409, "held")


def test_a_token_is_good_until_it_expires(api: Api) -> None:
    expire(api, "holder", 2**40)
    assert api.get("", "holder").status_code == 200
    expire(api, "holder", 1)
    assert_locked_out(api, "holder")


def test_health_and_docs_are_open_to_everybody(api: Api) -> None:
    for path in ("/livez", "/docs", "/api/openapi.json", "/metrics"):
        assert api.client.get(path).status_code == 200
    garbage = {"Authorization": "Bearer garbage"}
    assert api.client.get("/livez", headers=garbage).status_code == 200
