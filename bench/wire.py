"""The minimum of HTTP that the benchmark needs: requests as bytes, and where an answer ends.

It shares no code with the server that it measures.
"""

from __future__ import annotations

import re
import socket

_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)
RECEIVE_BYTES = 64 * 1024
KEY_HEAD, KEY_ZEROS = "Idempotency-Key: ", "0" * 32  # see renew_key in generator/common.h


def operation_request(port: int, token: str, board: str, tag: str, operation: str) -> bytes:
    """The bytes of one operation on one item, with an Idempotency-Key, as the pages send it.

    The generator replaces the key in each request that it sends by one of the same length.
    """
    path = f"/api/boards/{board}/items/{tag}/{operation}"
    return _request("POST", path, port, token, f"{KEY_HEAD}{KEY_ZEROS}", "Content-Length: 0")


def events_request(port: int, token: str, board: str, *headers: str) -> bytes:
    """The bytes that open an event stream."""
    headers = ("Accept: text/event-stream", *headers)
    return _request("GET", f"/api/boards/{board}/events", port, token, *headers)


def items_request(port: int, token: str, board: str, *headers: str) -> bytes:
    """The bytes that ask for a whole board."""
    return _request("GET", f"/api/boards/{board}/items", port, token, *headers)


def take_head(port: int, token: str, board: str, body_bytes: int) -> bytes:
    """The head of an operation whose body of that length is still to be sent."""
    headers = ("Content-Type: application/json", f"Content-Length: {body_bytes}")
    return _request("POST", f"/api/boards/{board}/items/X/take", port, token, *headers)


def connect(port: int) -> socket.socket:
    """A blocking connection to the server, without Nagle's algorithm."""
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


def _request(method: str, path: str, port: int, token: str, *headers: str) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{port}"]
    lines += [f"Authorization: Bearer {token}", *headers, "", ""]
    return "\r\n".join(lines).encode()
