"""Page tokens: altered, cut short, taken to another board or filter.

A case is lines, each a query: of the items of the board ``a`` or ``b``, or of an item's history
(``h``). Whatever the token, the answer is a refusal, or a part in order of what the query selects,
beginning where the token says: never an item of another board, of another state or holder, and
never an event of another item.
"""

from __future__ import annotations

import base64
import binascii
import functools
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

from hypothesis import strategies as st

from occupancy.boards.commands import Command
from occupancy.core.entities import STATES, Person
from occupancy.core.errors import BoardNotFound
from occupancy.core.transitions import PUT, TRANSITIONS
from proof.fuzz.answers import Answer, Violation
from proof.fuzz.http_parts import request, shown
from proof.fuzz.twins import Twins
from proof.fuzz.way import Way

_SIZES = {"a": 20, "b": 520}  # items; a board of 500 is read in another way
_AT_ONCE = 40
_HISTORY_TAG, _HISTORY_LENGTH = "a-001", 9
_LINE = re.compile(rb"([abh]) ([!\"$-~]{0,600})")
_MOST_LINES = 4
_TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}")
_ID = re.compile(r"[1-9][0-9]{0,18}-[0-9]{1,19}")
_KNOWN_ID = "@id@"  # the token of an event's id
_WORKER, _SUPERVISOR = Person("worker", "Worker"), Person("supervisor", "Supervisor")


def _token(last: str) -> str:
    return base64.urlsafe_b64encode(last.encode()).decode().rstrip("=")


_LASTS = (
    "a-003", "a-019", "b-003", "b-519", "a", "z", "A", "a-003\n", "worker|a-003", "occupied|a-003",
    "a-003|", "(a-003", "[", "+", "-", "\0", "a-003\0b-003", "é", "x" * 64, "x" * 65, "", "a b",
    "0-0", "1-0", "9999999999999999999-1", "1763838000123-0", "18446744073709551616-0", "}", "{",
    "1-18446744073709551616", "9223372036854775807-9999999999999999999", "b-000", "a-000", "..",
)  # fmt: skip
_PAGES = st.one_of(
    st.sampled_from(_LASTS).map(_token),
    st.sampled_from(_LASTS).map(_token).flatmap(
        lambda token: st.one_of(
            st.integers(0, len(token)).map(lambda length: token[:length]),
            st.integers(0, len(token)).map(lambda at: f"{token[:at]}%0a{token[at:]}"),
            st.sampled_from(("=", "==", "A", "AA", "%20", "+", "/", "!", ".", "%c3%a9", "%00", "&"))
            .map(lambda end: token + end),
            st.just(token.swapcase()), st.just(token + token),
        )
    ),
    st.sampled_from(("", "x", "%ff", "null", _KNOWN_ID, "W10", "=", "====", "-_-_", "%3d", "AAAA")),
)  # fmt: skip
_FILTERS = st.lists(
    st.sampled_from((
        "state=occupied", "state=available", "state=blocked", "state=paused", "holder=worker",
        "holder=observer", "q=3", "limit=1", "limit=3", "limit=500", "limit=10000", "limit=0",
        "state=x", "holder=worker|", "state=", "q=", "limit=3", "limit=3", "holder=work", "x=y",
    )),
    max_size=3,
)  # fmt: skip


@st.composite
def cases(draw: st.DrawFn) -> bytes:
    """Up to three queries with a token."""
    made = []
    for _ in range(draw(st.integers(1, 3))):
        parts = [f"page={draw(_PAGES)}", *draw(_FILTERS)]
        made.append(f"{draw(st.sampled_from('aabbh'))} {'&'.join(draw(st.permutations(parts)))}")
    return "\n".join(made).encode()


def check_on(twins: Twins) -> Callable[[bytes], None]:
    for way in twins.ways:
        try:
            way.services.store.log.head("pages-a")
        except BoardNotFound:
            for letter in _SIZES:
                _fill(way, letter)
    return functools.partial(_check, twins)


def _tags(letter: str) -> list[str]:
    return [f"{letter}-{number:03}" for number in range(_SIZES[letter])]


def _state(tag: str) -> str:
    """The state in which an item stands; ``worker`` holds those that are occupied."""
    number = int(tag[2:])
    return "occupied" if number % 3 == 0 else "blocked" if number % 5 == 0 else "available"


def _fill(way: Way, letter: str) -> None:
    store, board = way.services.store, f"pages-{letter}"
    store.boards.create(board)
    tags = _tags(letter)
    for first in range(0, len(tags), _AT_ONCE):
        some = tags[first : first + _AT_ONCE]
        taken = [each for each in some if _state(each) == "occupied"]
        blocked = [each for each in some if _state(each) == "blocked"]
        execute = store.commands.execute
        execute(Command(board, PUT, some, _SUPERVISOR, items=[{} for _ in some]))
        execute(Command(board, TRANSITIONS["take"], taken, _WORKER))
        if blocked:
            execute(Command(board, TRANSITIONS["block"], blocked, _SUPERVISOR, reason="broken"))
    if letter == "a":
        for number in range(_HISTORY_LENGTH - 1):
            operation = TRANSITIONS["release" if number % 2 else "take"]
            store.commands.execute(Command(board, operation, [_HISTORY_TAG], _WORKER))


def _check(twins: Twins, case: bytes) -> None:
    lines = [found for line in case.split(b"\n") if (found := _LINE.fullmatch(line))]
    for found in lines[:_MOST_LINES]:
        kind, query = found[1].decode(), found[2].decode()
        if kind == "h":
            path = f"/api/boards/pages-a/items/{_HISTORY_TAG}/history"
            judge = _judge_history
        else:
            path, judge = f"/api/boards/pages-{kind}/items", functools.partial(_judge, kind)
        with twins.case():
            for way in twins.ways:
                sent = query
                if _KNOWN_ID in query:
                    queries = way.services.store.queries
                    _, token = queries.history("pages-a", _HISTORY_TAG, limit=2)
                    sent = query.replace(_KNOWN_ID, token or "")
                line = f"GET {path}?{sent}"
                answers = twins.answers(way, [request(line, shown("observer"))])
                if len(answers) != 1 or answers[0].status not in (200, 400):
                    raise Violation(f"{line}: {answers}")
                asked = dict(reversed(parse_qsl(sent, keep_blank_values=True, errors="replace")))
                judge(asked, answers[0])


def _judge(letter: str, asked: dict[str, str], answer: Answer) -> None:
    """Compare a page of items with what the query selects."""
    state, holder = asked.get("state"), asked.get("holder")
    start = _start(asked, _TAG)
    must_be_answered = (
        start is not None and asked.keys() <= {"state", "holder", "limit", "page"}
        and state in (None, *STATES) and (holder is None or holder.isalnum())
        and _limit(asked, 10_000) is not None
    )  # fmt: skip
    if answer.status == 400:
        if must_be_answered:
            raise Violation(f"{asked}: {answer}")
        return
    selected = [
        tag for tag in _tags(letter)
        if state in (None, _state(tag))
        and (holder is None or (holder == "worker" and _state(tag) == "occupied"))
    ]  # fmt: skip
    told = answer.json
    tags = [each["tag"] for each in told["items"]]
    if "q" in asked:
        is_right = set(tags) <= set(selected) and tags == sorted(set(tags))
    else:
        is_right = _is_part(tags, selected, start, _limit(asked, 10_000), told["next"])
    if not is_right:
        raise Violation(f"{asked}: {tags[:20]}, next {told['next']}")


def _judge_history(asked: dict[str, str], answer: Answer) -> None:
    """Compare a page of history with the item's events: their versions fall to 1."""
    start = _start(asked, _ID)
    if answer.status == 400:
        is_right = start is None or not asked.keys() <= {"limit", "page"} or (
            _limit(asked, 10_000) is None)  # fmt: skip
    else:
        events = answer.json["history"]
        versions = [each["item"]["version"] for each in events]
        is_right = {each["item"]["tag"] for each in events} <= {_HISTORY_TAG} and (
            not versions or versions == list(range(versions[0], versions[-1] - 1, -1))
        )
    if not is_right:
        raise Violation(f"{asked}: {answer}")


def _is_part(
    tags: list[str], selected: list[str], start: str | None, limit: int | None, following: Any
) -> bool:
    """Whether ``tags`` are the page of ``selected`` after ``start``; after any, without it."""
    if start is None:  # not a token of ours, but it can be read
        return not tags or any(selected[at : at + len(tags)] == tags for at in range(len(selected)))
    after = [tag for tag in selected if tag > start]
    return tags == after[:limit] and (following is not None) == (len(after) > len(tags))


def _start(asked: dict[str, str], pattern: re.Pattern[str]) -> str | None:
    """Where the page begins; '' at the first item, None if the token is not one of ours."""
    token = asked.get("page", "")
    try:
        start = base64.b64decode(token + "=" * (-len(token) % 4), b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        return None
    if token and (_token(start) != token or not pattern.fullmatch(start)):
        return None
    return start


def _limit(asked: dict[str, str], most: int) -> int | None:
    """The limit that is asked for; None if it is no number up to ``most``."""
    text = asked.get("limit", str(most))
    is_number = re.fullmatch(r"[0-9]{1,9}", text) and 1 <= int(text) <= most
    return int(text) if is_number else None
