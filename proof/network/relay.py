"""The proxy's own process: accepts connections, and passes their bytes on by the modes."""

from __future__ import annotations

import collections
import contextlib
import random
import struct
import time
from typing import Any

import gevent
from gevent import socket

from proof.network.choice import Choice
from proof.network.mode import OF_EXCHANGES, OF_PIECES, Direction, Mode

_PIECE_BYTES = 65_536
_MATCHED_BYTES = 512  # of a request
_APART_BYTES = 2_048  # so many of a piece are sent byte by byte, the rest at once
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close with RST


class Relay:
    """Listens on ``port`` and passes on to ``upstream``, both ports of this machine."""

    def __init__(self, port: int, upstream: int, seed: int) -> None:
        self.upstream = upstream
        self.counts: collections.Counter[str] = collections.Counter()
        self.random = random.Random(seed)
        self._choices: dict[int, Choice] = {}
        self._port = port
        self._links: set[Link] = set()
        self._listener: Any = None
        self._accepting: gevent.Greenlet | None = None
        self._listen()

    def begin(self, number: int, modes: list[Mode], seed: int) -> None:
        """Apply these modes too from now on, also to open connections."""
        self._choices[number] = Choice(modes, seed)
        self._listen_or_not()

    def end(self, number: int) -> None:
        """End the modes that were begun with this number; held bytes are passed on."""
        self._choices.pop(number).has_ended.set()
        self._listen_or_not()

    def choose(
        self, kinds: tuple[str, ...], request: bytes, direction: Direction | None = None
    ) -> tuple[Mode, Choice] | None:
        """The first of all modes that applies to this message."""
        for choice in self._choices.values():
            if mode := choice.of(kinds, request, direction):
                return mode, choice
        return None

    def strike(self, mode: Mode) -> int:
        """Cut or reset the open connections whose last request matches; returns how many.

        Each is cut within the next message that it gets: a stream, within an event.
        """
        concerned = [each for each in self._links if mode.matching.encode() in each.request]
        for link in concerned[: mode.most or None]:
            link.strike(mode)
        return len(concerned[: mode.most or None])

    def open_count(self) -> int:
        return len(self._links)

    def _listen_or_not(self) -> None:
        modes = [mode for choice in self._choices.values() for mode in choice.modes]
        is_refusing = any(mode.kind == "refuse" for mode in modes)
        if is_refusing and self._accepting is not None:
            self._accepting.kill()
            self._accepting = None
            self._listener.close()
            self.counts["refuse"] += 1
        elif not is_refusing and self._accepting is None:
            self._listen()

    def _listen(self) -> None:
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(("127.0.0.1", self._port))
        self._listener.listen(1024)
        self._accepting = gevent.spawn(self._accept, self._listener)

    def _accept(self, listener: Any) -> None:
        while True:
            client, _ = listener.accept()
            self.counts["connections"] += 1
            gevent.spawn(self._serve, client)

    def _serve(self, client: Any) -> None:
        link = Link(self, client)
        self._links.add(link)
        try:
            link.run()
        finally:
            self._links.discard(link)


class Link:
    """A client's connection, and the connection to the server for it."""

    def __init__(self, relay: Relay, client: Any) -> None:
        self.request = b""  # the beginning of the last one
        self.fault: Mode | None = None  # what happens to this exchange
        self.left: int | None = None  # bytes to pass on before the cut, once it is chosen
        self._relay = relay
        self._client = client
        self._server: Any = None
        self._is_struck = False  # the fault stays, whatever is asked next
        self._is_new = True  # the next bytes from the client begin a request

    def run(self) -> None:
        """Pass on until both sides have ended, or the connection is cut."""
        answers: gevent.Greenlet | None = None
        try:
            while piece := self._client.recv(_PIECE_BYTES):
                if self._is_new:
                    self._begin(piece)
                if self._server is None:
                    self._server = socket.create_connection(("127.0.0.1", self._relay.upstream))
                    for each in (self._client, self._server):
                        each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    answers = gevent.spawn(self._pass_answers)
                if not self._pass("request", piece, self._server):
                    return
            if answers is not None:
                self._server.shutdown(socket.SHUT_WR)
                answers.join()
        except OSError:
            pass  # one side has ended; the other ends too
        finally:
            if answers is not None:
                answers.kill()
            self._close()

    def strike(self, mode: Mode) -> None:
        self.fault, self.left, self._is_struck = mode, None, True

    def _begin(self, piece: bytes) -> None:
        self._is_new = False
        self.request = piece[:_MATCHED_BYTES]
        self._relay.counts["exchanges"] += 1
        if self._is_struck:
            return
        found = self._relay.choose(OF_EXCHANGES, self.request)
        self.fault = found[0] if found else None
        self.left = None

    def _pass_answers(self) -> None:
        with contextlib.suppress(OSError):
            while piece := self._server.recv(_PIECE_BYTES):
                self._is_new = True
                if self._is_lost(piece) or not self._pass("answer", piece, self._client):
                    break
        # The server has ended, or the answer is cut: the other direction ends too.
        self._close()

    def _is_lost(self, piece: bytes) -> bool:
        """Whether this answer is dropped; the whole request has been passed on before."""
        mode = self.fault
        if mode is None or mode.kind != "lose_answer":
            return False
        if not piece.startswith(mode.answering.encode()):
            self.fault = None
            return False
        self._relay.counts[mode.name] += 1
        return True

    def _pass(self, direction: Direction, piece: bytes, to: Any) -> bool:
        """Pass a piece on; False if the connection is cut within it."""
        cut = self._cut_within(direction, piece)
        self._send(direction, piece if cut is None else piece[:cut], to)
        if cut is None:
            return True
        assert self.fault is not None
        self._relay.counts[self.fault.name] += 1
        if self.fault.kind == "reset":
            for each in (self._client, self._server):
                each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        return False

    def _cut_within(self, direction: Direction, piece: bytes) -> int | None:
        mode = self.fault
        if mode is None or mode.kind == "lose_answer" or not mode.concerns(direction):
            return None
        if self.left is None:
            self.left = self._position(mode, len(piece))
        if self.left <= len(piece):
            return self.left
        self.left -= len(piece)
        return None

    def _position(self, mode: Mode, size: int) -> int:
        """After how many bytes of a message, whose first piece has ``size``, it is cut."""
        if mode.after_bytes is not None:
            return mode.after_bytes
        return self._relay.random.randrange(1, size) if size > 1 else 0

    def _send(self, direction: Direction, piece: bytes, to: Any) -> None:
        found = self._relay.choose(OF_PIECES, self.request, direction)
        if found is None:
            to.sendall(piece)
            return
        mode, choice = found
        self._relay.counts[mode.name] += 1
        if mode.kind == "byte_by_byte":
            self._send_apart(piece, mode, to)
            return
        if mode.kind == "hold":
            choice.has_ended.wait()
        else:
            gevent.sleep(mode.delay_s + self._relay.random.uniform(0, mode.jitter_s))
        to.sendall(piece)

    def _send_apart(self, piece: bytes, mode: Mode, to: Any) -> None:
        until_s = time.monotonic() + 1.0  # on a busy machine the rest then follows at once
        for number in range(min(len(piece), _APART_BYTES)):
            to.sendall(piece[number : number + 1])
            gevent.sleep(mode.delay_s)
            if time.monotonic() > until_s:
                to.sendall(piece[number + 1 :])
                return
        to.sendall(piece[_APART_BYTES:])

    def _close(self) -> None:
        for each in (self._client, self._server):
            if each is not None:
                each.close()
