"""The same request twice to one deployment: on the fast path, and by gunicorn and Flask."""

from __future__ import annotations

import json
import re
import secrets
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from occupancy.boards.commands import Command
from occupancy.core.entities import Person, Role
from occupancy.core.transitions import PUT, TRANSITIONS
from occupancy.server.fast.request import parse
from tests.support.deployment import Deployment
from tests.support.raw_http import Answer, Wire, request

WAYS = ("plain", "not plain", "in pieces")
HOLDER, SUPERVISOR = Person("holder", "Holder"), Person("supervisor", "Supervisor")
_JSON = "Content-Type: application/json"
_READ_BYTES = 16 * 1024  # what the lane looks at

# The operations that bring an item into a state, and their actors.
HISTORIES: dict[str, list[tuple[str, Person]]] = {
    "missing": [],
    "available": [],
    "held": [("take", HOLDER)],
    "paused": [("take", HOLDER), ("pause", HOLDER)],
    "blocked": [("block", SUPERVISOR)],
    "completed": [("take", HOLDER), ("complete", HOLDER)],
}


@dataclass(frozen=True)
class Case:
    """One request and its expected result: a status, and a code or an operation's result."""

    path: str  # below /api/boards/; TAG is the item's
    expected: tuple[int, str]
    state: str = "available"
    who: str = "holder"
    body: Any = None  # bytes go as they are, and others as JSON
    headers: tuple[str, ...] = ()
    is_typed: bool = True  # a body is said to be JSON
    method: str = "POST"


class Lanes:
    """A deployment with one process, workers, and items to operate on."""

    def __init__(self, state_dir: Path, redis_url: str, *arguments: str, **environ: str) -> None:
        environ = {
            "WEB_CONCURRENCY": "1", "OCCUPANCY_PREFIX": random_name("t"),
            "OCCUPANCY_OPERATIONS_PER_S": "1000", **environ,
        }  # fmt: skip
        self.deployment = Deployment(state_dir, redis_url, *arguments, **environ).start()
        self.services = self.deployment.services()
        self.store = self.services.store
        try:
            self._fill()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        self.deployment.stop(signal.SIGQUIT)  # at once

    def _fill(self) -> None:
        services = self.services
        for board, max_holds in (("north", 0), ("limited", 1), ("still", 0)):
            self.store.boards.create(board, max_holds=max_holds)
        tokens = {}
        for name in ("holder", "colleague", "supervisor", "observer", "disabled"):
            role = {"supervisor": Role.SUPERVISOR, "observer": Role.OBSERVER}.get(name, Role.WORKER)
            services.workers.add(name, name=name.title(), role=role)
            tokens[name], _ = services.tokens.create(name)
        tokens["on main"], _ = services.tokens.create("holder", board="main")
        tokens["on north"], _ = services.tokens.create("holder", board="north")
        tokens["unknown"] = "occ_unknown"
        tokens["revoked"], revoked = services.tokens.create("holder")
        services.tokens.revoke(revoked.id)
        services.workers.edit("disabled", disabled=True)
        self.put("limited", "T-held", "held")
        body = json.dumps({"token": tokens["holder"]}).encode()
        signed_in = self._ask(request("POST /api/session", _JSON, body=body))
        self.csrf = signed_in.json["csrf_token"]
        cookie = (signed_in.get("Set-Cookie") or "").partition(";")[0]
        name, _, secret = cookie.partition("=")
        self.shows = {
            **{name: f"Authorization: Bearer {token}" for name, token in tokens.items()},
            "nobody": "X: y",
            "basic": f"Authorization: Basic {tokens['holder']}",
            "no token": "Authorization: Bearer",
            "small letters": f"authorization: bearer   {tokens['holder']}",
            "token and cookie": f"Cookie: occupancy=x\r\nAuthorization: Bearer {tokens['holder']}",
            "session": f"Cookie: {cookie}",
            "session among cookies": f'Cookie: a=b; {name}="{secret}"; c',
            "secure session": f"Cookie: __Host-{cookie}",
            "empty session": f"Cookie: {name}=",
        }

    def put(self, board: str, tag: str, state: str) -> None:
        """Add an item and bring it to ``state``."""
        if state == "missing":
            return
        self.store.commands.execute(Command(board, PUT, [tag], actor=SUPERVISOR, items=[{}]))
        for operation, person in HISTORIES[state]:
            row = TRANSITIONS[operation]
            reason = "crack found" if row.reason == "required" else None
            self.store.commands.execute(Command(board, row, [tag], actor=person, reason=reason))

    def item(self, state: str = "available", board: str = "main") -> str:
        """The tag of a new item in that state."""
        tag = random_name("T")
        self.put(board, tag, state)
        return tag

    def take(self, tag: str, *headers: str, body: bytes | None = None) -> bytes:
        """The holder's request to take an item, plain unless a header makes a difference."""
        path = f"/api/boards/main/items/{tag}/take"
        return request(f"POST {path}", self.shows["holder"], *headers, body=body)

    def is_taken(self, tag: str) -> bool:
        return b'"state":"occupied"' in self.store.queries.item("main", tag)

    def operations(self) -> int:
        """The number of operations that the process has carried out, or the store has refused."""
        text = self.deployment.metrics()
        counts = re.findall(r"(?m)^occupancy_operations_total\{.*\} ([0-9.]+)$", text)
        return int(sum(float(each) for each in counts))

    def in_each_way(self, case: Case) -> list[tuple[Answer, str]]:
        """The answers to ``case`` by way, each with the tag of its item."""
        answers = []
        board = case.path.partition("/")[0]
        for way in WAYS:
            tag = self.item(case.state, board if board in ("limited", "north") else "main")
            answers.append((self.send(case, tag, way), tag))
        return answers

    def answers(self, *pieces: bytes) -> list[Answer]:
        """All responses to data that is sent in pieces, until the server closes."""
        with Wire(self.deployment.port) as wire:
            wire.send_apart(*pieces)
            wire.end()
            return wire.answers()

    def send(self, case: Case, tag: str, way: str) -> Answer:
        data = self._bytes_of(case, tag, way)
        is_plain = parse(data[:_READ_BYTES]) is not None
        assert is_plain == (way != "not plain" and len(data) <= _READ_BYTES)
        with Wire(self.deployment.port) as wire:
            wire.send_apart(*((data[:40], data[40:]) if way == "in pieces" else (data,)))
            return wire.answer()

    def _ask(self, data: bytes) -> Answer:
        with Wire(self.deployment.port) as wire:
            return wire.ask(data)

    def _bytes_of(self, case: Case, tag: str, way: str) -> bytes:
        body = case.body
        headers = [self.shows[case.who], *(each.format(csrf=self.csrf) for each in case.headers)]
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        if body is not None and case.is_typed:
            headers.append(_JSON)
        if way == "not plain":
            headers.append("TE: trailers")
        path = case.path.replace("TAG", tag)
        return request(f"{case.method} /api/boards/{path}", *headers, body=body)


def random_name(prefix: str) -> str:
    return f"{prefix}-{secrets.token_hex(6)}"


def comparable(answer: Answer, tag: str = "") -> tuple[int, list[tuple[str, str]], str]:
    """The part that must be equal: all except the item's tag and timestamps, and the cursor."""
    text = answer.body.decode()
    if answer.status != 304:
        assert int(answer.get("Content-Length") or "") == len(answer.body)
    for pattern, instead in (
        (re.escape(tag) if tag else "$^", "TAG"),
        (r'"(cursor|since|at)":"[0-9TZ:.-]+"', r'"\1":""'),
        (r"since [0-9-]+ [0-9:]+ UTC", "since"),
        (r'"worked_s":[0-9.]+', '"worked_s":0'),
        (r"Wait [0-9]+ s|retry_after\":[0-9]+", "later"),
    ):
        text = re.sub(pattern, instead, text)
    changing = {"Date", "Content-Length", "Retry-After"}
    return answer.status, sorted(each for each in answer.headers if each[0] not in changing), text
