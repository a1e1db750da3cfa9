"""A connection between browsers and a server that can be cut without any notice."""

from __future__ import annotations

import contextlib
import socket

import gevent
from gevent.server import StreamServer


class Wire:
    """Forwards TCP connections to a port on loopback, in greenlets of the test's process."""

    def __init__(self, to_port: int) -> None:
        self._to_port = to_port
        self._sockets: list[socket.socket] = []
        self._server = StreamServer(("127.0.0.1", 0), self._forward)
        self._server.start()
        self.port: int = self._server.server_port
        self._is_cut = False

    def cut(self) -> None:
        """Nothing passes any more, and neither end notices; new connections are refused."""
        self._is_cut = True
        self._server.stop()

    def mend(self) -> None:
        """New connections work again; earlier ones stay dead."""
        self._is_cut = False
        self._server = StreamServer(("127.0.0.1", self.port), self._forward)
        self._server.start()

    def close(self) -> None:
        self._server.stop()
        for each in self._sockets:
            each.close()

    def _forward(self, near: socket.socket, _address: object) -> None:
        far = socket.create_connection(("127.0.0.1", self._to_port))
        self._sockets += [near, far]
        gevent.joinall([gevent.spawn(self._copy, near, far), gevent.spawn(self._copy, far, near)])

    def _copy(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if self._is_cut:
                    gevent.get_hub().wait(gevent.get_hub().loop.async_())  # for ever
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
