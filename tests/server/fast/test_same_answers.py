"""The fast path answers as Flask does: a request that is sent in several ways is answered alike.

Each request is sent as the fast path takes it, with ``TE: trailers``, which it leaves to gunicorn,
and with its head in two pieces. Operations change things, so each way has an item of its own. With
the fast path turned off, the expected answers are the same.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.both_paths import WAYS, BothPaths, Case, comparable
from tests.support.raw_http import Answer
from tests.support.servers import RealServer
from tests.support.waiting import wait_until

CORS_ORIGIN = "https://board.example"
NESTED = b"[" * 5000
RATE = 10  # operations per second of one address, over ten seconds


def op(operation: str, code: str = "changed", status: int = 200, **more: Any) -> Case:
    return Case(f"main/items/TAG/{operation}", (status, code), **more)


def bad(operation: str, body: Any, **more: Any) -> Case:
    return op(operation, "invalid_request", 400, body=body, **{"who": "supervisor", **more})


def sent_as(who: str, code: str, status: int, operation: str = "take", **more: Any) -> Case:
    return op(operation, code, status, who=who, **more)


def typed(content_type: str, code: str = "changed", status: int = 200) -> Case:
    return op("take", code, status, body=b"{}", headers=(content_type,), is_typed=False)


def from_page(code: str, status: int, *headers: str, who: str = "session") -> Case:
    """What a browser sends that has the holder's session; {csrf} is its token."""
    return op("take", code, status, who=who, headers=headers)


REASON = {"reason": "crack found"}
CSRF = "X-CSRF-Token: {csrf}"
CASES = {
    "take": op("take"),
    "take with an empty object": op("take", body={}),
    "pause": op("pause", state="held"),
    "pause with a reason": op("pause", state="held", body={"reason": "Mittag — ½ h"}),
    "complete": op("complete", state="held"),
    "release": op("release", state="held"),
    "force-release": op("force-release", state="held", who="supervisor", body=REASON),
    "reassign": op("reassign", who="supervisor", body={"to": "colleague"}),
    "block": op("block", who="supervisor", body=REASON),
    "unblock": op("unblock", state="blocked", who="supervisor"),
    "reopen": op("reopen", state="completed", who="supervisor"),
    "undo": op("undo", state="completed"),
    "undo by another": op("undo", "not_holder", 403, state="completed", who="colleague"),
    "send-back": bad("send-back", {"step": "work", **REASON}),
    "send-back without a step": bad("send-back", REASON),
    "take again": op("take", "unchanged", state="held"),
    "held": op("take", "held", 409, state="held", who="colleague"),
    "not holder": op("pause", "not_holder", 403, state="held", who="colleague"),
    "wrong state": op("complete", "wrong_state", 409),
    "blocked": op("take", "blocked", 409, state="blocked"),
    "worker not found": op(
        "reassign", "worker_not_found", 404, who="supervisor", body={"to": "nobody"}
    ),
    "item not found": op("take", "item_not_found", 404, state="missing"),
    "board not found": Case("nowhere/items/TAG/take", (404, "board_not_found")),
    "limit reached": Case("limited/items/TAG/take", (409, "limit_reached")),
    "no such operation": op("dismantle", "not_found", 404),
    "bad tag": Case("main/items/-TAG/take", (400, "invalid_request")),
    "long tag": Case(f"main/items/TAG{'x' * 60}/take", (400, "invalid_request")),
    "bad board": Case(f"{'b' * 33}/items/TAG/take", (400, "invalid_request")),
    "query": Case("main/items/TAG/take?x=1", (200, "changed")),
    "empty query": Case("main/items/TAG/take?", (200, "changed")),
    # Preconditions
    "epoch": op("pause", state="held", body={"epoch": 1}),
    "stale epoch": op("pause", "stale_epoch", 409, state="held", body={"epoch": 99}),
    "If-Match": op("take", headers=('If-Match: "1"',)),
    "If-Match any": op("take", headers=("If-Match: *",)),
    "If-Match of many": op("take", headers=('If-Match: "7", "1"',)),
    "If-Match with a tab": op("take", headers=('If-Match: "7",\t"1"',)),
    "If-Match other": op("take", "version_mismatch", 412, headers=('If-Match: "99"',)),
    "If-Match weak": op("take", headers=('If-Match: W/"1"',)),
    "If-Match compressed": op("take", headers=('If-Match: "1-gzip"',)),
    "If-Match weak other": op("take", "version_mismatch", 412, headers=('If-Match: W/"99"',)),
    "If-Match missing": op(
        "take", "item_not_found", 404, state="missing", headers=('If-Match: "1"',)
    ),
    "If-Match broken": op("take", "invalid_request", 400, headers=("If-Match: 1",)),
    "key with a space": op("take", "invalid_request", 400, headers=("Idempotency-Key: a b",)),
    "empty key": op("take", "invalid_request", 400, headers=("Idempotency-Key:",)),
    "long key": op("take", "invalid_request", 400, headers=(f"Idempotency-Key: {'k' * 256}",)),
    # Bodies
    "no JSON": bad("take", b"{"),
    "no object": bad("take", b"[]"),
    "byte-order mark": op("take", body=b"\xef\xbb\xbf{}"),
    "only a byte-order mark": op("take", body=b"\xef\xbb\xbf"),
    "UTF-16": bad("block", '{"reason":"x"}'.encode("utf-16")),
    "reason of nothing visible": bad("block", {"reason": " \u200b"}),
    "reason in another order": bad("block", {"reason": "a\u202eb"}),
    "epoch beyond 2^53": bad("take", {"epoch": 2**53}),
    "nested": bad("take", NESTED),
    "unknown field": bad("take", {"colour": "red"}),
    "wrong type": bad("block", {"reason": 7}),
    "no UTF-8": bad("block", b'{"reason":"\xff"}'),
    "lone surrogate": bad("block", b'{"reason":"\\ud800"}'),
    "control character": bad("block", {"reason": "a\0b"}),
    "field not taken": bad("take", REASON),
    "reason needed": bad("block", {}),
    "to needed": bad("reassign", None),
    "unknown step": bad("reopen", {"step": "paint"}, state="completed"),
    "body with space": op("take", body=b"{}" + b" " * 12_000),
    "body of 64 KiB": op("take", body=b"{}" + b" " * (65_536 - 2)),
    "body too large": op("take", "too_large", 413, body=b"{}" + b" " * 65_535),
    "charset": typed("Content-Type: application/json; charset=utf-8"),
    "type in capitals": typed("content-type: Application/JSON"),
    "text": typed("Content-Type: text/plain", "unsupported_media_type", 415),
    "form": typed("Content-Type: multipart/form-data", "unsupported_media_type", 415),
    "empty type": typed("Content-Type:", "unsupported_media_type", 415),
    "no type": typed("X: y", "unsupported_media_type", 415),
    "type without a body": op("take", headers=("Content-Type: text/plain",)),
    "length without a body": op("take", headers=("Content-Length: 0",)),
    # Who
    "nobody": sent_as("nobody", "unauthenticated", 401),
    "basic": sent_as("basic", "unauthenticated", 401),
    "no token": sent_as("no token", "unauthenticated", 401),
    "unknown": sent_as("unknown", "unauthenticated", 401),
    "revoked": sent_as("revoked", "unauthenticated", 401),
    "disabled": sent_as("disabled", "unauthenticated", 401),
    "small letters": sent_as("small letters", "changed", 200),
    "observer": sent_as("observer", "forbidden", 403),
    "observer's broken body": sent_as("observer", "forbidden", 403, body=b"{"),
    "less than supervisor": sent_as("holder", "forbidden", 403, "block", body=REASON),
    "board of the token": sent_as("on main", "changed", 200),
    "other board": sent_as("on north", "forbidden", 403),
    "token and cookie": sent_as("token and cookie", "changed", 200),
    # Streams that do not begin
    **{
        f"stream {name}": Case(path, (status, code), who=who, method="GET")
        for name, path, who, status, code in (
            ("of nobody", "main/events", "nobody", 401, "unauthenticated"),
            ("of the revoked", "main/events?after=1-0", "revoked", 401, "unauthenticated"),
            ("of another board", "main/events", "on north", 403, "forbidden"),
            ("nowhere", "nowhere/events", "observer", 404, "board_not_found"),
        )
    },
    # Browsers
    "session": from_page("changed", 200, CSRF),
    "among cookies": from_page("changed", 200, CSRF, who="session among cookies"),
    "no CSRF token": from_page("csrf", 403),
    "wrong CSRF token": from_page("csrf", 403, "X-CSRF-Token: x"),
    "own origin": from_page("changed", 200, CSRF, "Origin: http://127.0.0.1"),
    "own port": from_page("csrf", 403, CSRF, "Origin: http://127.0.0.1:8080"),
    "foreign origin": from_page("csrf", 403, CSRF, "Origin: https://evil.example"),
    "null origin": from_page("csrf", 403, CSRF, "Origin: null"),
    "broken origin": from_page("csrf", 403, CSRF, "Origin: http://[::1"),
    "same site": from_page("csrf", 403, CSRF, "Sec-Fetch-Site: same-site"),
    "cross site": from_page("csrf", 403, CSRF, "Sec-Fetch-Site: cross-site"),
    "same origin": from_page("changed", 200, CSRF, "Sec-Fetch-Site: same-origin"),
    "by hand": from_page("changed", 200, CSRF, "Sec-Fetch-Site: none"),
    **{
        f"host {host}": from_page(code, status, CSRF, "Origin: http://a.example", f"Host: {host}")
        for host, code, status in (
            ("a.example", "changed", 200),
            ("A.EXAMPLE:80", "changed", 200),
            ("a.example:81", "csrf", 403),
            ("a.example:443", "csrf", 403),
            ("", "csrf", 403),
            ("a example", "csrf", 403),
            ("a.example/", "csrf", 403),
            ("[::1", "csrf", 403),
            ("a.example:99999", "csrf", 403),
            ("a@a.example", "csrf", 403),
            ("<b>", "csrf", 403),
        )
    },
    "secure cookie": from_page("unauthenticated", 401, CSRF, who="secure session"),
    "empty cookie": from_page("unauthenticated", 401, CSRF, who="empty session"),
}

# Behind a proxy, and with pages of another site
SECURE = "X-Forwarded-Proto: https"
PROXIED = {
    "take": op("take"),
    "refused": op("pause", "wrong_state", 409),
    "listed origin": op("take", headers=(f"Origin: {CORS_ORIGIN}",)),
    "foreign origin": op("take", headers=("Origin: https://evil.example",)),
    "listed origin refused": sent_as(
        "nobody", "unauthenticated", 401, headers=(f"Origin: {CORS_ORIGIN}",)
    ),
    "secure": from_page("changed", 200, CSRF, SECURE, who="secure session"),
    "secure last": from_page(
        "changed", 200, CSRF, "X-Forwarded-Proto: http, https", who="secure session"
    ),
    "not secure": from_page("unauthenticated", 401, CSRF, who="secure session"),
    "secure with the other cookie": from_page("unauthenticated", 401, CSRF, SECURE),
    "cookie over http": from_page("changed", 200, CSRF, "X-Forwarded-Proto: http"),
    "own origin": from_page(
        "changed", 200, CSRF, SECURE, "X-Forwarded-Host: b.example", "Origin: https://b.example",
        who="secure session",
    ),
    "origin of the inner host": from_page(
        "csrf", 403, CSRF, SECURE, "X-Forwarded-Host: b.example", "Origin: https://127.0.0.1",
        who="secure session",
    ),
}  # fmt: skip


@pytest.fixture(scope="module", params=["1", "0"], ids=["fast path", "no fast path"])
def paths(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    module_server: RealServer,
) -> Iterator[BothPaths]:
    state_dir = tmp_path_factory.mktemp("state")
    made = BothPaths(state_dir, module_server.url, OCCUPANCY_FAST_PATH=request.param)
    yield made
    made.stop()


@pytest.fixture(scope="module")
def proxied(
    tmp_path_factory: pytest.TempPathFactory, module_server: RealServer
) -> Iterator[BothPaths]:
    """Behind one proxy, open to the pages of another site, and with a low rate for an address."""
    made = BothPaths(
        tmp_path_factory.mktemp("state"), module_server.url, OCCUPANCY_PROXIES="1",
        OCCUPANCY_CORS_ORIGINS=CORS_ORIGIN, OCCUPANCY_ADDRESS_OPERATIONS_PER_S=str(RATE),
    )  # fmt: skip
    yield made
    made.stop()


def assert_alike(paths: BothPaths, case: Case) -> None:
    found = []
    for way, (answer, tag) in zip(WAYS, paths.in_each_way(case), strict=True):
        assert (answer.status, answer.code) == case.expected, (way, answer)
        found.append(comparable(answer, tag))
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("name", CASES)
def test_an_operation_is_answered_alike(paths: BothPaths, name: str) -> None:
    assert_alike(paths, CASES[name])


@pytest.mark.parametrize("name", PROXIED)
def test_an_operation_from_behind_a_proxy_is_answered_alike(proxied: BothPaths, name: str) -> None:
    assert_alike(proxied, PROXIED[name])


@pytest.mark.parametrize("first", WAYS)
@pytest.mark.parametrize("then", WAYS)
def test_an_idempotency_key_is_one_for_both_paths(paths: BothPaths, first: str, then: str) -> None:
    key = (f"Idempotency-Key: {secrets.token_hex(8)}",)
    tag, other = paths.item(), paths.item()
    answer = paths.send(op("take", headers=key), tag, first)
    assert answer.code == "changed"
    again = paths.send(op("take", headers=key), tag, then)
    assert again.get("Idempotency-Replayed") == "true"
    assert again.body == answer.body
    reused = paths.send(op("take", headers=key), other, then)
    assert (reused.status, reused.code) == (422, "idempotency_key_reused")
    assert not paths.is_taken(other)


@pytest.mark.parametrize(
    ("known", "status"),
    [
        ("{etag}", 304), ("W/{etag}", 304), ('"x", {etag} , W/"y"', 304), ('"0-0.x"', 200),
        ('"x"', 200), ("*", 304), (" * ", 304), ("{cursor}", 200), ("", 200),
        ("{renamed}", 304), ("W/{renamed}", 304),
    ],
)  # fmt: skip
@pytest.mark.parametrize("query", ["", "?", "?state=available"])
def test_whether_a_board_has_changed_is_answered_alike(
    paths: BothPaths, known: str, status: int, query: str
) -> None:
    path = f"still/items{query}"
    etag = ask_items(paths, path, "plain").get("ETag") or ""
    header = known.format(
        etag=etag, cursor=etag.partition(".")[0] + '"', renamed=f'{etag[:-1]}-gzip"'
    )
    answers = [ask_items(paths, path, way, f"If-None-Match: {header}") for way in WAYS]
    assert [each.status for each in answers] == [status] * 3
    assert answers[0].get("ETag") == etag
    assert comparable(answers[0]) == comparable(answers[1]) == comparable(answers[2])


@pytest.mark.parametrize(
    ("who", "status"), [("observer", 304), ("session", 304), ("on north", 403), ("revoked", 401)]
)
def test_only_those_who_may_see_a_board_get_its_304(
    paths: BothPaths, who: str, status: int
) -> None:
    known = f"If-None-Match: {ask_items(paths, 'still/items', 'plain').get('ETag')}"
    answers = [ask_items(paths, "still/items", way, known, who=who) for way in WAYS]
    assert [each.status for each in answers] == [status] * 3
    assert comparable(answers[0]) == comparable(answers[1]) == comparable(answers[2])


def ask_items(
    paths: BothPaths, path: str, way: str, *headers: str, who: str = "observer"
) -> Answer:
    case = Case(path, (0, ""), who=who, headers=headers, method="GET")
    return paths.send(case, "", way)


def test_a_changed_board_is_sent_whole(paths: BothPaths) -> None:
    known = f"If-None-Match: {ask_items(paths, 'main/items', 'plain').get('ETag')}"
    for way in WAYS:
        tag = paths.item()
        answer = ask_items(paths, "main/items", way, known)
        assert answer.status == 200
        assert tag in answer.body.decode()


def test_a_rate_limit_is_answered_alike_on_both_paths(proxied: BothPaths) -> None:
    """The address counts: another one may go on. None of the tests before has used it."""
    found = []
    for way in WAYS:
        answer = fast(proxied, way, "X-Forwarded-For: 10.0.0.1, 192.0.2.1")
        assert int(answer.get("Retry-After") or "") == answer.json["retry_after"] >= 1
        found.append(comparable(answer))
        other = op("take", headers=("X-Forwarded-For: 192.0.2.1, 192.0.2.2",))
        assert proxied.send(other, proxied.item(), way).status == 200
    assert found[0] == found[1] == found[2]


def fast(proxied: BothPaths, way: str, address: str) -> Answer:
    """Take an item until that is refused."""
    tag = proxied.item()
    for _ in range(50 * RATE):
        answer = proxied.send(op("take", headers=(address,)), tag, way)
        if answer.status != 200:
            assert (answer.status, answer.code) == (429, "rate_limited")
            return answer
    raise AssertionError("it was never refused")


@pytest.mark.parametrize(
    ("forwarded", "address"),
    [
        ("192.0.2.11", "192.0.2.11"),
        ("10.0.0.1, 192.0.2.12", "192.0.2.12"),
        ("10.0.0.1,192.0.2.13:4711", "192.0.2.13:4711"),
        ("2001:db8::1", "2001:db8::1"),
        ("", "127.0.0.1"),
        ("192.0.2.15,", "192.0.2.15"),
        ('"192.0.2.16"', "192.0.2.16"),
        ('"10.0.0.1, 192.0.2.17', "192.0.2.17"),
    ],
)
@pytest.mark.parametrize("way", WAYS)
def test_a_denial_is_recorded_with_the_address_that_the_proxy_says(
    proxied: BothPaths, way: str, forwarded: str, address: str
) -> None:
    tag = proxied.item()
    sent = sent_as("nobody", "", 401, headers=(f"X-Forwarded-For: {forwarded}",))
    assert proxied.send(sent, tag, way).status == 401
    denied = wait_until(
        lambda: [each for each in proxied.deployment.log.splitlines() if tag in each],
        what="the denial's line",
    )
    assert [json.loads(each)["address"] for each in denied] == [address]


def test_an_unreachable_store_is_answered_alike(tmp_path: Path, own_server: RealServer) -> None:
    paths = BothPaths(tmp_path / "state", own_server.url)
    try:
        items = [paths.item() for _ in WAYS]
        assert paths.send(op("take"), items[0], "plain").status == 200  # the caller is remembered
        own_server.stop()
        answers = [paths.send(op("take"), tag, way) for tag, way in zip(items, WAYS, strict=True)]
        assert [(each.status, each.code) for each in answers] == [(503, "store_unavailable")] * 3
        found = [comparable(*each) for each in zip(answers, items, strict=True)]
        assert found[0] == found[1] == found[2]
        own_server.start()  # a worker process without it takes seconds to end
    finally:
        paths.stop()
