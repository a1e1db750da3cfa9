"""Requests whose syntax is odd: where a head, a body or a request ends, and who reads it.

A case is a request, plain or nearly so, that is edited at up to four places with what request
smuggling is made of, then cut into packets anywhere.
"""

from __future__ import annotations

from hypothesis import strategies as st

from proof.fuzz.corpus import CUT
from proof.fuzz.http_parts import (
    API,
    CSRF_HEADER,
    FOLLOWING,
    ITEM,
    JSON,
    OPERATIONS,
    SESSION,
    cut,
    shown,
)
from proof.fuzz.twins import HIDDEN, OPEN

_METHODS = ("GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "get", "G(T", "")
_PATHS = (
    ITEM, f"{API}/items", f"{API}/events", f"{API}/batch", API, "/livez", "/nowhere", "/boards",
    f"{ITEM}/history", *(f"{ITEM}/{each}" for each in OPERATIONS), f"{ITEM}/takes", "/sign-in",
    f"{ITEM}/take/", f"/{ITEM}/take", f"{API}/items/../take", f"{API}//items/x/take",
    "/%61pi/boards/main", f"{API}%2fitems", f"{ITEM}/take%00", f"{ITEM}/%74ake", "*", "",
    f"http://127.0.0.1{ITEM}/take", f"http://evil.example{ITEM}/take", "http://", "//", "/\\",
    f"{ITEM}/take#x", f"{ITEM}/take;x", "/api/boards/\xe9", "/" + "x" * 5000, "/" + "x" * 9000,
)  # fmt: skip
_QUERIES = ("", "", "?", "?after=0-1", "?x=1", "?limit=1", "?a=%zz", "?after=%00", "?&&=&", "??")
_VERSIONS = (
    "HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/1.2", "HTTP/2.0", "HTTP/0.9", "http/1.1",
    "HTTP/1.1 ", "HTTP/01.1", "", "HTTP/11",
)  # fmt: skip
_ENDS = ("\r\n", "\r\n", "\r\n", "\r\n", "\n", "\r", "\r\r\n", "\n\r\n", "")
_LENGTHS = (
    "LENGTH", "LENGTH", "LENGTH", "0", "1", "00LENGTH", "+LENGTH", "-1", "LENGTH, LENGTH", "0x2",
    " LENGTH ", "LENGTH\t", "99999", "4294967298", "18446744073709551618", "", "2_0", "\xb2",
)  # fmt: skip
_HEADERS = (
    "Transfer-Encoding: chunked", "Transfer-Encoding: Chunked", "Transfer-Encoding: identity",
    "Transfer-Encoding:\tchunked", "Transfer-Encoding: chunked, chunked", "Transfer-Encoding:",
    "Transfer-Encoding: gzip, chunked", "transfer-encoding : chunked", "Transfer_Encoding: chunked",
    "X: y\r\n Content-Length: 3", "X: y\n Z: z", "X: \0", "X: \x7f", "X: \xe9\xff", "X", ": y",
    "Connection: close", "Connection: Close", "Connection: keep-alive", "Connection: keep-alive, x",
    "Connection: upgrade", "Connection: close, keep-alive", "Connection:", "Keep-Alive: timeout=1",
    "Upgrade: h2c", "Expect: 100-continue", "Expect: 100-Continue", "Expect: x", "Expect:",
    "TE: trailers", "Trailer: X", "Host: other", "Host:", "Host: a b", "Host: [::1", "X-Y: z",
    "Content-Type: text/plain", "content-type: Application/JSON; charset=utf-8", "Content-Type:",
    "Content-Encoding: gzip", "Authorization: Basic x", "Authorization: Bearer", "Cookie: a=b",
    "Forwarded: for=x", "X-Forwarded-For: 1.2.3.4", "X-Forwarded-Proto: https", "Date: x",
    "X-HTTP-Method-Override: DELETE", "Range: bytes=0-1", "If-None-Match: *", "Accept: text/html",
    "Accept-Encoding: gzip", "Origin: http://evil.example", "Sec-Fetch-Site: cross-site",
    "X: " + "y" * 7900, "X: " + "y" * 9000, "\r\n".join(f"X{n}: y" for n in range(99)),
    "Last-Event-ID: x", "Idempotency-Key: T-000000-a", 'If-Match: "1"', "Content-Length: 0",
)  # fmt: skip
_CREDENTIALS = (shown("worker"), shown("worker"), shown("supervisor"), SESSION, "X: y")
_PIECES = (
    b"\r\n", b"\n", b"\r", b"\0", b" ", b"\t", b":", b",", b"0\r\n\r\n", b"\r\n\r\n", b"\xff",
    b"1\r\nx\r\n", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", FOLLOWING,
)  # fmt: skip


@st.composite
def _bodies(draw: st.DrawFn) -> bytes:
    kind = draw(st.integers(0, 6))
    if kind <= 1:
        return b"{}"
    if kind == 2:
        return FOLLOWING
    if kind == 3:
        size = draw(st.sampled_from((16_000, 16_384, 65_536, 65_537, 70_000)))
        return b"{}".ljust(size)
    if kind == 4:
        return _chunked(draw)
    if kind == 5:
        return draw(st.binary(max_size=20))
    tags = (b'["%b"]' % OPEN, b'["%b","%b"]' % (OPEN, HIDDEN))
    return b'{"operation":"take","tags":%b}' % draw(st.sampled_from(tags))


def _chunked(draw: st.DrawFn) -> bytes:
    made = b""
    for chunk in draw(st.lists(st.sampled_from((b"{}", b"{", b"}", b" ", FOLLOWING)), max_size=3)):
        size = draw(st.sampled_from((b"%x", b"%X", b"0%x", b"+%x", b" %x", b"%x ", b"0x%x")))
        more = draw(st.sampled_from((b"", b"", b"", b";a=b", b";", b';a="b\r\nc"', b"\n")))
        end = draw(st.sampled_from((b"\r\n", b"\r\n", b"\r\n", b"\n", b"")))
        made += size % len(chunk) + more + b"\r\n" + chunk + end
    last = (
        b"0\r\n\r\n",
        b"0\r\n\r\n",
        b"0\r\n\r\n",
        b"0\r\nX: y\r\n\r\n",
        b"00\r\n\r\n",
        b"0\n\n",
        b"",
    )
    return made + draw(st.sampled_from(last))


@st.composite
def _whole(draw: st.DrawFn) -> bytes:
    """One request, of which each part may be odd."""
    is_plain = draw(st.booleans())
    method = draw(st.sampled_from(_METHODS[:2] if is_plain else _METHODS))
    path = draw(st.sampled_from(_PATHS[:8] if is_plain else _PATHS))
    query = draw(st.sampled_from(_QUERIES))
    version = "HTTP/1.1" if is_plain else draw(st.sampled_from(_VERSIONS))
    body = draw(st.one_of(st.just(b""), _bodies()))
    headers = ["Host: 127.0.0.1", draw(st.sampled_from(_CREDENTIALS))]
    if headers[1] == SESSION:
        headers.append(CSRF_HEADER)
    if body:
        headers += [JSON, f"Content-Length: {draw(st.sampled_from(_LENGTHS))}"]
    headers += draw(st.lists(st.sampled_from(_HEADERS), max_size=2))
    if draw(st.integers(0, 4)) == 0:
        headers.pop(draw(st.integers(0, len(headers) - 1)))
    if draw(st.integers(0, 4)) == 0:
        headers.append(draw(st.sampled_from(headers or ["X: y"])))  # twice
    lines = [f"{method} {path}{query} {version}", *draw(st.permutations(headers))]
    end = "\r\n" if is_plain else draw(st.sampled_from(_ENDS))
    head = "\r\n".join(lines) + end + draw(st.sampled_from(("\r\n", "\r\n", "\r\n", end)))
    return head.replace("LENGTH", str(len(body))).encode("latin-1") + body


@st.composite
def edited(draw: st.DrawFn, data: bytes) -> bytes:
    """``data`` with up to four edits: a piece put in, a span left out, or sent twice."""
    for _ in range(draw(st.integers(0, 4))):
        at, more = draw(st.integers(0, len(data))), draw(st.integers(1, 40))
        kind = draw(st.integers(0, 3))
        if kind == 0:
            data = data[:at] + draw(st.sampled_from(_PIECES)) + data[at:]
        elif kind == 1:
            data = data[:at] + draw(st.binary(max_size=3)) + data[at + 1 :]
        elif kind == 2:
            data = data[:at] + data[at + more :]
        else:
            data = data[:at] + data[at : at + more] + data[at:]
    return data


@st.composite
def cases(draw: st.DrawFn) -> bytes:
    """Up to three requests on one connection, and the one that follows."""
    # In packets of their own: the fast path takes a request only if nothing follows it.
    between = draw(st.sampled_from((CUT, b"")))
    made = between.join(draw(st.lists(_whole(), min_size=1, max_size=3)))
    if draw(st.booleans()):
        made = draw(edited(made))
    made += between + FOLLOWING
    return made if draw(st.booleans()) else draw(cut(made))
