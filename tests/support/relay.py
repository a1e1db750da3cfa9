"""A relay between a connection pool and its server."""

from __future__ import annotations

import math
from typing import Any

import gevent
from gevent.server import StreamServer


class Relay:
    """A relay in front of a server that passes on a number of replies and keeps the rest."""

    def __init__(self, port: int) -> None:
        self.passing = math.inf  # the number of replies that may still pass
        self.is_cutting = False  # close the connection instead of keeping a reply
        self.kept = 0
        self._upstream_port = port
        self._server = StreamServer(("127.0.0.1", 0), self._serve)
        self._server.start()
        self.port: int = self._server.server_port
        self._open: list[Any] = []

    def _serve(self, client: Any, _address: Any) -> None:
        upstream = gevent.socket.create_connection(("127.0.0.1", self._upstream_port))
        self._open += [client, upstream]
        requests = gevent.spawn(self._copy_requests, client, upstream)
        try:
            while data := upstream.recv(65536):
                if self.passing > 0:
                    self.passing -= 1
                    client.sendall(data)
                else:
                    self.kept += 1
                    if self.is_cutting:
                        break
        except OSError:
            pass  # the test has closed the connection on purpose
        requests.kill()
        client.close()
        upstream.close()

    @staticmethod
    def _copy_requests(client: Any, upstream: Any) -> None:
        try:
            while data := client.recv(65536):
                upstream.sendall(data)
            upstream.shutdown(2)
        except OSError:
            pass  # as above

    def stop(self) -> None:
        self._server.stop()
        for each in self._open:
            each.close()
