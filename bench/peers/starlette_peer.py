"""A Python team's likely alternative (starlette_app.py), on uvicorn."""

from __future__ import annotations

import hashlib
import json
import secrets
import sys
from pathlib import Path
from typing import Any

from bench import wire
from bench.cpu_quota import UNLIMITED, CpuQuota
from bench.peers.process import ValkeyPeer
from bench.server import BOARD

_FILLED_AT_ONCE = 1000


class Starlette(ValkeyPeer):
    """See :class:`bench.peers.Peer`; it also has operations and the whole board.

    Do not mix: :meth:`publish` counts events on its own, operations by the board's counter.
    """

    name = "starlette"

    def __init__(self, directory: Path, *, items: int = 0, quota: CpuQuota = UNLIMITED) -> None:
        super().__init__(directory, quota=quota)
        self.token = self.add_worker("bench", "Bench")
        self.tags = self._fill(items)

    def add_worker(self, identity: str, name: str) -> str:
        """Another worker; returns the token."""
        token = secrets.token_urlsafe(32)
        worker = json.dumps({"id": identity, "name": name}, separators=(",", ":"))
        self._client.hset("tokens", hashlib.sha256(token.encode()).hexdigest(), worker)
        return token

    def _fill(self, items: int) -> list[str]:
        """Put items on the board; returns their tags."""
        tags = [f"SPOOL-{number:05d}" for number in range(items)]
        for start in range(0, items, _FILLED_AT_ONCE):
            with self._client.pipeline(transaction=False) as pipeline:
                for tag in tags[start : start + _FILLED_AT_ONCE]:
                    pipeline.hset(f"item:{BOARD}:{tag}", mapping=_stored(tag))
                    pipeline.hset(f"view:{BOARD}", tag, _view(tag))
                pipeline.execute()
        return tags

    def operation_request(self, tag: str, operation: str, token: str | None = None) -> bytes:
        """The bytes of one operation of the first worker, or of the owner of ``token``."""
        return wire.operation_request(self.port, token or self.token, BOARD, tag, operation)

    def items_request(self, gzip: bool) -> bytes:
        """The bytes that ask for the whole board."""
        request = wire.items_request(self.port, self.token, BOARD)
        return request.removesuffix(b"\r\n") + b"Accept-Encoding: gzip\r\n\r\n" if gzip else request

    def _command(self) -> list[str]:
        command = [sys.executable, "-m", "uvicorn", "bench.peers.starlette_app:app"]
        command += ["--host", "127.0.0.1", "--port", str(self.port), "--backlog", "4096"]
        command += ["--loop", "uvloop", "--http", "httptools", "--workers", "1"]
        command += ["--no-access-log", "--log-level", "warning"]
        return [*command, "--timeout-graceful-shutdown", "2"]


def _stored(tag: str) -> dict[Any, Any]:
    """An item's hash as operate.lua keeps it: what ends up inside JSON is JSON."""
    return {
        "title": f'"Spool {tag}"', "attributes": '{"area":"B2"}',
        "state": "available", "step": "work", "holder": "null", "holder_id": "",
        "since": "2026-01-01T00:00:00.000Z", "since_ms": 1767225600000, "reason": "null",
        "epoch": 0, "version": 1, "worked_ms": 0,
    }  # fmt: skip


def _view(tag: str) -> str:
    item = {
        "tag": tag, "title": f"Spool {tag}", "state": "available", "step": "work",
        "holder": None, "since": "2026-01-01T00:00:00.000Z", "reason": None,
        "epoch": 0, "version": 1, "worked_s": 0.0, "attributes": {"area": "B2"},
    }  # fmt: skip
    return json.dumps(item, separators=(",", ":"))
