"""Callers on a chosen process: requests again and again on one connection, and open streams."""

from __future__ import annotations

import contextlib
import http.client
import os
import random
import signal
import time
from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

import gevent

from tests.support.raw_http import Wire, request

_TIMEOUT_S = 30.0
_PAUSE_S = (0.05, 0.25)


class Seen(NamedTuple):
    """One answer: when the request was sent and answered (monotonic), and the status; 0: none."""

    sent_s: float
    answered_s: float
    status: int


@contextlib.contextmanager
def only(pid: int, pids: Collection[int]) -> Iterator[None]:
    """While the block runs, only process ``pid`` accepts connections: the others are stopped."""
    stopped = [each for each in pids if each != pid]
    for each in stopped:
        os.kill(each, signal.SIGSTOP)
    try:
        yield
    finally:
        for each in stopped:
            os.kill(each, signal.SIGCONT)


class Caller:
    """Sends one request again and again on one connection, from its start until it is stopped."""

    def __init__(
        self, port: int, chance: random.Random, *, method: str, path: str,
        headers: Mapping[str, str],
    ) -> None:  # fmt: skip
        self._request, self._headers = (method, path), dict(headers)
        self._chance = chance
        self.seen: list[Seen] = []
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_S)
        self._connection.request("GET", "/livez")
        self._connection.getresponse().read()
        self._greenlet = gevent.Greenlet(self._run)

    def start(self) -> None:
        self._greenlet.start()

    def _run(self) -> None:
        while True:
            sent_s, status = time.monotonic(), 0
            try:
                self._connection.request(*self._request, None, self._headers)
                response = self._connection.getresponse()
                response.read()
                status = response.status
            except (OSError, http.client.HTTPException):
                self._connection.close()
            self.seen.append(Seen(sent_s, time.monotonic(), status))
            gevent.sleep(self._chance.uniform(*_PAUSE_S))

    def stop(self) -> None:
        self._greenlet.kill()
        self._connection.close()


class Watcher:
    """One event stream, read until it ends."""

    def __init__(self, port: int, *, path: str, headers: Mapping[str, str]) -> None:
        self.ended_s: float | None = None  # monotonic
        lines = [f"{name}: {text}" for name, text in headers.items()]
        self._wire = Wire(port)
        self._wire.send(request(f"GET {path}", *lines))
        head = self._wire.connection.recv(65536)
        if not head.startswith(b"HTTP/1.1 200 "):
            self._wire.close()
            raise AssertionError(f"the stream was refused: {head[:200]!r}")
        self._greenlet = gevent.spawn(self._run)

    def _run(self) -> None:
        with contextlib.suppress(OSError):  # a reset, or no heartbeat for 30 s
            while self._wire.connection.recv(65536):
                pass
        self.ended_s = time.monotonic()

    def stop(self) -> None:
        self._greenlet.kill()
        self._wire.close()
