"""gunicorn's worker class: its gevent worker, with our answers to malformed requests.

The master imports this module and nothing else of the application. A worker process imports the
rest when it is needed, after everything has been patched.
"""

from __future__ import annotations

from typing import Any

from gunicorn.workers.ggevent import GeventWorker


class Worker(GeventWorker):  # type: ignore[misc] # gunicorn ships no types
    """One worker process."""

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Answer a request that gunicorn could not read, or that failed outside the application.

        gunicorn's own method repeats the request's text in the log and in the answer.
        """
        from occupancy.server.malformed_requests import answer  # noqa: PLC0415 - see the module

        answer(self, client, addr, exc)
