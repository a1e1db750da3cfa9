"""An event-stream client for the tests, written from the standard, not from our encoder."""

from __future__ import annotations

import json
import re
import socket
import zlib
from typing import Any
from urllib.parse import urlsplit

import gevent

from tests.support.waiting import wait_until


class Event:
    """One dispatched event: its type, its data as JSON, and the last event id at that time."""

    def __init__(self, kind: str, data: str, last_id: str) -> None:
        self.kind = kind
        self.data: dict[str, Any] = json.loads(data) if data else {}
        self.last_id = last_id

    def __repr__(self) -> str:
        return f"<{self.kind} {self.last_id} {self.data.get('type', '')}>"


class EventStream:
    """One GET of an event stream, read by its own greenlet until it ends or is closed."""

    def __init__(
        self,
        url: str,
        headers: dict[str, str],
        *,
        receive_bytes: int = 0,
        keeps_items: bool = True,
    ) -> None:
        parts = urlsplit(url)
        self.events: list[Event] = []
        self._item_seqs: list[int] = []
        self._keeps_items = keeps_items  # else only their seqs: hundreds of streams need room
        self.comments = 0
        self.retry_ms: int | None = None
        self.last_id = ""
        self.has_ended = False
        self.connection = socket.socket()
        if receive_bytes:  # before connecting: it determines the window
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self.connection.settimeout(30)
        self.connection.connect((parts.hostname, parts.port))
        query = f"?{parts.query}" if parts.query else ""
        lines = [f"GET {parts.path}{query} HTTP/1.1", f"Host: {parts.netloc}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self.connection.sendall("\r\n".join([*lines, "", ""]).encode())
        self._file = self.connection.makefile("rb")
        self.status = int(self._file.readline().split()[1])
        self.headers: dict[str, str] = {}
        while (line := self._file.readline().strip()) != b"":
            name, _, value = line.decode().partition(":")
            self.headers[name.lower()] = value.strip()
        self._reader: gevent.Greenlet | None = None

    def read(self) -> EventStream:
        """Begin to read."""
        self._reader = gevent.spawn(self._read)
        return self

    def wait_for(self, kind: str, timeout_s: float = 10.0) -> Event:
        """The first event of that kind."""
        return wait_until(
            lambda: next((each for each in self.events if each.kind == kind), None),
            timeout_s=timeout_s,
            what=f"the event {kind} among {self.events}",
        )

    def wait_for_end(self) -> None:
        wait_until(lambda: self.has_ended, timeout_s=30, what="the end of the stream")

    def has(self, events: int) -> bool:
        """Whether that many item events have arrived."""
        return len(self._item_seqs) >= events

    def seqs(self) -> list[int]:
        """The seq of every item event, in the order of arrival."""
        return self._item_seqs

    def of_kind(self, kind: str) -> list[Event]:
        return [each for each in self.events if each.kind == kind]

    def close(self) -> None:
        if self._reader is not None:
            self._reader.kill()
        self._file.close()
        self.connection.close()

    def _read(self) -> None:
        rest = b""
        try:
            for chunk in self._chunks():
                rest += chunk
                # An event ends at an empty line; lines end with CR LF, LF or CR.
                *blocks, rest = re.split(rb"(?:\r\n|\n|\r)(?:\r\n|\n|\r)", rest)
                for block in blocks:
                    self._dispatch(block.decode("utf-8"))
        except (OSError, ValueError):
            pass  # the connection has ended, see has_ended
        self.has_ended = True

    def _chunks(self) -> Any:
        if "content-length" in self.headers:
            yield self._file.read(int(self.headers["content-length"]))
            return
        is_gzip = self.headers.get("content-encoding") == "gzip"
        decoder = zlib.decompressobj(16 + zlib.MAX_WBITS) if is_gzip else None
        while size := int(self._file.readline().strip() or b"0", 16):
            chunk = self._file.read(size)
            yield decoder.decompress(chunk) if decoder is not None else chunk
            self._file.readline()

    def _dispatch(self, block: str) -> None:
        kind, data = "message", []
        for line in re.split(r"\r\n|\n|\r", block):
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if line.startswith(":"):
                self.comments += 1
            elif name == "event":
                kind = value
            elif name == "data":
                data.append(value)
            elif name == "id" and "\0" not in value:
                self.last_id = value
            elif name == "retry" and value.isdigit():
                self.retry_ms = int(value)
        if kind == "item":
            found = re.match(r'\{"seq":([0-9]+),', data[0])
            assert found, data
            self._item_seqs.append(int(found[1]))
            if not self._keeps_items:
                return
        if data:
            self.events.append(Event(kind, "\n".join(data), self.last_id))
