"""An open stream: what it holds until it ends, and how it begins.

``OpenStream.begin`` begins every stream, whether Flask or the fast path has read its request. A
greenlet writes the frames that the stream has missed; meanwhile ``watched`` notices at once when
the client goes away, not at the second write after it. Then a socket writer takes the connection
and writes the live frames without a greenlet.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol, runtime_checkable

import gevent

from occupancy.core.principal import Principal
from occupancy.live import sse
from occupancy.live.limits import Place
from occupancy.live.socket_writer import SocketWriter, has_ended
from occupancy.live.subscriber import Subscriber
from occupancy.services import Services

# In order of precedence: the browser's own, that of polyfills, which cannot send the header
# everywhere, and the page's.
_CURSORS = ("Last-Event-ID", "lastEventId", "after")

# The kernel would take megabytes for a reader that reads nothing.
STREAM_SEND_BUFFER_BYTES = 64 * 1024


@runtime_checkable
class Detachable(Protocol):
    """A plain connection of our own server, which can be taken away from its greenlet."""

    def take(self) -> socket.socket: ...


class OpenStream:
    """A stream's place, its subscriber and its watch for revocation, held until the block ends.

    Where the stream goes on without a greenlet they are held until its socket writer has ended.
    """

    __slots__ = ("_place", "_principal", "_services", "_ticket", "has_writer", "subscriber")

    def __init__(
        self,
        services: Services,
        principal: Principal,
        board: str,
        place: Place,
        ticket: str | None = None,
    ) -> None:
        self._services = services
        self._principal = principal
        self._place = place
        self._ticket = ticket
        self.has_writer = False  # a socket writer, which gives all back at the stream's end
        services.stream_limits.hold(place)
        if ticket is not None:
            services.tickets.hold(ticket)
        self.subscriber = services.hub.subscribe(board)
        # Before the first byte, which may take long: from here on the stream can be ended.
        services.revocation.watch(principal, self.subscriber)

    def __enter__(self) -> OpenStream:
        return self

    def __exit__(self, *_: object) -> None:
        if not self.has_writer:
            self._give_back()

    def begin(
        self,
        connection: Any,
        cursor: str | None,
        *,
        missed: list[bytes] | None = None,
        first: Callable[[bytes], bytes] | None = None,
        is_chunked: bool = True,
    ) -> Iterator[bytes]:
        """Begin the stream after ``cursor``, or now; yields what is written before it is live.

        Where ``connection`` is ``Detachable``, a socket writer writes what comes then; else all to
        the stream's end is yielded. ``first`` encodes the first frames, with the response's head,
        and then the rest is yielded as coded chunks; without it frames are yielded as they are, and
        the server writes the head.

        With ``missed``, the frames after the cursor, the stream is live on return, on the socket
        ``connection``, and nothing is yielded. No switch point may lie between
        ``BoardFrames.since`` and this.
        """
        if missed is None:
            return self._catch_up(connection, cursor, first, is_chunked)
        frames = b"".join([sse.retry_frame(), *self.subscriber.go_live(missed)])
        self._hand_over(connection, is_chunked, first(frames) if first is not None else frames)
        return iter(())

    def _catch_up(
        self,
        connection: Any,
        cursor: str | None,
        first: Callable[[bytes], bytes] | None,
        is_chunked: bool,
    ) -> Iterator[bytes]:
        subscriber = self.subscriber
        with watched(connection, subscriber):
            retry = sse.retry_frame()  # the response's head goes out with it, before any waiting
            yield first(retry) if first is not None else retry
            if not isinstance(connection, Detachable):
                yield from subscriber.frames(cursor)
                return
            for frames in subscriber.join(cursor):
                is_encoded = first is not None
                yield sse.http_chunk(subscriber.coded(frames)) if is_encoded else frames
        if subscriber.is_live:
            self._hand_over(connection.take(), is_chunked, b"")

    def _hand_over(self, taken: socket.socket, is_chunked: bool, begin: bytes) -> None:
        """From now on a socket writer writes the live stream; ``begin`` is what it begins with.

        Frames that came since the subscriber went live wait in it, and ``attach`` has them written.
        No switch point lies in here: the writer may not end before the subscriber has it.
        """
        writer = SocketWriter(
            taken, is_chunked=is_chunked, is_gzip=self.subscriber.is_gzip, begin=begin,
            next_piece=self.subscriber.next_piece, on_ended=self._give_back,
        )  # fmt: skip
        self.has_writer = True
        self.subscriber.attach(writer)

    def _give_back(self) -> None:
        self._services.revocation.unwatch(self._principal, self.subscriber)
        self._services.hub.unsubscribe(self.subscriber)
        self._services.stream_limits.give_back(self._place)
        if self._ticket is not None:
            self._services.tickets.let_go(self._ticket)
        self.subscriber.end()  # else it and its writer would hold each other until a collection


@contextlib.contextmanager
def watched(connection: Any, subscriber: Subscriber) -> Iterator[None]:
    """Watch the client's connection for its end, while the block runs."""
    if not isinstance(connection, gevent.socket.socket):
        yield  # TLS in gunicorn, another server, or a test client: its end shows at a write
        return
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, STREAM_SEND_BUFFER_BYTES)
    watcher = gevent.get_hub().loop.io(connection.fileno(), 1)  # 1: readable

    def on_readable() -> None:
        # Runs in the event loop between greenlets: it must not block, and peeking does not.
        if has_ended(connection._sock):
            subscriber.abandon()
        watcher.stop()  # else a client that sends more would wake the loop without end

    def hang_up() -> None:
        with contextlib.suppress(OSError):  # gone already
            connection.shutdown(socket.SHUT_RDWR)

    subscriber.hang_up = hang_up
    watcher.start(on_readable)
    try:
        yield
    finally:
        watcher.stop()
        watcher.close()


def cursor_of(last_event_id: str | None, query: Iterable[tuple[str, str]]) -> str | None:
    """The cursor after which a stream continues; None: it begins now.

    ``last_event_id`` is the header, ``query`` the parameters in order. The last of several equal
    ones counts: a polyfill adds its own at the end. Nothing here is an error, because a status
    other than 200 ends an EventSource for good. Unknown parameters are ignored, because clients add
    some against caches; an invalid cursor gets a ``reset``.
    """
    if last_event_id:
        return last_event_id
    given = {name: value for name, value in query if value}
    return next((given[name] for name in _CURSORS if name in given), None)
