"""The load generator for operations: one process, plain non-blocking sockets, one epoll loop.

Closed loop: each connection sends its next request when it has the answer to the last. It takes
and pauses its own items in turn, so that no refusal is due, and ends after a pause, so that the
next run finds every item free. ``python -m bench.load`` reads a job from stdin and writes what
became of it to stdout, both as one line of JSON.
"""

from __future__ import annotations

import gc
import json
import selectors
import socket
import sys
import time
from array import array
from typing import Any

from bench import wire

_SILENCE_S = 15.0  # without any answer: those that are due have failed


class Client:
    """One connection and where it is in its round of requests."""

    def __init__(self, port: int, requests: list[bytes]) -> None:
        self.requests = requests  # take, pause, take, pause …
        self.position = 0
        self.sent_at = 0.0
        self.buffer = b""
        self.connection: socket.socket = wire.connect(port)
        self.connection.setblocking(False)

    def send(self) -> None:
        request = self.requests[self.position]
        self.sent_at = time.monotonic()
        if self.connection.send(request) != len(request):
            raise RuntimeError("a request did not fit into an empty socket buffer")

    def advance(self) -> bool:
        """Go on to the next request; whether that begins a new pair."""
        self.position = (self.position + 1) % len(self.requests)
        return self.position % 2 == 0


class Load:
    """One run over all connections."""

    def __init__(self, job: dict[str, Any]) -> None:
        count, tags = job["connections"], job["tags"]
        where = job["port"], job["token"], job["board"]
        self.clients = []
        for number in range(count):
            requests = [
                wire.operation_request(*where, tag, operation)
                for tag in tags[number::count]
                for operation in ("take", "pause")
            ]
            self.clients.append(Client(job["port"], requests))
        self.latencies_s = array("d")
        self.operations = 0
        self.failures = 0
        self.first_failure = ""
        self._measured_from = 0.0
        self._measured_to = 0.0

    def run(self, warm_up_s: float, duration_s: float) -> dict[str, Any]:
        """Load the server; returns the figures of the ``duration_s`` after the warm-up."""
        selector = selectors.DefaultSelector()
        for client in self.clients:
            selector.register(client.connection, selectors.EVENT_READ, client)
        cpu_started, started = time.process_time(), time.monotonic()
        self._measured_from = started + warm_up_s
        self._measured_to = self._measured_from + duration_s
        for client in self.clients:
            client.send()
        while selector.get_map():
            ready = selector.select(_SILENCE_S)
            for key, _ in ready:
                if not self._on_readable(key.data):
                    selector.unregister(key.fileobj)
                    key.data.connection.close()
            if not ready:
                self._fail(len(selector.get_map()), f"no answer for {_SILENCE_S:g} s")
                break
        used_s, wall_s = time.process_time() - cpu_started, time.monotonic() - started
        selector.close()
        ordered = sorted(self.latencies_s)
        p50, p99 = wire.percentile(ordered, 0.5), wire.percentile(ordered, 0.99)
        return {
            "operations": self.operations,
            "failures": self.failures,
            "first_failure": self.first_failure,
            "per_s": len(ordered) / duration_s,
            "p50_ms": p50 * 1000,
            "p99_ms": p99 * 1000,
            "max_ms": ordered[-1] * 1000 if ordered else 0.0,
            "p99_to_p50": p99 / p50 if p50 else 0.0,
            "generator_utilisation": used_s / wall_s,
            "generator_cpu_s": used_s,
        }

    def _on_readable(self, client: Client) -> bool:
        """Take in what has arrived and send the next request; False when the connection is done."""
        try:
            data = client.connection.recv(wire.RECEIVE_BYTES)
        except OSError as error:
            self._fail(1, str(error))
            return False
        now = time.monotonic()
        if not data:
            self._fail(1, "the server closed the connection")
            return False
        client.buffer = buffer = client.buffer + data if client.buffer else data
        end = wire.answer_end(buffer)
        if not end:
            return True
        client.buffer = buffer[end:]
        self.operations += 1
        if not wire.is_done(buffer[:end]):
            self._fail(1, repr(buffer[:400]))
        if self._measured_from <= now <= self._measured_to:
            self.latencies_s.append(now - client.sent_at)
        if client.advance() and now > self._measured_to:
            return False
        client.send()
        return True

    def _fail(self, count: int, what: str) -> None:
        self.failures += count
        self.first_failure = self.first_failure or what


def main() -> None:
    job = json.loads(sys.stdin.readline())
    load = Load(job)
    gc.disable()  # nothing here makes cycles, and a pause would count as the server's
    print(json.dumps(load.run(job["warm_up_s"], job["duration_s"])), flush=True)


if __name__ == "__main__":
    main()
