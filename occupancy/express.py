"""The express lane: operations, and the question whether a board has changed, without a framework.

Why: of the CPU that an operation took, gunicorn and Flask used two thirds: measured 510 µs of it,
of which 170 were for Redis and the operation itself. So a connection's greenlet reads plain
requests (plain.py) of these two kinds by itself and answers them with the same functions that
Flask's routes call. Everything else it puts back, and gunicorn and Flask do it as if nothing had
been read; afterwards the connection comes back here.

What has had an effect is never handed on: from the first question to the store on, this lane
answers by itself, whatever happens.

Fair: each answer here needs the store, and waiting for it lets the other connections go on; so a
client whose next request is always there already takes nothing from the others' turns.
"""

from __future__ import annotations

import email.utils
import logging
import re
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import gevent
from gunicorn import util

from . import api, browser, operations
from .auth import check_role, check_rule, credential_of, rule_of
from .deadlines import DeadlineSocket
from .errors import OccupancyError
from .model import TRANSITIONS
from .payloads import OperationBody, decode
from .plain import PlainRequest, parse
from .problems import crash, note
from .replies import JSON, Reply, problem_reply
from .services import Services

log = logging.getLogger(__name__)

_ITEMS = re.compile(
    r"/api/boards/([A-Za-z0-9][A-Za-z0-9_-]{0,31})/items"
    r"(?:/([A-Za-z0-9][A-Za-z0-9._:-]{0,63})/([a-z-]+))?\Z"
)
_READ_BYTES = 16 * 1024
_JSON_TYPES = (None, JSON, JSON + ";charset=utf-8", JSON + "; charset=utf-8")
_PHRASES = {each.value: each.phrase for each in HTTPStatus}


class Express:
    """Of one worker process; takes the place of ``handle`` and ``handle_request`` of gunicorn's."""

    def __init__(self, worker: Any, services: Services) -> None:
        self._worker = worker
        self._services = services
        self._proxies = services.settings.proxies
        self._origins = services.settings.trusted_origins
        always = {**browser.OTHER, **({"Vary": "Origin"} if services.settings.cors_origins else {})}
        self._headers = "".join(f"{name}: {text}\r\n" for name, text in always.items())
        self._keepalive_s: int = worker.cfg.keepalive
        self._date = (0, "")
        self._gunicorn_handle: Callable[..., None] = worker.handle
        self._gunicorn_handle_request: Callable[..., None] = worker.handle_request
        worker.handle = self.handle
        worker.handle_request = self.handle_request

    def handle(self, listener: Any, connection: Any, address: Any) -> None:
        """A connection, from its beginning to its end."""
        try:
            if isinstance(connection, DeadlineSocket):
                connection.setblocking(True)
                if not self._serve(connection, address):
                    return
            self._gunicorn_handle(listener, connection, address)
        except OSError:
            log.debug("a client went away")
        finally:
            util.close(connection)

    def handle_request(self, listener_name: Any, req: Any, connection: Any, address: Any) -> None:
        """One request that gunicorn has read; then those that follow it, as long as they are plain.

        Raises StopIteration, as gunicorn's own does, where the connection is to be closed.
        """
        self._gunicorn_handle_request(listener_name, req, connection, address)
        # What is left of a body, and what was read beyond the request, is gunicorn's to sort out.
        is_between = getattr(req.body.reader, "length", 1) == 0 and not req.unreader.buf.getvalue()
        if (
            is_between
            and isinstance(connection, DeadlineSocket)
            and not self._serve(connection, address)
        ):
            raise StopIteration

    def _serve(self, connection: DeadlineSocket, address: Any) -> bool:
        """Answer plain requests, one after the other, until there is one for gunicorn: True.

        False where the connection is to be closed.
        """
        worker = self._worker
        while worker.alive:
            data = None
            with gevent.Timeout(self._keepalive_s, False):
                data = connection.recv(_READ_BYTES)
            if not data:
                return False
            request = parse(data)
            answer = self._answer(request, address) if request is not None else None
            if answer is None:
                connection.put_back(data)
                return True
            connection.sendall(answer)
            gevent.sleep(0)
            worker.nr += 1
            if worker.nr >= worker.max_requests:
                log.info("this worker process has answered max_requests, and ends")
                worker.alive = False
        return True

    def _answer(self, request: PlainRequest, address: Any) -> bytes | None:
        """The whole answer's bytes; None for a request that is not for this lane."""
        found = _ITEMS.match(request.path)
        if found is None or request.query or "origin" in request.headers:
            return None  # with an origin CORS may have to say something
        request.comes_from(address[0] if address else "", self._proxies)
        board, tag, operation = found.groups()
        if request.method == "GET":
            known = request.headers.get("if-none-match")
            reply = self._not_modified(request, board, known) if not tag and known else None
        elif operation in TRANSITIONS and request.headers.get("content-type") in _JSON_TYPES:
            reply = self._operate(request, board, tag, operation)
        else:
            reply = None
        return self._encoded(reply) if reply is not None else None

    def _operate(self, request: PlainRequest, board: str, tag: str, operation: str) -> Reply:
        caller = None
        try:
            caller = self._services.access.identify(credential_of(request))
            check_rule(request, rule_of(api.operate), caller, board, self._origins)
            row = TRANSITIONS[operation]
            check_role(caller, row.role)
            return operations.operate(
                self._services, request, caller,
                board=board, tag=tag, row=row, body=decode(request.body, OperationBody),
            )  # fmt: skip
        except OccupancyError as error:
            note(error, self._services, request, caller)
            return problem_reply(error)
        except Exception as error:  # noqa: BLE001 - it is logged, and answered
            return problem_reply(crash(request, error))

    def _not_modified(self, request: PlainRequest, board: str, known: str) -> Reply | None:
        """That the board is as the client has it; None where it is not, or who asks may not see it.

        Reading has no effect, so Flask may do it again.
        """
        try:
            caller = self._services.access.identify(credential_of(request))
            check_rule(request, rule_of(api.items), caller, board, self._origins)
            return operations.not_modified_since(self._services.store, board, known)
        except OccupancyError:
            return None

    def _encoded(self, reply: Reply) -> bytes:
        now_s = int(time.time())
        if now_s != self._date[0]:
            self._date = now_s, email.utils.formatdate(now_s, usegmt=True)
        fields = "".join(f"{name}: {text}\r\n" for name, text in reply.headers.items())
        length = "" if reply.status == 304 else f"Content-Length: {len(reply.body)}\r\n"
        head = (
            f"HTTP/1.1 {reply.status} {_PHRASES[reply.status]}\r\nServer: gunicorn\r\n"
            f"Date: {self._date[1]}\r\nConnection: keep-alive\r\n"
            f"{fields}{self._headers}{length}\r\n"
        )
        return head.encode("latin-1") + reply.body
