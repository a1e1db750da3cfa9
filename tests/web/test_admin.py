"""Administration over HTTP: boards, workers and tokens, and what becomes of who they concern."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from werkzeug.test import TestResponse

from occupancy.core.entities import Role
from occupancy.core.principal import digest_of
from occupancy.services import Services
from tests.support.tablets import PIN, Shop, audit_lines_of, fields, problem
from tests.support.waiting import wait_until

NEW_PIN = "208642"


class Office:
    """An administrator with a token, over a shop with workers 93, 94 and 1 (an administrator)."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.shop = Shop(services)
        self.client = self.shop.browser()
        self.headers = self.bearer(services.tokens.create("1")[0])

    @staticmethod
    def bearer(secret: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {secret}"}

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> TestResponse:
        """One request of the administrator; ``path`` is what comes after /api."""
        return self.client.open(
            f"/api{path}", method=method, json=body, headers={**self.headers, **headers}
        )

    def done(self, method: str, path: str, body: Any = None, status: int = 200) -> Any:
        """The answer to a request that must succeed."""
        answer = self.send(method, path, body)
        assert answer.status_code == status, answer.text
        return fields(answer) if answer.data else None

    def status_of(self, secret: str, path: str = "/boards", method: str = "GET") -> int:
        """What a token gets to hear."""
        answer = self.client.open(f"/api{path}", method=method, headers=self.bearer(secret))
        return answer.status_code


@pytest.fixture
def office(services: Services) -> Office:
    return Office(services)


@pytest.fixture
def valkey_office(valkey_services: Services) -> Office:
    return Office(valkey_services)


# Boards


def test_a_board_is_made_once(office: Office) -> None:
    made = office.done(
        "POST", "/boards", {"board": "hall", "title": "Hall", "steps": ["ARM", "SOLD"]}, 201
    )
    assert (made["board"], made["title"], made["steps"]) == ("hall", "Hall", ["ARM", "SOLD"])
    assert office.done("GET", "/boards/hall") == made
    again = office.send("POST", "/boards", {"board": "hall", "title": "Another"})
    assert problem(again) == (409, "already_exists")
    assert office.done("GET", "/boards/hall") == made


def test_a_board_is_made_with_the_titles_of_its_steps(office: Office) -> None:
    steps = ["ARM", {"step": "SOLD", "title": "Soldar"}]
    made = office.done("POST", "/boards", {"board": "hall", "steps": steps}, 201)
    assert made["steps"] == ["ARM", "SOLD"]
    assert made["step_titles"] == {"ARM": "ARM", "SOLD": "Soldar"}
    assert office.done("GET", "/boards/hall") == made


def test_no_board_takes_the_name_that_access_has_for_itself(office: Office) -> None:
    refused = office.send("POST", "/boards", {"board": "access"})
    assert problem(refused) == (400, "invalid_request")
    assert "access" not in [each["board"] for each in office.done("GET", "/boards")["boards"]]


def test_the_most_holds_of_a_board_are_kept_to(office: Office) -> None:
    office.done("POST", "/boards", {"board": "hall", "max_holds": 1}, 201)
    for tag in ("T-1", "T-2"):
        office.done("PUT", f"/boards/hall/items/{tag}", {}, 201)
    office.done("POST", "/boards/hall/items/T-1/take")
    assert problem(office.send("POST", "/boards/hall/items/T-2/take")) == (409, "limit_reached")


@pytest.mark.parametrize(
    "body",
    [{}, {"board": "a b"}, {"board": "x" * 33}, {"board": "b", "steps": []},
     {"board": "b", "steps": ["a\nb"]}, {"board": "b", "steps": ["A", 1]},
     {"board": "b", "steps": ["A", {"step": "A", "title": "B"}]},
     {"board": "b", "steps": ["A", {"step": "B", "title": "A"}]},
     {"board": "b", "steps": [{"step": "B", "title": "\u200b"}]},
     {"board": "b", "max_holds": -1}, {"board": "b", "title": ""}, {"board": "b", "color": "red"}],
)  # fmt: skip
def test_a_board_that_is_not_well_formed_is_not_made(valkey_office: Office, body: Any) -> None:
    before = valkey_office.done("GET", "/boards")
    assert problem(valkey_office.send("POST", "/boards", body)) == (400, "invalid_request")
    assert valkey_office.done("GET", "/boards") == before


# Settings of a board


def test_settings_are_changed_under_their_version(office: Office) -> None:
    made = office.send("POST", "/boards", {"board": "hall", "steps": ["ARM", "SOLD"]})
    first = office.send("GET", "/boards/hall").headers["ETag"]
    assert made.headers["ETag"] == first
    changes = {"title": "Hall", "steps": ["SOLD", {"step": "ARM", "title": "Armado"}]}
    changed = office.send("PATCH", "/boards/hall", changes, **{"If-Match": first})
    assert changed.status_code == 200, changed.text
    found = fields(changed)
    assert (found["title"], found["steps"]) == ("Hall", ["SOLD", "ARM"])
    assert found["step_titles"] == {"SOLD": "SOLD", "ARM": "Armado"}
    assert found["step_counts"] == {"SOLD": 0, "ARM": 0}
    assert changed.headers["ETag"] == office.send("GET", "/boards/hall").headers["ETag"] != first
    late = office.send("PATCH", "/boards/hall", {"title": "Other"}, **{"If-Match": first})
    assert problem(late) == (412, "version_mismatch")
    assert fields(late)["version"] == found["settings"]["version"]
    assert office.done("GET", "/boards/hall") == found


def test_a_step_with_items_stays_and_the_answer_says_how_many(office: Office) -> None:
    office.done("POST", "/boards", {"board": "hall", "steps": ["ARM", "SOLD"]}, 201)
    office.done("PUT", "/boards/hall/items/T-1", {}, 201)
    refused = office.send("PATCH", "/boards/hall", {"steps": ["SOLD"]})
    assert problem(refused) == (409, "step_in_use")
    assert (fields(refused)["step"], fields(refused)["items"]) == ("ARM", 1)
    assert fields(refused)["detail"].startswith("1 item stands at the step ARM.")


@pytest.mark.parametrize("body", [{"color": "red"}, {"step_titles": {}}, {"settings": {}}, []])
def test_an_unknown_setting_is_refused(valkey_office: Office, body: Any) -> None:
    assert problem(valkey_office.send("PATCH", "/boards/main", body)) == (400, "invalid_request")


def test_changes_of_a_board_are_in_the_audit_log(
    valkey_office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    office = valkey_office
    caplog.set_level(logging.INFO)
    office.done("POST", "/boards", {"board": "hall"}, 201)
    office.done("POST", "/tokens", {"worker": "93", "board": "hall"}, 201)
    office.done("PATCH", "/boards/hall", {"title": "Hall", "max_holds": 2})
    office.done("PATCH", "/boards/hall", {"title": "Hall"})  # it was so already
    office.done("DELETE", "/boards/hall", status=204)
    lines = [each for each in audit_lines_of(caplog) if each["event"] != "token_added"]
    assert [each["event"] for each in lines] == [
        "board_added", "board_edited", "board_removed", "token_revoked",
    ]  # fmt: skip
    assert {each["by"] for each in lines} == {"1"}
    assert {each["board"] for each in lines} == {"hall"}
    assert lines[1]["fields"] == "max_holds,title"
    assert lines[2]["items"] == 0


# Removal


def test_a_board_with_items_is_removed_by_its_name(office: Office) -> None:
    office.done("POST", "/boards", {"board": "hall"}, 201)
    office.done("PUT", "/boards/hall/items/T-1", {}, 201)
    for body in (None, {}, {"confirm": "Hall"}):
        refused = office.send("DELETE", "/boards/hall", body)
        assert problem(refused) == (409, "board_not_empty")
        assert fields(refused)["items"] == 1
    office.done("DELETE", "/boards/hall", {"confirm": "hall"}, 204)
    assert problem(office.send("GET", "/boards/hall")) == (404, "board_not_found")
    assert problem(office.send("GET", "/boards/hall/events")) == (404, "board_not_found")
    listed = office.done("GET", "/boards")["boards"]
    assert [each["board"] for each in listed] == ["main"]
    wait_until(
        lambda: office.send("POST", "/boards", {"board": "hall"}).status_code == 201,
        what="the end of the sweep",
    )
    assert office.done("GET", "/boards/hall/items")["items"] == []


# Workers


def test_a_worker_is_added_and_only_given_fields_are_edited(office: Office) -> None:
    added = office.done("PUT", "/workers/55", {"name": "Marta", "role": "worker"}, 201)["worker"]
    assert added == {
        "id": "55", "name": "Marta", "role": "worker", "disabled": False, "has_pin": False,
    }  # fmt: skip
    edited = office.done("PUT", "/workers/55", {"role": "supervisor", "name": None})["worker"]
    assert edited == {**added, "role": "supervisor"}
    assert office.done("PUT", "/workers/55", {})["worker"] == edited
    listed = office.done("GET", "/workers")["workers"]
    assert [each["id"] for each in listed] == ["1", "55", "93", "94"]
    assert {**edited, "badges": 0, "badge_last_used": None} in listed


@pytest.mark.parametrize("body", [{}, {"name": "Marta"}, {"role": "worker"}, {"pin": NEW_PIN}])
def test_a_new_worker_needs_name_and_role(valkey_office: Office, body: Any) -> None:
    answer = valkey_office.send("PUT", "/workers/55", body)
    assert problem(answer) == (400, "invalid_request")
    assert len(valkey_office.services.workers.all()) == 3


@pytest.mark.parametrize(
    ("worker", "body"),
    [("93", {"role": "boss"}), ("93", {"role": "ADMIN"}), ("93", {"name": "a\nb"}),
     ("93", {"name": "x" * 101}), ("93", {"pin": "123"}), ("93", {"pin": "short"}),
     ("5813", {"pin": "5813", "name": "A", "role": "worker"}),
     ("93", {"pin": 4711}), ("93", {"disabled": "no"}), ("93", {"stamp": 0}),
     ("93", {"pin_hash": "x"}), ("93", {"id": "94"}), ("a%20b", {"name": "A", "role": "worker"}),
     ("a%0ab", {"name": "A", "role": "worker"}), ("x" * 65, {"name": "A", "role": "worker"})],
)  # fmt: skip
def test_a_worker_that_is_not_well_formed_changes_nothing(
    valkey_office: Office, worker: str, body: Any
) -> None:
    before = valkey_office.services.workers.all()
    answer = valkey_office.send("PUT", f"/workers/{worker}", body)
    assert problem(answer) == (400, "invalid_request")
    assert valkey_office.services.workers.all() == before


def test_a_pin_is_never_shown_nor_its_hash(office: Office) -> None:
    answers = [
        office.send("PUT", "/workers/55", {"name": "Marta", "role": "worker", "pin": NEW_PIN}),
        office.send("PUT", "/workers/55", {"pin": NEW_PIN}),
        office.send("GET", "/workers"),
    ]
    assert fields(answers[1])["worker"]["has_pin"] is True
    for each in answers:
        assert NEW_PIN not in each.text
        assert "scrypt" not in each.text


def test_a_new_pin_ends_the_workers_sessions_and_signs_in(office: Office) -> None:
    shop = office.shop
    tablet, _ = shop.signed_in("93")
    other, _ = shop.signed_in("94")
    office.done("PUT", "/workers/93", {"pin": NEW_PIN})
    assert [shop.who(each) for each in (tablet, other)] == [None, "94"]
    assert problem(shop.sign_in(tablet, pin=PIN)) == (401, "unauthenticated")
    assert shop.sign_in(tablet, pin=NEW_PIN).status_code == 200


@pytest.mark.parametrize("pin", ["correct horse", "ñandú-2026 ✓", " spaces count "])
def test_a_pin_may_be_a_phrase(valkey_office: Office, pin: str) -> None:
    valkey_office.done("PUT", "/workers/93", {"pin": pin})
    browser = valkey_office.shop.browser()
    assert valkey_office.shop.sign_in(browser, pin=pin.upper()).status_code == 401
    assert valkey_office.shop.sign_in(browser, pin=pin).status_code == 200


def test_disabling_ends_sessions_and_tokens_and_enabling_brings_back_the_tokens(
    office: Office,
) -> None:
    shop = office.shop
    tablet, _ = shop.signed_in("93")
    secret, _ = office.services.tokens.create("93")
    assert office.done("PUT", "/workers/93", {"disabled": True})["worker"]["disabled"] is True
    assert shop.who(tablet) is None
    assert office.status_of(secret) == 401
    assert shop.sign_in(shop.browser()).status_code == 401
    office.done("PUT", "/workers/93", {"disabled": False})
    assert shop.who(tablet) is None
    assert office.status_of(secret) == 200
    assert shop.sign_in(shop.browser()).status_code == 200


@pytest.mark.parametrize("body", [{"disabled": True}, {"role": "worker"}])
def test_the_last_administrator_is_neither_disabled_nor_given_another_role(
    office: Office, body: Any
) -> None:
    before = office.services.workers.get("1")
    assert problem(office.send("PUT", "/workers/1", body)) == (409, "last_admin")
    assert office.services.workers.get("1") == before
    office.done("PUT", "/workers/93", {"role": "admin"})
    office.done("PUT", "/workers/1", body)
    assert problem(office.send("GET", "/workers"))[0] in (401, 403)


def test_signing_out_everywhere_ends_sessions_and_leaves_tokens_good(office: Office) -> None:
    shop = office.shop
    tablets = [shop.signed_in(worker)[0] for worker in ("93", "93", "94")]
    secret, _ = office.services.tokens.create("93")
    assert office.done("DELETE", "/workers/93/sessions", status=204) is None
    assert [shop.who(each) for each in tablets] == [None, None, "94"]
    assert office.status_of(secret) == 200
    assert problem(office.send("DELETE", "/workers/5/sessions")) == (404, "worker_not_found")
    assert problem(office.send("DELETE", "/workers/a%20b/sessions")) == (400, "invalid_request")


def test_a_link_from_the_administrator_ends_the_wait_after_wrong_pins(
    office: Office,
) -> None:
    tablet = office.shop.browser()
    while office.shop.sign_in(tablet, pin="999111").status_code == 401:
        pass
    assert problem(office.shop.sign_in(tablet)) == (429, "rate_limited")
    made = office.done("POST", "/workers/93/links", status=201)
    assert made["expires_in_s"] == 3600
    page, _, secret = made["path"].partition("#")
    assert page == "/sign-in"
    assert tablet.post("/api/session", json={"token": secret}).status_code == 200
    assert office.shop.who(tablet) == "93"
    assert tablet.post("/api/session", json={"token": secret}).status_code == 401


def test_the_link_is_a_qr_code_as_well(office: Office) -> None:
    made = office.done("POST", "/workers/93/links", status=201)
    assert made["svg"].startswith("<svg ")
    assert made["path"].partition("#")[2] not in made["svg"]


def listed(office: Office, query: str) -> list[str]:
    return [each["id"] for each in office.done("GET", f"/workers{query}")["workers"]]


def test_workers_are_found_by_words_role_and_state(office: Office) -> None:
    office.done("PUT", "/workers/55", {"name": "Íñigo Peña", "role": "supervisor"}, 201)
    office.done("PUT", "/workers/94", {"disabled": True})
    assert listed(office, "?q=pena inigo") == ["55"]
    assert listed(office, "?q=5") == ["55"]
    assert listed(office, "?role=supervisor") == ["55"]
    assert listed(office, "?state=disabled") == ["94"]
    assert listed(office, "?state=active&role=worker") == ["93"]
    for query in ("?role=boss", "?state=away", "?limit=0", "?x=1"):
        assert problem(office.send("GET", f"/workers{query}")) == (400, "invalid_request")


def test_pages_of_workers_have_each_once(office: Office) -> None:
    everyone, found, query = listed(office, ""), [], "?limit=2"
    for _ in range(len(everyone)):
        page = office.done("GET", f"/workers{query}")
        found += [each["id"] for each in page["workers"]]
        if page["next"] is None:
            break
        query = f"?limit=2&page={page['next']}"
    assert found == everyone


def test_no_link_is_made_for_an_unknown_or_disabled_worker(office: Office) -> None:
    assert problem(office.send("POST", "/workers/5/links")) == (404, "worker_not_found")
    office.done("PUT", "/workers/94", {"disabled": True})
    assert problem(office.send("POST", "/workers/94/links")) == (400, "invalid_request")


def test_administrators_that_lower_their_own_role_lose_it_at_once(office: Office) -> None:
    office.services.workers.add("2", name="Two", role=Role.ADMIN)
    office.done("PUT", "/workers/1", {"role": "worker"})
    assert problem(office.send("PUT", "/workers/1", {"role": "admin"})) == (403, "forbidden")


# Tokens


def test_a_token_is_shown_once_and_lets_in(office: Office) -> None:
    made = office.done("POST", "/tokens", {"worker": "93", "days": 3}, 201)
    secret = made.pop("token")
    assert made.pop("path") == f"/sign-in#{secret}"
    assert made.pop("svg").startswith("<svg")
    assert secret.startswith("occ_")
    assert len(secret) == 4 + 43  # 256 bits
    assert office.status_of(secret) == 200
    listed = office.send("GET", "/tokens")
    assert secret not in listed.text
    assert digest_of(secret) not in listed.text
    shown = next(each for each in fields(listed)["tokens"] if each["id"] == made["id"])
    assert shown["last_used"] is not None
    assert {**shown, "last_used": None} == made
    assert (made["worker"], made["role"], made["board"]) == ("93", None, None)
    assert made["expires"] > made["created"]


def test_a_revoked_token_is_refused_at_once_and_gone(office: Office) -> None:
    made = office.done("POST", "/tokens", {"worker": "93"}, 201)
    other = office.done("POST", "/tokens", {"worker": "93"}, 201)
    assert office.status_of(made["token"]) == 200
    office.done("DELETE", f"/tokens/{made['id']}", status=204)
    assert [office.status_of(each["token"]) for each in (made, other)] == [401, 200]
    assert problem(office.send("DELETE", f"/tokens/{made['id']}")) == (404, "not_found")
    assert made["id"] not in [each["id"] for each in office.done("GET", "/tokens")["tokens"]]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 400, "invalid_request"),
        ({"worker": "93", "days": 0}, 400, "invalid_request"),
        ({"worker": "93", "days": -1}, 400, "invalid_request"),
        ({"worker": "93", "days": 36_501}, 400, "invalid_request"),
        ({"worker": "93", "days": 1.5}, 400, "invalid_request"),
        ({"worker": "93", "role": "boss"}, 400, "invalid_request"),
        ({"worker": "93", "role": "supervisor"}, 400, "invalid_request"),
        ({"worker": "93", "role": "admin"}, 400, "invalid_request"),
        ({"worker": "93", "board": "a b"}, 400, "invalid_request"),
        ({"worker": "93", "token": "occ_mine"}, 400, "invalid_request"),
        ({"worker": "93", "board": "nowhere"}, 404, "board_not_found"),
        ({"worker": "5"}, 404, "worker_not_found"),
    ],
)
def test_a_token_that_cannot_be_is_not_made(
    valkey_office: Office, body: Any, status: int, code: str
) -> None:
    before = valkey_office.services.tokens.all()
    assert problem(valkey_office.send("POST", "/tokens", body)) == (status, code)
    assert len(valkey_office.services.tokens.all()) == len(before)


def test_a_narrowed_token_does_no_more_than_its_role_and_board(office: Office) -> None:
    office.done("POST", "/boards", {"board": "hall"}, 201)
    for board in ("hall", "main"):
        office.done("PUT", f"/boards/{board}/items/T-1", {}, 201)
    secret = office.done("POST", "/tokens", {"worker": "1", "role": "worker", "board": "hall"}, 201)
    statuses = {
        path: office.status_of(secret["token"], path, method)
        for method, path in (
            ("POST", "/boards/hall/items/T-1/take"),
            ("POST", "/boards/hall/items/T-1/block"),
            ("POST", "/boards/main/items/T-1/take"),
            ("GET", "/boards/main/items"),
            ("GET", "/boards/main"),
            ("GET", "/workers"),
            ("GET", "/boards"),
        )
    }
    assert list(statuses.values()) == [200, 403, 403, 403, 403, 403, 200]
    headers = office.bearer(secret["token"])
    seen = fields(office.client.get("/api/boards", headers=headers))["boards"]
    assert [each["board"] for each in seen] == ["hall"]
    me = fields(office.client.get("/api/session", headers=headers))
    assert (me["worker"]["role"], me["board"], me["csrf_token"]) == ("worker", "hall", None)


def test_an_administrators_token_for_one_board_administers_nothing(office: Office) -> None:
    secret, _ = office.services.tokens.create("1", board="main")
    for method, path in (
        ("GET", "/workers"), ("PUT", "/workers/55"), ("DELETE", "/workers/93/sessions"),
        ("POST", "/workers/93/links"),
        ("GET", "/tokens"), ("POST", "/tokens"), ("DELETE", "/tokens/x"), ("POST", "/boards"),
    ):  # fmt: skip
        assert office.status_of(secret, path, method) == 403, (method, path)


def test_a_token_does_no_more_than_its_worker_when_that_is_lowered(office: Office) -> None:
    office.services.workers.add("12", name="Twelve", role=Role.SUPERVISOR)
    whole, _ = office.services.tokens.create("12")
    narrowed, _ = office.services.tokens.create("12", role=Role.SUPERVISOR)
    office.done("PUT", "/boards/main/items/T-1", {}, 201)

    def statuses() -> list[int]:
        """Whether they may remove, which is for supervisors (there is nothing to remove)."""
        path = "/boards/main/items/T-9"
        return [office.status_of(each, path, "DELETE") for each in (whole, narrowed)]

    assert statuses() == [404, 404]
    office.done("PUT", "/workers/12", {"role": "observer"})
    assert statuses() == [403, 403]
    office.done("PUT", "/workers/12", {"role": "admin"})
    assert statuses() == [404, 404]
    assert office.status_of(narrowed, "/workers") == 403
    assert office.status_of(whole, "/workers") == 200


def test_the_last_use_of_a_token_is_noted_to_the_minute(office: Office) -> None:
    secret, token = office.services.tokens.create("93")
    client, keys = office.services.store.client, office.services.store.keys

    def used_s() -> int | None:
        found = {each.token.id: each.used_s for each in office.services.tokens.all()}
        return found[token.id]

    assert used_s() is None
    assert office.status_of(secret) == 200
    now_s = office.shop.now_s()
    assert now_s - 5 <= (used_s() or 0) <= now_s
    for ago_s, is_noted in ((30, False), (90, True)):
        client.hset(keys.uses, digest_of(secret), now_s - ago_s)
        office.services.authenticator.forget()
        assert office.status_of(secret) == 200
        assert ((used_s() or 0) >= now_s) is is_noted


def test_a_wallboard_that_only_watches_uses_its_token(office: Office) -> None:
    """Else it would look like one that nobody needs any more."""
    secret, _ = office.services.tokens.create("93", role=Role.OBSERVER, board="main")
    wall = office.shop.browser()
    csrf = fields(wall.post("/api/session", json={"token": secret}))["csrf_token"]
    client, keys = office.services.store.client, office.services.store.keys
    for method, path in (
        ("GET", "/api/session"), ("HEAD", "/api/boards/main/events"), ("POST", "/api/tickets"),
    ):  # fmt: skip
        client.hset(keys.uses, digest_of(secret), 1)
        office.services.authenticator.forget()
        wall.open(path, method=method, headers={"X-CSRF-Token": csrf})
        found: Any = client.hget(keys.uses, digest_of(secret))
        assert int(found) > 1, path


# The trail


def test_each_change_is_in_the_audit_log_without_a_secret(
    valkey_office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    office = valkey_office
    with caplog.at_level(logging.INFO, "occupancy.observability.audit_log"):
        office.done("POST", "/boards", {"board": "hall"}, 201)
        office.done("PUT", "/workers/55", {"name": "M", "role": "worker", "pin": NEW_PIN}, 201)
        office.done("PUT", "/workers/55", {"role": "admin", "disabled": True})
        office.done("DELETE", "/workers/55/sessions", status=204)
        link = office.done("POST", "/workers/93/links", status=201)["path"].partition("#")[2]
        body = {"worker": "1", "role": "observer", "board": "hall"}
        made = office.done("POST", "/tokens", body, 201)
        office.done("DELETE", f"/tokens/{made['id']}", status=204)
        office.send("PUT", "/workers/55", {"role": "boss"})
    by = {"by": "1", "means": "token"}
    lines = [{k: v for k, v in each.items() if k != "at"} for each in audit_lines_of(caplog)]
    assert lines == [
        {"event": "board_added", **by, "board": "hall"},
        {"event": "worker_added", **by, "worker": "55", "role": "worker",
         "fields": "name,role,pin", "disabled": False},
        {"event": "worker_edited", **by, "worker": "55", "role": "admin",
         "fields": "disabled,role", "disabled": True},
        {"event": "signed_out_everywhere", **by, "worker": "55"},
        {"event": "link_added", **by, "worker": "93"},
        {"event": "token_added", **by, "worker": "1", "token": made["id"], "role": "observer",
         "board": "hall"},
        {"event": "token_revoked", **by, "worker": "1", "token": made["id"]},
    ]  # fmt: skip
    for secret in (NEW_PIN, link, made["token"], office.headers["Authorization"], "scrypt"):
        assert secret not in caplog.text


def test_a_worker_is_only_added_if_the_request_says_so(office: Office) -> None:
    body, only = {"name": "Ana", "role": "worker"}, {"If-None-Match": "*"}
    assert office.send("PUT", "/workers/ana", body, **only).status_code == 201
    again = office.send("PUT", "/workers/ana", {**body, "name": "Other"}, **only)
    assert problem(again) == (412, "version_mismatch")
    assert office.services.workers.get("ana").name == "Ana"
    assert problem(office.send("PUT", "/workers/eva", {"name": "Eva"}, **only))[0] == 400
