"""The load generator for streams: one process that reads a thousand of them with one epoll loop.

``python -m bench.streams`` reads a job from stdin and opens the streams; writes a line when all
are live; then notes the arrival of every item event, until stdin has a line with the events that
were published and all of them have arrived (or nothing does any more); and writes what it saw.
Lines are JSON. Times are of the monotonic clock, which all processes of a machine share.
"""

from __future__ import annotations

import gc
import json
import re
import selectors
import socket
import sys
import time
from typing import Any

from bench import wire

_OPENED_AT_ONCE = 50
_LIVE_WITHIN_S = 60.0
_SILENCE_S = 5.0  # without an arrival: what is missing will not come
_ITEM = re.compile(rb"^id: ([0-9-]+)\nevent: item\n", re.MULTILINE)
_TROUBLE = re.compile(rb"^event: (reset|degraded|bye)\n", re.MULTILINE)


class Stream:
    """One open stream: the bytes that no event has come of yet, and the cursors that arrived."""

    __slots__ = ("_rest", "body", "connection", "cursors", "is_live")

    def __init__(self, port: int, request: bytes) -> None:
        self.body = wire.Body()
        self.cursors: list[bytes] = []
        self.is_live = False
        self._rest = b""
        self.connection: socket.socket = wire.connect(port)
        self.connection.sendall(request)
        self.connection.setblocking(False)

    def feed(self, data: bytes) -> bytes:
        """The whole events (and comments) that ``data`` completes."""
        text = self.body.feed(data)
        if self._rest:
            text = self._rest + text
        end = text.rfind(b"\n\n") + 2
        if end == len(text):
            self._rest = b""
            return text
        if end == 1:
            self._rest = text
            return b""
        self._rest = text[end:]
        return text[:end]


class Streams:
    """All streams of a run."""

    def __init__(self) -> None:
        self.streams: list[Stream] = []
        self.arrivals: list[tuple[bytes, float]] = []  # of the item events: cursor and time
        self.live = 0
        self.troubles = 0  # reset, degraded, bye, a status other than 200, an end
        self.first_trouble = ""
        self._selector = selectors.DefaultSelector()

    def open(self, job: dict[str, Any]) -> None:
        """Open them, some at a time, until all are live. Raises RuntimeError if they are not."""
        request = wire.events_request(job["port"], job["token"], job["board"])
        deadline = time.monotonic() + _LIVE_WITHIN_S
        while self.live < job["streams"]:
            if len(self.streams) < job["streams"] and len(self.streams) - self.live < (
                _OPENED_AT_ONCE
            ):
                stream = Stream(job["port"], request)
                self.streams.append(stream)
                self._selector.register(stream.connection, selectors.EVENT_READ, stream)
                self._take_in(0)
            else:
                self._take_in(0.1)
            if self.troubles or time.monotonic() > deadline:
                raise RuntimeError(f"{self.live} streams are live: {self.first_trouble}")

    def follow(self, published: Any) -> dict[bytes, float]:
        """Note arrivals until ``published`` has a line and all of it has arrived everywhere.

        Returns what was published: cursor and time of sending.
        """
        self._selector.register(published, selectors.EVENT_READ, None)
        sent: dict[bytes, float] | None = None
        last, seen = time.monotonic(), 0
        while sent is None or len(self.arrivals) < len(sent) * len(self.streams):
            if self._take_in(0.2):
                self._selector.unregister(published)
                sent = {
                    cursor.encode(): at for cursor, at in json.loads(published.readline()).items()
                }
            if seen != len(self.arrivals) or sent is None:
                seen, last = len(self.arrivals), time.monotonic()
            elif time.monotonic() - last > _SILENCE_S:
                break
        return sent

    def close(self) -> None:
        for stream in self.streams:
            stream.connection.close()
        self._selector.close()

    def _take_in(self, timeout_s: float) -> bool:
        """Read whatever has arrived; whether the line on stdin has."""
        has_line = False
        for key, _ in self._selector.select(timeout_s):
            if key.data is None:
                has_line = True
            else:
                self._on_readable(key.data)
        return has_line

    def _on_readable(self, stream: Stream) -> None:
        try:
            data = stream.connection.recv(wire.RECEIVE_BYTES)
        except OSError as error:
            self._trouble(stream, str(error))
            return
        now = time.monotonic()
        events = stream.feed(data)
        if not data or stream.body.status not in (0, 200):
            self._trouble(stream, f"a stream has ended, status {stream.body.status}")
            return
        for cursor in _ITEM.findall(events):
            stream.cursors.append(cursor)
            self.arrivals.append((cursor, now))
        if not stream.is_live and b"event: ready\n" in events:
            stream.is_live = True
            self.live += 1
        found = _TROUBLE.search(events)
        if found is not None:
            self.troubles += 1
            self.first_trouble = self.first_trouble or found[0].decode()

    def _trouble(self, stream: Stream, what: str) -> None:
        self.troubles += 1
        self.first_trouble = self.first_trouble or what
        self._selector.unregister(stream.connection)


def summary(streams: Streams, sent: dict[bytes, float]) -> dict[str, Any]:
    """What arrived of what was sent; out of order are streams with a hole, a repeat or a swap."""
    order = list(sent)
    delays_s = sorted(at - sent[cursor] for cursor, at in streams.arrivals if cursor in sent)
    first, last = min(sent.values()), max((at for _, at in streams.arrivals), default=0.0)
    return {
        "events": len(sent),
        "expected": len(sent) * len(streams.streams),
        "delivered": len(delays_s),
        "out_of_order": sum(stream.cursors != order for stream in streams.streams),
        "troubles": streams.troubles,
        "first_trouble": streams.first_trouble,
        "per_s": len(delays_s) / (last - first) if delays_s else 0.0,
        "p50_ms": wire.percentile(delays_s, 0.5) * 1000,
        "p99_ms": wire.percentile(delays_s, 0.99) * 1000,
        "max_ms": delays_s[-1] * 1000 if delays_s else 0.0,
    }


def main() -> None:
    job = json.loads(sys.stdin.readline())
    streams = Streams()
    gc.disable()  # nothing here makes cycles, and a pause would count as the server's
    streams.open(job)
    print(json.dumps({"live": streams.live}), flush=True)
    cpu_started, started = time.process_time(), time.monotonic()
    sent = streams.follow(sys.stdin)
    used_s, wall_s = time.process_time() - cpu_started, time.monotonic() - started
    result = {
        **summary(streams, sent),
        "generator_utilisation": used_s / wall_s,
        "generator_cpu_s": used_s,
    }
    print(json.dumps(result), flush=True)
    sys.stdin.readline()  # the server's memory is looked at before the streams close
    streams.close()


if __name__ == "__main__":
    main()
