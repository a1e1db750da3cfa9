"""The watchers: each follows one board by its event stream, as a page does, and keeps a model."""

from __future__ import annotations

import http.client
import json
import math
import time
from typing import Any

import gevent

from proof.history.history import Items, Kind, Seen
from proof.load.wire import Client, Stream

_RECONNECT_S = 0.1


class Watcher:
    """Follows a board until :meth:`stop`; ``trail`` has everything that it has seen, in order."""

    def __init__(self, client: Client, reader: Client, board: str, name: str) -> None:
        self.board, self.name = board, name
        self.trail: list[Seen] = []
        self.model: Items = {}
        self.last_id = ""
        self.version_floor = 0  # of the model
        self._least_floor = 0  # the version floor of the stream
        self._unheard: dict[str, int] = {}  # versions by tag, of answers whose events have not come
        self.is_live = False
        self.snapshots: list[dict[str, Any]] = []  # items of snapshots: contents that were seen
        self._client, self._reader = client, reader
        self._connections = 0
        self._stream: Stream | None = None
        self.greenlet = gevent.spawn(self._follow)

    def stop(self) -> None:
        self.greenlet.kill()
        if self._stream is not None:
            self._stream.close()
        self._reader.close()

    def put(self, item: dict[str, Any]) -> None:
        """Take an item from an answer, as the page of the worker that sent the operation does."""
        if item["version"] > self.version_floor:  # else it is in the snapshot, or lost
            self._note("answer", event=json.dumps(item))
            if self._put(item):
                self._unheard[item["tag"]] = item["version"]

    def _put(self, item: dict[str, Any]) -> bool:
        known = self.model.get(item["tag"])
        if known is not None and known["version"] >= item["version"]:
            return False
        self.model[item["tag"]] = item
        return True

    def _follow(self) -> None:
        self._load()
        while True:
            self._connections += 1
            try:
                self._read()
            except (OSError, http.client.HTTPException, ValueError):
                pass  # the connection has ended: reconnect, as a browser does
            finally:
                if self._stream is not None:
                    self._stream.close()
                    self._stream = None
            self.is_live = False
            self._note("end")
            gevent.sleep(_RECONNECT_S)

    def _read(self) -> None:
        path = f"/api/boards/{self.board}/events"
        self._stream = self._client.open_stream(path, self.last_id)
        if self._stream.status != 200:
            return
        kind, data, own_id = "message", b"", ""
        for line in self._stream.lines():
            name, _, value = line.rstrip(b"\n").partition(b": ")
            if name == b"event":
                kind = value.decode()
            elif name == b"id":
                own_id = value.decode()
            elif name == b"data":
                data = value
            elif not name and data:
                self.last_id = own_id or self.last_id
                self._receive(kind, data)
                kind, data, own_id = "message", b"", ""

    def _receive(self, kind: str, data: bytes) -> None:
        found = json.loads(data)
        if kind == "item":
            self._note("item", found["seq"], data.decode())
            item = found["item"]
            version = self._unheard.get(item["tag"], math.inf)
            if version <= item["version"]:
                del self._unheard[item["tag"]]
            if version == item["version"] and self.model.get(item["tag"], item) != item:
                del self.model[item["tag"]]  # the answer was lost, and its version counted again
            self._put(item)
            return
        if kind in ("ready", "reset", "degraded", "recovered", "bye"):
            self._note(kind, found.get("seq", 0), found.get("reason", ""))  # type: ignore[arg-type] # one of Kind
        self._least_floor = found.get("version_floor", self._least_floor)
        is_lost = kind in ("ready", "recovered") and self._unheard  # the server has lost these
        if kind == "reset" or is_lost or self.version_floor < self._least_floor:
            self._load()
        if kind == "ready":
            self.is_live = True

    def _load(self) -> None:
        """Load a snapshot that is not older than the stream, however often that takes."""
        while True:
            reply = self._reader.send("GET", f"/api/boards/{self.board}/items")
            if reply.status == 200 and reply.body["version_floor"] >= self._least_floor:
                break
            gevent.sleep(_RECONNECT_S)
        self.version_floor = reply.body["version_floor"]
        self._unheard.clear()
        self.model = {each["tag"]: each for each in reply.body["items"]}
        self.snapshots += reply.body["items"]
        if not self.last_id:
            self.last_id = reply.body["cursor"]
        self.trail.append(
            Seen(time.monotonic(), "snapshot", reply.body["cursor"], reply.body["seq"],
                 number=self._connections)
        )  # fmt: skip

    def _note(self, kind: Kind, seq: int = 0, event: str = "") -> None:
        self.trail.append(Seen(time.monotonic(), kind, self.last_id, seq, event, self._connections))
