"""Requests that the fast path reads: each alone in its packet, as a client sends it that waits.

Where two share a packet neither is read here, so a test that sends two says nothing of this.
"""

from __future__ import annotations

import pytest

from occupancy.core.settings import Settings
from occupancy.server.fast.request import RequestReader, parse
from occupancy.server.responses import takes_gzip
from tests.support.raw_http import request

TAKE = "POST /api/boards/main/items/T-1/take"
CHANGES = "GET /api/boards/main/items"


@pytest.mark.parametrize(
    "headers",
    [
        (),
        ("Connection: keep-alive",),
        ("Connection: Keep-Alive",),
        ("CONTENT-LENGTH: 0",),
        ("X: a\tb ~",),
        ("Authorization: Bearer x", "Idempotency-Key: k", 'If-Match: "3"'),
    ],
)
def test_a_plain_request_is_read(headers: tuple[str, ...]) -> None:
    for line in (TAKE, CHANGES):
        read = parse(request(line, *headers))
        assert read is not None
        assert f"{read.method} {read.path}" == line
        assert read.headers.get("HOST") == "127.0.0.1"


@pytest.mark.parametrize(
    "header",
    [
        "Connection: close",
        "Connection: Close",
        "connection:close",
        "Connection: keep-alive, close",
        "Connection: upgrade",
        "Connection: ",
        "Transfer-Encoding: chunked",
        "transfer-encoding: identity",
        "Expect: 100-continue",
        "Upgrade: h2c",
        "Trailer: X",
        "TE: trailers",
        "Content-Length: 1",
        "Content-Length: 00",
        "Content-Length: +0",
        "Content-Length:",
        "X: y\r\nx: y",
        'If-Match: "1"\r\nif-match: "2"',
        "Host: other",
        "X: \xe9",
        "X: \0",
        "X : y",
        " X: y",
        "X_Y: z",
        "X",
        "X: " + "y" * 8192,
        "\r\n".join(f"X{number}: y" for number in range(101)),
    ],
)
def test_what_is_not_plain_is_left_to_gunicorn(header: str) -> None:
    data = request(TAKE, "Host: 127.0.0.1", "Y: z").replace(b"Y: z", header.encode("latin-1"))
    assert parse(data) is None


@pytest.mark.parametrize(
    ("length", "body", "is_read"),
    [
        ("2", b"{}", True), ("2", b"{} ", False), ("2", b"{", False), ("2", b"", False),
        ("02", b"{}", False), ("0", b"{}", False), ("3", b"{} ", True), ("10", b"{}", False),
    ],
)  # fmt: skip
def test_a_body_is_what_its_length_says_to_the_byte(
    length: str, body: bytes, is_read: bool
) -> None:
    read = parse(request(TAKE, f"Content-Length: {length}") + body)
    assert (read is not None) == is_read
    if read is not None:
        assert read.body == body


def test_a_body_without_a_length_or_of_a_get_is_left_to_gunicorn() -> None:
    assert parse(request(TAKE) + b"{}") is None
    assert parse(request(CHANGES, body=b"{}")) is None


@pytest.mark.parametrize(
    "line",
    [
        "PUT /api/boards/main/items/T-1", "DELETE /api/session", "HEAD /api/boards",
        "GET /api/boards/m%61in/items", "GET api/boards", "GET /api/boards?q=%20", "GET /a b",
        "GET http://127.0.0.1/api/boards",
    ],
)  # fmt: skip
def test_other_lines_are_left_to_gunicorn(line: str) -> None:
    assert parse(request(line)) is None
    assert parse(request(CHANGES).replace(b"HTTP/1.1", b"HTTP/1.0")) is None


@pytest.mark.parametrize("host", ["a..b", ".a", ".", "a" * 64, f"a.{'b' * 64}.c:80"])
def test_hosts_that_werkzeug_refuses_are_left_to_it(host: str) -> None:
    assert parse(request(TAKE, f"Host: {host}")) is None
    forwarded = request(TAKE, "Host: a", f"X-Forwarded-Host: {host}")
    assert parse(forwarded, proxies=1) is None
    assert parse(forwarded, proxies=0) is not None


@pytest.mark.parametrize("host", ["a.", "a.b:80", "a" * 63, "shop_floor", "[::1]:80", "10.0.0.1"])
def test_other_hosts_are_not(host: str) -> None:
    assert parse(request(TAKE, f"Host: {host}")) is not None


def test_of_the_addresses_only_those_of_the_proxies_are_believed() -> None:
    data = request(TAKE, "X-Forwarded-For: 6.6.6.6, 10.0.0.9, 192.168.0.7")
    addresses = [read.remote_addr for n in range(5) if (read := parse(data, "10.0.0.1", n))]
    assert addresses == ["10.0.0.1", "192.168.0.7", "10.0.0.9", "6.6.6.6", "10.0.0.1"]


def test_what_only_flask_answers_is_left_to_it() -> None:
    address, foreign = ("10.0.0.1", 1), request(TAKE, "Origin: https://shop.example")
    assert RequestReader(Settings()).read(foreign, address) is not None
    listed = Settings(cors_origins=("https://other.example",))
    assert RequestReader(listed).read(foreign, address) is None
    assert RequestReader(listed).read(request(TAKE), address) is not None
    named = RequestReader(Settings(hosts=("plant.example",)))
    assert named.read(request(TAKE, "Host: plant.example:8000"), address) is not None
    for host in ("evil.example", "evilplant.example", "plant.example.evil.example", "example"):
        assert named.read(request(TAKE, f"Host: {host}"), address) is None


@pytest.mark.parametrize(
    ("accepted", "takes"),
    [
        (None, False), ("", False), ("gzip", True), ("GZip", True), ("br, gzip", True),
        ("gzip;q=0.5, br", True), ("gzip; q=0.001", True), ("gzip;q=0", False),
        ("br, gzip; q=0.000", False), ("gzip ; q=0.0 , br", False), ("identity", False),
        ("xgzip", False), ("gzipx", False), ("x-gzip", False),
    ],
)  # fmt: skip
def test_gzip_is_for_who_takes_it(accepted: str | None, takes: bool) -> None:
    assert takes_gzip(accepted) == takes
