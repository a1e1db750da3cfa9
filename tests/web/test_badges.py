"""Badges and stations over HTTP: pairing, signing in, what a badge is worth, and its end."""

from __future__ import annotations

import hashlib
import hmac
import logging
from typing import Any

import gevent
import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from occupancy.access.login_throttle import FREE_OF_STATION
from occupancy.access.sessions import BADGE_IDLE_S, CONFIRMED_S
from occupancy.access.stations.badge import MAX_OF_WORKER, normalized
from occupancy.core.entities import Role
from occupancy.core.errors import InvalidRequest
from occupancy.core.principal import Credential, digest_of
from occupancy.services import Services
from tests.support.tablets import HASH, PIN, Shop, audit_lines_of, fields, problem

CODE = "0012345678"
CSRF = "X-CSRF-Token"


class BadgeShop(Shop):
    """A shop with an administrator's browser, a supervisor, and items."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        services.workers.add("7", name="Worker 7", role=Role.SUPERVISOR, pin_hash=HASH)
        self.admin, self.admin_csrf = self.signed_in("1")
        for tag in ("T-1", "T-2"):
            self.ask("PUT", f"/api/boards/main/items/{tag}", {})

    def ask(self, method: str, path: str, body: Any = None) -> TestResponse:
        """A request of the administrator."""
        return self.admin.open(path, method=method, json=body, headers=self.admin_csrf)

    def give(self, worker: str, code: str, **more: str) -> Any:
        answer = self.ask("POST", f"/api/workers/{worker}/badges", {"code": code, **more})
        assert answer.status_code == 201, answer.text
        return fields(answer)["badge"]

    def new_link(self, board: str | None = None) -> Any:
        body = {"name": "Hall 2", **({} if board is None else {"board": board})}
        answer = self.ask("POST", "/api/stations", body)
        assert answer.status_code == 201, answer.text
        return fields(answer)

    def paired(self, board: str | None = None) -> tuple[FlaskClient, str]:
        """A browser that is a station, and the station's id."""
        made, tablet = self.new_link(board), self.browser()
        answer = tablet.post("/api/session", json={"token": made["path"].partition("#")[2]})
        assert answer.status_code == 200, answer.text
        return tablet, made["station"]["id"]

    def scan(self, tablet: FlaskClient, code: str = CODE, **more: str) -> TestResponse:
        return tablet.post("/api/session", json={"badge": code, **more})

    def scanned(self, tablet: FlaskClient, code: str = CODE) -> dict[str, str]:
        """Sign in by a badge; the header that unsafe requests need."""
        answer = self.scan(tablet, code)
        assert answer.status_code == 200, answer.text
        return {CSRF: fields(answer)["csrf_token"]}


@pytest.fixture
def shop(services: Services) -> BadgeShop:
    return BadgeShop(services)


def take(tablet: FlaskClient, csrf: dict[str, str], tag: str = "T-1") -> TestResponse:
    return tablet.post(f"/api/boards/main/items/{tag}/take", headers=csrf)


def block(tablet: FlaskClient, csrf: dict[str, str]) -> TestResponse:
    path = "/api/boards/main/items/T-2/block"
    return tablet.post(path, json={"reason": "crack"}, headers=csrf)


def confirm(tablet: FlaskClient, csrf: dict[str, str], pin: str = PIN) -> TestResponse:
    return tablet.post("/api/session/confirm", json={"pin": pin}, headers=csrf)


# Enrolling


def test_a_badge_is_listed_by_label_ending_time_and_who_added_it(shop: BadgeShop) -> None:
    made = shop.give("93", CODE, label="Blue card")
    listed = fields(shop.ask("GET", "/api/workers/93/badges"))["badges"]
    assert listed == [made]
    assert (made["label"], made["ending"], made["added_by"]) == ("Blue card", "78", "1")
    assert CODE not in shop.ask("GET", "/api/workers/93/badges").text


def test_of_a_short_code_not_even_the_ending_is_kept(shop: BadgeShop) -> None:
    assert shop.give("93", "12345")["ending"] is None


def test_a_code_is_stored_as_a_hash_with_a_key(shop: BadgeShop) -> None:
    shop.give("93", CODE)
    client, keys = shop.services.store.client, shop.services.store.keys
    stored: Any = client.hgetall(keys.badges)
    key: Any = client.get(keys.badge_key)
    assert len(key) == 32
    expected = hmac.new(key, CODE.encode(), hashlib.sha256).hexdigest().encode()
    assert list(stored) == [expected]
    assert CODE.encode() not in b"".join(stored.values())
    assert hashlib.sha256(CODE.encode()).hexdigest().encode() not in stored


def test_a_badge_of_another_worker_is_refused_and_the_admin_learns_whose_it_is(
    shop: BadgeShop,
) -> None:
    shop.give("93", CODE)
    answer = shop.ask("POST", "/api/workers/94/badges", {"code": CODE})
    assert problem(answer) == (409, "already_exists")
    assert fields(answer)["worker"] == "93"
    assert CODE not in answer.text
    assert fields(shop.ask("GET", "/api/workers/94/badges"))["badges"] == []


def test_the_same_badge_twice_for_one_worker_is_one_badge(shop: BadgeShop) -> None:
    made = shop.give("93", CODE)
    again = shop.ask("POST", "/api/workers/93/badges", {"code": f"]C1{CODE}"})
    assert (again.status_code, fields(again)["badge"]) == (200, made)


@pytest.mark.parametrize("code", ["123", "   1  ", "x" * 129, "12\n34", "ab\x00cd"])
def test_what_cannot_be_a_badge_is_refused_and_not_repeated(shop: BadgeShop, code: str) -> None:
    answer = shop.ask("POST", "/api/workers/93/badges", {"code": code})
    assert problem(answer) == (400, "invalid_request")
    assert code.strip() not in fields(answer)["detail"] or code.strip() == "1"


def test_case_spaces_and_the_prefix_of_a_scanner_do_not_count() -> None:
    assert normalized(" ]C1ab-12 ") == normalized("AB-12") == "AB-12"
    with pytest.raises(InvalidRequest):
        normalized("]C1abc")


def test_a_worker_has_so_many_badges_and_no_more(shop: BadgeShop) -> None:
    for number in range(MAX_OF_WORKER):
        shop.services.badges.add("93", f"code-{number}", by="1")
    answer = shop.ask("POST", "/api/workers/93/badges", {"code": CODE})
    assert problem(answer) == (409, "limit_reached")


def test_an_unknown_workers_badges_are_not_found(shop: BadgeShop) -> None:
    assert problem(shop.ask("GET", "/api/workers/5/badges")) == (404, "worker_not_found")
    added = shop.ask("POST", "/api/workers/5/badges", {"code": CODE})
    assert problem(added) == (404, "worker_not_found")
    assert problem(shop.ask("DELETE", "/api/workers/93/badges/beef")) == (404, "not_found")


def test_the_badge_of_one_worker_is_not_removed_through_another(shop: BadgeShop) -> None:
    made = shop.give("93", CODE)
    path = f"/api/workers/94/badges/{made['id']}"
    assert problem(shop.ask("DELETE", path)) == (404, "not_found")


# Pairing


def test_a_paired_browser_sees_its_board_and_changes_nothing(shop: BadgeShop) -> None:
    shop.services.store.boards.create("hall")
    tablet, station_id = shop.paired("main")
    who = fields(tablet.get("/api/session"))
    assert who["worker"] == {"id": f"station:{station_id}", "name": "Hall 2", "role": "observer"}
    assert (who["means"], who["board"]) == ("station", "main")
    assert who["station"] == {"id": station_id, "name": "Hall 2", "board": "main"}
    csrf = {CSRF: who["csrf_token"]}
    assert tablet.get("/api/boards/main/items").status_code == 200
    assert problem(tablet.get("/api/boards/hall/items")) == (403, "forbidden")
    assert problem(take(tablet, csrf)) == (403, "forbidden")
    assert problem(tablet.get("/api/workers")) == (403, "forbidden")
    assert tablet.delete("/api/session", headers=csrf).status_code == 400
    pin = tablet.put("/api/session/pin", json={"new_pin": "864213"}, headers=csrf)
    assert pin.status_code in (400, 403)
    assert problem(confirm(tablet, csrf))[0] == 400


def test_a_station_needs_its_csrf_token_for_what_is_not_a_read(shop: BadgeShop) -> None:
    tablet, _ = shop.paired()
    assert problem(tablet.post("/api/tickets")) == (403, "csrf")
    csrf = {CSRF: fields(tablet.get("/api/session"))["csrf_token"]}
    assert tablet.post("/api/tickets", headers=csrf).status_code == 201


def test_the_stations_cookie_is_out_of_scripts_reach_and_lasts(shop: BadgeShop) -> None:
    made, tablet = shop.new_link(), shop.browser()
    answer = tablet.post("/api/session", json={"token": made["path"].partition("#")[2]})
    (cookie,) = [each for each in answer.headers.getlist("Set-Cookie") if "-station=" in each]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert f"Max-Age={400 * 86400}" in cookie


def test_a_pairing_link_pairs_once_and_is_no_credential(shop: BadgeShop) -> None:
    made = shop.new_link()
    secret = made["path"].partition("#")[2]
    name = f"{shop.services.settings.cookie_name}-station"
    forger = shop.browser()
    forger.set_cookie(name, secret)
    assert problem(forger.get("/api/boards")) == (401, "unauthenticated")
    assert shop.browser().post("/api/session", json={"token": secret}).status_code == 200
    again = shop.browser().post("/api/session", json={"token": secret})
    assert problem(again) == (401, "unauthenticated")


def test_a_pairing_link_ends_after_an_hour_and_its_station_is_not_listed(
    shop: BadgeShop,
) -> None:
    secret = shop.new_link()["path"].partition("#")[2]
    client, keys = shop.services.store.client, shop.services.store.keys
    stored: Any = client.hget(keys.stations, digest_of(secret))
    over = stored.replace(b'"link_ends_s":', b'"link_ends_s":1,"was":')
    client.hset(keys.stations, digest_of(secret), over)
    refused = shop.browser().post("/api/session", json={"token": secret})
    assert problem(refused) == (401, "unauthenticated")
    assert fields(shop.ask("GET", "/api/stations"))["stations"] == []


def test_pairing_ends_the_session_that_the_browser_had(shop: BadgeShop) -> None:
    tablet, _ = shop.signed_in("1")
    secret = shop.new_link()["path"].partition("#")[2]
    assert tablet.post("/api/session", json={"token": secret}).status_code == 200
    assert (shop.who(tablet) or "").startswith("station:")
    assert tablet.get_cookie(shop.services.settings.cookie_name) is None


def test_stations_are_listed_with_their_last_use_and_without_secrets(shop: BadgeShop) -> None:
    tablet, station_id = shop.paired("main")
    tablet.get("/api/boards")
    answer = shop.ask("GET", "/api/stations")
    (listed,) = fields(answer)["stations"]
    assert (listed["id"], listed["board"], listed["added_by"]) == (station_id, "main", "1")
    assert listed["paired"] is not None
    assert listed["last_used"] is not None
    cookie = tablet.get_cookie(f"{shop.services.settings.cookie_name}-station")
    assert cookie is not None
    assert cookie.value not in answer.text
    assert digest_of(cookie.value) not in answer.text


def test_a_station_of_an_unknown_board_is_not_made(shop: BadgeShop) -> None:
    answer = shop.ask("POST", "/api/stations", {"name": "x", "board": "nowhere"})
    assert problem(answer) == (404, "board_not_found")


# Signing in


def test_a_scanned_badge_switches_the_person_at_a_station(shop: BadgeShop) -> None:
    shop.give("93", CODE)
    shop.give("94", "NFC:04A2B3")
    tablet, station_id = shop.paired()
    answer = shop.scan(tablet)
    assert answer.status_code == 200
    who = fields(answer)
    assert (who["worker"]["id"], who["means"], who["idle_s"]) == ("93", "badge", BADGE_IDLE_S)
    assert who["station"]["id"] == station_id
    first, _ = shop.stored(tablet)
    csrf = shop.scanned(tablet, "nfc:04a2b3")
    assert shop.who(tablet) == "94"
    assert shop.services.store.client.hexists(shop.services.store.keys.sessions, first) == 0
    event = fields(take(tablet, csrf))["item"]
    assert event["holder"]["id"] == "94"
    history = fields(tablet.get("/api/boards/main/items/T-1/history"))["history"]
    assert history[0]["means"] == "badge"


def test_without_a_paired_station_a_badge_is_worth_nothing(shop: BadgeShop) -> None:
    shop.give("93", CODE)
    for tablet in (shop.browser(), shop.signed_in("94")[0]):
        answer = shop.scan(tablet)
        assert problem(answer) == (401, "unauthenticated")
        assert "paired station" in fields(answer)["detail"]
        assert "Set-Cookie" not in answer.headers


def test_an_unknown_badge_ends_no_session(shop: BadgeShop) -> None:
    shop.give("93", CODE)
    tablet, _ = shop.paired()
    shop.scanned(tablet)
    assert problem(shop.scan(tablet, "99999999")) == (401, "unauthenticated")
    assert shop.who(tablet) == "93"


@pytest.mark.parametrize("scanned", ["T-1", "]C1T-1", "t-1", " T-1"])
def test_an_item_goes_before_a_badge_and_is_no_attempt(shop: BadgeShop, scanned: str) -> None:
    shop.give("93", "T-1x")
    tablet, station_id = shop.paired("main")
    answer = shop.scan(tablet, scanned, board="main")
    assert problem(answer) == (409, "already_exists")
    assert fields(answer)["item"] == "T-1"
    attempts = shop.services.store.keys.attempts(f"station:{station_id}", "10.0.0.1")
    assert shop.services.store.client.exists(*attempts[:2]) == 0
    assert shop.scan(tablet, "T-1x", board="main").status_code == 200


def test_a_station_learns_nothing_of_items_of_other_boards(shop: BadgeShop) -> None:
    shop.services.store.boards.create("hall")
    tablet, _ = shop.paired("hall")
    assert problem(shop.scan(tablet, "T-1", board="main")) == (403, "forbidden")


def test_a_badge_comes_alone(shop: BadgeShop) -> None:
    tablet, _ = shop.paired()
    for body in (
        {"badge": CODE, "pin": PIN}, {"badge": CODE, "worker": "93"},
        {"badge": CODE, "token": "x"}, {"worker": "93", "pin": PIN, "board": "main"},
    ):  # fmt: skip
        assert tablet.post("/api/session", json=body).status_code == 400


def test_at_a_station_of_a_board_a_badge_is_good_for_that_board(shop: BadgeShop) -> None:
    shop.services.store.boards.create("hall")
    shop.give("93", CODE)
    tablet, _ = shop.paired("main")
    csrf = shop.scanned(tablet)
    assert take(tablet, csrf).status_code == 200
    assert problem(tablet.get("/api/boards/hall/items")) == (403, "forbidden")


def test_when_the_session_is_over_the_browser_is_the_station_again(shop: BadgeShop) -> None:
    shop.give("93", CODE)
    tablet, station_id = shop.paired()
    csrf = shop.scanned(tablet)
    _, session = shop.stored(tablet)
    shop.rewrite(tablet, used_s=shop.now_s() - BADGE_IDLE_S)
    assert session.idle_s == BADGE_IDLE_S
    assert shop.who(tablet) == f"station:{station_id}"
    assert problem(take(tablet, csrf)) == (401, "unauthenticated")


def test_signing_out_leaves_the_station_paired(shop: BadgeShop) -> None:
    shop.give("93", CODE)
    tablet, station_id = shop.paired()
    csrf = shop.scanned(tablet)
    assert tablet.delete("/api/session", headers=csrf).status_code == 204
    assert shop.who(tablet) == f"station:{station_id}"
    assert shop.scan(tablet).status_code == 200


def test_a_pin_signs_in_at_a_station_as_anywhere(shop: BadgeShop) -> None:
    tablet, _ = shop.paired("main")
    answer = shop.sign_in(tablet, "7")
    csrf = {CSRF: fields(answer)["csrf_token"]}
    assert (fields(answer)["means"], fields(answer)["board"]) == ("session", None)
    assert block(tablet, csrf).status_code == 200


# Guessing


def test_unknown_badges_at_a_station_have_to_wait(shop: BadgeShop) -> None:
    shop.give("93", CODE)
    tablet, _ = shop.paired()
    answers = [shop.scan(tablet, f"9999{number:04d}") for number in range(FREE_OF_STATION)]
    assert [each.status_code for each in answers] == [401] * FREE_OF_STATION
    waiting = shop.scan(tablet)
    assert problem(waiting) == (429, "rate_limited")
    assert fields(waiting)["retry_after"] == 2
    other, _ = shop.paired()
    assert shop.scan(other).status_code == 200
    assert shop.sign_in(tablet, "93").status_code == 200  # a PIN is another count


def test_guesses_at_once_and_from_other_addresses_are_no_more(shop: BadgeShop) -> None:
    tablet, _ = shop.paired()
    cookie = tablet.get_cookie(f"{shop.services.settings.cookie_name}-station")
    assert cookie is not None

    def guess(number: int) -> int:
        browser = shop.browser(f"10.0.1.{number}")
        browser.set_cookie(f"{shop.services.settings.cookie_name}-station", cookie.value)
        return shop.scan(browser, f"8888{number:04d}").status_code

    guesses = [gevent.spawn(guess, number) for number in range(FREE_OF_STATION + 5)]
    gevent.joinall(guesses, raise_error=True)
    codes = sorted(each.value for each in guesses)
    assert codes == [401] * FREE_OF_STATION + [429] * 5


def test_right_badges_use_up_no_attempts(shop: BadgeShop) -> None:
    shop.give("93", CODE)
    tablet, _ = shop.paired()
    for _ in range(FREE_OF_STATION + 2):
        assert shop.scan(tablet).status_code == 200


# What needs the PIN


def test_operations_of_supervisors_need_the_pin_after_a_badge(shop: BadgeShop) -> None:
    shop.give("7", CODE)
    tablet, _ = shop.paired()
    csrf = shop.scanned(tablet)
    who = fields(tablet.get("/api/session"))
    assert (who["worker"]["role"], who["role_with_pin"]) == ("worker", "supervisor")
    assert take(tablet, csrf).status_code == 200
    refused = [
        block(tablet, csrf),
        tablet.put("/api/boards/main/items/T-3", json={}, headers=csrf),
        tablet.delete("/api/boards/main/items/T-2", headers=csrf),
        tablet.post(
            "/api/boards/main/batch", headers=csrf,
            json={"operation": "block", "tags": ["T-2"], "reason": "crack"},
        ),
    ]  # fmt: skip
    assert {problem(each) for each in refused} == {(403, "pin_required")}
    answer = confirm(tablet, csrf)
    assert answer.status_code == 200
    assert fields(answer)["worker"]["role"] == "supervisor"
    assert fields(answer)["role_with_pin"] is None
    assert fields(answer)["means"] == "badge"
    assert problem(block(tablet, csrf)) == (403, "csrf")  # the old session's token
    assert block(tablet, {CSRF: fields(answer)["csrf_token"]}).status_code == 200


def test_administration_needs_the_pin_after_a_badge(shop: BadgeShop) -> None:
    shop.give("1", CODE)
    tablet, _ = shop.paired()
    csrf = shop.scanned(tablet)
    assert problem(tablet.get("/api/workers")) == (403, "pin_required")
    edit = tablet.put("/api/workers/93", json={"role": "admin"}, headers=csrf)
    assert problem(edit) == (403, "pin_required")
    csrf = {CSRF: fields(confirm(tablet, csrf))["csrf_token"]}
    assert tablet.put("/api/workers/93", json={"name": "X"}, headers=csrf).status_code == 200


def test_at_a_station_of_another_board_no_pin_is_asked_for(shop: BadgeShop) -> None:
    shop.services.store.boards.create("hall")
    shop.give("1", CODE)
    tablet, _ = shop.paired("hall")
    csrf = shop.scanned(tablet)
    refused = [
        block(tablet, csrf),
        tablet.put("/api/boards/main/items/T-3", json={}, headers=csrf),
        tablet.patch("/api/boards/main", json={"title": "Main"}, headers=csrf),
        tablet.get("/api/workers"),
    ]
    assert {problem(each) for each in refused} == {(403, "forbidden")}
    at_home = tablet.put("/api/boards/hall/items/T-3", json={}, headers=csrf)
    assert problem(at_home) == (403, "pin_required")


def test_what_the_role_does_not_allow_no_pin_allows(shop: BadgeShop) -> None:
    shop.give("93", CODE)
    tablet, _ = shop.paired()
    csrf = shop.scanned(tablet)
    assert problem(block(tablet, csrf)) == (403, "forbidden")
    csrf = {CSRF: fields(confirm(tablet, csrf))["csrf_token"]}
    assert problem(block(tablet, csrf)) == (403, "forbidden")


def test_the_confirmation_is_over_after_some_minutes(shop: BadgeShop) -> None:
    shop.give("7", CODE)
    tablet, _ = shop.paired()
    csrf = {CSRF: fields(confirm(tablet, shop.scanned(tablet)))["csrf_token"]}
    now_s = shop.now_s()
    shop.rewrite(tablet, created_s=now_s - CONFIRMED_S + 60, used_s=now_s)
    assert block(tablet, csrf).status_code == 200
    shop.rewrite(tablet, created_s=now_s - CONFIRMED_S, used_s=now_s)
    unblock = tablet.post("/api/boards/main/items/T-2/unblock", headers=csrf)
    assert problem(unblock) == (403, "pin_required")


def test_a_wrong_pin_confirms_nothing_and_counts_as_at_a_sign_in(shop: BadgeShop) -> None:
    shop.give("7", CODE)
    tablet, _ = shop.paired()
    csrf = shop.scanned(tablet)
    answers = [problem(confirm(tablet, csrf, "000111")) for _ in range(4)]
    assert answers == [(403, "forbidden")] * 3 + [(429, "rate_limited")]
    assert problem(block(tablet, csrf)) == (403, "pin_required")
    assert shop.who(tablet) == "7"
    assert problem(shop.sign_in(shop.browser(), "7")) == (429, "rate_limited")


def test_a_session_by_pin_is_not_confirmed(shop: BadgeShop) -> None:
    tablet, csrf = shop.signed_in("7")
    assert problem(confirm(tablet, csrf)) == (400, "invalid_request")


def test_a_badge_cannot_set_the_first_pin(shop: BadgeShop) -> None:
    shop.services.workers.add("8", name="Worker 8", role=Role.SUPERVISOR)
    shop.give("8", CODE)
    tablet, _ = shop.paired()
    csrf = shop.scanned(tablet)
    setting = tablet.put("/api/session/pin", json={"new_pin": "864213"}, headers=csrf)
    assert problem(setting) == (403, "forbidden")
    assert problem(confirm(tablet, csrf)) == (403, "forbidden")
    assert not shop.services.workers.get("8").pin_hash


# Ends


def credential_at(shop: BadgeShop, tablet: FlaskClient) -> Credential:
    return Credential("session", shop.stored(tablet)[0])


def test_a_removed_badge_ends_its_sessions_at_once(shop: BadgeShop) -> None:
    made = shop.give("93", CODE)
    shop.give("93", "another-badge")
    tablet, station_id = shop.paired()
    csrf, other = shop.scanned(tablet), shop.paired()[0]
    shop.scanned(other, "another-badge")
    assert shop.ask("DELETE", f"/api/workers/93/badges/{made['id']}").status_code == 204
    assert problem(take(tablet, csrf)) == (401, "unauthenticated")
    assert shop.who(tablet) == f"station:{station_id}"
    assert problem(shop.scan(tablet)) == (401, "unauthenticated")
    assert shop.who(other) == "93"


def test_a_removed_badge_given_to_another_revives_no_session(shop: BadgeShop) -> None:
    made = shop.give("93", CODE)
    tablet, _ = shop.paired()
    csrf = shop.scanned(tablet)
    shop.ask("DELETE", f"/api/workers/93/badges/{made['id']}")
    shop.give("94", CODE)
    assert problem(take(tablet, csrf)) == (401, "unauthenticated")


def test_a_revoked_station_ends_with_the_sessions_opened_there(shop: BadgeShop) -> None:
    shop.give("93", CODE)
    tablet, station_id = shop.paired()
    csrf = shop.scanned(tablet)
    pin_session, _ = shop.signed_in("93")
    before = shop.services.authenticator.changes()
    assert shop.ask("DELETE", f"/api/stations/{station_id}").status_code == 204
    assert shop.services.authenticator.changes() == before + 2  # each process checks everybody
    assert problem(take(tablet, csrf)) == (401, "unauthenticated")
    assert problem(tablet.get("/api/boards")) == (401, "unauthenticated")
    assert problem(shop.scan(tablet)) == (401, "unauthenticated")
    assert shop.who(pin_session) == "93"
    assert fields(shop.ask("GET", "/api/stations"))["stations"] == []


def test_a_removed_board_takes_its_stations_with_it(shop: BadgeShop) -> None:
    shop.services.store.boards.create("hall")
    tablet, _ = shop.paired("hall")
    other, _ = shop.paired()
    assert shop.ask("DELETE", "/api/boards/hall", {"confirm": "hall"}).status_code == 204
    assert problem(tablet.get("/api/boards")) == (401, "unauthenticated")
    assert other.get("/api/boards").status_code == 200


def test_a_revoked_link_pairs_nothing(shop: BadgeShop) -> None:
    made = shop.new_link()
    shop.ask("DELETE", f"/api/stations/{made['station']['id']}")
    used = shop.browser().post("/api/session", json={"token": made["path"].partition("#")[2]})
    assert problem(used) == (401, "unauthenticated")


def test_a_disabled_workers_badge_and_session_are_worth_nothing(shop: BadgeShop) -> None:
    shop.give("93", CODE)
    tablet, _ = shop.paired()
    csrf = shop.scanned(tablet)
    shop.ask("PUT", "/api/workers/93", {"disabled": True})
    assert problem(take(tablet, csrf)) == (401, "unauthenticated")
    assert problem(shop.scan(tablet)) == (401, "unauthenticated")


# The audit log


def test_everything_about_badges_has_a_line_and_no_line_a_code(
    shop: BadgeShop, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        made = shop.give("7", CODE)
        tablet, station_id = shop.paired()
        csrf = shop.scanned(tablet)
        shop.scan(tablet, "unknown-code-1")
        confirm(tablet, csrf)
        shop.scan(shop.browser(), "unknown-code-2")
        shop.ask("DELETE", f"/api/workers/7/badges/{made['id']}")
        shop.ask("DELETE", f"/api/stations/{station_id}")
    lines = [each for each in audit_lines_of(caplog) if each["event"] != "streams_closed"]
    assert [(each["event"], each.get("by")) for each in lines] == [
        ("badge_added", "1"),
        ("station_added", "1"),
        ("station_paired", None),
        ("signed_in", "badge"),
        ("sign_in_refused", "badge"),
        ("signed_in", "badge_and_pin"),
        ("sign_in_refused", "badge"),
        ("badge_removed", "1"),
        ("station_revoked", "1"),
    ]
    signed_in = lines[3]
    assert (signed_in["worker"], signed_in["badge"], signed_in["station"]) == (
        "7", made["id"], station_id,
    )  # fmt: skip
    for secret in (CODE, "unknown-code", "occpair_"):
        assert secret not in caplog.text


# What is known of badges


def test_the_list_of_workers_counts_their_badges_and_says_when_one_was_used(
    shop: BadgeShop,
) -> None:
    def listed() -> dict[str, tuple[int, str | None]]:
        workers = fields(shop.ask("GET", "/api/workers"))["workers"]
        return {each["id"]: (each["badges"], each["badge_last_used"]) for each in workers}

    shop.give("93", CODE)
    shop.give("93", "5550001")
    assert listed() == {"1": (0, None), "7": (0, None), "93": (2, None), "94": (0, None)}
    tablet, _ = shop.paired()
    shop.scanned(tablet)
    count, used = listed()["93"]
    assert count == 2
    assert used is not None
    badges = fields(shop.ask("GET", "/api/workers/93/badges"))["badges"]
    assert [each["last_used"] for each in badges] in ([used, None], [None, used])


def test_a_removed_badge_leaves_no_last_use(shop: BadgeShop) -> None:
    badge = shop.give("93", CODE)
    tablet, _ = shop.paired()
    shop.scanned(tablet)
    digest = shop.services.badges.find(CODE)
    assert digest is not None
    keys, client = shop.services.store.keys, shop.services.store.client
    assert client.hget(keys.uses, digest.digest) is not None
    shop.ask("DELETE", f"/api/workers/93/badges/{badge['id']}")
    assert client.hget(keys.uses, digest.digest) is None
