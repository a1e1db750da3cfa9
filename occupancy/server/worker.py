"""gunicorn's worker class: its gevent worker, with our listener and answers to errors.

gunicorn's master imports this module, and keeps it over a reload after an upgrade. So it is a thin
shell: all that a process does is imported after the fork and the patching.
"""

from __future__ import annotations

import gc
import sys
from mmap import mmap
from typing import TYPE_CHECKING, Any

import gevent
from gevent.hub import Hub, set_hub
from gunicorn.workers.ggevent import GeventWorker

if TYPE_CHECKING:
    from occupancy.server.process import Process


class LoggingHub(Hub):  # type: ignore[misc] # gevent has no types
    """gevent's event loop, which logs failed greenlets; gevent's own prints raw tracebacks."""

    def print_exception(self, context: Any, t: Any, v: Any, tb: Any) -> None:
        from occupancy.observability.log_lines import log_failure  # noqa: PLC0415 - see the module

        log_failure(context, t, v, tb)


class GunicornWorker(GeventWorker):  # type: ignore[misc] # gunicorn ships no types
    """One process that serves, in gunicorn's words a worker."""

    loads: mmap
    process: Process | None = None

    def leave_master(self, loads: mmap) -> None:
        """Prepare, right after the fork, for own imports. ``loads`` is ``Loads.shared()``."""
        self.loads = loads
        # A reload after an upgrade forks from a master that still has the old modules of the
        # package: the process imports all of them anew, not half of them.
        for name in [name for name in sys.modules if name.partition(".")[0] == "occupancy"]:
            del sys.modules[name]
        # Until the process serves, nearly all that it makes is there to stay: collections would
        # be a tenth of its start.
        gc.disable()

    def patch(self) -> None:
        """Patch the standard library, as gunicorn calls it, in an event loop of our own class."""
        from occupancy.server.gevent_gaps import without_plugins  # noqa: PLC0415 - see the module

        set_hub(LoggingHub())
        with without_plugins():
            super().patch()

    def start_process(self) -> None:
        """Start what serves; the application is loaded, and everything patched."""
        from occupancy.server.process import Process  # noqa: PLC0415 - see the module

        self.process = Process(self)
        self.server_class = self.process.listener  # in place of gevent's server
        self.process.start()

    def handle_request(self, listener_name: Any, req: Any, sock: Any, addr: Any) -> None:
        """Answer one request by Flask, and let other connections have their turn."""
        super().handle_request(listener_name, req, sock, addr)
        # A keep-alive connection whose next request has arrived already would never yield:
        # measured p99 of 814 ms against 53 ms at 64 connections.
        gevent.sleep(0)

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Answer a request that gunicorn could not read, or that failed outside the application.

        gunicorn's own method repeats the request's text in the log and in the answer.
        """
        from occupancy.server.malformed_requests import answer  # noqa: PLC0415 - see the module

        answer(self, client, addr, exc)
