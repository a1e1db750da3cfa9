"""Attacks on the seam between the fast path and gunicorn: requests that one of them reads wrong.

Each sends bytes, says that nothing more comes, and reads to the end: exactly the answers that
HTTP/1.1 asks for, in their order, and no operation that was not asked for or was done twice.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.both_paths import BothPaths
from tests.support.raw_http import Answer, Wire, request
from tests.support.servers import RealServer

JSON = "Content-Type: application/json"
PAGE = request("GET /livez")


@pytest.fixture(scope="module")
def paths(
    tmp_path_factory: pytest.TempPathFactory, module_server: RealServer
) -> Iterator[BothPaths]:
    made = BothPaths(tmp_path_factory.mktemp("state"), module_server.url)
    yield made
    made.stop()
    assert "Traceback" not in made.deployment.log


class Attack:
    """Two items, of which one is taken in the open and the other by what is hidden in bytes."""

    def __init__(self, paths: BothPaths) -> None:
        self.paths = paths
        self.open, self.hidden = paths.item(), paths.item()
        self.take = paths.take(self.open)
        self.smuggled = paths.take(self.hidden)
        self.before = paths.operations()

    def line(self, method: str = "POST", version: str = "HTTP/1.1") -> str:
        return f"{method} /api/boards/main/items/{self.open}/take {version}"

    def head(self, *lines: str, first: str | None = None) -> bytes:
        """The open request with these lines in its head, and nothing of a body."""
        host = () if any(each.lower().startswith("host:") for each in lines) else ("Host: x",)
        shown = self.paths.shows["holder"]
        head = (first or self.line(), *host, shown, JSON, *lines, "", "")
        return "\r\n".join(head).encode("latin-1")

    def expect(self, statuses: list[int], *pieces: bytes) -> list[Answer]:
        """Of the answers those with 200 that concern operations are all that is done."""
        answers = self.paths.answers(*pieces)
        assert [each.status for each in answers] == statuses, answers
        told = {str(each.json["item"]["tag"]) for each in answers if each.code == "changed"}
        assert told == {tag for tag in (self.open, self.hidden) if self.paths.is_taken(tag)}
        done = sum(each.code in ("changed", "unchanged") for each in answers)
        assert self.paths.operations() - self.before == done
        return answers


@pytest.fixture
def attack(paths: BothPaths) -> Attack:
    return Attack(paths)


# Where a body ends

LENGTHS = {
    "as it is": ("Content-Length: 2", [200, 200]),
    "zeros": ("Content-Length: 002", [200, 200]),
    "blanks": ("Content-Length: \t2 \t", [200, 200]),
    "no blank": ("content-length:2", [200, 200]),
    "plus": ("Content-Length: +2", [400]),
    "minus": ("Content-Length: -2", [400]),
    "hexadecimal": ("Content-Length: 0x2", [400]),
    "decimals": ("Content-Length: 2.0", [400]),
    "exponent": ("Content-Length: 2e0", [400]),
    "underscore": ("Content-Length: 0_2", [400]),
    "superscript": ("Content-Length: \xb2", [400]),
    "empty": ("Content-Length:", [400]),
    "blank": ("Content-Length:  \t", [400]),
    "list": ("Content-Length: 2, 2", [400]),
    "two numbers": ("Content-Length: 2 2", [400]),
    "twice": ("Content-Length: 2\r\nContent-Length: 2", [400]),
    "two": ("Content-Length: 2\r\nContent-Length: 0", [400]),
    "two in other letters": ("Content-Length: 0\r\ncontent-length: 2", [400]),
    "blank before the colon": ("Content-Length : 2", [400]),
    "tab before the colon": ("Content-Length\t: 2", [400]),
    "blank before the name": ("X: y\r\n Content-Length: 2", [400]),
    "folded": ("Content-Length:\r\n 2", [400]),
    "carriage return before it": ("X: y\rContent-Length: 2", [400]),
    "line feed before it": ("X: y\nContent-Length: 2", [400]),
    "line feed after it": ("Content-Length: 2\nX: y", [400]),
    "NUL after it": ("Content-Length: 2\0", [400]),
    "NUL in its name": ("Content-Length\0: 2", [400]),
    "underscore in its name": ("Content_Length: 100\r\nContent-Length: 2", [200, 200]),
    "no length": ("X: y", [200, 400]),
    "nothing": ("Content-Length: 0", [200, 400]),
    "all that follows": ("Content-Length: ALL", [400]),
    "more than will come": ("Content-Length: 9999", [400]),
    "32 bits and 2": ("Content-Length: 4294967298", [413]),
    "64 bits and 2": ("Content-Length: 18446744073709551618", [413]),
    "more digits than Python reads": (f"Content-Length: {'0' * 5000}2", [400]),
    "with chunked": ("Content-Length: 2\r\nTransfer-Encoding: chunked", [400]),
    "after chunked": ("Transfer-Encoding: chunked\r\nContent-Length: 2", [400]),
    "chunked, no chunk": ("Transfer-Encoding: chunked", [400]),
    "identity": ("Transfer-Encoding: identity\r\nContent-Length: 2", [400]),
    "unknown coding": ("Transfer-Encoding: xchunked\r\nContent-Length: 2", [501]),
    "empty coding": ("Transfer-Encoding:\r\nContent-Length: 2", [501]),
    "chunked under a control character": (
        "Transfer-Encoding: \x0bchunked\r\nContent-Length: 2", [400],
    ),
    "chunked twice": ("Transfer-Encoding: chunked, chunked", [400]),
    "chunked before the colon": ("Transfer-Encoding : chunked\r\nContent-Length: 2", [400]),
}  # fmt: skip


@pytest.mark.parametrize("cut", ["nowhere", "after the head", "after the body"])
@pytest.mark.parametrize("name", LENGTHS)
def test_a_body_ends_where_its_length_says_or_is_refused(
    attack: Attack, name: str, cut: str
) -> None:
    """``{}`` follows the head, and then a whole plain request."""
    line, statuses = LENGTHS[name]
    line = line.replace("ALL", str(len(b"{}" + attack.smuggled)))
    head, body = attack.head(line), b"{}"
    pieces = {
        "nowhere": (head + body + attack.smuggled,),
        "after the head": (head, body + attack.smuggled),
        "after the body": (head + body, attack.smuggled),
    }
    attack.expect(statuses, *pieces[cut])


@pytest.mark.parametrize("length", ["3", "9999", "4294967298"])
@pytest.mark.parametrize("come", [b"{}", b""])
def test_a_body_that_does_not_come_whole_has_no_effect(
    attack: Attack, length: str, come: bytes
) -> None:
    answers = attack.paths.answers(attack.head(f"Content-Length: {length}"), come)
    assert 200 not in [each.status for each in answers]
    assert not attack.paths.is_taken(attack.open)


CARRIERS = {
    "operation": ("/api/boards/main/items/TAG/take", 400),
    "page": ("/livez", 405),
    "nothing": ("/nowhere", 404),
    "batch": ("/api/boards/main/batch", 400),
}


@pytest.mark.parametrize("is_apart", [False, True])
@pytest.mark.parametrize("more", [(), ("TE: trailers",), ("Expect: 100-continue",)])
@pytest.mark.parametrize("carrier", CARRIERS)
def test_a_body_that_looks_like_a_request_is_none(
    attack: Attack, carrier: str, more: tuple[str, ...], is_apart: bool
) -> None:
    path, status = CARRIERS[carrier]
    first = f"POST {path.replace('TAG', attack.open)} HTTP/1.1"
    head = attack.head(f"Content-Length: {len(attack.smuggled)}", *more, first=first)
    pieces = (head, attack.smuggled + PAGE) if is_apart else (head + attack.smuggled + PAGE,)
    attack.expect([*([100] if "Expect: 100-continue" in more else []), status, 200], *pieces)


@pytest.mark.parametrize("is_apart", [False, True])
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_body_that_nobody_reads_is_no_request(
    attack: Attack, method: str, is_apart: bool
) -> None:
    head = attack.head(f"Content-Length: {len(attack.smuggled)}", first=f"{method} /x HTTP/1.1")
    pieces = (head, attack.smuggled) if is_apart else (head + attack.smuggled,)
    attack.expect([404, 200], *pieces, PAGE)


CHUNKS = {
    "empty": ([b"0\r\n\r\n", PAGE], [200, 200]),
    "one": ([b"2\r\n{}\r\n0\r\n\r\n", PAGE], [200, 200]),
    "two": ([b"1\r\n{\r\n", b"1;x=y\r\n}\r\n0\r\nX: y\r\n\r\n" + PAGE], [200, 200]),
    "a request": ([b"SIZE\r\nSMUGGLED\r\n0\r\n\r\n", PAGE], [400, 200]),
    "a request instead of the last": ([b"2\r\n{}\r\n", b"SMUGGLED"], [400]),
    "a request instead of its end": ([b"2\r\n{}", b"SMUGGLED"], [400]),
    "a request in the trailer": ([b"0\r\n", b"SMUGGLED"], [400]),
    "signed": ([b"+2\r\n{}\r\n0\r\n\r\n", b"SMUGGLED"], [400]),
    "line feeds": ([b"2\n{}\n0\n\n", b"SMUGGLED"], [400]),
}


@pytest.mark.parametrize("name", CHUNKS)
@pytest.mark.parametrize("is_apart", [False, True])
def test_chunks_are_read_to_their_end(attack: Attack, name: str, is_apart: bool) -> None:
    pieces, statuses = CHUNKS[name]
    size = f"{len(attack.smuggled):x}".encode()
    chunks = [each.replace(b"SIZE", size).replace(b"SMUGGLED", attack.smuggled) for each in pieces]
    chunks.insert(0, attack.head("Transfer-Encoding: chunked"))
    attack.expect(statuses, *(chunks if is_apart else [b"".join(chunks)]))


# Heads

HEADS = {
    "underscores": ("X_Forwarded_For: 1\r\nTransfer_Encoding: chunked", 200),
    "blank before a colon": ("X : y", 400),
    "no name": (": y", 400),
    "no colon": ("X", 400),
    "second host": ("Host: x\r\nHost: y", 400),
    "second type": (JSON, 400),
    "fold": ("X: y\r\n z", 400),
    "line feed": ("X: y\nZ: z", 400),
    "carriage return": ("X: y\rZ: z", 400),
    "carriage return at the end": ("X: y\r", 400),
    "NUL": ("X: \0", 400),
    "delete": ("X: \x7f", 400),
    "letters beyond ASCII": ("X: \xe9", 200),
    "letters beyond ASCII in a name": ("X\xe9: y", 400),
    "hundred headers and more": ("\r\n".join(f"X-{n}: y" for n in range(120)), 431),
    "a header of 9 KB": (f"X: {'y' * 9000}", 431),
    "10 KB of headers": ("\r\n".join(f"X-{n}: {'y' * 1000}" for n in range(10)), 200),
    "the second of two tokens": ("Authorization: Bearer x", 401),
    "upgrade": ("Upgrade: h2c\r\nConnection: upgrade, http2-settings", 200),
}


@pytest.mark.parametrize("is_apart", [False, True])
@pytest.mark.parametrize("name", HEADS)
def test_a_head_is_read_or_refused(attack: Attack, name: str, is_apart: bool) -> None:
    line, status = HEADS[name]
    follows = [status, 200] if status in (200, 401) else [status]
    pieces = (attack.head(line), attack.smuggled)
    attack.expect(follows, *(pieces if is_apart else [b"".join(pieces)]))


@pytest.mark.parametrize("size", range(8186, 8200))
def test_a_head_of_about_eight_kilobytes_is_read(attack: Attack, size: int) -> None:
    padding = size - len(attack.head("X: ", "Content-Length: 2"))
    attack.expect([200, 200], attack.head(f"X: {'y' * padding}", "Content-Length: 2") + b"{}", PAGE)


@pytest.mark.parametrize("size", [8191, 8192, 8193, 16_383, 16_384, 16_385])
@pytest.mark.parametrize("kind", ["operation", "page", "page with a body"])
def test_a_request_that_ends_where_a_read_ends_is_one(attack: Attack, kind: str, size: int) -> None:
    if kind == "page":
        first = request("GET /livez", *["X: " + "y" * 1000] * (size // 1100), "X: ")
        first = first.replace(b"X: \r\n", b"X: " + b"y" * (size - len(first)) + b"\r\n")
    else:
        page = request("GET /livez", "Content-Length: 99999")
        head = attack.head("Content-Length: 99999") if kind == "operation" else page
        length = size - len(head)
        first = head.replace(b"99999", b"%05d" % length) + b"{}".ljust(length)
    assert len(first) == size
    attack.expect([200, 200, 200], first + attack.smuggled + PAGE)


LINES = {
    "absolute": ("POST http://127.0.0.1PATH HTTP/1.1", 200),
    "absolute elsewhere": ("POST http://evil.examplePATH HTTP/1.1", 200),
    "escaped": ("POST /%61pi/boards/main/items/TAG/%74ake HTTP/1.1", 200),
    "escaped slash": ("POST /api/boards/main%2Fitems/TAG/take HTTP/1.1", 200),
    "fragment": ("POST PATH#x HTTP/1.1", 200),
    "1.0": ("POST PATH HTTP/1.0", 200),
    "two slashes": ("POST /PATH HTTP/1.1", 200),
    "two slashes within": ("POST /api//boards/main/items/TAG/take HTTP/1.1", 404),
    "slash after": ("POST PATH/ HTTP/1.1", 200),
    "dots": ("POST /api/boards/../boards/main/items/TAG/take HTTP/1.1", 404),
    "dots as a tag": ("POST /api/boards/main/items/../take HTTP/1.1", 400),
    "parameter": ("POST PATH;x HTTP/1.1", 404),
    "parameter of the tag": ("POST /api/boards/main/items/TAG;x/take HTTP/1.1", 400),
    "escaped end": ("POST PATH%0a HTTP/1.1", 404),
    "escaped NUL": ("POST PATH%00 HTTP/1.1", 404),
    "other letters": ("POST /API/boards/main/items/TAG/take HTTP/1.1", 404),
    "other method": ("PUT PATH HTTP/1.1", 405),
    "get": ("GET PATH HTTP/1.1", 405),
    "small letters": ("post PATH HTTP/1.1", 400),
    "small protocol": ("POST PATH http/1.1", 400),
    "no protocol": ("POST PATH", 400),
    "no slash": ("POST x HTTP/1.1", 400),
    "star": ("POST * HTTP/1.1", 400),
    "two blanks": ("POST  PATH HTTP/1.1", 400),
    "blank at the end": ("POST PATH HTTP/1.1 ", 400),
    "blank at the beginning": (" POST PATH HTTP/1.1", 400),
    "tabs": ("POST\tPATH\tHTTP/1.1", 400),
    "NUL": ("POST PATH\0 HTTP/1.1", 400),
    "letters beyond ASCII": ("POST PATH\xe9 HTTP/1.1", 400),
    "line feed": ("POST PATH HTTP/1.1\nX: y", 400),
    "carriage return": ("POST PATH HTTP/1.1\rX: y", 400),
    "empty line first": ("\r\nPOST PATH HTTP/1.1", 200),
    "empty lines first": ("\r\n\r\nPOST PATH HTTP/1.1", 400),
    "HTTP/2 preface": ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
}


@pytest.mark.parametrize("is_apart", [False, True])
@pytest.mark.parametrize("name", LINES)
def test_a_request_line_is_read_or_refused(attack: Attack, name: str, is_apart: bool) -> None:
    line, status = LINES[name]
    path = f"/api/boards/main/items/{attack.open}/take"
    first = line.replace("PATH", path).replace("TAG", attack.open)
    goes_on = status in (200, 404, 405) or "tag" in name
    follows = [status, 200] if goes_on and name != "1.0" else [status]
    pieces = (attack.head(first=first), attack.smuggled)
    attack.expect(follows, *(pieces if is_apart else [b"".join(pieces)]))


@pytest.mark.parametrize("value", ["close", "Close", "CLOSE"])
def test_nothing_after_a_request_that_closes_is_answered(attack: Attack, value: str) -> None:
    answers = attack.expect([200], attack.head(f"Connection: {value}") + attack.smuggled)
    assert answers[0].get("Connection") == "close"


@pytest.mark.parametrize("value", ["close", "Close", "CLOSE"])
def test_a_lone_request_that_closes_is_answered_and_closed(attack: Attack, value: str) -> None:
    """Alone in its packet, and from a client that keeps its own side open, as real clients do."""
    with Wire(attack.paths.deployment.port) as wire:
        wire.send(attack.head(f"Connection: {value}"))
        (answer,) = wire.answers()
    assert (answer.status, answer.get("Connection")) == (200, "close")
    assert attack.paths.is_taken(attack.open)


def test_line_feeds_alone_end_no_head(attack: Attack) -> None:
    attack.expect([400], attack.take.replace(b"\r\n", b"\n"))
    attack.expect([400], attack.take.replace(b"\r\n\r\n", b"\r\n\n") + attack.smuggled)
    attack.expect([], attack.take.removesuffix(b"\r\n"))


def test_a_head_in_two_packets_is_one_wherever_it_is_cut(paths: BothPaths) -> None:
    tag = paths.item("held")
    data = paths.take(tag, JSON, body=b"{}")
    with Wire(paths.deployment.port) as wire:
        before = paths.operations()
        for cut in range(1, len(data)):
            wire.send_apart(data[:cut], data[cut:])
            assert wire.answer().code == "unchanged"
        assert paths.operations() - before == len(data) - 1
        wire.end()
        assert wire.answers() == []
