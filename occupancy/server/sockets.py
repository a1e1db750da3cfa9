"""Bounded sockets: a slow or stalled client keeps its place for a bounded time.

* A request must begin within gunicorn's ``keepalive`` seconds, and its head must arrive within as
  many after that (one timeout of gunicorn's covers all of it).
* Its body must arrive within BODY_S (``web/io.py``). A body that no route reads is read and
  dropped before the next head, under a deadline of ``keepalive`` seconds; a client that sends more
  than UNANSWERED_BYTES of it is closed, and others have their turn meanwhile. A route that takes
  a larger body, such as a file, says so (``expect``) and bounds it itself.
* A client that does not take a piece of 64 KiB of its answer within WRITE_S is closed.
* ``waiting_clients.py`` closes clients where memory or places run out.

Event streams wait for events and not for their client; ``live/subscriber.py`` bounds them.
"""

from __future__ import annotations

import _socket
import contextlib
import errno
import socket
from typing import Any, cast

import gevent
from gevent import socket as gevent_socket
from gevent import ssl as gevent_ssl

from occupancy.live.socket_writer import NO_LINGER
from occupancy.server.waiting_clients import WaitingClients
from occupancy.web.open_stream import STREAM_SEND_BUFFER_BYTES

WRITE_S = 30.0
UNANSWERED_BYTES = 4 * 1024 * 1024  # no other request has so many; such a body is drained
_WRITE_PIECE_BYTES = 64 * 1024  # per deadline, so that a slow reader that reads may take its time
_MAX_READ_BYTES = 16 * 1024


class _Bounded:
    """The bounds of a client's connection, plain or TLS. Before gevent's socket in the MRO."""

    waiting = WaitingClients()
    is_reading = False
    _is_hung_up = False
    _unanswered_bytes = 0
    _expected_bytes = 0  # besides

    def setblocking(self: Any, flag: bool) -> None:
        """Bound every wait for the client by WRITE_S; gunicorn calls it for each connection."""
        self.settimeout(WRITE_S if flag else 0.0)

    def expect(self, size: int) -> None:
        """Let the present request have a body of ``size`` bytes."""
        self._expected_bytes = size

    def _read_timeout_s(self: Any) -> float | None:
        timeout_s: float | None = self.timeout
        return timeout_s

    def recv(self: Any, size: int, flags: int = 0) -> bytes:
        self.waiting.requests.setdefault(self)
        self.is_reading = True
        before_s, self.timeout = self.timeout, self._read_timeout_s()
        try:
            data: bytes = super().recv(min(size, _MAX_READ_BYTES), flags)  # type: ignore[misc] # gevent's
        except OSError as error:
            raise self._quiet(error) from error
        finally:
            self.is_reading = False
            self.timeout = before_s
        self._unanswered_bytes += len(data)
        if self._unanswered_bytes > _WRITE_PIECE_BYTES:
            if self._unanswered_bytes > UNANSWERED_BYTES + self._expected_bytes:
                raise ConnectionResetError(errno.ECONNRESET, "the client sends without end")
            # Reading data that has arrived is no switch point: a client that sends at full speed
            # would keep the process busy, and no timeout would ever fire.
            gevent.sleep(0)
        return data

    def sendall(self: Any, data: bytes, flags: int = 0) -> None:
        """Send all of ``data``; raises ECONNRESET where the peer does not take a piece in time."""
        self.waiting.requests.pop(self, None)
        self._unanswered_bytes = self._expected_bytes = 0
        try:
            if len(data) <= _WRITE_PIECE_BYTES:
                sent_bytes = self._send_at_once(data, flags)
                if sent_bytes < len(data):
                    super().sendall(data[sent_bytes:], flags)  # type: ignore[misc] # gevent's
            else:
                self._send_pieces(data, flags)
        except OSError as error:
            raise self._quiet(error) from error

    def _send_at_once(self, data: bytes, flags: int) -> int:
        return 0

    def _send_pieces(self: Any, data: bytes, flags: int) -> None:
        try:
            self.waiting.answer(self, data)
            with memoryview(data) as view:
                for first in range(0, len(view), _WRITE_PIECE_BYTES):
                    super().sendall(view[first : first + _WRITE_PIECE_BYTES], flags)  # type: ignore[misc] # gevent's
                    self.waiting.taken(self, _WRITE_PIECE_BYTES)
        finally:
            self.waiting.answered(self)

    def shutdown(self: Any, how: int) -> None:
        self._is_hung_up = True
        super().shutdown(how)  # type: ignore[misc] # gevent's

    def hang_up(self: Any) -> None:
        """End the connection now, also while a greenlet waits on it; unsent data is lost."""
        self.waiting.requests.pop(self, None)
        with contextlib.suppress(OSError):  # gone already
            # Without it the kernel keeps unsent data for minutes.
            self.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
            self.shutdown(socket.SHUT_RDWR)

    def close(self: Any) -> None:
        self.waiting.requests.pop(self, None)
        super().close()  # type: ignore[misc] # gevent's

    def _quiet(self: Any, error: OSError) -> OSError:
        # gunicorn logs other errors of a socket with a traceback, and there may be thousands.
        if isinstance(error, TimeoutError):
            self.hang_up()
        if self._is_hung_up:
            return ConnectionResetError(errno.ECONNRESET, "the client was too slow")
        return error


class BoundedSocket(_Bounded, gevent_socket.socket):  # type: ignore[misc] # gevent has no types
    """gevent's socket, bounded. Only HTTP/1 is read from it, and most answers are one piece."""

    def take(self) -> socket.socket:
        """Take the connection away from gunicorn, which may only close this object afterwards.

        It is a stream from now on, and buffers as much as a stream may.
        """
        self.waiting.requests.pop(self, None)
        with contextlib.suppress(OSError):  # gone already, as the next write finds
            self.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, STREAM_SEND_BUFFER_BYTES)
        taken = _socket.socket(self.family, self.type, self.proto, fileno=self.detach())
        return cast(socket.socket, taken)

    def _read_timeout_s(self) -> float | None:
        # Every reader has a deadline of its own around it (see above); another timer of the
        # socket's for each read would only cost.
        return None if self.timeout else cast(float | None, self.timeout)

    def _send_at_once(self, data: bytes, flags: int) -> int:
        # Nearly always sends all; sendall would first ask the kernel how large its buffer is.
        try:
            return cast(int, self.send(data, flags, timeout=0.0))
        except BlockingIOError:
            return 0


class BoundedTLSSocket(_Bounded, gevent_ssl.SSLSocket):  # type: ignore[misc] # gevent has no types
    """gevent's TLS socket, bounded."""
