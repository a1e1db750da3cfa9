"""A tablet: a browser's session by PIN on an address of its own, an event stream, requests."""

from __future__ import annotations

import contextlib
import http.client
import json
from typing import Any

import gevent

_TIMEOUT_S = 30.0
_RECONNECT_S = 0.5


class Tablet:
    """One page on ``address``, a loopback address. ``headers`` may have a token."""

    def __init__(self, port: int, address: str, headers: dict[str, str] | None = None) -> None:
        self.streams = 0  # opened so far
        self.deliveries = 0
        self._port, self._address = port, address
        self._headers = dict(headers or {})
        self._connection: http.client.HTTPConnection | None = None
        self._follower: gevent.Greenlet[..., Any] | None = None

    def sign_in(self, worker: str, pin: str) -> bool:
        status, body, headers = self.send("POST", "/api/session", {"worker": worker, "pin": pin})
        if status != 200:
            return False
        self._headers["Cookie"] = headers["Set-Cookie"].partition(";")[0]
        self._headers["X-CSRF-Token"] = body["csrf_token"]
        return True

    def sign_out(self) -> bool:
        status, _, _ = self.send("DELETE", "/api/session")
        self._headers.clear()
        return status == 204

    def send(
        self, method: str, path: str, body: Any = None, **headers: str
    ) -> tuple[int, Any, Any]:
        """Status, body and headers; status 0 without an answer."""
        given = {
            **self._headers,
            **{name.replace("_", "-"): text for name, text in headers.items()},
        }
        content = None if body is None else json.dumps(body)
        if content is not None:
            given["Content-Type"] = "application/json"
        is_kept = self._connection is not None
        if self._connection is None:
            self._connection = self._connect()
        try:
            self._connection.request(method, path, content, given)
            response = self._connection.getresponse()
            text = response.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            self._connection = None
            if is_kept and isinstance(error, ConnectionError):
                return self.send(method, path, body, **headers)  # as a browser does
            return 0, {}, {}
        parsed: Any = {}
        with contextlib.suppress(ValueError):
            parsed = json.loads(text)
        return response.status, parsed, response.headers

    def follow(self, board: str) -> None:
        """Open the event stream of a board, instead of the one that is open."""
        self.leave()
        self._follower = gevent.spawn(self._follow, board)

    def leave(self) -> None:
        """Close the event stream."""
        if self._follower is not None:
            self._follower.kill()
            self._follower = None

    def close(self) -> None:
        self.leave()
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(
            "127.0.0.1", self._port, timeout=_TIMEOUT_S, source_address=(self._address, 0)
        )

    def _follow(self, board: str) -> None:
        last_id = ""
        while True:
            connection = self._connect()
            resumed = {"Last-Event-ID": last_id} if last_id else {}
            try:
                self.streams += 1
                path = f"/api/boards/{board}/events"
                connection.request("GET", path, None, {**self._headers, **resumed})
                response = connection.getresponse()
                if response.status == 200:
                    for line in response:
                        if line.startswith(b"id: "):
                            last_id = line[4:].strip().decode()
                        self.deliveries += line.startswith(b"event: item")
            except (OSError, http.client.HTTPException):
                pass  # it has ended; so has a browser's
            finally:
                connection.close()
            gevent.sleep(_RECONNECT_S)
