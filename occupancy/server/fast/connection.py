"""A connection's greenlet, which answers requests itself or leaves them to gunicorn and Flask.

Why: of the CPU that an operation took, gunicorn and Flask used two thirds: measured 510 µs of it,
of which 170 were for Redis and the operation itself. So the greenlet first tries to read a request
itself (``request.py``) and to answer it: operations and conditional requests for a board
(``operations.py``), streams (``streams.py``). It unreads any other request.

A request that may have had an effect is never handed on: from the call of the store on, the fast
path answers, whatever happens. A request that only reads may be handed on and is then repeated.

Each answer here waits for the store, which lets other connections run; so a client that always has
its next request ready takes no turn from them.
"""

from __future__ import annotations

import errno
import logging
from typing import Any

import gevent
from gunicorn import http, util

from occupancy.live.pacing import POLL_S
from occupancy.server.fast.operations import FastOperations
from occupancy.server.fast.request import MAX_REQUEST_BYTES, NOTHING_READ, FirstRead, RequestReader
from occupancy.server.fast.streams import FastStreams
from occupancy.server.sockets import BoundedSocket
from occupancy.services import Services
from occupancy.web import security

log = logging.getLogger(__name__)

_GONE_ERRNOS = (errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN)


class FastPath:
    """One per process. ``worker`` is gunicorn's, and answers what is not for the fast path."""

    def __init__(self, worker: Any, services: Services) -> None:
        self._worker = worker
        self._keepalive_s: int = worker.cfg.keepalive
        self._hub = services.hub
        self._reader = RequestReader(services.settings)
        vary = {"Vary": "Origin"} if services.settings.cors_origins else {}
        headers = {**security.OTHER, **vary}
        views = worker.wsgi.view_functions
        self._operations = FastOperations(services, headers, views)
        self.streams = FastStreams(services, headers, views, self._reader)

    def handle(
        self, listener: Any, connection: BoundedSocket, address: Any, read: FirstRead
    ) -> None:
        """Serve a connection, from its beginning to its end.

        ``read`` is what has been read of it; the other arguments are those of gunicorn's
        ``handle``, which answers and logs errors in the same way.
        """
        worker = self._worker
        parser = http.RequestParser(worker.cfg, connection, address)
        request = None
        try:
            listener_name = listener.getsockname()  # now: it is closed when the process drains
            connection.setblocking(True)
            while self._serve(parser.unreader, connection, address, read):
                read = NOTHING_READ
                request, is_at_end = None, False
                with self._deadline():
                    request = next(parser)
                if request is None:
                    return
                worker.handle_request(listener_name, request, connection, address)
                # No byte of a body that was not read may be taken for a request.
                with self._deadline():
                    is_at_end = parser.finish_body()
                if not is_at_end:
                    return
        except (StopIteration, http.errors.NoMoreData):
            log.debug("a connection ends")
        except OSError as error:
            if error.errno in _GONE_ERRNOS:
                log.debug("a client went away")
            else:
                worker.log.exception("Socket error processing request.")
        except BaseException as error:  # noqa: BLE001 - as gunicorn does, also when it is killed
            worker.handle_error(request, connection, address, error)
        finally:
            util.close(connection)

    def _serve(
        self, unreader: Any, connection: BoundedSocket, address: Any, read: FirstRead
    ) -> bool:
        """Answer requests, one after the other, until there is one for gunicorn: True.

        False if the connection is to be closed.
        """
        worker = self._worker
        data, request = read
        while True:
            if not data:
                with self._deadline():
                    data = unreader.read(None, MAX_REQUEST_BYTES)
                if not data:
                    return False
                request = self._reader.read(data, address)
            # A process that ends leaves its last requests to gunicorn, which closes after them.
            if request is None or not worker.alive:
                unreader.unread(data)
                return True
            if self.streams.begin(request, connection):
                return False
            answer = self._operations.answer(request)
            if answer is None:
                unreader.unread(data)
                return True
            self._let_others()
            connection.sendall(answer)
            data = b""
            worker.nr += 1
            if worker.nr >= worker.max_requests and worker.alive:
                log.info("this process has answered max_requests, and ends")
                worker.alive = False

    def _deadline(self) -> gevent.Timeout:
        """A block that is left silently after gunicorn's ``keepalive`` seconds."""
        return gevent.Timeout(self._keepalive_s, False)

    def _let_others(self) -> None:
        """Give other greenlets turns before an answer is sent.

        Operations that the store has answered together are then answered together: a tenth more
        operations a second, and fewer stragglers. With few watchers the event loop also polls the
        sockets (sleep(0) may return before it does): the reader of the live connection has the
        event by now, and the watchers get it before the answer is sent.
        """
        if self._hub.is_watched_by_few:
            gevent.sleep(POLL_S)
        else:
            gevent.sleep(0)
            gevent.sleep(0)


def suits(worker: Any) -> bool:
    """Whether gunicorn, as it is configured, does nothing that the fast path does not know."""
    cfg = worker.cfg
    is_plain_http = cfg.proxy_protocol == "off" and cfg.http2_cleartext == "off"
    return bool(cfg.keepalive) and is_plain_http and not worker.log.access_log_enabled
