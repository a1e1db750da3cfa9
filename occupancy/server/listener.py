"""The listener: accepts connections, as many as there are places, in balance with other processes.

The fast path reads first from each plain connection: a stream that can begin at once needs no
greenlet (``fast/streams.py``). Any other connection gets one from gevent's server, the base class.
"""

from __future__ import annotations

import _socket
import errno
import socket
from collections.abc import Callable
from typing import Any, cast

import gevent
from gevent.server import StreamServer

from occupancy.live.socket_writer import SocketWriter
from occupancy.observability.repeated_warnings import RepeatedWarnings
from occupancy.server.accept_balancing import Loads
from occupancy.server.fast.request import NOTHING_READ, FirstRead
from occupancy.server.fast.streams import FastStreams
from occupancy.server.sockets import BoundedSocket, BoundedTLSSocket
from occupancy.web.open_stream import STREAM_SEND_BUFFER_BYTES

HANDSHAKE_S = 5.0
_FULL_PAUSE_S = 0.05
# Errors of accept while files or memory are used up, by this process or the machine (accept(2)).
_USED_UP = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_BALANCE_PAUSE_S = 0.005  # enough for a process that sleeps to be woken, also on a busy machine
_MAX_ACCEPTED = 16  # per turn of the event loop
_RESERVED_SHARE = 32  # one place in 32 is kept free
# The kernel would take megabytes for a reader that reads nothing.
_SEND_BUFFER_BYTES = 128 * 1024


class Listener(StreamServer):  # type: ignore[misc] # gevent has no types
    """gevent's server of one listening socket, with bounded connections.

    ``handle`` serves a connection in its greenlet: it gets socket, address and what was read.
    ``streams`` is None where the fast path is off.
    """

    def __init__(
        self,
        listener: Any,
        handle: Callable[..., None],
        streams: FastStreams | None,
        loads: Loads,
        warnings: RepeatedWarnings,
        **options: Any,
    ) -> None:
        self._streams = streams
        self._loads = loads
        self._warnings = warnings
        self._has_waited = False
        super().__init__(listener, handle, **options)

    def set_listener(self, listener: Any) -> None:
        """The listener, whose connections inherit the send buffer that is right for streams."""
        super().set_listener(listener)
        self._kind = self.socket.family, self.socket.type, self.socket.proto
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, STREAM_SEND_BUFFER_BYTES)

    def _free_places(self) -> int:
        """How many more connections this process may have; those without a greenlet count too."""
        waiting = self._streams.waiting_count if self._streams is not None else 0
        free: int = self.pool.free_count() - SocketWriter.open_count - waiting
        return free

    def _pause(self, pause_s: float) -> None:
        """Accept nothing for ``pause_s``, as gevent does after an error: the loop does not spin."""
        self.stop_accepting()
        self._timer = self.loop.timer(pause_s)
        self._timer.start(self._start_accepting_if_started)

    def do_read(self) -> Any:
        """Accept a connection, for a greenlet to serve.

        None if there is none for a greenlet, no place for it, or another process may have it.
        """
        free = self._free_places()
        self._loads.write(self.pool.size - free)
        if not self._has_waited and self._loads.is_ahead():
            self._has_waited = True
            self._pause(_BALANCE_PAUSE_S)
            return None
        self._has_waited = False
        if free <= 0:
            self._pause(_FULL_PAUSE_S)  # streams do not have all places: some will be free
            return None
        try:
            return self._accept_one(free)
        finally:
            if self._streams is not None:
                self._streams.begin_accepted()

    def _accept_one(self, free: int) -> Any:
        """Accept connections up to the first that needs a greenlet; None if there is no such."""
        # With several processes max_accept is 1, so that none takes all. By an eighth of its
        # connections this one may be ahead anyway (accept_balancing.py).
        most = max(self.max_accept, (self.pool.size - free) // 8)
        for _ in range(min(most, _MAX_ACCEPTED, free)):
            try:
                descriptor, address = self.socket._accept()
            except BlockingIOError:
                return None
            except OSError as error:
                if error.errno not in _USED_UP:
                    raise
                self._wait_for_files(error)
                return None
            if free <= self.pool.size // _RESERVED_SHARE + 1:
                # In a greenlet of its own: the connections of this turn do not read yet, and could
                # fill all places before one of them can be closed.
                gevent.spawn(BoundedSocket.waiting.make_room)
            taken = cast(socket.socket, _socket.socket(*self._kind, descriptor))
            read: FirstRead | None = NOTHING_READ
            if self._streams is not None:
                read = self._streams.accept(taken, address, self.serve)
            if read is not None:
                return self._bounded(taken), address, read
            free -= 1
        return None

    def _wait_for_files(self, error: OSError) -> None:
        """Pause accepting, and close a connection that has sent no whole request.

        gevent would log each attempt with a traceback, some twenty a second, and would accept
        again up to a second after a descriptor is free.
        """
        self._warnings.error("connections cannot be accepted", "accept: %s", error)
        gevent.spawn(BoundedSocket.waiting.make_room)
        self._pause(_FULL_PAUSE_S)

    def serve(self, taken: socket.socket, read: FirstRead, address: Any) -> None:
        """Serve a connection that waited without a greenlet; its place is still free."""
        if self.closed:
            taken.close()  # this process ends; the client reconnects to another
        else:
            self.do_handle(self._bounded(taken), address, read)

    def _bounded(self, taken: socket.socket) -> BoundedSocket:
        made = BoundedSocket(*self._kind, fileno=taken.detach())
        made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
        return made

    def wrap_socket_and_handle(self, client_socket: Any, address: Any, read: FirstRead) -> None:
        """Do the TLS handshake, and serve the connection; close it if the handshake fails."""
        context = self.wrap_socket.__self__
        context.sslsocket_class = BoundedTLSSocket  # as the ssl module's documentation says
        try:
            with gevent.Timeout(HANDSHAKE_S, TimeoutError()):
                tls = self.wrap_socket(client_socket, **self.ssl_args)
        except OSError:  # a timeout, or a client that speaks no TLS
            client_socket.close()
            return
        with tls:
            self.handle(tls, address, read)
