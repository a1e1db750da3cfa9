"""HTTP with one kept connection per client; a failed request is a reply with status 0."""

from __future__ import annotations

import contextlib
import http.client
import json
from collections.abc import Iterator
from typing import Any

from proof.history.call import Reply

TIMEOUT_S = 30.0  # longer than any bounded wait of the product


class Client:
    """One caller of the API at ``port`` of this machine. Not to be shared between greenlets."""

    def __init__(self, port: int, token: str) -> None:
        self._port = port
        self._headers = {"Authorization": f"Bearer {token}"}
        self._connection: http.client.HTTPConnection | None = None

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        """Send one request, once."""
        given = {
            **self._headers,
            **{name.replace("_", "-"): text for name, text in headers.items()},
        }
        content = None if body is None else json.dumps(body)
        if content is not None:
            given["Content-Type"] = "application/json"
        if self._connection is None:
            self._connection = http.client.HTTPConnection(
                "127.0.0.1", self._port, timeout=TIMEOUT_S
            )
        try:
            self._connection.request(method, path, content, given)
            response = self._connection.getresponse()
            if response.length is None and not response.chunked:
                # Without a length, as no answer of the product is: cut within its head, which
                # http.client takes for whole.
                raise http.client.IncompleteRead(b"")
            text = response.read()
        except (OSError, http.client.HTTPException):
            self.close()
            return Reply(0, {})
        parsed: Any = {}
        with contextlib.suppress(ValueError):
            parsed = json.loads(text)
        is_replayed = response.headers.get("Idempotency-Replayed") == "true"
        return Reply(response.status, parsed if isinstance(parsed, dict) else {}, is_replayed)

    def open_stream(self, path: str, last_id: str) -> Stream:
        """Open an event stream on a connection of its own. Raises OSError and HTTPException."""
        resumed = {"Last-Event-ID": last_id} if last_id else {}
        return Stream(self._port, path, {**self._headers, **resumed})

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class Stream:
    """The response to one GET of an event stream."""

    def __init__(self, port: int, path: str, headers: dict[str, str]) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
        try:
            self._connection.request("GET", path, None, headers)
            self._response = self._connection.getresponse()
        except BaseException:
            self._connection.close()
            raise

    @property
    def status(self) -> int:
        return self._response.status

    def lines(self) -> Iterator[bytes]:
        return iter(self._response)

    def close(self) -> None:
        self._response.close()
        self._connection.close()
