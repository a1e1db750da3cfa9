"""HTTP/1.1 as bytes on a connection, for requests that no client library sends."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator
from types import TracebackType
from typing import Any

_BODILESS = (204, 304)


def received_until(connection: socket.socket, *texts: bytes) -> bytes:
    """All received bytes, once each of ``texts`` is among them.

    Raises EOFError where the server closes before, and TimeoutError as the connection has it.
    """
    received = b""
    while not all(each in received for each in texts):
        piece = connection.recv(65536)
        if not piece:
            raise EOFError(f"the server has closed the connection after {received!r}")
        received += piece
    return received


class Answer:
    """One response in bytes."""

    def __init__(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    def get(self, name: str) -> str | None:
        """The value of a header, None if it is not there."""
        return next((value for each, value in self.headers if each.lower() == name.lower()), None)

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """A problem's code, or the result of an operation."""
        if self.get("Content-Type") == "application/problem+json":
            return str(self.json["code"])
        if self.get("Content-Type") == "application/json" and "changed" in self.json:
            return "changed" if self.json["changed"] else "unchanged"
        return ""

    def __repr__(self) -> str:
        return f"<{self.status} {self.code or self.body[:60]!r}>"


def request(line: str, *headers: str, body: bytes | None = None) -> bytes:
    """A request's bytes, with Host and, for a body, Content-Length."""
    is_named = any(each.lower().startswith("host:") for each in headers)
    lines = [f"{line} HTTP/1.1", *([] if is_named else ["Host: 127.0.0.1"]), *headers]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + (body or b"")


class Wire:
    """One connection to a server on loopback; closed at the end of the block."""

    def __init__(self, port: int, *, receive_bytes: int = 0) -> None:
        self.connection = socket.socket()
        if receive_bytes:  # before connecting: it determines the window
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self.connection.settimeout(30)
        try:
            self.connection.connect(("127.0.0.1", port))
        except OSError:
            self.connection.close()
            raise
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self.connection.makefile("rb")
        self._pulse: Wire | None = None

    def __enter__(self) -> Wire:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        if self._pulse is not None:
            self._pulse.close()
        self._file.close()
        self.connection.close()

    def send(self, data: bytes) -> None:
        self.connection.sendall(data)

    def send_apart(self, *pieces: bytes) -> None:
        """Send pieces that the server reads one by one, if it has one process.

        What was sent before two others' requests has been read when these are answered.
        """
        for number, piece in enumerate(pieces):
            if number:
                if self._pulse is None:
                    self._pulse = Wire(self.connection.getpeername()[1])
                for _ in range(2):
                    self._pulse.ask(request("GET /livez"))
            with contextlib.suppress(OSError) if number else contextlib.nullcontext():
                self.send(piece)  # the server may have refused the first, and closed

    def end(self) -> None:
        """Shut down the sending side."""
        with contextlib.suppress(OSError):  # the server has closed already
            self.connection.shutdown(socket.SHUT_WR)

    def ask(self, data: bytes) -> Answer:
        """Send a request and read its answer."""
        self.send(data)
        return self.answer()

    def answer(self) -> Answer:
        """The next answer. Raises EOFError where the server closes instead."""
        found = self._answer()
        if found is None:
            raise EOFError("the server has closed the connection")
        return found

    def answers(self) -> list[Answer]:
        """All answers until the server closes."""
        return list(self._answers())

    def _answers(self) -> Iterator[Answer]:
        # If the server closes with unread data, the kernel sends a reset.
        with contextlib.suppress(ConnectionResetError):
            while found := self._answer():
                yield found

    def lines(self) -> list[str]:
        """The lines of the next answer's head; none where the server closes instead."""
        lines = []
        while line := self._file.readline().rstrip(b"\r\n").decode("latin-1"):
            lines.append(line)
        return lines

    def until(self, text: bytes) -> bytes:
        """All received bytes up to the end of the line that contains ``text``."""
        received = b""
        while line := self._file.readline():
            received += line
            if text in line:
                return received
        raise EOFError(f"the server has closed the connection after {received!r}")

    def _answer(self) -> Answer | None:
        lines = self.lines()
        if not lines:
            return None
        protocol, status = lines[0].split()[:2]
        assert protocol.startswith("HTTP/1."), lines
        headers = [(name, value) for name, _, value in (each.partition(": ") for each in lines[1:])]
        found = Answer(int(status), headers, b"")
        if found.status >= 200 and found.status not in _BODILESS:
            found.body = self._body(found)
        return found

    def _body(self, found: Answer) -> bytes:
        if found.get("Transfer-Encoding") == "chunked":
            body = b""
            while size := int(self._file.readline(), 16):
                body += self._file.read(size)
                self._file.readline()
            self._file.readline()
            return body
        length = int(found.get("Content-Length") or "-1")
        body = self._file.read(length)
        if len(body) < length:
            raise AssertionError(f"cut off after {len(body)} of {length} bytes")
        return body
