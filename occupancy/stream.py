"""The event stream's route: from the request to the frames of a subscriber.

The greenlet that gunicorn gives the request writes what the stream has missed. Then an outlet
takes the socket and writes what is live, and the greenlet ends; where there is no plain socket of
ours to take (TLS in gunicorn, another server, a test client), the greenlet goes on writing itself.

What the socket tells is used where there is one: a client that goes away is noticed when its
connection becomes readable, not at the second write after.
"""

from __future__ import annotations

import contextlib
import errno
import socket
from collections.abc import Iterator
from typing import Any

import gevent
from flask import Blueprint, Response, current_app, request

from . import sse
from .auth import caller, caller_address, requires
from .callers import Caller
from .deadlines import STREAM_SEND_BUFFER_BYTES, DeadlineSocket
from .messages import read_query
from .model import Role
from .outlet import Outlet, has_ended
from .payloads import check_name
from .services import Services
from .subscriber import Subscriber, farewell

bp = Blueprint("stream", __name__, url_prefix="/api/boards")


@bp.get("/<board>/events")
@requires(Role.OBSERVER, is_use=False, takes_ticket=True)
def events(board: str) -> Response:
    check_name("board", board)
    query = read_query("after", "ticket")
    services: Services = current_app.extensions["occupancy"]
    hub = services.hub
    cursor = request.headers.get("Last-Event-ID") or query.get("after")
    if hub.is_draining:
        frames: Iterator[bytes] = iter([farewell()])
    else:
        if hub.followed(board) is None:
            services.store.head(board)  # a board that does not exist is 404, for good
        if request.method != "HEAD":
            services.admission.check(caller().worker.id, caller_address())
        frames = _frames(services, caller(), board, cursor, request.environ)
    # Nothing is held yet: for HEAD the generator is made and never started.
    return Response(frames, content_type=sse.CONTENT_TYPE, headers=sse.HEADERS)


class Held:
    """What an open stream holds until ``give_back``: its place, its subscriber, the guard's eye."""

    __slots__ = ("_caller", "_services", "has_outlet", "subscriber")

    def __init__(self, services: Services, caller: Caller, board: str) -> None:
        self._services = services
        self._caller = caller
        self.has_outlet = False  # which gives all back at the stream's end
        services.admission.hold(caller.worker.id)
        self.subscriber = services.hub.subscribe(board)
        # Before the first byte, which may take long: from here on the stream can be ended.
        services.guard.watch(caller, self.subscriber)

    def give_back(self) -> None:
        self._services.guard.unwatch(self._caller, self.subscriber)
        self._services.hub.unsubscribe(self.subscriber)
        self._services.admission.give_back(self._caller.worker.id)
        self.subscriber.end()  # else it and its outlet would hold each other until a collection

    def go_on_without_greenlet(
        self, taken: socket.socket, *, is_chunked: bool = True, begin: bytes = b""
    ) -> None:
        """From now on the live stream is its outlet's; ``begin`` is what it begins with.

        No switch point may lie between the subscriber's going live and this.
        """
        outlet = Outlet(
            taken,
            is_chunked=is_chunked,
            is_gzip=self.subscriber.is_gzip,
            begin=begin,
            next_piece=self.subscriber.next_piece,
            on_ended=self.give_back,
        )
        self.has_outlet = True
        self.subscriber.attach(outlet)


def _frames(
    services: Services, caller: Caller, board: str, cursor: str | None, environ: dict[str, Any]
) -> Iterator[bytes]:
    connection = environ.get("gunicorn.socket")
    held = Held(services, caller, board)
    try:
        subscriber = held.subscriber
        with watched(connection, subscriber):
            yield sse.retry_frame()  # the response's head goes out with it, before any waiting
            if not isinstance(connection, DeadlineSocket):
                yield from subscriber.frames(cursor)
                return
            yield from subscriber.join(cursor)
        if subscriber.is_live:
            # gunicorn's rule for a response without a length (RFC 9112, 6.1).
            is_chunked = environ["SERVER_PROTOCOL"] != "HTTP/1.0"
            held.go_on_without_greenlet(connection.take(), is_chunked=is_chunked)
            # gunicorn takes it for a client that has gone: it writes nothing more, looks for no
            # further request, and closes what is no connection any more.
            raise ConnectionResetError(errno.ECONNRESET, "the stream goes on without a greenlet")
    finally:
        if not held.has_outlet:
            held.give_back()


@contextlib.contextmanager
def watched(connection: Any, subscriber: Subscriber) -> Iterator[None]:
    """Watch the client's connection for its end, while the block runs."""
    if not isinstance(connection, gevent.socket.socket):
        yield  # TLS in gunicorn, another server, or a test client: its end shows at a write
        return
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, STREAM_SEND_BUFFER_BYTES)
    watcher = gevent.get_hub().loop.io(connection.fileno(), 1)  # 1: readable

    def on_readable() -> None:
        # Runs in the event loop between greenlets: it must not block, and peeking does not.
        if has_ended(connection._sock):
            subscriber.abandon()
        watcher.stop()  # else a client that sends more would wake the loop without end

    def hang_up() -> None:
        with contextlib.suppress(OSError):  # gone already
            connection.shutdown(socket.SHUT_RDWR)

    subscriber.hang_up = hang_up
    watcher.start(on_readable)
    try:
        yield
    finally:
        watcher.stop()
        watcher.close()
