"""An open stream: what it holds until it ends, and how its connection is looked after.

While a greenlet writes it, ``watched`` notices a client that goes away when its connection becomes
readable, not at the second write after. Once it is live, an outlet writes it without a greenlet.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterable, Iterator
from typing import Any

import gevent

from occupancy.core.principal import Principal
from occupancy.live.limits import Place
from occupancy.live.socket_writer import SocketWriter, has_ended
from occupancy.live.subscriber import Subscriber
from occupancy.server.bounded_sockets import STREAM_SEND_BUFFER_BYTES
from occupancy.services import Services

# In order of precedence: the browser's own, that of polyfills, which cannot send the header
# everywhere, and the page's.
_CURSORS = ("Last-Event-ID", "lastEventId", "after")


class OpenStream:
    """Its place, its subscriber, the guard's eye: held until the block ends.

    Or longer, where the stream goes on without a greenlet: until its outlet has ended.
    """

    __slots__ = ("_caller", "_has_outlet", "_place", "_services", "_ticket", "subscriber")

    def __init__(
        self,
        services: Services,
        principal: Principal,
        board: str,
        place: Place,
        ticket: str | None = None,
    ) -> None:
        self._services = services
        self._caller = principal
        self._place = place
        self._ticket = ticket
        self._has_outlet = False  # which gives all back at the stream's end
        services.stream_limits.hold(place)
        if ticket is not None:
            services.tickets.hold(ticket)
        self.subscriber = services.hub.subscribe(board)
        # Before the first byte, which may take long: from here on the stream can be ended.
        services.revocation.watch(principal, self.subscriber)

    def __enter__(self) -> OpenStream:
        return self

    def __exit__(self, *_: object) -> None:
        if not self._has_outlet:
            self._give_back()

    def _give_back(self) -> None:
        self._services.revocation.unwatch(self._caller, self.subscriber)
        self._services.hub.unsubscribe(self.subscriber)
        self._services.stream_limits.give_back(self._place)
        if self._ticket is not None:
            self._services.tickets.let_go(self._ticket)
        self.subscriber.end()  # else it and its outlet would hold each other until a collection

    def go_on_without_greenlet(
        self, taken: socket.socket, *, is_chunked: bool = True, begin: bytes = b""
    ) -> None:
        """From now on the live stream is its outlet's; ``begin`` is what it begins with.

        No switch point may lie between the subscriber's going live and this.
        """
        outlet = SocketWriter(
            taken,
            is_chunked=is_chunked,
            is_gzip=self.subscriber.is_gzip,
            begin=begin,
            next_piece=self.subscriber.next_piece,
            on_ended=self._give_back,
        )
        self._has_outlet = True
        self.subscriber.attach(outlet)


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
