"""The least HTTP that a load generator needs: requests encoded once, answers barely looked at.

Standard library only, nothing shared with the server: what is measured is the server, and what
this costs is reported beside it.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Sequence

_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)
RECEIVE_BYTES = 64 * 1024


def operation_request(port: int, token: str, board: str, tag: str, operation: str) -> bytes:
    """The bytes of one operation on one item."""
    path = f"/api/boards/{board}/items/{tag}/{operation}"
    return _request("POST", path, port, token, "Content-Length: 0")


def events_request(port: int, token: str, board: str) -> bytes:
    """The bytes that open an event stream."""
    return _request("GET", f"/api/boards/{board}/events", port, token, "Accept: text/event-stream")


def items_request(port: int, token: str, board: str) -> bytes:
    """The bytes that ask for a whole board."""
    return _request("GET", f"/api/boards/{board}/items", port, token)


def take_head(port: int, token: str, board: str, body_bytes: int) -> bytes:
    """The head of an operation whose body of that length is still to be sent."""
    headers = ("Content-Type: application/json", f"Content-Length: {body_bytes}")
    return _request("POST", f"/api/boards/{board}/items/X/take", port, token, *headers)


def connect(port: int) -> socket.socket:
    """A blocking connection to the server, without delays of Nagle's."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=30)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def answer_end(buffer: bytes) -> int:
    """Where the answer at the start of ``buffer`` ends; 0 while it is not complete."""
    head = buffer.find(b"\r\n\r\n")
    if head < 0:
        return 0
    length = _LENGTH.search(buffer, 0, head)
    if length is None:
        raise ValueError(f"an answer without Content-Length: {buffer[:200]!r}")
    end = head + 4 + int(length[1])
    return end if len(buffer) >= end else 0


def is_done(answer: bytes) -> bool:
    """Whether an operation was carried out just now: 200, and it changed something."""
    return answer.startswith(b"HTTP/1.1 200 ") and b'\r\n\r\n{"changed":true' in answer


def exchange(connection: socket.socket, request: bytes) -> bytes:
    """Send a request on a blocking connection and wait for its answer."""
    connection.sendall(request)
    buffer = b""
    while not (end := answer_end(buffer)):
        data = connection.recv(RECEIVE_BYTES)
        if not data:
            raise ConnectionError("the server closed the connection")
        buffer += data
    return buffer[:end]


class Body:
    """Takes the chunks of an endless answer apart, as they arrive."""

    def __init__(self) -> None:
        self.status = 0  # 0 until the head has arrived
        self._rest = b""
        self._is_chunked = False

    def feed(self, data: bytes) -> bytes:
        """The part of the body that ``data`` completes."""
        rest = self._rest + data if self._rest else data
        if not self.status:
            head, found, rest_of_it = rest.partition(b"\r\n\r\n")
            if not found:
                self._rest = rest
                return b""
            self.status = int(head[9:12])
            self._is_chunked = _CHUNKED.search(head) is not None
            rest = rest_of_it
        if not self._is_chunked:
            self._rest = b""
            return rest
        position = 0
        pieces = []
        while (line_end := rest.find(b"\r\n", position)) > 0:
            end = line_end + 2 + int(rest[position:line_end], 16)
            if end + 2 > len(rest):
                break
            pieces.append(rest[line_end + 2 : end])
            position = end + 2
        self._rest = rest[position:]
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def percentile(ordered: Sequence[float], share: float) -> float:
    """The value below which ``share`` of the ascending values lie; 0 for none."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def _request(method: str, path: str, port: int, token: str, *headers: str) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{port}"]
    lines += [f"Authorization: Bearer {token}", *headers, "", ""]
    return "\r\n".join(lines).encode()
