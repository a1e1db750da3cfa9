"""The event stream's route: from the request to the frames of a subscriber.

See ``web/open_stream.py``. With TLS in gunicorn, another server or a test client no socket writer
can take the connection, and the request's greenlet writes the live frames too.
"""

from __future__ import annotations

import errno
import functools
from collections.abc import Callable, Iterator
from typing import Any

from flask import Blueprint, Response, request

from occupancy.core.entities import Role
from occupancy.core.requests.checks import check_name
from occupancy.live import sse
from occupancy.live.limits import Place
from occupancy.live.subscriber import farewell
from occupancy.web.auth import caller_address, current_services, principal, requires, used_ticket
from occupancy.web.open_stream import OpenStream, cursor_of

bp = Blueprint("stream", __name__, url_prefix="/api/boards")


@bp.get("/<board>/events")
@requires(Role.OBSERVER, is_use=False, takes_ticket=True)
def events(board: str) -> Response:
    check_name("board", board)
    services = current_services()
    hub = services.hub
    cursor = cursor_of(request.headers.get("Last-Event-ID"), request.args.items(multi=True))
    place = Place.of(principal(), caller_address())
    if hub.is_draining:
        frames: Iterator[bytes] = iter([farewell()])
    else:
        if hub.followed(board) is None:
            services.store.log.head(board)  # a board that does not exist is 404, for good
        if request.method != "HEAD":
            services.stream_limits.check(place)
        opened = functools.partial(OpenStream, services, principal(), board, place, used_ticket())
        frames = _frames(opened, cursor, request.environ)
    # Nothing is held yet: for HEAD the generator is made and never started.
    return Response(frames, content_type=sse.CONTENT_TYPE, headers=sse.HEADERS)


def _frames(
    open_stream: Callable[[], OpenStream], cursor: str | None, environ: dict[str, Any]
) -> Iterator[bytes]:
    connection = environ.get("gunicorn.socket")
    # gunicorn's rule for a response without a length (RFC 9112, 6.1).
    is_chunked = environ.get("SERVER_PROTOCOL") != "HTTP/1.0"
    with open_stream() as opened:
        yield from opened.begin(connection, cursor, is_chunked=is_chunked)
        if opened.has_writer:
            # gunicorn takes it for a client that has gone: it writes nothing more, looks for no
            # further request, and closes what is no connection any more.
            raise ConnectionResetError(errno.ECONNRESET, "the stream goes on without a greenlet")
