"""HTTP on a raw socket: a request costs a tenth of the CPU time that ``http.client`` takes."""

from __future__ import annotations

import contextlib
import re
import socket
from collections.abc import Mapping
from typing import Any

import msgspec

from proof.history.call import Reply
from proof.load.wire import TIMEOUT_S

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CLOSE = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)
_REPLAYED = re.compile(rb"\r\nidempotency-replayed: *true", re.IGNORECASE)
_NO_ANSWER = Reply(0, {})


class FastClient:
    """One caller of the API, with one kept connection. Not to be shared between greenlets."""

    def __init__(self, port: int, token: str) -> None:
        self._port = port
        self._head = f" HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\n"
        self._socket: socket.socket | None = None

    def post(self, path: str, body: Mapping[str, Any] | None, headers: str) -> Reply:
        """Send one request, once. ``headers`` are whole lines."""
        text = msgspec.json.encode(body) if body else b""
        kind = "Content-Type: application/json\r\n" if body else ""
        request = (
            f"POST {path}{self._head}{headers}{kind}Content-Length: {len(text)}\r\n\r\n".encode()
            + text
        )
        try:
            if self._socket is None:
                self._socket = socket.create_connection(("127.0.0.1", self._port), TIMEOUT_S)
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket.sendall(request)
            return self._read(self._socket)
        except (OSError, ValueError):
            self.close()
            return _NO_ANSWER

    def _read(self, connection: socket.socket) -> Reply:
        """Read the whole response. Raises ValueError if the connection ends before its end."""
        received = b""
        while (end := received.find(b"\r\n\r\n")) < 0:
            received += _some_of(connection)
        head, text = received[: end + 2], received[end + 4 :]
        length = _LENGTH.search(head)
        if length is None:
            raise ValueError("the response has no Content-Length")
        while len(text) < int(length[1]):
            text += _some_of(connection)
        if len(text) > int(length[1]):
            raise ValueError("the server sent more than one response")
        if _CLOSE.search(head):
            self.close()
        body: Any = {}
        with contextlib.suppress(msgspec.DecodeError):  # an HTML page of nginx
            body = msgspec.json.decode(text)
        status = int(head[9:12])
        return Reply(
            status, body if isinstance(body, dict) else {}, _REPLAYED.search(head) is not None
        )

    def close(self) -> None:
        connection, self._socket = self._socket, None
        if connection is not None:
            connection.close()


def _some_of(connection: socket.socket) -> bytes:
    received = connection.recv(65_536)
    if not received:
        raise ValueError("the connection has ended")
    return received
