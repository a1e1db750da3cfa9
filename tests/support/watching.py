"""A stream of a board inside the test's process, read by a greenlet as the route would."""

from __future__ import annotations

import json
import re
from typing import Any

import gevent

from occupancy.services import Services
from tests.support.waiting import wait_until


class Watching:
    """Reads a stream of a board from its beginning to its end."""

    def __init__(self, services: Services, board: str, cursor: str | None = None) -> None:
        self._hub = services.hub
        self.board = board
        self.subscriber = self._hub.subscribe(board)
        self.received = b""
        self._greenlet = gevent.spawn(self._read, cursor)
        self.until(b"event: ready")

    def _read(self, cursor: str | None) -> None:
        for piece in self.subscriber.frames(cursor):
            self.received += piece

    def until(self, found: bytes, timeout_s: float = 10.0) -> None:
        wait_until(
            lambda: found in self.received, timeout_s=timeout_s,
            what=f"{found!r} on {self.board} in {self.received!r}",
        )  # fmt: skip

    def until_seq(self, seq: int, timeout_s: float = 10.0) -> None:
        """Wait until the stream has led to ``seq``, by the event itself or a reset beyond it."""
        wait_until(
            lambda: self.seq >= seq, timeout_s=timeout_s,
            what=f"seq {seq} on {self.board} in {self.received!r}",
        )  # fmt: skip

    @property
    def events(self) -> list[tuple[str, str, dict[str, Any]]]:
        """Kind, id and data of each event so far."""
        found = []
        for block in self.received.decode().split("\n\n"):
            fields = dict(
                line.split(": ", 1) for line in block.split("\n") if re.match(r"\w+: ", line)
            )
            if "event" in fields:
                found.append((fields["event"], fields.get("id", ""), json.loads(fields["data"])))
        return found

    @property
    def kinds(self) -> list[str]:
        return [kind for kind, _, _ in self.events]

    @property
    def seq(self) -> int:
        """Where the stream is: the seq of its last event, reset or beginning."""
        return next((data["seq"] for *_, data in reversed(self.events) if "seq" in data), -1)

    def assert_gapless(self) -> None:
        """Each event follows the one before it, or a reset."""
        seq = -1
        for kind, _, data in self.events:
            if kind == "item" and seq >= 0:
                assert data["seq"] == seq + 1, self.events
            if "seq" in data:
                seq = data["seq"]

    def end(self) -> list[str]:
        """End it; the kinds of events that it got, but for its goodbye."""
        self.subscriber.close()
        self._greenlet.get(timeout=5)
        self._hub.unsubscribe(self.subscriber)
        return [kind for kind in self.kinds if kind != "bye"]
