"""Tickets for streams: altered, used elsewhere, used again.

A case is lines, each a use: the board, the number of an address, and the query. A ticket opens a
stream only on the board and from the address of its first use, and one of a token for one board
opens none on another. Whatever is not the ticket opens nothing, and binds nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import parse_qsl

from hypothesis import strategies as st

from occupancy.core.principal import Principal
from proof.fuzz.answers import EVENTS, Violation
from proof.fuzz.http_parts import API, request
from proof.fuzz.twins import Twins, credential_of
from proof.fuzz.way import Way

# The second and third are one client's: a network of IPv6 counts as one address.
_ADDRESSES = ("203.0.113.7", "2001:db8::1", "2001:db8::2", "2001:db8:0:1::1")
_COUNTED = ("203.0.113.7", "2001:db8::", "2001:db8::", "2001:db8:0:1::")
_BOARDS = {"a": API, "b": "/api/boards/main"}
_USE = re.compile(rb"([ab]) ([0-3]) ([!\"$-~]{0,300})")
_MOST_USES = 5
_ANY, _OF_MAIN = "@ticket@", "@main@"
_QUERIES = (
    "ticket={}", "ticket={}", "ticket={}", "ticket={}&after=0-0", "after=0-1&ticket={}",
    "%74icket={}", "Ticket={}", "ticket={}x", "ticket=x{}", "ticket=+{}", "ticket={}%20",
    "ticket={}%00", "ticket={}%ff", "ticket=%ff", "ticket=", "ticket", "x=y", "",
    "ticket={}&ticket=x", "ticket=x&ticket={}", "ticket={},{}", "ticket=\"{}\"", "ticket={};",
    "ticket={}=", "ticket={}&&", "ticket={}&board=main", "ticket=%ed%a0%80",
    "ticket={}&ticket={}", "ticket[]={}", "ticket={}%0d%0a", "&ticket={}", "ticket=%",
    "ticket={}&lastEventId=x", "ticket=*", "ticket={}%", "xticket={}",
)  # fmt: skip


@st.composite
def _uses(draw: st.DrawFn) -> str:
    board, address = draw(st.sampled_from("aab")), draw(st.integers(0, 3))
    ticket = draw(st.sampled_from((_ANY, _ANY, _ANY, _OF_MAIN)))
    return f"{board} {address} {draw(st.sampled_from(_QUERIES)).replace('{}', ticket)}"


@st.composite
def cases(draw: st.DrawFn) -> bytes:
    """Up to four uses of two tickets."""
    return "\n".join(draw(st.lists(_uses(), min_size=1, max_size=4))).encode()


def check_on(twins: Twins) -> Callable[[bytes], None]:
    behind_a_proxy = twins.variant(proxies=1)
    principals = {
        way: {
            _ANY: _principal(way, None),
            _OF_MAIN: _principal(way, "main"),
        }
        for way in behind_a_proxy.ways
    }

    def check(case: bytes) -> None:
        uses = [found for line in case.split(b"\n") if (found := _USE.fullmatch(line))]
        with behind_a_proxy.case():
            for way in behind_a_proxy.ways:
                _check(behind_a_proxy, way, principals[way], uses[:_MOST_USES])

    return check


def _principal(way: Way, board: str | None) -> Principal:
    secret, _ = way.services.tokens.create("observer", board=board)
    return way.services.authenticator.identify(credential_of(secret))


def _check(
    twins: Twins, way: Way, principals: dict[str, Principal], uses: list[re.Match[bytes]]
) -> None:
    names = {way.services.tickets.create(each): name for name, each in principals.items()}
    bound: dict[str, tuple[str, str]] = {}  # to board and address, by ticket
    for use in uses:
        board, address, query = use[1].decode(), int(use[2]), use[3].decode()
        for ticket, name in names.items():
            query = query.replace(name, ticket)
        found = [text for name, text in parse_qsl(query, keep_blank_values=True, errors="replace")
                 if name == "ticket"]  # fmt: skip
        shown = found[0] if found else ""
        place = (board, _COUNTED[address])
        expected = 401
        if shown in names and bound.setdefault(shown, place) == place:
            expected = 403 if names[shown] == _OF_MAIN and board != "b" else 200
        line = f"GET {_BOARDS[board]}/events?{query}"
        sent = request(line, f"X-Forwarded-For: {_ADDRESSES[address]}")
        answers = twins.answers(way, [sent])
        if [each.status for each in answers] != [expected]:
            raise Violation(f"{use[0]!r} after {bound}: {answers}, not {expected}")
        if (answers[0].kind == EVENTS) != (expected == 200):
            raise Violation(f"{use[0]!r}: {answers}")
