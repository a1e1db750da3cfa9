"""Who asks for streams past a web server, one connection each: what is sent, and what comes."""

from __future__ import annotations

import itertools
import select
import socket
from collections.abc import Iterator

import gevent

from occupancy.boards.commands import Command
from occupancy.core.entities import Person, Role
from occupancy.core.transitions import PUT
from occupancy.live.subscriber import Subscriber
from occupancy.server.fast.request import FirstRead, RequestReader, Serve, parse
from occupancy.server.fast.streams import FastStreams
from occupancy.server.sockets import BoundedSocket
from occupancy.services import Services
from occupancy.web.routes import stream
from tests.support.raw_http import request
from tests.support.waiting import wait_until

OFFICE = Person("office", "Office")


def fast_streams(services: Services) -> FastStreams:
    """The fast path's streams, as a process has them."""
    views = {"stream.events": stream.events}
    return FastStreams(services, {}, views, RequestReader(services.settings))


def _serves_nobody(taken: socket.socket, read: FirstRead, address: object) -> None:
    raise AssertionError("left to a greenlet")


class Principal:
    """Who asks for streams of ``hall`` over one connection, and what comes of it."""

    def __init__(self, services: Services, token: str) -> None:
        self.services = services
        self.store = services.store
        self.token = token
        self._shows = f"Authorization: Bearer {token}"
        self.received = b""
        self._numbers = itertools.count()
        self._client, served = socket.socketpair()
        self.served = BoundedSocket(
            served.family, served.type, served.proto, fileno=served.detach()
        )
        self._reader = gevent.spawn(self._read)

    def another(self, token: str | None = None) -> Principal:
        """With that token, or the same, on a connection of its own."""
        return Principal(self.services, token or self.token)

    def strangers(self, count: int) -> list[Principal]:
        """Each with a token of its own, that this process has not seen yet."""
        tokens = [self.services.tokens.create("1")[0] for _ in range(count)]
        access, guard = self.services.authenticator, self.services.revocation
        wait_until(lambda: guard._changes == access.changes(), what="the announcements")
        return [self.another(token) for token in tokens]

    def _read(self) -> None:
        while data := self._client.recv(65536):
            self.received += data

    def close(self) -> None:
        self._reader.kill()
        self._client.close()
        self.served.close()

    def follow(self, board: str, query: str = "") -> bool:
        path = f"GET /api/boards/{board}/events{query}"
        asked = parse(request(path, self._shows))
        assert asked is not None
        return fast_streams(self.services).begin(asked, self.served)

    def accept(
        self,
        streams: FastStreams,
        serve: Serve = _serves_nobody,
        path: str = "/api/boards/hall/events",
    ) -> bytes | None:
        """Ask for a stream of ``hall`` before the connection is accepted."""
        self._client.sendall(request(f"GET {path}", self._shows))
        taken = self.served.take()
        read = streams.accept(taken, ("127.0.0.1", 1), serve)
        if read is not None:
            taken.close()  # the server would leave it to a greenlet
        return read.data if read is not None else None

    @property
    def has_something(self) -> bool:
        """Whether something has arrived that is not ``received`` yet."""
        ready, _, _ = select.select([self._client.fileno()], [], [], 0)
        return bool(ready)

    @property
    def is_over(self) -> bool:
        """Whether the connection has been closed by the server, and all of it received."""
        return bool(self._reader.ready())

    def put(self, count: int) -> None:
        """Add so many items."""
        for _ in range(count):
            number = next(self._numbers)
            self.store.commands.execute(
                Command("hall", PUT, [f"T-{number}"], actor=OFFICE, items=[{}])
            )

    @property
    def subscriber(self) -> Subscriber:
        (only,) = self.services.hub._subscribers()
        return only

    @property
    def counted(self) -> tuple[int, int]:
        """Streams that are open, and callers that have opened some of late."""
        admission = self.services.stream_limits
        return admission._total, len(admission._callers._due_s)


def one_caller(services: Services) -> Iterator[Principal]:
    """The body of a fixture: a board, a worker, and who asks for that board's streams."""
    services.store.boards.create("hall")
    services.workers.add("1", name="One", role=Role.WORKER)
    token, _ = services.tokens.create("1")
    one = Principal(services, token)
    yield one
    one.close()
    wait_until(lambda: services.hub.open_streams == 0, what="the streams' end")
