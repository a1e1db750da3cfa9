"""An open stream: the resources that it holds until it ends, and its connection.

While a greenlet writes it, ``watched`` notices a client that goes away when its connection becomes
readable, not at the second write after. Once it is live, a socket writer replaces the greenlet.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from typing import Any

import gevent

from occupancy.core.principal import Principal
from occupancy.live.limits import Place
from occupancy.live.socket_writer import SocketWriter, has_ended
from occupancy.live.subscriber import Subscriber
from occupancy.server.bounded_sockets import STREAM_SEND_BUFFER_BYTES
from occupancy.services import Services


class OpenStream:
    """Holds its place, its subscriber and its registration for revocation until the block ends.

    A stream that goes on without a greenlet holds them until its socket writer has ended.
    """

    __slots__ = ("_has_writer", "_place", "_principal", "_services", "_ticket", "subscriber")

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
        self._has_writer = False  # a socket writer, which gives all back at the stream's end
        services.stream_limits.hold(place)
        if ticket is not None:
            services.tickets.hold(ticket)
        self.subscriber = services.hub.subscribe(board)
        # Before the first byte, which may take long: from here on the stream can be ended.
        services.revocation.watch(principal, self.subscriber)

    def __enter__(self) -> OpenStream:
        return self

    def __exit__(self, *_: object) -> None:
        if not self._has_writer:
            self._give_back()

    def _give_back(self) -> None:
        self._services.revocation.unwatch(self._principal, self.subscriber)
        self._services.hub.unsubscribe(self.subscriber)
        self._services.stream_limits.give_back(self._place)
        if self._ticket is not None:
            self._services.tickets.let_go(self._ticket)
        self.subscriber.end()  # else it and its writer would refer to each other until a collection

    def go_on_without_greenlet(
        self, taken: socket.socket, *, is_chunked: bool = True, begin: bytes = b""
    ) -> None:
        """Let a socket writer write the live stream from now on, ``begin`` first.

        No switch point may lie between the subscriber's going live and this.
        """
        writer = SocketWriter(
            taken,
            is_chunked=is_chunked,
            is_gzip=self.subscriber.is_gzip,
            begin=begin,
            next_piece=self.subscriber.next_piece,
            on_ended=self._give_back,
        )
        self._has_writer = True
        self.subscriber.attach(writer)


@contextlib.contextmanager
def watched(connection: Any, subscriber: Subscriber) -> Iterator[None]:
    """Watch the client's connection for its end, while the block runs."""
    if not isinstance(connection, gevent.socket.socket):
        yield  # TLS in gunicorn, another server, or a test client: a write notices its end
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
