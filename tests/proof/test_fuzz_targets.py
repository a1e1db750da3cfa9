"""Fuzzing, bounded: the kept cases, some new ones of a fixed seed, and that a fault is noticed.

``bin/fuzz`` goes on for as long as one likes. All of this is in one process with real gunicorn
workers; one test has gunicorn as it is deployed.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from occupancy.access.tickets import Tickets
from occupancy.core.principal import Credential
from occupancy.tables.exporter import export_items
from proof.fuzz.answers import Violation, read
from proof.fuzz.corpus import CUT, DIRECTORY, kept
from proof.fuzz.http_parts import FOLLOWING, ITEM, JSON, request, shown
from proof.fuzz.inputs import origins, tables
from proof.fuzz.targets import TARGETS, Finding, fuzz
from proof.fuzz.twins import Twins, twins_on
from tests.support.both_paths import BothPaths
from tests.support.servers import RealServer

pytestmark = pytest.mark.thorough

SEED = 1
NEW_CASES = {
    "requests": 30, "values": 30, "bodies": 30, "tables": 30,
    "spreadsheets": 30, "proxies": 10, "origins": 20, "tickets": 15, "pages": 20,
}  # fmt: skip
TAKE = request(f"POST {ITEM}/take", shown("worker"))


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory, module_server: RealServer) -> Iterator[Twins]:
    directory = tmp_path_factory.mktemp("twins")
    with twins_on(module_server.url, directory, f"t-{secrets.token_hex(6)}") as made:
        yield made


@pytest.mark.parametrize("target", [name for name in TARGETS if name != "tables"])
def test_every_kept_request_is_answered_alike_both_ways(twins: Twins, target: str) -> None:
    assert kept(target)
    check = TARGETS[target].check_on(twins)
    for case in kept(target).values():
        check(case)


@pytest.mark.parametrize("name", kept("tables"))
def test_every_kept_file_is_read_or_refused(name: str) -> None:
    tables.check(kept("tables")[name])


@pytest.mark.parametrize("target", TARGETS)
def test_new_cases_of_a_fixed_seed_find_nothing(twins: Twins, target: str) -> None:
    check = TARGETS[target].check_on(twins)
    assert fuzz(target, check, count=NEW_CASES[target], number=SEED) >= NEW_CASES[target]


def test_each_target_has_kept_cases_and_the_corpus_is_small() -> None:
    assert [target for target in TARGETS if not kept(target)] == []
    assert sum(path.stat().st_size for path in DIRECTORY.rglob("*") if path.is_file()) < 50_000


# The fuzzers can fail


def test_a_plain_request_takes_the_fast_path_of_one_way_only(
    twins: Twins, monkeypatch: pytest.MonkeyPatch
) -> None:
    from occupancy.server.fast.operations import FastOperations

    answered: list[str] = []
    answer = FastOperations.answer

    def noted(self: FastOperations, request: Any) -> bytes | None:
        answered.append(request.path)
        return answer(self, request)

    monkeypatch.setattr(FastOperations, "answer", noted)
    fast, _ = twins.check(TAKE + CUT + FOLLOWING)
    assert [each.status for each in fast] == [200, 200]
    assert len(answered) == 2


def test_a_body_that_is_read_as_a_request_is_found(
    twins: Twins, monkeypatch: pytest.MonkeyPatch
) -> None:
    from occupancy.server.fast import request as fast_request

    parse = fast_request.parse

    def first_only(data: bytes, *rest: Any) -> Any:
        return parse(data.partition(b"\r\n\r\n")[0] + b"\r\n\r\n", *rest)

    monkeypatch.setattr(fast_request, "parse", first_only)
    with pytest.raises(Violation):
        twins.check(TAKE + FOLLOWING)


def test_an_answer_of_another_status_is_found_and_made_small(
    twins: Twins, monkeypatch: pytest.MonkeyPatch
) -> None:
    from occupancy.core import errors

    reply = "occupancy.server.fast.operations.problem_reply"
    monkeypatch.setattr(reply, lambda _error: _problem(errors.NotFound("Not here.")))
    with pytest.raises(Finding) as found:
        fuzz("bodies", twins.check, count=60, number=SEED)
    assert found.value.case.endswith(FOLLOWING)


def _problem(error: Any) -> Any:
    from occupancy.web.io import problem_reply

    return problem_reply(error)


def test_a_table_that_comes_back_otherwise_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    case = b"tag,title\nT-1,One\n"
    tables.check(case)

    def another(items: Any, **options: Any) -> str:
        return export_items(items, **options).replace("One", "Two")

    monkeypatch.setattr(tables, "export_items", another)
    with pytest.raises(Violation, match="exported"):
        tables.check(case)


def test_a_refusal_that_would_control_the_terminal_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from occupancy.core.errors import InvalidRequest

    def refuse(_case: bytes, **_options: Any) -> Any:
        raise InvalidRequest("\x1b[2J")

    monkeypatch.setattr(tables, "read_workers", refuse)
    with pytest.raises(Violation, match="not to be shown"):
        tables.check(b"tag\nT-1\n")


def _allowed(*_: object) -> bool:
    return True


def _as_sent(header: str) -> str:
    return header


def _everything(*_: object) -> None:
    return None


def _from_the_start(*_: object) -> str:
    return ""


@pytest.mark.parametrize(
    ("case", "place", "instead"),
    [
        ("proxies/open-quotes", "web.security.forwarded", _as_sent),
        ("proxies/open-quotes", "server.fast.request.forwarded", _as_sent),
        ("origins/null", "web.security._is_same_origin", _allowed),
        ("pages/large-board-by-state", "boards.snapshot_cache.filter_by", _everything),
        ("pages/large-board-by-state", "boards.snapshot_cache.page_start", _from_the_start),
        ("pages/of-the-other-board", "boards.queries.page_start", _from_the_start),
    ],
)
def test_a_protection_that_is_missing_is_found(
    twins: Twins,
    monkeypatch: pytest.MonkeyPatch,
    case: str,
    place: str,
    instead: Callable[..., object],
) -> None:
    target, _, name = case.partition("/")
    check = TARGETS[target].check_on(twins)
    monkeypatch.setattr(f"occupancy.{place}", instead)
    with pytest.raises(Violation):
        check(kept(target)[name])


def test_an_origin_that_nobody_has_listed_is_found(
    twins: Twins, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = TARGETS["origins"].check_on(twins)
    monkeypatch.setattr(origins, "LISTED", origins.LISTED[1:])
    with pytest.raises(Violation):
        check(kept("origins")["listed"])


@pytest.mark.parametrize(
    ("name", "fixed"),
    [("used-elsewhere", "board"), ("neighbour-of-ipv6", "address")],
)
def test_a_ticket_that_is_bound_to_nothing_is_found(
    twins: Twins, monkeypatch: pytest.MonkeyPatch, name: str, fixed: str
) -> None:
    use = Tickets.use

    def unbound(self: Tickets, secret: str, **place: str) -> Credential:
        return use(self, secret, **{**place, fixed: "any"})

    check = TARGETS["tickets"].check_on(twins)
    monkeypatch.setattr(Tickets, "use", unbound)
    with pytest.raises(Violation):
        check(kept("tickets")[name])


@pytest.mark.parametrize(
    "received",
    [
        b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Injected: y\r\n\r\n",
        b"HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Le",
    ],
)
def test_an_answer_that_must_not_be_is_a_violation(received: bytes) -> None:
    with pytest.raises(Violation):
        read(received)


# Real gunicorn


def test_deployed_gunicorn_answers_a_sample_as_the_twins_do(
    twins: Twins, tmp_path: Path, module_server: RealServer
) -> None:
    paths = BothPaths(tmp_path / "state", module_server.url)
    try:
        paths.store.boards.create("b-9000", steps=("ARM", "SOLD"))
        for number, (name, case) in enumerate(kept("requests").items()):
            if b"/events" in case:
                continue
            for letter in "ab":
                paths.put("b-9000", f"T-9{number:05}-{letter}", "available")
            sent = case.replace(b"b-0000", b"b-9000").replace(b"T-000000", b"T-9%05d" % number)
            token = paths.shows["holder"].partition("Bearer ")[2].encode()
            sent = re.sub(rb"occ_worker_x+", token, sent)
            answers = paths.answers(*sent.split(CUT))
            fast, _ = twins.check(case)
            assert [each.status for each in answers if each.status >= 200] == [
                each.status for each in fast if each.status >= 200
            ], name
    finally:
        paths.stop()


def test_a_refused_body_leaves_the_next_request_whole(twins: Twins) -> None:
    fast, _ = twins.check(
        request(f"POST {ITEM}/take", shown("worker"), JSON, body=b"{") + CUT + FOLLOWING
    )
    assert [each.status for each in fast] == [400, 200]
