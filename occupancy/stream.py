"""The event stream's route: from the request to the frames of a subscriber.

The greenlet that gunicorn gives the request writes what the stream has missed. Then an outlet
takes the socket and writes what is live, and the greenlet ends; where there is no plain socket of
ours to take (TLS in gunicorn, another server, a test client), the greenlet goes on writing itself.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from typing import Any

from flask import Blueprint, Response, current_app, request

from . import sse
from .auth import caller, caller_address, requires
from .callers import Caller
from .deadlines import DeadlineSocket
from .messages import read_query
from .model import Role
from .open_stream import OpenStream, watched
from .payloads import check_name
from .services import Services
from .subscriber import farewell

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


def _frames(
    services: Services, caller: Caller, board: str, cursor: str | None, environ: dict[str, Any]
) -> Iterator[bytes]:
    connection = environ.get("gunicorn.socket")
    with OpenStream(services, caller, board) as opened:
        subscriber = opened.subscriber
        with watched(connection, subscriber):
            yield sse.retry_frame()  # the response's head goes out with it, before any waiting
            if not isinstance(connection, DeadlineSocket):
                yield from subscriber.frames(cursor)
                return
            yield from subscriber.join(cursor)
        if subscriber.is_live:
            # gunicorn's rule for a response without a length (RFC 9112, 6.1).
            is_chunked = environ["SERVER_PROTOCOL"] != "HTTP/1.0"
            opened.go_on_without_greenlet(connection.take(), is_chunked=is_chunked)
            # gunicorn takes it for a client that has gone: it writes nothing more, looks for no
            # further request, and closes what is no connection any more.
            raise ConnectionResetError(errno.ECONNRESET, "the stream goes on without a greenlet")
