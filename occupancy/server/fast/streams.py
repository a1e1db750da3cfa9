"""Streams on the fast path: begun without gunicorn's parser and Flask.

A stream that can begin without waiting for anything (its caller is remembered, its board followed,
its cursor in memory) gets no greenlet: its request is read as its connection is accepted. If only
its caller is unknown, it waits for the authentication batcher. The connection's greenlet begins any
other stream. All connections of one turn are accepted before their streams begin: a write between
two accepts would wake its reader. docs/design.md has the measurements. Flask answers refusals.
"""

from __future__ import annotations

import contextlib
import functools
import socket
from collections.abc import Callable, Collection, Mapping
from typing import Any

from occupancy.core.errors import OccupancyError, PoolTimeout, StoreUnavailable
from occupancy.core.principal import Principal
from occupancy.core.rate_limit import limited_address
from occupancy.live import sse
from occupancy.live.board_frames import BoardFrames
from occupancy.live.limits import Place
from occupancy.live.pacing import ROUND_BYTES
from occupancy.live.subscriber import farewell
from occupancy.observability.log_lines import without_texts
from occupancy.server.fast.auth_batcher import AuthBatcher, PendingStream
from occupancy.server.fast.request import (
    MAX_REQUEST_BYTES,
    NOTHING_READ,
    FastRequest,
    FirstRead,
    RequestReader,
    Serve,
    stream_target,
)
from occupancy.server.responses import StreamResponse, takes_gzip
from occupancy.server.sockets import BoundedSocket
from occupancy.services import Services
from occupancy.web.auth import Views, check_rule, credential_of, rule_of, take_turn
from occupancy.web.open_stream import OpenStream
from occupancy.web.problems import degraded_stream, record_error


class FastStreams:
    """One per process.

    ``headers`` are those of every answer. ``views`` are Flask's, whose rules hold here as well.
    """

    def __init__(
        self, services: Services, headers: Mapping[str, str], views: Views, reader: RequestReader
    ) -> None:
        self._services = services
        self._origins: Collection[str] = services.settings.trusted_origins
        self._rule = rule_of(views["stream.events"])
        self._reader = reader
        self._response = StreamResponse(headers)
        # Empty at each switch point: once another greenlet runs, streams may have missed more.
        self._accepted: list[tuple[OpenStream, list[bytes], socket.socket]] = []
        self._batcher = AuthBatcher(services.authenticator, self._go_on)

    @property
    def waiting_count(self) -> int:
        """Connections that wait, without a greenlet, for their callers' authentication."""
        return self._batcher.waiting_count

    # From the event loop

    def accept(self, taken: socket.socket, address: Any, serve: Serve) -> FirstRead | None:
        """Keep a connection just accepted, if its stream can begin without a greenlet; then None.

        Else return what has been read of it, for a greenlet; ``serve`` gives it one later. No
        switch point may lie in here, or before the ``begin_accepted`` that follows.
        """
        try:
            data = taken.recv(MAX_REQUEST_BYTES, socket.MSG_DONTWAIT)
        except OSError:
            return NOTHING_READ  # nothing has arrived, or the client has gone; the next read tells
        read = FirstRead(data, None)
        try:
            read = FirstRead(data, self._reader.read(data, address))
            is_kept = self._keep(read, taken, functools.partial(serve, taken, read, address))
        except Exception as error:  # noqa: BLE001 - it is logged
            self._log_failure("a stream was not accepted", error)  # a greenlet begins it
            return read
        return None if is_kept else read

    def begin_accepted(self) -> None:
        """Begin the streams that were accepted; no switch point lies between the two."""
        accepted, self._accepted = self._accepted, []
        for opened, missed, taken in accepted:
            with opened:
                try:
                    opened.begin(taken, None, missed=missed, first=self._first(opened))
                except Exception as error:  # noqa: BLE001 - it is logged
                    self._log_failure("a stream was not begun", error)
                    taken.close()

    def leave(self) -> None:
        """End the connections that wait without a greenlet: this process ends."""
        for each in self._batcher.take_all():
            self._send_whole(each.taken, farewell())

    def _keep(self, read: FirstRead, taken: socket.socket, serve: Callable[[], None]) -> bool:
        """Accept a stream, or let it wait for its caller's authentication; False if neither."""
        target = stream_target(read.request) if read.request is not None else None
        if read.request is None or target is None:
            return False
        try:
            credential = credential_of(read.request, self._services.settings)
        except OccupancyError:
            return False
        pending = PendingStream(read.request, *target, credential, taken, serve)
        is_accepted = self._accept(pending)
        return self._batcher.add(pending) if is_accepted is None else is_accepted

    def _accept(self, pending: PendingStream) -> bool | None:
        """Accept a stream; False if it cannot begin at once, None if only its caller is unknown."""
        hub = self._services.hub
        board = None if hub.is_draining else hub.followed(pending.board)
        missed = _missed_little(board, pending.cursor) if board is not None else None
        if missed is None:
            return False
        principal = self._services.authenticator.remembered(pending.credential)
        if principal is None:
            return None
        try:
            opened = self._open(pending.request, principal, pending.board)
        except OccupancyError:
            return False  # Flask answers
        self._accepted.append((opened, missed, pending.taken))
        return True

    def _go_on(self, batch: list[PendingStream], error: OccupancyError | None) -> None:
        """Begin the streams whose callers are known now, and give the others greenlets.

        With ``error`` all of them are answered with it.
        """
        if error is not None:
            for each in batch:
                record_error(error, self._services, each.request, None)
                self._send_whole(each.taken, degraded_stream(error))
            return
        left = [each for each in batch if not self._is_accepted(each)]
        self.begin_accepted()
        for each in left:
            try:
                each.serve()  # after the beginning of the others: greenlets may run in it
            except Exception as mistake:  # noqa: BLE001 - it is logged
                self._log_failure("a connection got no greenlet", mistake)
                each.taken.close()

    def _is_accepted(self, pending: PendingStream) -> bool:
        try:
            return bool(self._accept(pending))  # anew: its board has gone on
        except Exception as error:  # noqa: BLE001 - it is logged
            self._log_failure("a stream was not accepted", error)  # a greenlet begins it
            return False

    def _send_whole(self, taken: socket.socket, frames: bytes) -> None:
        """Send a whole response, and close the connection."""
        with contextlib.closing(taken), contextlib.suppress(OSError):  # gone already
            taken.send(self._response.whole(frames), socket.MSG_DONTWAIT)

    # From a connection's greenlet

    def begin(self, request: FastRequest, connection: BoundedSocket) -> bool:
        """Begin a stream; False if none is asked for, or Flask is to answer.

        After True the connection belongs to the stream, or has been answered for the last time.
        """
        target = stream_target(request)
        if target is None or self._services.hub.is_draining:
            return False
        board, cursor = target
        with contextlib.ExitStack() as held:
            try:
                principal = self._identify(request)
                if self._services.hub.followed(board) is None:
                    self._services.store.log.head(board)  # may be 404, before anything is counted
                opened = held.enter_context(self._open(request, principal, board))
                opened.subscriber.log.open()
            except (PoolTimeout, StoreUnavailable) as error:
                record_error(error, self._services, request, None)  # Flask would wait once more
                connection.sendall(self._response.whole(degraded_stream(error)))
                return True
            except Exception:  # noqa: BLE001 - Flask answers, or logs the failure
                return False
            first, missed = self._first(opened), _missed_little(opened.subscriber.board, cursor)
            if missed is not None and not opened.subscriber.is_ending:  # it may have waited long
                opened.begin(connection.take(), cursor, missed=missed, first=first)
                return True
            for frames in opened.begin(connection, cursor, first=first):
                connection.sendall(frames)
            if not opened.has_writer:
                connection.sendall(sse.LAST_CHUNK)
        return True

    def _identify(self, request: FastRequest) -> Principal:
        credential = credential_of(request, self._services.settings)
        if self._services.authenticator.known_lately(credential) is None:
            # It may be invented, and costs a round trip.
            take_turn(request, self._services, credential)
        return self._services.authenticator.identify(credential, is_use=False)

    # From both

    def _open(self, request: FastRequest, principal: Principal, board: str) -> OpenStream:
        """Check that the caller may have one more stream, and hold its place. No switch point."""
        place = Place.of(principal, limited_address(request.remote_addr))
        check_rule(request, self._rule, principal, board, self._origins)
        self._services.stream_limits.check(place)
        opened = OpenStream(self._services, principal, board, place)
        opened.subscriber.is_gzip = takes_gzip(request.headers.get("accept-encoding"))
        return opened

    def _first(self, opened: OpenStream) -> Callable[[bytes], bytes]:
        """Encodes the stream's first frames, with the response's head."""
        return functools.partial(self._response.first, is_gzip=opened.subscriber.is_gzip)

    def _log_failure(self, what: str, error: Exception) -> None:
        """Log a mistake of ours. Each of a flood of connections may run into it."""
        kind = f"{what} ({type(error).__name__})"
        self._services.repeated_warnings.error(
            kind, "%s. Traceback: %s", what, without_texts(error)
        )


def _missed_little(board: BoardFrames, cursor: str | None) -> list[bytes] | None:
    """The frames after ``cursor``; None if they are not in memory, or too much for one write."""
    missed = board.since(cursor) if cursor else []
    return missed if missed is not None and sum(map(len, missed)) <= ROUND_BYTES else None
