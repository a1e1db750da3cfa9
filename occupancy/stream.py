"""The event stream's route: from the request to the frames of a subscriber.

The greenlet that gunicorn gives the request writes what its subscriber holds. What the socket
tells is used where there is one (gunicorn's): a client that goes away is noticed when its
connection becomes readable, not at the second write after.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from typing import Any

import gevent
from flask import Blueprint, Response, current_app, request

from . import sse
from .auth import caller, caller_address, requires
from .callers import Caller
from .messages import read_query
from .model import Role
from .payloads import check_name
from .services import Services
from .subscriber import Subscriber, farewell

bp = Blueprint("stream", __name__, url_prefix="/api/boards")

_SEND_BUFFER_BYTES = 64 * 1024  # the kernel would let a stalled reader pile up megabytes


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
        if not hub.is_following(board):
            services.store.head(board)  # a board that does not exist is 404, for good
        if request.method != "HEAD":
            services.admission.check(caller().worker.id, caller_address())
        connection = request.environ.get("gunicorn.socket")
        frames = _frames(services, caller(), board, cursor, connection)
    # Nothing is held yet: for HEAD the generator is made and never started.
    return Response(frames, content_type=sse.CONTENT_TYPE, headers=sse.HEADERS)


def _frames(
    services: Services, caller: Caller, board: str, cursor: str | None, connection: Any
) -> Iterator[bytes]:
    with (
        services.admission.holding(caller.worker.id),
        services.hub.subscribe(board) as subscriber,
        # Before the first byte, which may take long: from here on the stream can be ended.
        services.guard.watching(caller, subscriber),
        _watched(connection, subscriber),
    ):
        yield sse.retry_frame()  # the head of the response goes out with it, before any waiting
        yield from subscriber.frames(cursor)


@contextlib.contextmanager
def _watched(connection: Any, subscriber: Subscriber) -> Iterator[None]:
    """Watch the client's connection for its end, while the block runs."""
    if not isinstance(connection, gevent.socket.socket):
        yield  # TLS in gunicorn, another server, or a test client: its end shows at a write
        return
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
    watcher = gevent.get_hub().loop.io(connection.fileno(), 1)  # 1: readable

    def on_readable() -> None:
        # Runs in the event loop between greenlets: it must not block, and peeking does not.
        if _has_ended(connection):
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


def _has_ended(connection: Any) -> bool:
    try:
        return not connection._sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    except OSError:
        return True
