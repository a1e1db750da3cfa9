"""Origins of pages, to a deployment that lists some; and texts of the settings about them.

A case is the text of an Origin header. Only a listed one, exactly as it stands in the list, is
admitted by CORS, and a cookie authenticates no change that a page of another host asks for. The
same text is taken as OCCUPANCY_CORS_ORIGINS and OCCUPANCY_PROXIES: it is refused, or means what it
says.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from urllib.parse import urlsplit

from hypothesis import strategies as st

from occupancy.core.errors import SettingError
from occupancy.core.settings import Settings
from proof.fuzz.answers import Answer, Violation
from proof.fuzz.http_parts import API, CSRF_HEADER, ITEM, SESSION, request, shown
from proof.fuzz.twins import HIDDEN, Twins

LISTED = (
    "https://board.example.com", "http://10.0.0.5:8080", "https://xn--bcher-kva.example",
    "http://[2001:db8::5]:8080",
)  # fmt: skip
_OTHERS = (
    "null", "NULL", "*", "", "http://127.0.0.1", "https://127.0.0.1", "http://127.0.0.1:81",
    "http://evil.example", "https://bücher.example", "https://bo%61rd.example.com", "file://",
    "https://board.example.com.evil.example", "https://evil-board.example.com", "about:blank",
    "https://board.example.com@evil.example", "https://evil.example#https://board.example.com",
    "http://127.0.0.1.evil.example", "http://127.0.0.1@evil.example", "http://127.1", "http://",
    "http://2130706433", "http://[::ffff:127.0.0.1]", "chrome-extension://board.example.com", "//",
    "https://board.example.com\\.evil.example", "http://evil.example\t127.0.0.1", "http://[::1",
    "https://ｂoard.example.com", "https://board。example.com", "0", "1", "10", "11", "-1", "+1",
    "1_0", "١", "01", "1.0", " 1 ", "0x1", ",", "https://*.example.com",
)  # fmt: skip
_ENDS = (".", ":443", ":80", ":8443", ":", "/", "/x", "?", "#", " ", ",", "\t", "\xa0", "\\", ";")
_STARTS = (" ", "\t", "x", "https://", "//", "\xa0", "null ", "http://127.0.0.1,")
# What the check of a cookie's origin takes for a page of this host.
_OURS = re.compile(r"(?is)https?://127\.0\.0\.1(?:[/?#].*)?")
_ALLOWED, _EXPOSED = "access-control-allow-origin", "access-control-expose-headers"
_METHODS, _CREDENTIALS = "access-control-allow-methods", "access-control-allow-credentials"


@st.composite
def cases(draw: st.DrawFn) -> bytes:
    """An origin, mostly one that is nearly a listed one."""
    origin = draw(st.one_of(st.sampled_from(LISTED), st.sampled_from(_OTHERS)))
    kind = draw(st.integers(0, 7))
    if kind == 0:
        origin += draw(st.sampled_from(_ENDS))
    elif kind == 1:
        origin = draw(st.sampled_from(_STARTS)) + origin
    elif kind == 2:
        origin = draw(st.sampled_from((origin.upper(), origin.title(), origin.swapcase())))
    elif kind == 3:
        origin += draw(st.sampled_from((", ", ",", " ", "\t"))) + draw(st.sampled_from(LISTED))
    elif kind == 4:
        at = draw(st.integers(0, len(origin)))
        more = draw(st.text(max_size=2))
        origin = origin[:at] + more + origin[at + draw(st.integers(0, 2)) :]
    return origin.encode(errors="replace")


def check_on(twins: Twins) -> Callable[[bytes], None]:
    return functools.partial(_check, twins.variant(cors_origins=LISTED))


def _check(twins: Twins, case: bytes) -> None:
    text = case.decode(errors="replace")
    _check_list(text)
    _check_number(text)
    header = re.sub(rb"[^\t\x20-\x7e\x80-\xff]", b"", case)[:4000].decode("latin-1")
    sent = f"Origin: {header}"
    api = [
        request(f"GET {ITEM}", sent, shown("observer")),
        request(f"POST {ITEM}/take", sent, shown("worker")),
        request("GET /nowhere", sent),
        request(f"OPTIONS {ITEM}/take", sent, "Access-Control-Request-Method: POST"),
    ]
    other = f"POST {API}/items/{HIDDEN.decode()}/take"
    by_cookie = request(other, sent, SESSION, CSRF_HEADER)
    origin = header.strip(" \t")
    with twins.case():
        fast, _ = twins.compared([*api, by_cookie])
        _check_answers(fast, origin)


def _check_answers(answers: list[Answer], origin: str) -> None:
    is_listed = origin in LISTED
    if len(answers) != 5:
        raise Violation(f"{origin!r}: {len(answers)} answers")
    for each in answers:
        if each.get(_ALLOWED) != (origin if is_listed else "") or each.get(_CREDENTIALS):
            raise Violation(f"{origin!r} is listed: {is_listed}; {each.headers}")
        if (each.get(_EXPOSED) != "") != is_listed or "Origin" not in each.get("vary"):
            raise Violation(f"{origin!r} is listed: {is_listed}; {each.headers}")
    *_, preflight, by_cookie = answers
    if (preflight.status, "POST" in preflight.get(_METHODS)) != (
        (204, True) if is_listed else (200, False)
    ):
        raise Violation(f"{origin!r} is listed: {is_listed}; preflight {preflight}")
    is_ours = _OURS.fullmatch(origin.replace("\t", "")) is not None
    if by_cookie.status != (200 if is_listed or is_ours else 403):
        raise Violation(f"{origin!r}, by a cookie: {by_cookie}")


def _check_list(text: str) -> None:
    """As OCCUPANCY_CORS_ORIGINS the text is refused, or each origin is as browsers send it."""
    try:
        origins = Settings.from_environ({"OCCUPANCY_CORS_ORIGINS": text}).cors_origins
    except SettingError:
        return
    if list(origins) != [each.strip() for each in text.split(",") if each.strip()]:
        raise Violation(f"{text!r} is taken for {origins}")
    for each in origins:
        parts = urlsplit(each)
        is_plain = each.isascii() and each == each.lower() == f"{parts.scheme}://{parts.netloc}"
        is_web = parts.scheme in ("http", "https") and not set(each) & set("@*\\ \t%")
        default_port = {"http": ":80", "https": ":443"}.get(parts.scheme, "")
        if not (is_plain and is_web and parts.netloc) or each.endswith(default_port):
            raise Violation(f"{each!r} is accepted as an origin")


def _check_number(text: str) -> None:
    """As OCCUPANCY_PROXIES the text is refused, or a number from 0 to 10."""
    try:
        proxies = Settings.from_environ({"OCCUPANCY_PROXIES": text}).proxies
    except SettingError:
        return
    if not 0 <= proxies <= 10 or proxies != int(text.strip() or "0"):
        raise Violation(f"OCCUPANCY_PROXIES={text!r} is taken for {proxies}")
