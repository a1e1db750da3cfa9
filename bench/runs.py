"""The runs: operations at several numbers of connections, fan-out to many streams, slow clients."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from bench import wire
from bench.cpu import cpu_s, machine_cpu_s, rss_bytes
from bench.server import BOARD, ROOT, Gunicorn, Valkey

_CURSOR = re.compile(rb'"cursor":"([0-9-]+)"}\Z')
_WARM_UP_OPERATIONS = 20


def operations(
    gunicorn: Gunicorn, valkey: Valkey, token: str, tags: list[str], *,
    connections: int, warm_up_s: float, duration_s: float,
) -> dict[str, Any]:  # fmt: skip
    """Take and pause for ``duration_s``; the generator's figures and what the servers used."""
    job = {
        "port": gunicorn.port, "token": token, "board": BOARD, "tags": tags,
        "connections": connections, "warm_up_s": warm_up_s, "duration_s": duration_s,
    }  # fmt: skip
    with _generator("bench.load") as generator:
        meter = Meter(gunicorn.worker_pids, valkey.pid)
        figures = _ask(generator, job)
        used = meter.read(figures["generator_cpu_s"])
    count = max(1, figures["operations"])
    return {
        "connections": connections,
        "duration_s": duration_s,
        **figures,
        "server_us_per_operation": used.workers_s / count * 1e6,
        "valkey_us_per_operation": used.valkey_s / count * 1e6,
        "other_cores": used.other_cores,
    }


def fan_out(
    gunicorn: Gunicorn, valkey: Valkey, token: str, tags: list[str], *,
    streams: int, rate_per_s: float, duration_s: float,
) -> dict[str, Any]:  # fmt: skip
    """Publish at a steady rate to ``streams`` streams on the one worker process of ``gunicorn``."""
    (worker,) = gunicorn.worker_pids
    publisher = Publisher(gunicorn.port, token, tags)
    publisher.publish(_WARM_UP_OPERATIONS, rate_per_s=1000)
    job = {"port": gunicorn.port, "token": token, "board": BOARD, "streams": streams}
    with _generator("bench.streams") as generator:
        rss_before_bytes = rss_bytes(worker)
        _ask(generator, job)
        meter = Meter([worker], valkey.pid)
        publisher.reset()
        publisher.publish(max(2, round(rate_per_s * duration_s)), rate_per_s)
        figures = _ask(generator, publisher.sent)
        used = meter.read(figures["generator_cpu_s"])
        grown_bytes = rss_bytes(worker) - rss_before_bytes
        _tell(generator, "end")
    publisher.close()
    delivered = max(1, figures["delivered"])
    latencies = sorted(publisher.latencies_s)
    return {
        "streams": streams,
        "rate_per_s": rate_per_s,
        "duration_s": duration_s,
        **figures,
        "failures": publisher.failures,
        "server_us_per_delivery": used.workers_s / delivered * 1e6,
        "valkey_us_per_delivery": used.valkey_s / delivered * 1e6,
        "other_cores": used.other_cores,
        "memory_per_stream_kb": grown_bytes / streams / 1024,
        "operation_p50_ms": wire.percentile(latencies, 0.5) * 1000,
        "operation_p99_ms": wire.percentile(latencies, 0.99) * 1000,
        "event_bytes": publisher.event_bytes,
    }


def slow_clients(
    gunicorn: Gunicorn, valkey: Valkey, token: str, tags: list[str], *,
    clients: int, connections: int, warm_up_s: float, duration_s: float, settle_s: float,
) -> dict[str, Any]:  # fmt: skip
    """Operations alone, and beside ``clients`` that are slow; those get ``settle_s`` to open."""

    def measure() -> dict[str, Any]:
        return operations(
            gunicorn, valkey, token, tags,
            connections=connections, warm_up_s=warm_up_s, duration_s=duration_s,
        )  # fmt: skip

    alone = measure()
    job = {
        "port": gunicorn.port, "token": token, "board": BOARD,
        "clients": clients, "settle_s": settle_s,
    }  # fmt: skip
    with _generator("bench.slow") as generator:
        rss_before_bytes = sum(map(rss_bytes, gunicorn.worker_pids))
        figures = _ask(generator, job)
        beside = measure()
        grown_bytes = sum(map(rss_bytes, gunicorn.worker_pids)) - rss_before_bytes
        figures |= _ask(generator, "end")
    return {
        "clients": clients,
        "connections": connections,
        **figures,
        "alone": alone,
        "beside": beside,
        "failures": alone["failures"] + beside["failures"],
        "p99_ratio": beside["p99_ms"] / alone["p99_ms"] if alone["p99_ms"] else 0.0,
        "memory_mb": grown_bytes / 1024 / 1024,
    }


@dataclass(frozen=True)
class Used:
    """CPU seconds used; ``other_cores`` is how many cores were busy with none of the benchmark."""

    workers_s: float
    valkey_s: float
    other_cores: float


class Meter:
    """Measures from its making to :meth:`read`."""

    def __init__(self, workers: list[int], valkey: int) -> None:
        self._pids = workers, [valkey], [os.getpid()]
        self._before_s = [cpu_s(pids) for pids in self._pids]
        self._machine_s = machine_cpu_s()
        self._started = time.monotonic()

    def read(self, generator_s: float) -> Used:
        used_s = [
            cpu_s(pids) - before_s
            for pids, before_s in zip(self._pids, self._before_s, strict=True)
        ]
        other_s = machine_cpu_s() - self._machine_s - sum(used_s) - generator_s
        wall_s = time.monotonic() - self._started
        return Used(used_s[0], used_s[1], max(0.0, other_s / wall_s))


class Publisher:
    """Performs operations over HTTP, one after the other, at a steady rate."""

    def __init__(self, port: int, token: str, tags: list[str]) -> None:
        self.reset()
        self._requests = [
            wire.operation_request(port, token, BOARD, tag, operation)
            for tag in tags
            for operation in ("take", "pause")
        ]
        self._next = 0
        self._port = port
        self._connection = wire.connect(port)
        self._used_at = time.monotonic()

    def reset(self) -> None:
        self.sent: dict[str, float] = {}  # cursor of the event: when its operation was sent
        self.latencies_s: list[float] = []
        self.failures = 0
        self.event_bytes = 0  # of an answer's body, about what an event has

    def publish(self, count: int, rate_per_s: float) -> None:
        """``count`` operations; one that is late is sent at once."""
        if time.monotonic() - self._used_at > 1:  # the server closes idle connections
            self._connection.close()
            self._connection = wire.connect(self._port)
        started = time.monotonic()
        for number in range(count):
            time.sleep(max(0.0, started + number / rate_per_s - time.monotonic()))
            request = self._requests[self._next]
            self._next = (self._next + 1) % len(self._requests)
            sent_at = time.monotonic()
            answer = wire.exchange(self._connection, request)
            self.latencies_s.append(time.monotonic() - sent_at)
            cursor = _CURSOR.search(answer)
            if cursor is None or not wire.is_done(answer):
                self.failures += 1
            else:
                self.sent[cursor[1].decode()] = sent_at
                self.event_bytes = len(answer) - answer.find(b"\r\n\r\n")
        self._used_at = time.monotonic()

    def close(self) -> None:
        self._connection.close()


@contextmanager
def _generator(module: str) -> Iterator[subprocess.Popen[str]]:
    """A load generator: a process of its own, asked over its stdin, answering on its stdout."""
    process = subprocess.Popen(
        [sys.executable, "-m", module], cwd=ROOT, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    with process:
        try:
            yield process
        except BaseException:
            process.kill()
            raise


def _tell(generator: subprocess.Popen[str], message: object) -> None:
    assert generator.stdin is not None
    generator.stdin.write(json.dumps(message) + "\n")
    generator.stdin.flush()


def _ask(generator: subprocess.Popen[str], message: object) -> dict[str, Any]:
    assert generator.stdout is not None
    _tell(generator, message)
    line = generator.stdout.readline()
    if not line:
        raise RuntimeError("the load generator has failed; what it said stands above")
    answer: dict[str, Any] = json.loads(line)
    return answer
