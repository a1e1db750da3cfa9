"""Headers of proxies that a client sends itself, behind as many proxies as are declared.

A case is lines of headers. The proxies pass on what the client has sent and add what they know, to
the same line or as a line of its own. Whatever the client sends, the service must see the address
that the outermost proxy has seen, and the scheme and host of the nearest.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from unittest import mock

from hypothesis import strategies as st

from proof.fuzz.answers import Violation
from proof.fuzz.http_parts import CSRF_HEADER, ITEM, SESSION, request
from proof.fuzz.twins import Twins
from proof.fuzz.way import Way

_FOR, _PROTO, _HOST = "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host"
_NAMES = (
    _FOR, _FOR, _PROTO, _HOST, "Forwarded", "X-Real-IP", "X-Forwarded-Port", "X-Forwarded-Ssl",
    "X-Forwarded-Prefix", "X-Forwarded-Server", "X_Forwarded_For", "x-forwarded-for", "X-Scheme",
    "X_Forwarded_Proto", "Front-End-Https", "X-Forwarded-Protocol", "True-Client-IP", "Via",
    "CF-Connecting-IP", "X-Client-IP", "X-Url-Scheme", "Remote-Addr", "X-Forwarded-Scheme",
)  # fmt: skip
_PASSED_ON = {each.lower() for each in _NAMES}
_LINE = re.compile(rb"([A-Za-z_-]+):([\t\x20-\x7e\x80-\xff]{0,400})")
_MOST_LINES = 10
_TEXTS = (
    "198.51.100.9", "198.51.100.9, 198.51.100.8", "127.0.0.1", "::1", "[2001:db8::9]:80",
    "198.51.100.9:80", '"198.51.100.9', '198.51.100.9"', '"', '""', '"\\', "\\", ",", ", ,", "",
    " ", "\t", "unknown", "_hidden", "http", "https", "HTTPS", "wss", "ws", "https, http", "on",
    "https,", '"https', "ftp", "evil.example", "evil.example, x", "evil.example:443", "[::1", "1",
    'for=198.51.100.9;proto=https;host=evil.example', 'for="[2001:db8::9]"', "x" * 400, "443",
    "fe80::1%eth0", "0.0.0.0", "198.51.100.9 ", "198.51.100.9;", "198.51.100.9\xa0", "\xff", "/x",
    "a, " * 120, '", "', "'", "198.51.100.9 198.51.100.8", "\\\"", "%2c", "127.0.0.1, 127.0.0.1",
)  # fmt: skip

# What the proxies add, by their number: addresses, scheme, host.
_ADDED: dict[int, tuple[tuple[str, ...], str, str]] = {
    0: ((), "http", "127.0.0.1"),
    1: (("203.0.113.7",), "https", "board.example.com"),
    2: (("203.0.113.7", "10.0.0.2"), "http", "board.example.com:8080"),
}
_FOREIGN = "evil.example"
Headers = list[tuple[str, str]]


@st.composite
def cases(draw: st.DrawFn) -> bytes:
    """Up to five lines of headers."""
    text = st.one_of(
        st.sampled_from(_TEXTS), st.text(st.characters(max_codepoint=0xFF), max_size=20)
    )
    lines = draw(st.lists(st.tuples(st.sampled_from(_NAMES), text), min_size=1, max_size=5))
    return "\r\n".join(f"{name}: {value}" for name, value in lines).encode("latin-1")


def check_on(twins: Twins) -> Callable[[bytes], None]:
    return functools.partial(_check, twins)


def _check(twins: Twins, case: bytes) -> None:
    sent = _headers(case)
    for proxies in _ADDED:
        for is_joined in (True, False) if proxies else (True,):
            of_number = twins.variant(proxies=proxies) if proxies else twins
            with of_number.case():
                _send(of_number, proxies, _passed_on(sent, proxies, is_joined=is_joined))


def _headers(case: bytes) -> Headers:
    """The lines of ``case`` that a proxy would take for headers."""
    found = [_LINE.fullmatch(line) for line in case.split(b"\r\n")]
    return [
        (each[1].decode(), each[2].decode("latin-1"))
        for each in found if each and each[1].decode().lower() in _PASSED_ON
    ][:_MOST_LINES]  # fmt: skip


def _passed_on(headers: Headers, proxies: int, *, is_joined: bool) -> Headers:
    """``headers`` after the proxies, which add to the client's line, or lines of their own."""
    if not proxies:
        return headers
    addresses, scheme, host = _ADDED[proxies]
    for name, values in ((_FOR, addresses), (_PROTO, (scheme,)), (_HOST, (host,))):
        added = list(values)
        if is_joined:
            own = [text for each, text in headers if each.lower() == name.lower()]
            headers = [each for each in headers if each[0].lower() != name.lower()]
            added = [", ".join([*own, *values])]
        headers = [*headers, *((name, each) for each in added)]
    return headers


def _send(twins: Twins, proxies: int, headers: Headers) -> None:
    addresses, scheme, host = _ADDED[proxies]
    lines = [f"{name}: {text}" for name, text in headers]
    # Over HTTPS the cookie has another name, and only a page of the same host may send it.
    secure = SESSION.replace(" ", " __Host-", 1)
    right, wrong = (secure, SESSION) if scheme == "https" else (SESSION, secure)
    pieces = [
        request(f"POST {ITEM}/take", *lines, cookie, CSRF_HEADER, f"Origin: {scheme}://{origin}")
        for cookie, origin in ((right, host), (wrong, host), (right, _FOREIGN))
    ]
    with _addresses(twins.fast) as of_fast, _addresses(twins.slow) as of_slow:
        fast, _ = twins.compared(pieces)
    found = [each.status for each in fast]
    if found != [200, 401, 403]:
        raise Violation(f"{proxies} proxies: {found}, not {scheme} and {host}: {headers}")
    expected = f"address:{addresses[0] if addresses else '127.0.0.1'}"
    seen = [
        rate.who
        for each in (of_fast, of_slow)
        for call in each.call_args_list
        for rate in call.args[0].rates
        if rate.who.startswith("address:")
    ]
    if seen != [expected, expected]:
        raise Violation(f"{proxies} proxies: {seen}, not {expected}: {headers}")


def _addresses(way: Way) -> mock._patch[mock.MagicMock]:
    """Records the operations, which are counted for their address."""
    commands = way.services.store.commands
    return mock.patch.object(commands, "execute", wraps=commands.execute)
