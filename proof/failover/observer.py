"""Samples the role of every server, and the connections of the deployment to it."""

from __future__ import annotations

import collections
import contextlib
import time
from typing import NamedTuple

import gevent
import redis

from proof.deployment.servers import Servers, raw
from tests.support.servers import RealServer

_ROLES_EVERY_S = 0.03
_CONNECTIONS_EVERY_S = 0.2


class Promotion(NamedTuple):
    """A replica was seen as a primary."""

    at_s: float
    port: int


class Observer:
    """Watches the servers until :meth:`stop`."""

    def __init__(self, servers: Servers) -> None:
        self.promotions: list[Promotion] = []
        self.most_connections: dict[int, int] = collections.defaultdict(int)  # by port
        self.samples = 0
        self._servers = servers
        self._greenlets = [gevent.spawn(self._look_at, each) for each in servers.all()]

    def stop(self) -> None:
        gevent.killall(self._greenlets)

    def promoted_after(self, began_s: float) -> Promotion | None:
        """The first promotion since ``began_s``."""
        return next((each for each in self.promotions if each.at_s >= began_s), None)

    def _look_at(self, server: RealServer) -> None:
        """In a greenlet of its own: a server that hangs delays only its own samples."""
        role, counted_s = "", 0.0
        with self._servers.client(server, timeout_s=0.4) as client:
            while True:
                with contextlib.suppress(redis.RedisError, OSError):
                    found = raw(client, "ROLE")[0].decode()
                    if found == "master" and role == "slave":
                        self.promotions.append(Promotion(time.monotonic(), server.port))
                    role = found
                    if time.monotonic() - counted_s >= _CONNECTIONS_EVERY_S:
                        counted_s = time.monotonic()
                        self._count(server, raw(client, "CLIENT", "LIST"))
                gevent.sleep(_ROLES_EVERY_S)

    def _count(self, server: RealServer, listed: bytes) -> None:
        self.samples += 1
        count = listed.count(b" name=occupancy-")
        self.most_connections[server.port] = max(self.most_connections[server.port], count)
