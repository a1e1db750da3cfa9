"""Deadlines: a client that is slow, or stands still on purpose, costs a place for a bounded time.

* A request must begin within gunicorn's ``keepalive`` seconds, and its head be there within as many
  after that (gunicorn reads it inside one timeout over all of its parts).
* Its body must be there within BODY_S. What a route never reads, gunicorn reads away before the
  next head, under the head's deadline; a client that sends more than UNANSWERED_BYTES of it is
  closed, and gives way to others meanwhile.
* A client that does not take a piece of 64 KiB of its answer within WRITE_S is closed. While large
  answers fill more than UNTAKEN_BYTES, the slowest client is closed: else some hundred readers that
  take a little now and then would keep megabytes each. A new reader counts as one that takes
  PRESUMED_BYTES_S. Bytes that several are sent (a board that has not changed) count once, so a
  hall that reloads closes nobody.
* When places run out, whoever keeps one waiting for a request longest makes room.

Event streams wait for events and not for their client; how they are bounded is in subscriber.py.
"""

from __future__ import annotations

import _socket
import collections
import contextlib
import dataclasses
import errno
import socket
import struct
import time
from collections.abc import Callable
from typing import Any, cast

import gevent
from gevent import socket as gevent_socket
from gevent import ssl as gevent_ssl
from gevent.server import StreamServer

from occupancy.core.errors import InvalidRequest

BODY_S = 20.0
WRITE_S = 30.0
HANDSHAKE_S = 5.0
UNANSWERED_BYTES = 4 * 1024 * 1024  # no request has so many; a body of that size is drained
UNTAKEN_BYTES = 128 * 1024 * 1024
PRESUMED_BYTES_S = 640 * 1024  # per second, for a new reader; slower than any plant's network
_PRESUMED_S = 0.1  # seconds at that pace that count beside what was measured
_KERNEL_BYTES = 512 * 1024  # what both kernels take at once for a client that takes nothing
STALL_S = 5.0  # without a piece taken: who may be closed to make room
_FULL_PAUSE_S = 0.05
_GREETED_AT_ONCE = 16  # and then the others get their turn
_SHARE_KEPT = 32  # one of so many places is kept free
_PIECE_BYTES = 64 * 1024  # per deadline, so that a slow reader that reads may take its time
_READ_BYTES = 16 * 1024
# The kernel would take megabytes for a reader that reads nothing.
_SEND_BUFFER_BYTES = 128 * 1024
STREAM_SEND_BUFFER_BYTES = 64 * 1024
_NO_LINGER = struct.pack("ii", 1, 0)


Serve = Callable[[socket.socket, bytes, Any], None]
"""Leaves a connection to a greenlet, with what was read of it and its address."""


def body_deadline() -> gevent.Timeout:
    """A block that reads a body, and is left by InvalidRequest where that takes BODY_S.

    By an Exception: gunicorn then knows that the body was not read, and closes the connection.
    With a gevent.Timeout it would take the rest of a chunked body for the next request.
    """
    return gevent.Timeout(BODY_S, InvalidRequest(f"The body did not arrive within {BODY_S:g} s."))


@dataclasses.dataclass(slots=True)
class _Answer:
    """A large answer that is being sent."""

    number: int  # id() of the bytes, which others may be sent too
    size_bytes: int
    began_s: float
    since_s: float  # when the last piece was taken
    taken_bytes: int = 0

    def pace_bytes_s(self, now_s: float) -> float:
        presumed_bytes = PRESUMED_BYTES_S * _PRESUMED_S
        taken_bytes = max(0, self.taken_bytes - _KERNEL_BYTES)
        return (taken_bytes + presumed_bytes) / (now_s - self.began_s + _PRESUMED_S)


class _Waiting:
    """Connections of this process that wait for their clients."""

    def __init__(self) -> None:
        self.requests: dict[_Bounded, None] = {}  # for one, or the rest of it; the longest first
        self._answers: dict[_Bounded, _Answer] = {}  # who has taken nothing for longest first
        self._sent: collections.Counter[int] = collections.Counter()  # by id: to how many
        self._untaken_bytes = 0  # of all that is sent, each counted once

    def answer(self, connection: _Bounded, data: bytes) -> None:
        """Note that ``data``, which lives until ``answered``, begins to be sent."""
        now_s = time.monotonic()
        self._answers[connection] = _Answer(id(data), len(data), now_s, now_s)
        self._sent[id(data)] += 1
        if self._sent[id(data)] == 1:
            self._untaken_bytes += len(data)
        while self._untaken_bytes > UNTAKEN_BYTES and len(self._sent) > 1:
            slowest = min(self._answers, key=lambda each: self._answers[each].pace_bytes_s(now_s))
            self.answered(slowest)
            slowest.hang_up()

    def taken(self, connection: _Bounded, size_bytes: int) -> None:
        """Note that a piece was taken, unless the connection was closed meanwhile."""
        found = self._answers.pop(connection, None)
        if found is not None:
            found.taken_bytes += size_bytes
            found.since_s = time.monotonic()
            self._answers[connection] = found

    def answered(self, connection: _Bounded) -> None:
        found = self._answers.pop(connection, None)
        if found is None:
            return
        self._sent[found.number] -= 1
        if not self._sent[found.number]:
            del self._sent[found.number]
            self._untaken_bytes -= found.size_bytes

    def make_room(self) -> None:
        """Close the connection that has kept its place without a whole request for longest."""
        # Which of them are being served right now is known to them; they are among the last.
        longest = next((each for each in self.requests if each.is_reading), None)
        if longest is not None:
            longest.hang_up()
        else:
            self._close_stalled(time.monotonic())

    def _close_stalled(self, now_s: float) -> bool:
        longest = next(iter(self._answers), None)
        if longest is None or now_s - self._answers[longest].since_s < STALL_S:
            return False
        self.answered(longest)
        longest.hang_up()
        return True


class _Bounded:
    """What is bounded on a client's connection, plain or TLS. Before gevent's socket in the MRO."""

    waiting = _Waiting()
    is_reading = False
    _put_back = b""
    _is_hung_up = False
    _unanswered_bytes = 0

    def setblocking(self: Any, flag: bool) -> None:
        """As gunicorn calls it for each connection: what waits for the client waits WRITE_S."""
        self.settimeout(WRITE_S if flag else 0.0)

    def _read_timeout_s(self: Any) -> float | None:
        timeout_s: float | None = self.timeout
        return timeout_s

    def put_back(self, data: bytes) -> None:
        """Give back what was read: it is what ``recv`` returns next."""
        self._put_back = data

    def recv(self: Any, size: int, flags: int = 0) -> bytes:
        if self._put_back:
            before: bytes = self._put_back
            self._put_back = before[size:]
            return before[:size]
        self.waiting.requests.setdefault(self)
        self.is_reading = True
        before_s, self.timeout = self.timeout, self._read_timeout_s()
        try:
            data: bytes = super().recv(min(size, _READ_BYTES), flags)  # type: ignore[misc] # gevent's
        except OSError as error:
            raise self._quiet(error) from error
        finally:
            self.is_reading = False
            self.timeout = before_s
        self._unanswered_bytes += len(data)
        if self._unanswered_bytes > _PIECE_BYTES:
            if self._unanswered_bytes > UNANSWERED_BYTES:
                raise ConnectionResetError(errno.ECONNRESET, "the client sends without end")
            # Reading what has arrived already is no switch: one client that sends at full speed
            # would have the process for itself, and no timeout would ever fire.
            gevent.sleep(0)
        return data

    def sendall(self: Any, data: bytes, flags: int = 0) -> None:
        """Send all of ``data``; raises ECONNRESET where the peer does not take a piece in time."""
        self.waiting.requests.pop(self, None)
        self._unanswered_bytes = 0
        try:
            if len(data) <= _PIECE_BYTES:
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
                for first in range(0, len(view), _PIECE_BYTES):
                    super().sendall(view[first : first + _PIECE_BYTES], flags)  # type: ignore[misc] # gevent's
                    self.waiting.taken(self, _PIECE_BYTES)
        finally:
            self.waiting.answered(self)

    def shutdown(self: Any, how: int) -> None:
        self._is_hung_up = True
        super().shutdown(how)  # type: ignore[misc] # gevent's

    def hang_up(self: Any) -> None:
        """End the connection now, whatever its greenlet waits for; what was not taken is gone."""
        self.waiting.requests.pop(self, None)
        try:
            # The kernel would keep the rest for minutes, in the hope that it is taken after all.
            self.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
            self.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # gone already

    def take(self: Any) -> socket.socket:
        """Take the connection away from gunicorn, which may only close this object afterwards.

        It is a stream from now on, and buffers as much as one may.
        """
        self.waiting.requests.pop(self, None)
        with contextlib.suppress(OSError):  # gone already, as the next write finds
            self.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, STREAM_SEND_BUFFER_BYTES)
        taken = _socket.socket(self.family, self.type, self.proto, fileno=self.detach())
        return cast(socket.socket, taken)

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
    """gevent's socket, bounded. It is read by HTTP/1 alone, and written mostly in one piece."""

    def _read_timeout_s(self) -> float | None:
        # Whoever reads has a deadline of its own around it (see above); another timer of the
        # socket's for each read would only cost.
        return None if self.timeout else cast(float | None, self.timeout)

    def _send_at_once(self, data: bytes, flags: int) -> int:
        # Nearly always all of it; sendall would first ask the kernel how large its buffer is.
        try:
            return cast(int, self.send(data, flags, timeout=0.0))
        except BlockingIOError:
            return 0


class BoundedTLSSocket(_Bounded, gevent_ssl.SSLSocket):  # type: ignore[misc] # gevent has no types
    """gevent's TLS socket, bounded."""


class BoundedListener(StreamServer):  # type: ignore[misc] # gevent has no types
    """gevent's server, whose connections are bounded."""

    count_without_greenlet: Callable[[], int] = staticmethod(lambda: 0)
    """Connections that no greenlet serves: they are not in the pool, and keep their places."""

    greet: Callable[[socket.socket, Any, Serve], bytes | None] = staticmethod(
        lambda taken, address, serve: b""
    )
    """Asked first, of each connection: None if it keeps it, else what it has read of it.

    What it has kept it may leave to ``serve`` later.
    """

    begin: Callable[[], None] = staticmethod(lambda: None)
    """Called after the connections of a turn, for those that were kept."""

    def set_listener(self, listener: Any) -> None:
        """The listener, whose connections inherit the send buffer that is right for streams."""
        super().set_listener(listener)
        self._kind = self.socket.family, self.socket.type, self.socket.proto
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, STREAM_SEND_BUFFER_BYTES)

    def free_places(self) -> int:
        """How many more connections this process may have."""
        free: int = self.pool.free_count() - self.count_without_greenlet()
        return free

    def pause(self, pause_s: float) -> None:
        """Accept nothing for a while, as gevent does it after an error: the loop does not spin."""
        self.stop_accepting()
        self._timer = self.loop.timer(pause_s)
        self._timer.start(self._start_accepting_if_started)

    def do_read(self) -> Any:
        """Accept a connection; None where there is none for a greenlet, or no place for it."""
        free = self.free_places()
        if free <= 0:
            self.pause(_FULL_PAUSE_S)  # streams do not have all places: some will be free
            return None
        try:
            return self._accept_one(free)
        finally:
            self.begin()

    def _accept_one(self, free: int) -> Any:
        """Accept connections up to the first that is not kept; None where there is no such."""
        # gunicorn sets max_accept to 1 where there are several processes, so that none takes all.
        # An eighth of what this one has is what it may be ahead anyway (balance.py).
        most = max(self.max_accept, (self.pool.size - free) // 8)
        for _ in range(min(most, _GREETED_AT_ONCE, free)):
            try:
                descriptor, address = self.socket._accept()
            except BlockingIOError:
                return None
            if free <= self.pool.size // _SHARE_KEPT + 1:
                # Not here: those accepted in the same turn do not read yet, and could fill all
                # places before one of them can be closed.
                gevent.spawn(BoundedSocket.waiting.make_room)
            taken = cast(socket.socket, _socket.socket(*self._kind, descriptor))
            # TLS begins with a handshake, which nobody here can greet.
            read = b"" if self.ssl_enabled else self.greet(taken, address, self.serve)
            if read is None:
                free -= 1
                continue
            return self._bounded(taken, read), address
        return None

    def serve(self, taken: socket.socket, read: bytes, address: Any) -> None:
        """Leave a connection that was kept to a greenlet; its place is still free."""
        if self.closed:
            taken.close()  # this process ends; the client comes back to another
        else:
            self.do_handle(self._bounded(taken, read), address)

    def _bounded(self, taken: socket.socket, read: bytes) -> BoundedSocket:
        made = BoundedSocket(*self._kind, fileno=taken.detach())
        made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
        made.put_back(read)
        return made

    def wrap_socket_and_handle(self, client_socket: Any, address: Any) -> None:
        """Shake hands for TLS, and go on as without; who does not manage is closed."""
        context = self.wrap_socket.__self__
        context.sslsocket_class = BoundedTLSSocket
        try:
            with gevent.Timeout(HANDSHAKE_S, TimeoutError()):
                tls = self.wrap_socket(client_socket, **self.ssl_args)
        except OSError:  # what is no TLS, too
            client_socket.close()
            return
        with tls:
            self.handle(tls, address)
