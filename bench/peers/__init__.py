"""The benchmark's peers: other servers that deliver events by SSE, each in its usual configuration.

``nchan`` is the specialist (an nginx module), ``baseline`` a server that does nothing but send,
``starlette_peer`` the alternative that a Python team would write, and ``incident`` the design that
this project replaced. Each has a launcher with one interface, so that one run measures all of them.

The peers' applications live in this package too, and import nothing of the project.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from bench.cpu_quota import UNLIMITED, CpuQuota

NCHAN, STARLETTE, INCIDENT, BASELINE = "nchan", "starlette", "incident", "baseline"


class Peer(Protocol):
    """A server that is ready for streams when it is made, and ends at :meth:`stop`."""

    name: str
    live_line: bytes  # the whole line of a stream, without its end, that shows that it is live

    def __init__(self, directory: Path, *, quota: CpuQuota = UNLIMITED) -> None:
        """Start it on a free port; it writes to the private ``directory`` only.

        Raises RuntimeError with the end of its log if it does not start.
        """

    @property
    def port(self) -> int: ...

    @property
    def server_pids(self) -> list[int]:
        """The processes that hold the streams; no idle master."""

    @property
    def pids(self) -> list[int]:
        """All processes whose CPU counts: these, and the peer's Valkey if it has one."""

    @property
    def events_request(self) -> bytes:
        """The bytes that open a stream."""

    def publish(self, data: bytes) -> None:
        """Deliver one event to all streams, in the way of the server's users.

        ``data`` is one line of JSON that begins with ``{"seq":N``, N one more than the last.
        """

    def stop(self) -> None: ...
