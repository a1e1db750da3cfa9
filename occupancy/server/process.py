"""One process of the web server: what serves in it, from its start to its drain."""

from __future__ import annotations

import gc
import logging
import sys
import time
from typing import Any

import gevent

from occupancy.observability import audit_log, log_lines
from occupancy.server import malformed_requests
from occupancy.server.accept_balancing import Loads
from occupancy.server.fast.connection import FastPath, suits
from occupancy.server.fast.request import FirstRead
from occupancy.server.listener import Listener
from occupancy.services import Services
from occupancy.storage import confirmation

log = logging.getLogger(__name__)

_REFUSE_START = 3  # gunicorn's master ends when a process exits with this status
_SERVERS_KNOWN_S = 2.0  # how long a start waits to know the servers, before it serves
_POLL_S = 0.2
_DRAIN_S = 5.0  # for which gunicorn's end of the process waits


class Process:
    """The services of this process, and what gunicorn's ``worker`` serves with."""

    def __init__(self, worker: Any) -> None:
        self._worker = worker
        services: Services = worker.wsgi.extensions["occupancy"]
        self._services = services
        self._loads = Loads(worker.loads, worker.age)
        malformed_requests.init_app(worker.wsgi)
        is_fast = services.settings.fast_path and suits(worker)
        self._fast_path = FastPath(worker, services) if is_fast else None
        self._drainer: gevent.Greenlet | None = None

    def start(self) -> None:
        """Connect, and from now on drain when the process is to end."""
        log_lines.install(self._services.settings.log_level)
        audit_log.install()
        # The other places are for requests, health checks among them.
        self._services.stream_limits.limit_process(self._worker.cfg.worker_connections * 7 // 8)
        self._services.start()
        if self._services.settings.confirm_replicas:
            self._check_confirmation(time.monotonic() + _SERVERS_KNOWN_S)
        self._drainer = gevent.spawn(self._drain_when_stopped)
        gc.freeze()  # what is there now stays, and need not be walked over
        gc.enable()
        gc.set_threshold(10_000, 20, 20)  # cycles are few, and a collection walks all streams

    def _check_confirmation(self, until: float) -> None:
        """End the start if OCCUPANCY_CONFIRM_REPLICAS is unsound with the servers that there are.

        If they are not known by ``until``, the check goes on while the process serves. An operation
        waits for the replicas of the server that it is sent to, so none is taken unchecked.
        """
        topology = self._services.topology
        while not topology.is_complete:
            if time.monotonic() > until:
                gevent.spawn(self._check_confirmation, float("inf"))
                return
            gevent.sleep(_POLL_S)
        settings = self._services.settings
        wrong = confirmation.unsound(settings.confirm_replicas, topology.shards())
        if wrong is None:
            return
        if self._worker.age > 1:
            # Only the first process ends the start: gunicorn's master fails with a traceback if two
            # do. A later process belongs to a deployment that runs, which must not end because a
            # replica has been added or removed. Its operations stay safe: they wait for each
            # replica, and for that number.
            log.error("%s", wrong)
            return
        print(f"occupancy: {wrong}", file=sys.stderr, flush=True)  # noqa: T201 - as for a setting
        raise SystemExit(_REFUSE_START)

    def listener(self, listener: Any, *, spawn: Any, **options: Any) -> Listener:
        """The server of one listening socket; gunicorn calls it like a server class of gevent's."""
        ssl = {name: options[name] for name in options if name == "ssl_context"}
        fast_path = None if ssl else self._fast_path  # TLS begins with a handshake

        def handle(connection: Any, address: Any, read: FirstRead) -> None:
            if fast_path is not None:
                fast_path.handle(listener, connection, address, read)
            else:
                self._worker.handle(listener, connection, address)

        streams = fast_path.streams if fast_path is not None else None
        made = Listener(
            listener,
            handle,
            streams,
            self._loads,
            self._services.repeated_warnings,
            spawn=spawn,
            **ssl,
        )
        if self._worker.cfg.workers > 1:
            made.max_accept = 1  # as gunicorn's own: none takes all connections of a burst
        return made

    def join(self) -> None:
        """Wait until all is drained: gunicorn waits for greenlets, and a live stream has none."""
        if self._drainer is not None:
            self._drainer.join(timeout=_DRAIN_S)

    def _drain_when_stopped(self) -> None:
        # gunicorn waits for its greenlets to end and then kills the process; nothing tells a
        # stream to end. alive turns false at TERM, HUP and max_requests.
        while self._worker.alive:
            gevent.sleep(0.1)
        self._loads.write(None)
        # No switch point between the two: a connection that comes after has a greenlet, and
        # gunicorn waits for it.
        if self._fast_path is not None:
            self._fast_path.streams.leave()
        self._services.drain()
