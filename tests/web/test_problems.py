"""Bad input: whatever comes in is refused as a problem that says why, and changes nothing.

Nothing of this depends on the kind of server, so it runs on one.
"""

from __future__ import annotations

import io
import json
import logging
import random
from typing import Any

import msgspec
import pytest

from occupancy.core.entities import Role, Worker
from occupancy.core.errors import InvalidRequest
from occupancy.core.requests.boards import BoardBody
from occupancy.core.requests.decoding import decode
from occupancy.observability import repeated_warnings
from occupancy.services import Services
from tests.conftest import add_people
from tests.support.api_client import Api, assert_problem, fields
from tests.support.applications import application

DEEP = 10_000


@pytest.fixture
def api(valkey_services: Services) -> Api:
    app = application(valkey_services)
    made = Api(app.test_client(), add_people(valkey_services), valkey_services)
    made.put("T-1", {"title": "One"})
    return made


def put_raw(api: Api, data: bytes, content_type: str = "application/json") -> Any:
    return api.send("PUT", "/main/items/T-1", "supervisor", data=data, content_type=content_type)


def assert_invalid(response: Any, *words: str) -> None:
    found = assert_problem(response, 400, "invalid_request")
    for word in words:
        assert word in found["detail"]


# Bodies


@pytest.mark.parametrize(
    "data",
    [
        b"{", b"}", b"{]", b"nonsense", b"'x'", b"\xff\xfe\x00", b"\xef\xbb\xbf\xef\xbb\xbf{}",
        b"\x00", b" ",
        b'{"title": "a"} {"title": "b"}', b'{"title": "a",}', b'{"title": }', b'{title: "a"}',
        b'{"title": "\xff"}', b'{"title": "\xed\xa0\x80"}', b'{"title": "\\ud800"}',
        b'{"title": "\\ude00\\ud83d"}', b'{"title": "\\x41"}', b'{"title": "a\x00b"}',
        b'{"title": "a\nb"}', b'{"attributes": {"n": NaN}}', b'{"attributes": {"n": Infinity}}',
        b'{"attributes": {"n": -Infinity}}', b'{"attributes": {"n": 1e999}}',
        b'{"attributes": {"n": -1e999}}', b'{"attributes": {"n": ' + b"9" * 5000 + b"}}",
        b'{"attributes": {"n": 01}}', b'{"attributes": {"\\ud800": 1}}',
    ],
)  # fmt: skip
def test_a_body_that_is_not_json_is_refused(api: Api, data: bytes) -> None:
    before = api.item("T-1")
    assert_invalid(put_raw(api, data))
    assert api.item("T-1") == before


@pytest.mark.parametrize("data", [b"null", b"[]", b"1", b'"x"', b"true", b"[{}]"])
def test_a_body_that_is_no_object_is_refused(api: Api, data: bytes) -> None:
    assert_invalid(put_raw(api, data), "object")


@pytest.mark.parametrize(
    "data",
    [
        b"[" * DEEP,
        b"[" * DEEP + b"]" * DEEP,
        b'{"attributes": {"n": ' + b"[" * DEEP + b"]" * DEEP + b"}}",
        b'{"title": ' * 5000 + b"1" + b"}" * 5000,
        b'{"unknown": ' + b'{"a":' * 5000 + b"1" + b"}" * 5000 + b"}",
    ],
)
def test_a_body_that_is_nested_deeply_is_refused(api: Api, data: bytes) -> None:
    assert_invalid(put_raw(api, data))


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"titel": "x"}, "titel"),
        ({"state": "completed"}, "state"),
        ({"tag": "T-2"}, "tag"),
        ({"title": 1}, "title"),
        ({"title": ["x"]}, "title"),
        ({"title": ""}, "title"),
        ({"title": "x" * 201}, "title"),
        ({"attributes": []}, "attributes"),
        ({"attributes": "x"}, "attributes"),
        ({"attributes": {"a": {}}}, "attributes"),
        ({"attributes": {"a": [1]}}, "attributes"),
        ({"attributes": {"": 1}}, "attributes"),
        ({"attributes": {"a" * 65: 1}}, "attributes"),
        ({"attributes": {"a": "x" * 501}}, "attributes"),
        ({"attributes": {str(n): n for n in range(33)}}, "attributes"),
        ({"attributes": {f"{n:064}": "x" * 500 for n in range(32)}}, "attributes"),
    ],
)
def test_an_item_that_is_not_allowed_is_refused_by_the_fields_name(
    api: Api, body: dict[str, Any], field: str
) -> None:
    before = api.item("T-1")
    assert_invalid(api.put("T-1", body), field)
    assert api.item("T-1") == before


@pytest.mark.parametrize(
    "number",
    [
        "9007199254740992", "-9007199254740992", "9007199254740993", "18446744073709551616",
        "123456789012345678901234567890", "1" * 5000, "9007199254740993.0", "1e22", "-1e22",
        "0.1234567890123456789", "1234567.12345678901", "1e-400",
        "1e-999999999999999999999", "0e-99999999999999999999",
    ],
)  # fmt: skip
def test_a_number_that_would_be_rounded_is_refused_and_says_what_to_do(
    api: Api, number: str
) -> None:
    before = api.item("T-1")
    response = put_raw(api, b'{"attributes":{"serial":%b}}' % number.encode())
    assert_invalid(response, "attributes", "as text")
    assert api.item("T-1") == before


@pytest.mark.parametrize("number", ["1e400", "-1e400"])
def test_a_number_beyond_all_bounds_is_refused(api: Api, number: str) -> None:
    response = put_raw(api, b'{"attributes":{"serial":%b}}' % number.encode())
    assert_invalid(response, "attributes", "out of range", "as text")


@pytest.mark.parametrize(
    "number",
    ["9007199254740991", "-9007199254740991", "0", "0.1", "2.5", "1e-7", "0.30000000000000004"],
)
def test_a_number_that_a_double_keeps_comes_back_to_the_digit(api: Api, number: str) -> None:
    assert put_raw(api, b'{"attributes":{"n":%b}}' % number.encode()).status_code == 200
    assert b'"attributes":{"n":%b}' % number.encode() in api.get("/main/items/T-1").data


def test_a_byte_order_mark_before_a_body_is_no_part_of_it(api: Api) -> None:
    bom = b"\xef\xbb\xbf"
    assert put_raw(api, bom + b'{"title":"Two"}').status_code == 200
    assert api.item("T-1")["title"] == "Two"
    assert put_raw(api, bom).status_code == 200  # as an empty body
    assert_invalid(put_raw(api, bom + bom + b"{}"), "not JSON")
    assert_invalid(put_raw(api, '{"title":"x"}'.encode("utf-16")), "UTF-16", "UTF-8")


NOTHING_VISIBLE = [
    " ", "   ", "\u00a0", "\u2003\u202f", "\u200b", "\u2060", "\ufeff", "\u00ad", "\u200d \u200c",
    "\u200e\u200f", "\u115f", "\u3164", "\uffa0", "\u2800", "\ufe0f", "\u0301", "\u180e",
    "\U000e0001\U000e0020", "\u2028",
]  # fmt: skip
BIDI = [f"99-{char}A" for char in "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"]


@pytest.mark.parametrize("text", NOTHING_VISIBLE)
def test_a_title_a_name_or_a_needed_reason_of_nothing_visible_is_refused(
    api: Api, text: str
) -> None:
    assert_invalid(api.put("T-1", {"title": text}), "title", "seen")
    assert_invalid(api.put("T-1", {"attributes": {text: "x"}}), "attribute", "seen")
    for operation in ("block", "force-release"):
        response = api.do(operation, "T-1", "supervisor", {"reason": text})
        assert_invalid(response, f"{operation} needs a reason")
    response = api.batch("block", ["T-1"], "supervisor", reason=text)
    assert_invalid(response, "block needs a reason")
    assert (api.item("T-1")["title"], api.item("T-1")["state"]) == ("One", "available")
    with pytest.raises(InvalidRequest, match="name has nothing that can be seen"):
        api.services.workers.add("new", name=text, role=Role.WORKER)
    with pytest.raises(InvalidRequest, match="name has nothing that can be seen"):
        api.services.workers.edit("holder", name=text)


@pytest.mark.parametrize("text", ["\u3164", "\u115f", "\uffa0 \u3164"])
def test_a_step_of_nothing_visible_is_refused(api: Api, text: str) -> None:
    """They are letters for the pattern of steps."""
    with pytest.raises(InvalidRequest, match="steps has nothing that can be seen"):
        decode(json.dumps({"board": "b", "steps": ["A", text]}).encode(), BoardBody)


@pytest.mark.parametrize("text", BIDI)
def test_a_directional_override_is_refused(api: Api, text: str) -> None:
    code = f"U+{ord(text[3]):04X}"
    for body in ({"title": text}, {"attributes": {"a": text}}, {"attributes": {text: "a"}}):
        assert_invalid(api.put("T-1", body), code, "another order")
    response = api.do("block", "T-1", "supervisor", {"reason": text})
    assert_invalid(response, "reason", code)
    with pytest.raises(InvalidRequest, match="another order"):
        api.services.workers.add("new", name=text, role=Role.WORKER)


@pytest.mark.parametrize(
    "text",
    ["مِفتاح ربط", "שלום", "क्षि", "👩\u200d🔧", "x\u00ady", "10\u202fmm", "e\u0301", "가", "・"],
)
def test_visible_text_of_any_script_is_a_title(api: Api, text: str) -> None:
    assert api.put("T-1", {"title": text, "attributes": {text: ""}}).status_code == 200
    assert api.item("T-1")["title"] == text


def test_a_worker_whose_name_was_stored_before_this_rule_can_still_be_disabled(api: Api) -> None:
    old = msgspec.json.encode(Worker("old", "\u200b", "worker"))
    api.services.store.client.hset(api.services.store.keys.workers, "old", old)
    assert api.services.workers.edit("old", disabled=True).disabled


@pytest.mark.parametrize(
    ("operation", "body", "field"),
    [
        ("take", {"epoch": -1}, "epoch"),
        ("take", {"epoch": "0"}, "epoch"),
        ("take", {"epoch": 0.0}, "epoch"),
        ("take", {"epoch": True}, "epoch"),
        ("take", {"epoch": 2**53 + 1}, "epoch"),
        ("take", {"epoch": 10**30}, "epoch"),
        ("take", {"reason": "x"}, "reason"),
        ("take", {"to": "colleague"}, "to"),
        ("take", {"step": "work"}, "step"),
        ("take", {"holder": "holder"}, "holder"),
        ("pause", {"reason": ""}, "reason"),
        ("pause", {"reason": "x" * 501}, "reason"),
        ("pause", {"reason": 1}, "reason"),
        ("complete", {"reason": "x"}, "reason"),
        ("release", {"reason": "x"}, "reason"),
        ("force-release", {}, "reason"),
        ("force-release", {"reason": None}, "reason"),
        ("block", {}, "reason"),
        ("unblock", {"reason": "x"}, "reason"),
        ("reassign", {}, "to"),
        ("reassign", {"to": None}, "to"),
        ("reassign", {"to": ""}, "to"),
        ("reassign", {"to": "a b"}, "to"),
        ("reassign", {"to": "x" * 65}, "to"),
        ("reassign", {"to": ["colleague"]}, "to"),
        ("reopen", {"step": ""}, "step"),
        ("reopen", {"step": '"'}, "step"),
        ("reopen", {"step": "x" * 33}, "step"),
        ("reopen", {"step": 1}, "step"),
        ("undo", {"step": "work"}, "step"),
        ("undo", {"reason": "x"}, "reason"),
        ("send-back", {"reason": "x"}, "step"),
        ("send-back", {"step": "work"}, "reason"),
        ("send-back", {"step": "work", "reason": ""}, "reason"),
        ("send-back", {"step": "work", "reason": "x"}, "step"),
    ],
)
def test_a_field_that_an_operation_does_not_take_or_lacks_is_named(
    api: Api, operation: str, body: dict[str, Any], field: str
) -> None:
    before = api.item("T-1")
    assert_invalid(api.do(operation, "T-1", "supervisor", body), field)
    assert api.item("T-1") == before


def test_null_is_as_if_the_field_were_not_there(api: Api) -> None:
    everything = {"epoch": None, "reason": None, "to": None, "step": None}
    assert api.done("take", "T-1", "holder", everything)["state"] == "occupied"
    assert fields(api.put("T-1", {"title": None, "attributes": None}))["changed"] is False


@pytest.mark.parametrize("char", ["\x00", "\x01", "\n", "\r", "\t", "\x1b", "\x7f", "\x85"])
def test_control_characters_are_refused_in_every_text(api: Api, char: str) -> None:
    text, named = f"a{char}b", f"U+{ord(char):04X}"
    assert_invalid(api.put("T-1", {"title": text}), "title", named)
    assert_invalid(api.put("T-1", {"attributes": {text: 1}}), "attributes", named)
    assert_invalid(api.put("T-1", {"attributes": {"a": text}}), "attributes", named)
    api.done("take", "T-1", "holder")
    assert_invalid(api.do("pause", "T-1", "holder", {"reason": text}), "reason", named)
    assert_invalid(api.batch("block", ["T-1"], "supervisor", reason=text), "reason", named)
    query = api.send("GET", "/main/items", "watcher", query_string={"q": text})
    assert_invalid(query, "q", named)


def test_a_body_may_be_64_kib_and_no_more(api: Api) -> None:
    assert put_raw(api, b" " * (64 * 1024 - 2) + b"{}").status_code == 200
    for size in (64 * 1024 - 1, 10_000_000):
        assert_problem(put_raw(api, b" " * size + b"{}"), 413, "too_large")


def test_a_body_of_unknown_length_is_refused_whole_and_never_cut(api: Api) -> None:
    """As sent in chunks: what is read of it is JSON, but it is not all that was sent."""
    before = api.item("T-1")
    sent = b'{"title": "cut"}' + b" " * 64 * 1024 + b"nonsense"
    response = api.send(
        "PUT", "/main/items/T-1", "supervisor", input_stream=io.BytesIO(sent),
        content_type="application/json",
        environ_overrides={"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True},
    )  # fmt: skip
    assert_problem(response, 413, "too_large")
    assert api.item("T-1") == before


@pytest.mark.parametrize(
    "content_type",
    ["", "text/plain", "application/x-www-form-urlencoded", "application/xml", "\xff", "json",
     "multipart/form-data; boundary=x", "application/jsonx"],
)  # fmt: skip
def test_another_content_type_is_refused(api: Api, content_type: str) -> None:
    response = put_raw(api, b'{"title": "x"}', content_type)
    assert_problem(response, 415, "unsupported_media_type")


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "APPLICATION/JSON"])
def test_json_may_be_named_with_parameters_and_in_any_case(api: Api, content_type: str) -> None:
    assert put_raw(api, b'{"title": "x"}', content_type).status_code == 200


# Addresses and queries


@pytest.mark.parametrize(
    "tag",
    ["a" * 65, "%00", "T-1%00", "T-1%0A", "%20", "T 1", "-T", ".T", "T*", "T{1}", "%C3%A9",
     "%F0%9F%98%80", "%ff", "%ED%A0%80", "..", "%2e%2e", "T%251", "T%7C1", "<b>", '"'],
)  # fmt: skip
def test_a_tag_that_cannot_be_one_is_refused(api: Api, tag: str) -> None:
    path = f"/main/items/{tag}"
    for method, who in (("GET", "watcher"), ("PUT", "supervisor"), ("DELETE", "supervisor")):
        assert_invalid(api.send(method, path, who), "tag")
    assert_invalid(api.send("POST", f"{path}/take", "holder"), "tag")
    assert_invalid(api.get(f"{path}/history"), "tag")
    assert api.tags() == ["T-1"]


@pytest.mark.parametrize("board", ["a" * 33, "%00", "a.b", "a:b", "%7Bmain%7D", "-a", "%C3%A9"])
def test_a_board_that_cannot_be_one_is_refused(api: Api, board: str) -> None:
    for rest in ("", "/items", "/items/T-1", "/items/T-1/history", "/events"):
        assert_invalid(api.get(f"/{board}{rest}"), "board")
    assert_invalid(api.do("take", "T-1", "holder", board=board), "board")
    assert_invalid(api.batch("take", ["T-1"], "holder", board=board), "board")


@pytest.mark.parametrize("tag", ["", "a" * 65, "a/b", "a\x00", "é", "a\n", "*"])
def test_a_batch_with_a_tag_that_cannot_be_one_is_refused(api: Api, tag: str) -> None:
    assert_invalid(api.batch("take", ["T-1", tag], "holder"), "tags")
    assert api.item("T-1")["state"] == "available"


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("more=1", "more"), ("Limit=1", "Limit"), ("state=free", "state"), ("state=", "state"),
        ("state=available%7C", "state"), ("holder=", "worker"), ("holder=a%20b", "worker"),
        ("holder=%7B", "worker"), ("holder=%00", "holder"), ("limit=0", "limit"),
        ("limit=-1", "limit"), ("limit=10001", "limit"), ("limit=1.0", "limit"),
        ("limit=1e3", "limit"), ("limit=", "limit"), ("limit=x", "limit"),
        ("limit=%D9%A1", "limit"),
        ("limit=" + "9" * 5000, "limit"), ("page=x", "page"), ("page=%00", "page"),
        ("page=////", "page"), ("page=%ff", "page"), ("page=e30", "page"),
        ("page=" + "A" * 5000, "page"),
    ],
)  # fmt: skip
def test_a_query_that_is_not_allowed_is_refused_by_name(api: Api, query: str, name: str) -> None:
    assert_invalid(api.get(f"/main/items?{query}"), name)


@pytest.mark.parametrize("query", ["more=1", "limit=0", "limit=1001", "page=x", "page=VC0x"])
def test_a_query_of_the_history_that_is_not_allowed_is_refused(api: Api, query: str) -> None:
    assert_invalid(api.get(f"/main/items/T-1/history?{query}"), query.partition("=")[0])


@pytest.mark.parametrize(
    "path",
    ["/api", "/api/", "/api/nothing", "/nothing", "/api/boards/main/nothing", "/favicon.ico",
     "/api/boards/main/items/T-1/take/x", "/api/boards/main/items/a/b/c", "/.env",
     "/api/boards/main/items/../../../etc/passwd", "/%00", "/%ff"],
)  # fmt: skip
def test_an_address_with_nothing_there_is_not_found(api: Api, path: str) -> None:
    assert_problem(api.client.get(path), 404, "not_found")


def test_an_unknown_operation_is_not_found_and_the_known_ones_are_named(api: Api) -> None:
    for name in ("fly", "put", "remove", "TAKE", "force_release", "take%00"):
        found = assert_problem(api.do(name, "T-1", "supervisor", {}), 404, "not_found")
        assert "force-release" in found["detail"]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/api/boards", {"GET", "HEAD", "OPTIONS", "POST"}),
        ("POST", "/api/boards/main", {"GET", "HEAD", "OPTIONS", "PATCH", "DELETE"}),
        ("POST", "/api/boards/main/items", {"GET", "HEAD", "OPTIONS"}),
        ("PATCH", "/api/boards/main/items/T-1", {"GET", "HEAD", "OPTIONS", "PUT", "DELETE"}),
        ("GET", "/api/boards/main/items/T-1/take", {"POST", "OPTIONS"}),
        ("GET", "/api/boards/main/batch", {"POST", "OPTIONS"}),
        ("POST", "/api/boards/main/events", {"GET", "HEAD", "OPTIONS"}),
        ("POST", "/livez", {"GET", "HEAD", "OPTIONS"}),
        ("FOO", "/docs", {"GET", "HEAD", "OPTIONS"}),
    ],
)
def test_a_method_that_an_address_does_not_take_is_refused_with_those_it_takes(
    api: Api, method: str, path: str, allowed: set[str]
) -> None:
    response = api.client.open(path, method=method, headers=api.people["admin"])
    assert_problem(response, 405, "method_not_allowed")
    assert set(response.headers["Allow"].split(", ")) == allowed


def test_a_failure_of_ours_is_a_problem_without_a_stack_trace(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(api.services.store.queries, "item_and_floor", fail)
    response = api.get("/main/items/T-1")
    found = assert_problem(response, 500, "internal_error")
    assert "secret" not in json.dumps(found)


def test_failures_of_ours_are_some_lines_without_their_texts_and_a_count(
    api: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A client with a failing request must not fill the disk, nor log texts of others."""

    def fail(*_: Any, **__: Any) -> None:
        raise ValueError("secret detail")

    monkeypatch.setattr(api.services.store.queries, "item_and_floor", fail)
    monkeypatch.setattr(api.services.store.commands, "execute", fail)
    for _ in range(repeated_warnings.MAX_WARNINGS):
        assert api.get("/main/items/T-1").status_code == 500
        assert api.do("take", "T-1", "holder").status_code == 500
    api.services.repeated_warnings.flush()
    told = [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING]
    assert len(told) == repeated_warnings.MAX_WARNINGS + 1
    assert told[0].startswith("GET /api/boards/main/items/T-1 failed. Traceback: ")
    assert told[0].endswith("fail > ValueError; ")
    assert told[-1] == f"500 (ValueError): {repeated_warnings.MAX_WARNINGS} more within 60 s"
    assert "secret" not in caplog.text


# Whatever else may come


def test_random_bodies_and_headers_never_make_it_fail(api: Api) -> None:
    chance = random.Random(20261122)
    pieces = [
        b'"', b"{", b"}", b"[", b"]", b":", b",", b"\\", b"\\u", b"d800", b"null", b"1e9", b"-",
        b'"title"', b'"attributes"', b'"epoch"', b'"reason"', b'"tags"', b'"operation"', b'"take"',
        b'"T-1"', b"\x00", b"\xff", b"\xe2\x80\xa8", b" ", b"0", b"9" * 25,
    ]  # fmt: skip
    names = ["Idempotency-Key", "If-Match", "If-None-Match", "Authorization", "Content-Type",
             "Content-Length", "Last-Event-ID", "X-Forwarded-For", "Accept", "Range", "Cookie",
             "X-HTTP-Method-Override", "Host"]  # fmt: skip
    routes = [
        ("PUT", "/main/items/T-1"), ("DELETE", "/main/items/T-1"), ("POST", "/main/batch"),
        ("POST", "/main/items/T-1/take"), ("POST", "/main/items/T-1/reassign"),
        ("GET", "/main/items"), ("GET", "/main/items/T-1"), ("GET", "/main/items/T-1/history"),
    ]  # fmt: skip
    seen: set[int] = set()
    for _ in range(600):
        if chance.random() < 0.3:
            body = chance.randbytes(chance.randrange(60))
        else:
            body = b"".join(chance.choices(pieces, k=chance.randrange(14)))
            if chance.random() < 0.5:
                body = b"{" + body + b"}"
        headers = {"Content-Type": "application/json"}
        for name in chance.sample(names, chance.randrange(3)):
            text = bytes(chance.choices(range(32, 256), k=chance.randrange(40)))
            headers[name] = text.decode("latin-1").strip()
        method, path = chance.choice(routes)
        response = api.send(method, path, "admin", headers, data=body)
        seen.add(response.status_code)
        assert response.status_code < 500, (method, path, headers, body, response.text)
        if response.status_code >= 400:
            assert_problem(response, response.status_code, fields(response)["code"])
    assert seen >= {200, 400, 401}
