"""The express lane: plain requests answered without gunicorn's parser and Flask.

Why: of the CPU that an operation took, gunicorn and Flask used two thirds: measured 510 µs of it,
of which 170 were for Redis and the operation itself. So a connection's greenlet reads plain
requests (plain.py) by itself: operations, the question whether a board has changed, and streams
(express_streams.py). It answers them with the same functions that Flask's routes call. Everything
else it puts back, and gunicorn and Flask do it as if nothing had been read; afterwards the
connection comes back here.

What has had an effect is never handed on: once the store is asked to operate, this lane answers
by itself, whatever happens. What only looks may be handed on, and is asked for again there.

Fair: each answer here needs the store, and waiting for it lets the other connections go on; so a
client whose next request is always there already takes nothing from the others' turns.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import Any

import gevent
from gunicorn import util

from occupancy.core.errors import (
    OccupancyError,
    PoolTimeout,
    RateLimited,
    StoreUnavailable,
    Unauthenticated,
)
from occupancy.core.principal import Principal
from occupancy.core.requests import OperationBody, decode
from occupancy.core.transitions import TRANSITIONS
from occupancy.live.broadcaster import A_MOMENT_S
from occupancy.server.bounded_sockets import BoundedListener, BoundedSocket
from occupancy.server.fast.request import READ_BYTES, FastRequest, answer_head, parse
from occupancy.server.fast.streams import FastStreams
from occupancy.services import Services
from occupancy.web import operations, security
from occupancy.web.auth import check_role, check_rule, credential_of, rule_of, take_turn
from occupancy.web.io import JSON, Reply, problem_reply
from occupancy.web.problems import crash, note
from occupancy.web.routes import boards

log = logging.getLogger(__name__)

_ITEMS = re.compile(
    r"/api/boards/([A-Za-z0-9][A-Za-z0-9_-]{0,31})/items"
    r"(?:/([A-Za-z0-9][A-Za-z0-9._:-]{0,63})/([a-z-]+))?\Z"
)
_JSON_TYPES = (JSON, JSON + ";charset=utf-8", JSON + "; charset=utf-8")


class FastPath:
    """Of one worker process; takes the place of ``handle`` and ``handle_request`` of gunicorn's."""

    def __init__(self, worker: Any, services: Services) -> None:
        self._worker = worker
        self._services = services
        self._proxies = services.settings.proxies
        self._hosts = services.settings.allowed_hosts
        self._has_cors = bool(services.settings.cors_origins)
        self._headers = {**security.OTHER, **({"Vary": "Origin"} if self._has_cors else {})}
        self._streams = FastStreams(services, self._headers, self._read)
        self._keepalive_s: int = worker.cfg.keepalive
        self._gunicorn_handle: Callable[..., None] = worker.handle
        self._gunicorn_handle_request: Callable[..., None] = worker.handle_request
        BoundedListener.greet, BoundedListener.begin = self._streams.greet, self._streams.begin
        worker.handle = self.handle
        worker.handle_request = self.handle_request

    def leave(self) -> None:
        """Let go of who waits without a greenlet: this process ends."""
        self._streams.leave()

    def handle(self, listener: Any, connection: Any, address: Any) -> None:
        """A connection, from its beginning to its end."""
        try:
            if isinstance(connection, BoundedSocket):
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
            and isinstance(connection, BoundedSocket)
            and not self._serve(connection, address)
        ):
            raise StopIteration

    def _serve(self, connection: BoundedSocket, address: Any) -> bool:
        """Answer plain requests, one after the other, until there is one for gunicorn: True.

        False where the connection is to be closed.
        """
        worker = self._worker
        while True:
            data = None
            with gevent.Timeout(self._keepalive_s, False):
                data = connection.recv(READ_BYTES)
            if not data:
                return False
            # A worker that ends leaves its last requests to gunicorn, which closes after them.
            request = self._read(data, address) if worker.alive else None
            if request is not None and self._streams.follow(request, connection):
                return False
            answer = self._answer(request) if request is not None else None
            if answer is None:
                connection.put_back(data)
                return True
            self._let_others()
            connection.sendall(answer)
            worker.nr += 1
            if worker.nr >= worker.max_requests and worker.alive:
                log.info("this worker process has answered max_requests, and ends")
                worker.alive = False

    def _let_others(self) -> None:
        """Turns for the others between an answer's making and its sending.

        What the store answers together is then answered together: a tenth more operations a second,
        and fewer stragglers. Where few watch, a look at the sockets as well (sleep(0) may come back
        before one): the reader of the live connection has the event by now, and they are told
        before the answer is.
        """
        if self._services.hub.is_watched_by_few:
            gevent.sleep(A_MOMENT_S)
        else:
            gevent.sleep(0)
            gevent.sleep(0)

    def _read(self, data: bytes, address: Any) -> FastRequest | None:
        request = parse(data)
        if request is None or (self._has_cors and "origin" in request.headers):
            return None  # what CORS says of an origin is browser.py's
        request.comes_from(address[0] if address else "", self._proxies)
        if self._hosts and not security.is_allowed_host(request, self._hosts):
            return None  # Flask says so
        return request

    # Operations, and boards that have not changed

    def _answer(self, request: FastRequest) -> bytes | None:
        """The whole answer's bytes; None for a request that is not for this lane."""
        found = _ITEMS.match(request.path)
        if found is None or request.query:
            return None
        board, tag, operation = found.groups()
        if request.method == "GET":
            known = request.headers.get("if-none-match")
            reply = self._not_modified(request, board, known) if not tag and known else None
        elif operation in TRANSITIONS and _is_json(request):
            reply = self._operate(request, board, tag, operation)
        else:
            reply = None
        return self._encoded(reply) if reply is not None else None

    def _operate(self, request: FastRequest, board: str, tag: str, operation: str) -> Reply:
        principal = None
        try:
            principal = self._identify(request)
            self._check(request, boards.operate, principal, board)
            row = TRANSITIONS[operation]
            check_role(principal, row.role)
            return operations.operate(
                self._services, request, principal,
                board=board, tag=tag, row=row, body=decode(request.body, OperationBody),
            )  # fmt: skip
        except OccupancyError as error:
            note(error, self._services, request, principal)
            return problem_reply(error)
        except Exception as error:  # noqa: BLE001 - it is logged, and answered
            return problem_reply(crash(error, self._services, request))

    def _not_modified(self, request: FastRequest, board: str, known: str) -> Reply | None:
        """That the board is as the client has it; None where it is not, or who asks may not see it.

        Reading has no effect, so Flask may do it again.
        """
        try:
            self._check(request, boards.items, self._identify(request), board)
            return operations.not_modified_since(self._services.store, board, known)
        except (PoolTimeout, RateLimited, StoreUnavailable) as error:
            note(error, self._services, request, None)  # Flask would wait for it once more
            return problem_reply(error)
        except Exception:  # noqa: BLE001 - Flask does it again, and says or logs why it fails
            return None

    def _identify(self, asked: FastRequest) -> Principal:
        try:
            credential = credential_of(asked, self._services.settings)
        except Unauthenticated:
            take_turn(asked, self._services)
            raise
        take_turn(asked, self._services, credential)
        return self._services.authenticator.identify(credential)

    def _check(self, asked: FastRequest, view: Any, principal: Principal, board: str) -> None:
        check_rule(asked, rule_of(view), principal, board, self._services.settings.trusted_origins)

    def _encoded(self, reply: Reply) -> bytes:
        length = {} if reply.status == 304 else {"Content-Length": str(len(reply.body))}
        return answer_head(reply.status, {**reply.headers, **self._headers, **length}) + reply.body


def suits(worker: Any) -> bool:
    """Whether gunicorn, as it is configured, leaves nothing to do that this lane does not know."""
    cfg = worker.cfg
    has_log = worker.log.access_log_enabled
    return bool(cfg.keepalive) and not has_log and cfg.proxy_protocol == "off"


def _is_json(request: FastRequest) -> bool:
    """Whether its body is JSON; one that has none may say of it what it likes."""
    return not request.body or request.headers.get("content-type") in _JSON_TYPES
