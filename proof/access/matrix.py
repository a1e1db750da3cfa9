"""Route × method × role × state of the credential: each request, and what must become of it."""

from __future__ import annotations

import collections
import random
from collections.abc import Callable, Iterator
from typing import NamedTuple

from proof.access.calls import Answer, Calls, Sender
from proof.access.credentials import Credential
from proof.access.expected import EVENTS, METHODS, PATHS, ROLES, ROUTES, is_let_in, right_outcomes
from proof.access.site import BOARD, Site
from proof.access.states import STATES, Credentials
from tests.support.waiting import wait_until

PROMISED_S = 5.0  # until revoked access has ended on each process
_ITEMS = "/api/boards/{board}/items"
_NOT_FAST = {"TE": "trailers"}  # gunicorn and Flask answer what has it
# After these a session is another one, or none.
_SPENDING = ("POST /api/session", "DELETE /api/session", "PUT /api/session/pin",
             "POST /api/session/confirm")  # fmt: skip
_WORTH_MOST = ("token", "session")  # these are sent with each role to each route


class Case(NamedTuple):
    """One request: ``is_fast`` may be answered without Flask."""

    method: str
    path: str
    is_fast: bool


class Matrix:
    """Sends the requests, and notes what was let in or refused by mistake."""

    def __init__(self, site: Site, *, seed: int, is_full: bool) -> None:
        self._chance, self._is_full = random.Random(f"matrix {seed}"), is_full
        self._sender = Sender(site.port)
        self._calls = Calls(site, self._sender)
        self._credentials = Credentials(site, self._sender)
        self.violations: list[str] = []
        self.let_in: collections.Counter[str] = collections.Counter()  # by row
        self.refused: collections.Counter[str] = collections.Counter()  # by state

    def run(self, states: list[str] | None = None) -> None:
        """Send every request of each state; ``violations`` has what came out otherwise."""
        try:
            for number, state in enumerate(STATES):
                for role in ROLES if states is None or state in states else ():
                    self._send_all(state, role, list(self._cases(state, role, number)))
            self.violations += self._calls.changes()
        finally:
            self._sender.close()

    def _cases(self, state: str, role: str, state_number: int) -> Iterator[Case]:
        """Those of one state and role; together all pairs, and every triple with the routes."""
        for number, (method, path) in enumerate((m, p) for p in PATHS for m in METHODS):
            row = f"{'GET' if method == 'HEAD' else method} {path}"
            turn = (number + state_number) % len(ROLES) == ROLES.index(role)
            if row in ROUTES:
                is_chosen = turn or state in _WORTH_MOST
            else:
                is_chosen = turn and number % len(STATES) == state_number
            if self._is_full or is_chosen:
                for is_fast in (True, False) if _has_two_ways(method, path) else (True,):
                    yield Case(method, path, is_fast)

    def _send_all(self, state: str, role: str, cases: list[Case]) -> None:
        self._chance.shuffle(cases)
        credential = self._ready(state, role)
        for case in cases:
            right = right_outcomes(case.method, case.path, BOARD, credential.holds)
            must_be = right[0]
            row = f"{'GET' if case.method == 'HEAD' else case.method} {case.path}"
            found = self._send(case, row, credential, is_let_in=is_let_in(must_be))
            if case.method == "HEAD" and must_be[1]:
                found = (found[0], must_be[1])  # without a body there is no code
            if must_be in ((400, ""), (409, "")):
                found = (found[0], "")  # let in, and refused for what it has or found
            if found not in right:
                self.violations.append(
                    f"{state}, {role}, {case.method} {case.path}"
                    f"{'' if case.is_fast else ' (not fast)'}: {found} instead of {must_be}"
                )
            elif not is_let_in(must_be):
                self.refused[state] += 1
            elif case.method != "OPTIONS":
                self.let_in[row] += 1
            if row in _SPENDING and case.method != "OPTIONS" and credential.holds.is_cookie:
                credential = self._ready(state, role)

    def _send(
        self, case: Case, row: str, credential: Credential, *, is_let_in: bool
    ) -> tuple[int, str]:
        make: Callable[[], tuple[str, object]] = (
            (lambda: self._calls.let_in(row, credential.worker))
            if is_let_in and row in ROUTES and _needs_preparation(case.method, row)
            else (lambda: self._calls.refused(row))
        )
        path, body = make()
        headers = {**credential.headers(), **({} if case.is_fast else _NOT_FAST)}
        if case.method in ("GET", "HEAD", "OPTIONS", "TRACE"):
            body = None
        if row != "POST /api/session":  # which takes no query
            path += credential.query
        answer = self._sender.send(case.method, path, headers, body, source=credential.source)
        return answer.status, answer.code

    def _ready(self, state: str, role: str) -> Credential:
        """A credential in that state, which each process had remembered as it was before."""
        made = self._credentials.make(state, role)
        if made.end is None:
            return made
        if made.ends_silently and not self._is_full:
            made.end()  # without waiting until it is forgotten
            return made
        assert made.before is not None
        for number in self._sender.each_connection():
            answer = self._who(made, number)
            assert self._role_of(answer) == made.before.role, (state, role, answer)
        made.end()

        def has_ended() -> bool:
            return all(
                self._role_of(self._who(made, number)) == made.holds.role
                for number in self._sender.each_connection()
            )

        wait_until(has_ended, timeout_s=PROMISED_S, what=f"the end of {state}, {role}")
        return made

    def _who(self, credential: Credential, connection: int) -> Answer:
        return self._sender.send(
            "GET", "/api/session", credential.variants[0], connection=connection
        )

    @staticmethod
    def _role_of(answer: Answer) -> str | None:
        return answer.body["worker"]["role"] if answer.status == 200 else None


def _needs_preparation(method: str, row: str) -> bool:
    """Whether a request finds what it needs only if that is made for it."""
    has_needs = "{import_id}" in row or row == "GET /api/boards/{board}/labels"
    return method not in ("HEAD", "OPTIONS") or (method == "HEAD" and has_needs)


def _has_two_ways(method: str, path: str) -> bool:
    """Whether two pieces of code answer it: streams, lists of items and operations."""
    return (method == "GET" and path in (EVENTS, _ITEMS)) or (
        method == "POST" and path.startswith(_ITEMS)
    )
