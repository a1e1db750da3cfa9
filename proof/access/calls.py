"""Requests that find what they need, and requests that must be refused and change nothing."""

from __future__ import annotations

import http.client
import itertools
import json
import secrets
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from occupancy.boards.commands import Command
from occupancy.core.entities import Person, Role
from occupancy.core.transitions import TRANSITIONS
from proof.access.expected import EVENTS
from proof.access.site import BOARD, STEPS, Site

_TIMEOUT_S = 30.0
_KEPT_S = 1.0  # without a request; the server closes it soon after
_CONNECTIONS = 6  # kept, in turn: each belongs to one process
_ITEM = "/api/boards/{board}/items/{tag}"
PIN = "417293"


class Answer(NamedTuple):
    """A response; ``code`` is that of a problem."""

    status: int
    code: str
    body: dict[str, Any]


class Sender:
    """Sends requests on kept connections in turn, so that each process answers some of them."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._connections = [self._new() for _ in range(_CONNECTIONS)]
        self._used_s = [0.0] * _CONNECTIONS  # monotonic
        self._numbers = itertools.cycle(range(_CONNECTIONS))

    def send(
        self, method: str, path: str, headers: Mapping[str, str], body: Any = None, *,
        source: str | None = None, connection: int | None = None,
    ) -> Answer:  # fmt: skip
        """Send one request: on a kept connection, or a new one from the address ``source``.

        A stream is closed after its head.
        """
        number = next(self._numbers) if connection is None else connection
        is_stream = "/events" in path and method == "GET"
        is_kept = source is None and not is_stream
        one = self._connections[number] if is_kept else self._new(source)
        if is_kept and time.monotonic() - self._used_s[number] > _KEPT_S:
            one.close()  # it opens anew
        content = None if body is None else json.dumps(body)
        typed = {} if content is None else {"Content-Type": "application/json"}
        try:
            one.request(method, path, content, {**headers, **typed})
            response = one.getresponse()
            is_open = is_stream and response.status == 200
            text = b"" if is_open else response.read()
            if response.will_close or not is_kept:
                response.close()
                one.close()
        except (OSError, http.client.HTTPException):
            one.close()
            raise
        if is_kept:
            self._used_s[number] = time.monotonic()
        parsed: Any = {}
        if response.headers.get_content_type().endswith("json") and text:
            parsed = json.loads(text)
        code = parsed.get("code", "") if response.status >= 400 else ""
        return Answer(response.status, code, parsed)

    def each_connection(self) -> range:
        return range(_CONNECTIONS)

    def close(self) -> None:
        for each in self._connections:
            each.close()

    def _new(self, source: str | None = None) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(
            "127.0.0.1", self._port, timeout=_TIMEOUT_S,
            source_address=(source, 0) if source is not None else None,
        )  # fmt: skip


class Calls:
    """Makes the path and the body of a request."""

    def __init__(self, site: Site, sender: Sender) -> None:
        self._site, self._sender = site, sender
        self._admin = {"Authorization": f"Bearer {site.admin_token}"}
        number = secrets.token_hex(4)
        self._target, self._receiver = f"target-{number}", f"receiver-{number}"
        self._untouched = f"untouched-{number}"  # a worker, and an item
        for name in (self._target, self._receiver, self._untouched):
            site.services.workers.add(name, name=name, role=Role.WORKER)
        _, self._kept_token = site.services.tokens.create(self._untouched)
        self._kept_badge, _ = site.services.badges.add(self._untouched, number, by="proof")
        _, self._kept_station = site.services.stations.create(self._untouched, by="proof")
        self._version = self._put(self._untouched)

    def let_in(self, row: str, worker: str) -> tuple[str, Any]:
        """A request that ``worker`` may send and that is carried out."""
        path = row.partition(" ")[2]
        tag = f"T-{secrets.token_hex(6)}"
        bodies: dict[str, Any] = {
            "POST /api/boards": {"board": f"b-{secrets.token_hex(6)}"},
            "PATCH /api/boards/{board}": {"title": "Set up"},
            "POST /api/boards/{board}/batch": {"operation": "take", "tags": [tag]},
            "PUT /api/session/pin": {"new_pin": PIN},
            "POST /api/session/confirm": {"pin": PIN},
            "PUT /api/workers/{worker}": {"name": "Target"},
            "POST /api/workers/{worker}/badges": {"code": tag},
            "POST /api/stations": {"name": "Target"},
            "POST /api/tokens": {"worker": self._target},
            "POST /api/boards/{board}/imports": "tag",  # a file with a header, in quotation marks
            "POST /api/workers/import": "id",  # the same
            "POST /api/boards/{board}/imports/{import_id}/run": {"code": "tag"},
            f"PUT {_ITEM}": {},
            f"POST {_ITEM}/force-release": {"reason": "shift over"},
            f"POST {_ITEM}/reassign": {"to": self._receiver},
            f"POST {_ITEM}/block": {"reason": "crack found"},
            f"POST {_ITEM}/send-back": {"step": STEPS[0], "reason": "weld is porous"},
        }
        if row == "POST /api/session":
            return path, {"token": self._site.services.links.create(self._target)}
        if path == "/api/boards/{board}/labels":
            query = f"?stock=a4-3x8&tags={self._untouched}"
            return path.format(board=BOARD) + query, None
        if path.startswith("/api/boards/{board}/") and row != f"PUT {_ITEM}":
            self._prepare(tag, path.rpartition("/")[2], worker)
        token = ""
        if "{token}" in path:
            token = self._site.services.tokens.create(self._target)[1].id
        ids = {"token": token, "badge": "", "station": ""}
        ids["import_id"] = self._upload() if "{import_id}" in path else ""
        if "{badge}" in path:
            ids["badge"] = self._site.services.badges.add(self._target, tag, by="proof")[0].id
        if "{station}" in path:
            ids["station"] = self._site.services.stations.create(tag, by="proof")[1].id
        return _filled(path, tag=tag, worker=self._target, **ids), bodies.get(row)

    def refused(self, row: str) -> tuple[str, Any]:
        """A request that would change what :meth:`changes` looks at."""
        path = row.partition(" ")[2]
        bodies: dict[str, Any] = {
            "POST /api/boards": {"board": "intruded"},
            "PATCH /api/boards/{board}": {"title": "intruded"},
            "DELETE /api/boards/{board}": {"confirm": BOARD},
            "POST /api/boards/{board}/batch": {"operation": "take", "tags": [self._untouched]},
            "PUT /api/session/pin": {"new_pin": PIN},
            "POST /api/session/confirm": {"pin": PIN},
            "PUT /api/workers/{worker}": {"name": "Intruded"},
            "POST /api/workers/{worker}/badges": {"code": "intruded"},
            "POST /api/stations": {"name": "intruded"},
            "POST /api/tokens": {"worker": self._untouched},
            "POST /api/boards/{board}/imports": "tag",
            "POST /api/workers/import": "id",
            "POST /api/boards/{board}/imports/{import_id}/run": {"code": "tag"},
            f"PUT {_ITEM}": {"title": "intruded"},
            f"POST {_ITEM}/reassign": {"to": self._receiver},
            f"POST {_ITEM}/send-back": {"step": STEPS[0], "reason": "intruded"},
        }
        reasoned = path.endswith(("/force-release", "/block"))
        return (
            _filled(
                path,
                tag=self._untouched,
                worker=self._untouched,
                token=self._kept_token.id,
                badge=self._kept_badge.id,
                station=self._kept_station.id,
            ),
            {"reason": "intruded"} if reasoned else bodies.get(row),
        )

    def changes(self) -> list[str]:
        """What refused requests have changed all the same."""
        services = self._site.services
        worker = services.workers.get(self._untouched)
        boards = self._sender.send("GET", "/api/boards", self._admin).body["boards"]
        path = f"/api/boards/{BOARD}/items/{self._untouched}"
        item = self._sender.send("GET", path, self._admin).body.get("item", {})
        found = {
            "the item": (item.get("version"), item.get("state")) != (self._version, "available"),
            "the worker": (worker.name, worker.session_generation) != (self._untouched, 0),
            "the boards": any("intruded" in (each["board"], each["title"]) for each in boards),
            "the tokens": [each.token.id for each in services.tokens.all()
                           if each.token.worker == self._untouched] != [self._kept_token.id],
            "the badges": services.badges.of(self._untouched) != [self._kept_badge],
            "the stations": {each.station.name for each in services.stations.all()}
                            & {"intruded", self._untouched} != {self._untouched},
        }  # fmt: skip
        return [f"{name} changed" for name, is_changed in found.items() if is_changed]

    def _prepare(self, tag: str, operation: str, worker: str) -> None:
        """Add an item, and bring it into a state in which ``worker`` may do ``operation``."""
        if operation in ("items", "events", "timeline", "imports", "{import_id}", "run", "export"):
            return
        self._put(tag)
        if operation in ("pause", "complete", "release", "force-release"):
            self._operate(tag, "reassign", {"to": worker})
        elif operation == "undo":
            self._operate(tag, "reassign", {"to": worker})
            row = TRANSITIONS["complete"]  # undo is for who completed it
            command = Command(BOARD, row, [tag], Person(worker, worker))
            assert self._site.services.store.commands.execute(command).outcomes[0].changed
        elif operation == "send-back":
            self._operate(tag, "take")
            self._operate(tag, "complete")
        elif operation == "unblock":
            self._operate(tag, "block", {"reason": "crack found"})
        elif operation == "reopen":
            for _ in STEPS:
                self._operate(tag, "take")
                self._operate(tag, "complete")

    def _put(self, tag: str) -> int:
        """Add an item; returns its version, which is higher where others were removed before."""
        answer = self._sender.send("PUT", f"/api/boards/{BOARD}/items/{tag}", self._admin, {})
        assert answer.status == 201, answer
        return int(answer.body["item"]["version"])

    def _upload(self) -> str:
        path = f"/api/boards/{BOARD}/imports"
        answer = self._sender.send("POST", path, self._admin, "tag")
        assert answer.status == 201, answer
        return str(answer.body["id"])

    def _operate(self, tag: str, operation: str, body: Any = None) -> None:
        path = f"/api/boards/{BOARD}/items/{tag}/{operation}"
        answer = self._sender.send("POST", path, self._admin, body)
        assert answer.status == 200, (path, answer)


def _filled(
    path: str, *, tag: str, worker: str, token: str, badge: str, station: str,
    import_id: str = "0" * 16,
) -> str:  # fmt: skip
    return path.format(
        board=BOARD, tag=tag, worker=worker, token=token, badge=badge, station=station,
        import_id=import_id, version="0", name="nothing.css",
    )  # fmt: skip


EVENTS_PATH = EVENTS.format(board=BOARD)
