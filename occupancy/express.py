"""The express lane: operations, streams, and whether a board has changed, without a framework.

Why: of the CPU that an operation took, gunicorn and Flask used two thirds: measured 510 µs of it,
of which 170 were for Redis and the operation itself; and ten thousand streams that came back
together took a worker process seven seconds. So a connection's greenlet reads plain requests
(plain.py) of these kinds by itself and answers them with the same functions that Flask's routes
call. Everything else it puts back, and gunicorn and Flask do it as if nothing had been read;
afterwards the connection comes back here.

What has had an effect is never handed on: once the store is asked to operate, this lane answers
by itself, whatever happens. What only looks may be handed on, and is asked for again there.

A stream that can begin without waiting for anything (its caller is remembered, its board followed,
its cursor in memory) gets no greenlet at all: it is greeted as its connection is accepted.

Fair: each answer here needs the store, and waiting for it lets the other connections go on; so a
client whose next request is always there already takes nothing from the others' turns.
"""

from __future__ import annotations

import email.utils
import functools
import logging
import re
import socket
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import gevent
from gunicorn import util

from . import api, browser, operations, sse, stream
from .attempts import limited_address
from .auth import check_role, check_rule, credential_of, rule_of
from .callers import Caller
from .deadlines import DeadlineServer, DeadlineSocket
from .errors import OccupancyError
from .model import TRANSITIONS
from .payloads import OperationBody, decode
from .plain import PlainRequest, parse
from .problems import crash, note
from .replies import JSON, Reply, problem_reply
from .services import Services
from .stream import Held, watched
from .subscriber import Subscriber

log = logging.getLogger(__name__)

_BOARD = r"/api/boards/([A-Za-z0-9][A-Za-z0-9_-]{0,31})"
_ITEMS = re.compile(_BOARD + r"/items(?:/([A-Za-z0-9][A-Za-z0-9._:-]{0,63})/([a-z-]+))?\Z")
_EVENTS = re.compile(_BOARD + r"/events\Z")
_AFTER = re.compile(r"(?:after=([0-9]{1,19}-[0-9]{1,19}))?\Z")
_GZIP = re.compile(r"(?i)(?:^|,)\s*gzip\s*(?:$|,|;\s*q=(?!0(?:\.0*)?\s*(?:$|,)))")
_STREAM_HEADERS = {
    "Content-Type": sse.CONTENT_TYPE, **sse.HEADERS, "Transfer-Encoding": "chunked",
}  # fmt: skip
_READ_BYTES = 16 * 1024
_JSON_TYPES = (JSON, JSON + ";charset=utf-8", JSON + "; charset=utf-8")
_PHRASES = {each.value: each.phrase for each in HTTPStatus}


class Express:
    """Of one worker process; takes the place of ``handle`` and ``handle_request`` of gunicorn's."""

    def __init__(self, worker: Any, services: Services) -> None:
        self._worker = worker
        self._services = services
        self._origins = services.settings.trusted_origins
        self._proxies = services.settings.proxies
        self._has_cors = bool(services.settings.cors_origins)
        always = {**browser.OTHER, **({"Vary": "Origin"} if self._has_cors else {})}
        self._headers = "".join(f"{name}: {text}\r\n" for name, text in always.items())
        self._keepalive_s: int = worker.cfg.keepalive
        self._began_s, self._begin = 0, (b"", b"")  # the heads of streams, in this second
        self._gunicorn_handle: Callable[..., None] = worker.handle
        self._gunicorn_handle_request: Callable[..., None] = worker.handle_request
        DeadlineServer.greet = self.greet
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
            request = self._parse(data, address)
            if request is not None and self._stream(request, connection):
                return False
            answer = self._answer(request) if request is not None else None
            if answer is None:
                connection.put_back(data)
                return True
            # A turn for the others; above all for the reader of the live connection, which has
            # the event by now: where few watch, they are told before the answer is. The first
            # turn is for what was ready already, the second for what has arrived since.
            gevent.sleep(0)
            gevent.sleep(0)
            connection.sendall(answer)
            worker.nr += 1
            if worker.nr >= worker.max_requests:
                log.info("this worker process has answered max_requests, and ends")
                worker.alive = False
        return True

    def _parse(self, data: bytes, address: Any) -> PlainRequest | None:
        request = parse(data)
        if request is None or (self._has_cors and "origin" in request.headers):
            return None  # what CORS says of an origin is browser.py's
        request.comes_from(address[0] if address else "", self._proxies)
        return request

    # Operations, and boards that have not changed

    def _answer(self, request: PlainRequest) -> bytes | None:
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

    def _operate(self, request: PlainRequest, board: str, tag: str, operation: str) -> Reply:
        caller = None
        try:
            caller = self._services.access.identify(credential_of(request))
            self._check(request, api.operate, caller, board)
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
            self._check(request, api.items, caller, board)
            return operations.not_modified_since(self._services.store, board, known)
        except OccupancyError:
            return None

    # Streams

    def greet(self, taken: socket.socket, address: Any) -> bytes | None:
        """Begin a stream on a connection just accepted, if that takes no waiting; then None.

        Else what has been read of the request, for a greenlet. No switch point in here: it runs
        in the event loop.
        """
        try:
            data = taken.recv(_READ_BYTES, socket.MSG_DONTWAIT)
        except OSError:
            return b""  # nothing is here yet; or nobody any more, which shows again at a read
        request = self._parse(data, address)
        found = self._found_stream(request) if request is not None else None
        if request is None or found is None:
            return data
        board, cursor = found
        try:
            caller = self._services.access.remembered(credential_of(request))
            feed = self._services.hub.followed(board)
            if caller is None or feed is None or self._services.hub.is_draining:
                return data
            missed = feed.since(cursor) if cursor else []
            if missed is None:
                return data
            self._admit(request, caller, board)
        except OccupancyError:
            return data
        held = Held(self._services, caller, board)
        subscriber = held.subscriber
        subscriber.is_gzip = takes_gzip(request.headers.get("accept-encoding"))
        frames = b"".join([sse.retry_frame(), *subscriber.go_live(missed)])
        held.go_on_without_greenlet(taken, begin=self._stream_begin(subscriber, frames))
        return None

    def _stream(self, request: PlainRequest, connection: DeadlineSocket) -> bool:
        """Begin a stream; False for what is none, or what Flask had better answer."""
        found = self._found_stream(request)
        if found is None or self._services.hub.is_draining:
            return False
        board, cursor = found
        try:
            caller = self._services.access.identify(credential_of(request), is_use=False)
            if self._services.hub.followed(board) is None:
                self._services.store.head(board)
            self._admit(request, caller, board)
        except OccupancyError:
            return False
        held = Held(self._services, caller, board)
        try:
            subscriber = held.subscriber
            subscriber.is_gzip = takes_gzip(request.headers.get("accept-encoding"))
            with watched(connection, subscriber):
                connection.sendall(self._stream_begin(subscriber, sse.retry_frame()))
                for piece in subscriber.join(cursor):
                    connection.sendall(sse.http_chunk(subscriber.coded(piece)))
            if subscriber.is_live:
                held.go_on_without_greenlet(connection.take())
            else:
                connection.sendall(sse.LAST_CHUNK)
        finally:
            if not held.has_outlet:
                held.give_back()
        return True

    def _found_stream(self, request: PlainRequest) -> tuple[str, str | None] | None:
        """Board and cursor, if a stream is asked for."""
        path, query = _EVENTS.match(request.path), _AFTER.match(request.query)
        if path is None or query is None or request.method != "GET":
            return None
        return path[1], request.headers.get("last-event-id") or query[1]

    def _admit(self, request: PlainRequest, caller: Caller, board: str) -> None:
        self._check(request, stream.events, caller, board)
        address = limited_address(request.remote_addr)
        self._services.admission.check(caller.worker.id, address)

    # Both

    def _check(self, asked: PlainRequest, view: Any, caller: Caller, board: str) -> None:
        check_rule(asked, rule_of(view), caller, board, self._origins)

    def _encoded(self, reply: Reply) -> bytes:
        length = {} if reply.status == 304 else {"Content-Length": str(len(reply.body))}
        return self._head(reply.status, {**reply.headers, **length}) + reply.body

    def _head(self, status: int, headers: dict[str, str]) -> bytes:
        fields = "".join([f"{name}: {text}\r\n" for name, text in headers.items()])
        return (
            f"HTTP/1.1 {status} {_PHRASES[status]}\r\nServer: gunicorn\r\n"
            f"Date: {_date(int(time.time()))}\r\nConnection: keep-alive\r\n"
            f"{fields}{self._headers}\r\n"
        ).encode("latin-1")

    def _stream_begin(self, subscriber: Subscriber, frames: bytes) -> bytes:
        """The head of the response, and the first frames."""
        now_s = int(time.time())
        if now_s != self._began_s:
            self._began_s = now_s
            gzip = {**_STREAM_HEADERS, "Content-Encoding": "gzip"}
            self._begin = self._head(200, _STREAM_HEADERS), self._head(200, gzip)
        begin = sse.GZIP_HEADER if subscriber.is_gzip else b""
        return self._begin[subscriber.is_gzip] + sse.http_chunk(begin + subscriber.coded(frames))


def suits(cfg: Any) -> bool:
    """Whether gunicorn, as it is configured, leaves nothing to do that this lane does not know."""
    return bool(cfg.keepalive) and not cfg.accesslog and cfg.proxy_protocol == "off"


def _is_json(request: PlainRequest) -> bool:
    """Whether its body is JSON; one that has none may say of it what it likes."""
    return not request.body or request.headers.get("content-type") in _JSON_TYPES


@functools.lru_cache(maxsize=100)  # browsers of a kind say the same
def takes_gzip(accept_encoding: str | None) -> bool:
    """Whether a client takes what is compressed with gzip (RFC 9110, 12.5.3)."""
    return bool(accept_encoding and _GZIP.search(accept_encoding))


@functools.lru_cache(maxsize=2)
def _date(now_s: int) -> str:
    return email.utils.formatdate(now_s, usegmt=True)
