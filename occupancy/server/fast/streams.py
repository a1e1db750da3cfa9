"""Streams past gunicorn and Flask: those that a plain request asks for.

A stream that can begin without waiting for anything (its caller is remembered, its board followed,
its cursor in memory) gets no greenlet at all: it is greeted as its connection is accepted, in 40 µs
where gunicorn and Flask took 660. Where only its caller is not known, the store is asked for many
of them together (strangers.py). So ten thousand browsers that come back together are live within
the second. Else the connection's greenlet begins it.

Those that are accepted in one turn are greeted first and begun afterwards, all at once: each write
between two others would wake who reads it, a proxy perhaps that has all of them, and cost a quarter
of the kernel's time.

Who takes gzip gets it compressed. What is to be refused is left to Flask, which says why.
"""

from __future__ import annotations

import contextlib
import functools
import re
import socket
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

from occupancy.core.addresses import limited_address
from occupancy.core.errors import OccupancyError, PoolTimeout, StoreUnavailable
from occupancy.core.principal import Principal
from occupancy.live import sse
from occupancy.live.broadcaster import TURN_BYTES
from occupancy.live.feed import Feed
from occupancy.live.limits import Place
from occupancy.live.subscriber import Subscriber, farewell
from occupancy.observability.log_lines import without_texts
from occupancy.server.bounded_sockets import BoundedSocket, Serve
from occupancy.server.fast.auth_batcher import AuthBatcher, PendingStream
from occupancy.server.fast.request import READ_BYTES, FastRequest, answer_head
from occupancy.services import Services
from occupancy.web.auth import check_rule, credential_of, rule_of, take_turn
from occupancy.web.open_stream import OpenStream, cursor_of, watched
from occupancy.web.problems import note, trouble
from occupancy.web.routes import stream

_EVENTS = re.compile(r"/api/boards/([A-Za-z0-9][A-Za-z0-9_-]{0,31})/events\Z")
_GZIP = re.compile(r"(?i)(?:^|,)\s*gzip\s*(?:$|,|;\s*q=(?!0(?:\.0*)?\s*(?:$|,)))")


class FastStreams:
    """Of one worker process. ``headers`` are those of every answer; ``read`` reads a request."""

    def __init__(
        self,
        services: Services,
        headers: Mapping[str, str],
        read: Callable[[bytes, Any], FastRequest | None],
    ) -> None:
        self._services = services
        self._origins: Collection[str] = services.settings.trusted_origins
        self._read = read
        vary = [each["Vary"] for each in (sse.HEADERS, headers) if "Vary" in each]
        self._headers = {
            "Content-Type": sse.CONTENT_TYPE, **sse.HEADERS, **headers,
            "Vary": ", ".join(vary), "Transfer-Encoding": "chunked",
        }  # fmt: skip
        self._heads_s, self._heads = 0, (b"", b"")  # in this second, as they are and compressed
        # Empty at each switch point: what a stream has missed is all only until somebody runs.
        self._greeted: list[tuple[OpenStream, list[bytes], socket.socket]] = []
        self._strangers = AuthBatcher(services.authenticator, self._go_on)

    def greet(self, taken: socket.socket, address: Any, serve: Serve) -> bytes | None:
        """Keep a connection just accepted, if its stream can begin without a greenlet; then None.

        Else what has been read of the request, for a greenlet; ``serve`` leaves it to one later.
        It runs in the event loop: no switch point may lie in here, or before the ``begin`` that
        follows.
        """
        try:
            data = taken.recv(READ_BYTES, socket.MSG_DONTWAIT)
        except OSError:
            return b""  # nothing is here yet; or nobody any more, which shows again at a read
        try:
            request = self._read(data, address)
            serve_it = functools.partial(serve, taken, data, address)
            is_kept = request is not None and self._keep(request, taken, serve_it)
        except Exception as error:  # noqa: BLE001 - it is logged
            self._failed("a connection was not greeted", error)  # a greenlet reads it again
            return data
        return None if is_kept else data

    def _failed(self, what: str, error: Exception) -> None:
        """Log a mistake of ours. Each of a flood of connections may run into it."""
        kind = f"{what} ({type(error).__name__})"
        self._services.repeated_warnings.error(
            kind, "%s. Traceback: %s", what, without_texts(error)
        )

    def begin(self) -> None:
        """Begin the streams that were greeted; no switch point lies between the two."""
        greeted, self._greeted = self._greeted, []
        for opened, missed, taken in greeted:
            with opened:
                try:
                    self._go_live(opened, missed, taken)
                except Exception as error:  # noqa: BLE001 - it is logged
                    self._failed("a stream was not begun", error)
                    taken.close()

    def _keep(
        self,
        request: FastRequest,
        taken: socket.socket,
        serve: Callable[[], None] | None = None,
    ) -> bool:
        """Greet a stream for which all is at hand; False for what is none, or is to be refused.

        With ``serve`` one whose caller alone is not known is kept until the store has been asked.
        """
        asked = _asked_stream(request)
        if asked is None or self._services.hub.is_draining:
            return False
        board, cursor = asked
        feed = self._services.hub.followed(board)
        missed = _missed_little(feed, cursor) if feed is not None else None
        if missed is None:
            return False
        try:
            credential = credential_of(request, self._services.settings)
            principal = self._services.authenticator.remembered(credential)
            if principal is None:
                stranger = PendingStream(credential, request, taken, serve) if serve else None
                return stranger is not None and self._strangers.add(stranger)
            self._admit(request, principal, board)
        except OccupancyError:
            return False
        self._greeted.append((self._open(request, principal, board), missed, taken))
        return True

    def _go_on(self, strangers: list[PendingStream], error: OccupancyError | None) -> None:
        """Begin the streams of those who are known now, and leave the others to greenlets.

        Or tell all of them why that cannot be done.
        """
        if error is not None:
            for each in strangers:
                note(error, self._services, each.request, None)
                self._tell(each.taken, trouble(error))
            return
        left = [each for each in strangers if not self._is_kept(each)]
        self.begin()
        for each in left:
            try:
                each.serve()  # after the begin: others may run in it
            except Exception as mistake:  # noqa: BLE001 - it is logged
                self._failed("a connection got no greenlet", mistake)
                each.taken.close()

    def leave(self) -> None:
        """Say goodbye to those who wait for their streams: this process ends.

        Nobody waits for them, as they have neither greenlets nor streams.
        """
        for each in self._strangers.leave():
            self._tell(each.taken, farewell())

    def _is_kept(self, stranger: PendingStream) -> bool:
        try:
            return self._keep(stranger.request, stranger.taken)  # anew: its board has gone on
        except Exception as error:  # noqa: BLE001 - it is logged
            self._failed("a stranger was not greeted", error)  # and a greenlet asks once more
            return False

    def _tell(self, taken: socket.socket, frames: bytes) -> None:
        """A whole answer, and the connection's end."""
        with contextlib.closing(taken), contextlib.suppress(OSError):  # gone already
            taken.send(self._whole(frames), socket.MSG_DONTWAIT)

    def follow(self, request: FastRequest, connection: BoundedSocket) -> bool:
        """Begin a stream from the connection's greenlet; False for what is none, or is Flask's."""
        asked = _asked_stream(request)
        if asked is None or self._services.hub.is_draining:
            return False
        board, cursor = asked
        with contextlib.ExitStack() as held:
            try:
                credential = credential_of(request, self._services.settings)
                if self._services.authenticator.known_lately(credential) is None:
                    take_turn(
                        request, self._services, credential
                    )  # it may be invented, and costs a look
                principal = self._services.authenticator.identify(credential, is_use=False)
                if self._services.hub.followed(board) is None:
                    self._services.store.head(board)  # before anything is counted: it may be 404
                self._admit(request, principal, board)
                opened = held.enter_context(self._open(request, principal, board))
                opened.subscriber.feed.open()
            except (PoolTimeout, StoreUnavailable) as error:
                note(error, self._services, request, None)  # Flask would wait for it once more
                connection.sendall(self._whole(trouble(error)))
                return True
            except Exception:  # noqa: BLE001 - Flask does it again, and says or logs why it fails
                return False
            missed = _missed_little(opened.subscriber.feed, cursor)
            if missed is None or opened.subscriber.is_ending:  # it may have waited for long
                self._join(opened, cursor, connection)
            else:
                self._go_live(opened, missed, connection.take())
        return True

    def _open(self, request: FastRequest, principal: Principal, board: str) -> OpenStream:
        opened = OpenStream(self._services, principal, board, _place(request, principal))
        opened.subscriber.is_gzip = takes_gzip(request.headers.get("accept-encoding"))
        return opened

    def _go_live(self, opened: OpenStream, missed: list[bytes], taken: socket.socket) -> None:
        """Begin a stream that has missed just that, in one write; without a switch point."""
        frames = b"".join([sse.retry_frame(), *opened.subscriber.go_live(missed)])
        opened.go_on_without_greenlet(taken, begin=self._begin(opened.subscriber, frames))

    def _join(self, opened: OpenStream, cursor: str | None, connection: BoundedSocket) -> None:
        """Begin a stream that the log has something for, as fast as its client takes that."""
        subscriber = opened.subscriber
        with watched(connection, subscriber):
            connection.sendall(self._begin(subscriber, sse.retry_frame()))
            for piece in subscriber.join(cursor):
                connection.sendall(sse.http_chunk(subscriber.coded(piece)))
        if subscriber.is_live:
            opened.go_on_without_greenlet(connection.take())
        else:
            connection.sendall(sse.LAST_CHUNK)

    def _whole(self, frames: bytes) -> bytes:
        """An answer that is at its end with these."""
        return answer_head(200, self._headers) + sse.http_chunk(frames) + sse.LAST_CHUNK

    def _admit(self, request: FastRequest, principal: Principal, board: str) -> None:
        check_rule(request, rule_of(stream.events), principal, board, self._origins)
        self._services.stream_limits.check(_place(request, principal))

    def _begin(self, subscriber: Subscriber, frames: bytes) -> bytes:
        """The head of the response, and the first frames."""
        now_s = int(time.time())
        if now_s != self._heads_s:
            self._heads_s = now_s
            gzip = {**self._headers, "Content-Encoding": "gzip"}
            self._heads = answer_head(200, self._headers), answer_head(200, gzip)
        begin = sse.GZIP_HEADER if subscriber.is_gzip else b""
        return self._heads[subscriber.is_gzip] + sse.http_chunk(begin + subscriber.coded(frames))


def _asked_stream(request: FastRequest) -> tuple[str, str | None] | None:
    """Board and cursor, if a stream is asked for; not with a ticket, which takes the store."""
    path = _EVENTS.match(request.path)
    if path is None or request.method != "GET":
        return None
    # Plain: without escapes, so there is nothing to decode.
    query = [
        (name, value)
        for name, _, value in (each.partition("=") for each in request.query.split("&"))
    ]
    if any(name == "ticket" for name, _ in query):
        return None
    return path[1], cursor_of(request.headers.get("last-event-id"), query)


def _place(request: FastRequest, principal: Principal) -> Place:
    return Place.of(principal, limited_address(request.remote_addr))


def _missed_little(feed: Feed, cursor: str | None) -> list[bytes] | None:
    """What came after ``cursor``; None if that is not at hand, or too much for one write."""
    missed = feed.since(cursor) if cursor else []
    return missed if missed is not None and sum(map(len, missed)) <= TURN_BYTES else None


@functools.lru_cache(maxsize=100)  # browsers of a kind say the same
def takes_gzip(accept_encoding: str | None) -> bool:
    """Whether a client takes what is compressed with gzip (RFC 9110, 12.5.3)."""
    return bool(accept_encoding and _GZIP.search(accept_encoding))
