"""The load generator for slow clients: a process that holds thousands of them.

There are four kinds, a quarter each: a client sends a byte a second of a head, or of a body; or it
asks for the whole board, or opens an event stream, and never reads. A client whose connection is
closed reconnects in the next second.

``python -m bench.generator.slow_clients`` reads a job from stdin. It writes a line when all clients
are connected at once (those that never read: when their answer has arrived) or ``settle_s`` is
over. At the next line on stdin it writes the final figures and ends. Lines are JSON.
"""

from __future__ import annotations

import contextlib
import json
import select
import socket
import sys
import time
from typing import Any

from bench import wire

_WINDOW_BYTES = 4096  # of clients that never read
_TURN_S = 1.0
KINDS = ("head", "body", "board", "events")


class Client:
    """One client; it has no connection while it cannot get one."""

    def __init__(self, port: int, kind: str, begin: bytes) -> None:
        self.opened = 0
        self._port = port
        self._sends = kind in ("head", "body")
        self._begin = begin
        self._connection: socket.socket | None = None
        self._is_answered = False

    @property
    def is_there(self) -> bool:
        return self._connection is not None and (self._sends or self._is_answered)

    def take_turn(self) -> None:
        """Reconnect if the connection was closed; else send a byte, or stay silent."""
        if self._connection is not None and not self._is_closed():
            if self._sends:
                with contextlib.suppress(OSError):
                    self._connection.send(b"x")
            return
        self.close()
        made = socket.socket()
        try:
            if not self._sends:
                made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _WINDOW_BYTES)
            made.settimeout(1)
            made.connect(("127.0.0.1", self._port))
            made.sendall(self._begin)
            made.setblocking(False)
        except OSError:
            made.close()
            return
        self._connection, self._is_answered = made, False
        self.opened += 1

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _is_closed(self) -> bool:
        # poll() does not take what the server has sent, so the window stays shut.
        assert self._connection is not None
        poll = select.poll()
        poll.register(self._connection, select.POLLIN | select.POLLRDHUP)
        events = sum(each for _, each in poll.poll(0))
        self._is_answered = bool(events & select.POLLIN)
        return bool(events & (select.POLLRDHUP | select.POLLHUP | select.POLLERR))


def begins(port: int, token: str, board: str) -> dict[str, bytes]:
    """The first bytes of each kind of client."""
    return {
        "head": b"GET /livez HTTP/1.1\r\nHost: x\r\nX: ",
        "body": wire.take_head(port, token, board, 60_000),
        "board": wire.items_request(port, token, board),
        "events": wire.events_request(port, token, board),
    }


def main() -> None:
    job: dict[str, Any] = json.loads(sys.stdin.readline())
    begin = begins(job["port"], job["token"], job["board"])
    clients = [
        Client(job["port"], kind, begin[kind])
        for _ in range(job["clients"] // len(KINDS))
        for kind in KINDS
    ]
    settled_by, is_told = time.monotonic() + job["settle_s"], False
    least = len(clients)
    while True:
        turn_ends = time.monotonic() + _TURN_S
        for each in clients:
            each.take_turn()
        count = sum(each.is_there for each in clients)
        least = min(least, count) if is_told else len(clients)
        if not is_told and (count == len(clients) or time.monotonic() > settled_by):
            is_told = True
            print(json.dumps({"there": count}), flush=True)
        if select.select([sys.stdin], [], [], max(0.0, turn_ends - time.monotonic()))[0]:
            break
    opened = sum(each.opened for each in clients)
    for each in clients:
        each.close()
    print(json.dumps({"opened": opened, "least_there": least}), flush=True)


if __name__ == "__main__":
    main()
