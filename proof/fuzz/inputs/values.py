"""Well-formed requests with odd values: cursors, page tokens, keys, conditions, cookies."""

from __future__ import annotations

from urllib.parse import quote_from_bytes

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from proof.fuzz.corpus import CUT
from proof.fuzz.http_parts import (
    API,
    CSRF_HEADER,
    FOLLOWING,
    ITEM,
    SESSION,
    mostly,
    request,
    shown,
)
from proof.fuzz.twins import COOKIE, CSRF, CURSOR

# Texts of a header as they may come over the wire: Latin-1 without what ends a line or is refused.
_LATIN = st.text(
    st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=30
)
_ASCII = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=30)
_NUMBER = st.one_of(
    st.integers(-2, 20).map(str),
    st.integers(0, 70).map(lambda power: str(2**power)),
    st.sampled_from(("1e3", "0x1", "١", "²", "+1", " 1", "1_0", "00", "1.0", "NaN", "")),
)
_cursor = CURSOR.decode()
_CURSORS = st.one_of(
    st.sampled_from((
        _cursor, _cursor, "0-0", "0", "-", "+", "$", "(0-0",
        "18446744073709551615-18446744073709551615",
        "18446744073709551616-0", f"{_cursor}x", f" {_cursor} ", f"{_cursor},{_cursor}", "--",
        "1-1-1",
        "0-1\\r\\nid: x", "null", "undefined", "x" * 4000,
    )),
    st.builds("{}-{}".format, _NUMBER, _NUMBER),
    _ASCII,
)  # fmt: skip
_TAGS = st.one_of(
    st.sampled_from(('"1"', '"2"', "*", 'W/"1"', '"1-gzip"', '"', '""', '"1', "1", ", ,", '"1","2"',
                     'W/', '"1"-gzip', '"a"b"', f'"{_cursor}"', '"\xe9"', '"1" "2"', '"1",,"2"',
                     "," * 3000, '"x",' * 1000 + '"1"', '"1";gzip;gzip', " * ")),
    _NUMBER.map('"{}"'.format),
    _LATIN,
)  # fmt: skip
_KEYS = st.one_of(
    st.sampled_from(("T-000000-a", "", "k" * 255, "k" * 256, "a b", "\t", "{}", "a|b", "%00")),
    _LATIN,
)
_secret = COOKIE.decode()
_COOKIES = st.one_of(
    st.sampled_from((
        _secret, f"a=b; {_secret}", f"{_secret}; {_secret}", f'"{_secret}"', f"{_secret};", "=",
        ";",
        f"={_secret}", f"occupancy={_secret}", f"__Host-{_secret}", f"{_secret}x", "occupancy=",
        f"a={'b' * 5000}; {_secret}", f'a="b;c"; {_secret}', f"a=\\073 {_secret}", f"{_secret},x=y",
        "lang=xx", "occupancy-language=<script>", "occupancy_language=es",
    )),
    _LATIN,
)  # fmt: skip
_CSRFS = st.one_of(
    st.sampled_from((CSRF.decode(), f"{CSRF.decode()}x", "", "null", "\xe9")), _LATIN
)
_LISTS = st.one_of(
    st.sampled_from((
        "gzip", "gzip;q=0", "gzip;q=1e9", "*;q=0", "*", "identity;q=0", "br, gzip", "gzip;q=", ",",
        "GZIP", "gzip; q=0.000", "x-gzip", "gzip;q=-1", "gzip;q=nan", "es", "es-MX,es;q=0.9",
        "de;q=x",
        "*;q=nan", "es;q=inf", "a" * 5000, "en;q=0," * 500, "es;" * 900, "gzip;q=0;q=1", "<b>",
    )),
    _LATIN,
)  # fmt: skip
_HOSTS = st.one_of(
    st.sampled_from(
        ("a", "a:80", "[::1]", "[::1", "a:99999", "a@b", "<b>", "", "a_b", "\xe9", "a/b")
    ),
    _LATIN,
)
_ORIGINS = st.one_of(
    st.sampled_from(("http://127.0.0.1", "null", "http://[::1", "http://evil.example", "", "x:",
    "//",
                     "http://127.0.0.1:80", "HTTP://127.0.0.1", "http://a@127.0.0.1",
                     "http://127.0.0.1/x")),
    _LATIN,
)  # fmt: skip
_VALUES: dict[str, SearchStrategy[str]] = {
    "Last-Event-ID": _CURSORS, "If-Match": _TAGS, "If-None-Match": _TAGS, "Idempotency-Key": _KEYS,
    "X-CSRF-Token": _CSRFS, "Accept-Encoding": _LISTS, "Accept-Language": _LISTS, "Accept": _LISTS,
    "Origin": _ORIGINS, "Sec-Fetch-Site": _ORIGINS, "Referer": _ORIGINS, "Cookie": _COOKIES,
    "Authorization": st.one_of(_LATIN, st.sampled_from((shown("worker")[15:], "Bearer  x",
    "bearer"))),
    "X-Forwarded-For": _HOSTS, "X-Forwarded-Proto": _LATIN, "X-Forwarded-Host": _HOSTS,
    "Content-Type": _LATIN, "Access-Control-Request-Method": _LATIN, "User-Agent": _LATIN,
    "If-Modified-Since": _LATIN, "Range": _LATIN, "X-HTTP-Method-Override": _LATIN,
}  # fmt: skip


def _quoted(text: str) -> str:
    return quote_from_bytes(text.encode(), safe=":@-._~!$'()*,;/?<>\"" if "\\" in text else "@-._~")


_ANY_QUERY = st.one_of(_CURSORS, _NUMBER, st.text(max_size=20), st.sampled_from(("<b>", "%", "é")))
_QUERIES: dict[str, tuple[str, ...]] = {
    f"{API}/events": ("after", "lastEventId", "Last-Event-ID", "ticket", "x"),
    f"{API}/items": ("state", "holder", "q", "limit", "page", "x"),
    f"{ITEM}/history": ("limit", "page"),
    f"{API}/timeline": ("hours",),
    "/api/boards": ("x",), "/boards": ("x",), "/sign-in": ("x",), f"/boards/{ITEM[12:18]}": ("x",),
    ITEM: ("x",), "/livez": ("x",), "/api/session": ("x",),
}  # fmt: skip
_POSTS = (f"{ITEM}/take", f"{ITEM}/pause", f"{ITEM}/block", f"{API}/batch")


@st.composite
def _requests(draw: st.DrawFn) -> bytes:
    if draw(st.integers(0, 2)) == 0:
        line = f"POST {draw(st.sampled_from(_POSTS))}"
    else:
        path = draw(st.sampled_from(sorted(_QUERIES)))
        given = draw(st.lists(st.tuples(st.sampled_from(_QUERIES[path]), _ANY_QUERY), max_size=2))
        escape = draw(st.booleans())
        query = "&".join(f"{name}={_escaped(text, is_escaped=escape)}" for name, text in given)
        line = f"GET {path}{'?' if query else ''}{query}"
    names = draw(st.lists(st.sampled_from(sorted(_VALUES)), max_size=3, unique=True))
    headers = [f"{name}: {draw(_VALUES[name])}" for name in names]
    shows = draw(
        mostly(st.just(shown("worker")), st.sampled_from((SESSION, shown("observer"), "X: y")))
    )
    if shows.partition(":")[0] not in names:
        headers.append(shows)
    if shows == SESSION and "X-CSRF-Token" not in names:
        headers.append(CSRF_HEADER)
    return request(line, *headers)


def _escaped(text: str, *, is_escaped: bool) -> str:
    """``text`` in a query: plain where that may be, as the fast path reads it."""
    is_plain = text.isascii() and text.isprintable() and not set(text) & set(' "<>\\^`{|}#&+%')
    if is_plain and not is_escaped:
        return text
    return quote_from_bytes(text.encode(errors="replace"), safe="@-._~")


@st.composite
def cases(draw: st.DrawFn) -> bytes:
    """Up to two requests, and the one that follows."""
    made = draw(st.lists(_requests(), min_size=1, max_size=2))
    # In packets of their own: the fast path takes a request only if nothing follows it.
    return draw(st.sampled_from((CUT, CUT, b""))).join([*made, FOLLOWING])
