"""The listener where the process has no file descriptor left."""

from __future__ import annotations

import errno
import os
from typing import Any

import gevent.socket
import pytest
from gevent.pool import Pool

from occupancy.observability.repeated_warnings import RepeatedWarnings
from occupancy.server.accept_balancing import Loads
from occupancy.server.listener import Listener
from tests.support.raw_http import Wire
from tests.support.waiting import wait_until


class Counted(RepeatedWarnings):
    """Warnings that are only kept."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def error(self, kind: str, message: str, *args: object) -> None:
        self.texts.append(message % args)


class WithoutFiles:
    """A listening socket whose first calls of accept fail."""

    def __init__(self, listening: Any, number: int) -> None:
        self._listening = listening
        self._failures = iter([OSError(number, os.strerror(number))] * 3)

    def _accept(self) -> Any:
        if error := next(self._failures, None):
            raise error
        return self._listening._accept()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._listening, name)


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM])
def test_without_files_it_warns_without_a_traceback_and_accepts_later(
    number: int, capfd: pytest.CaptureFixture[str]
) -> None:
    served: list[Any] = []
    warnings = Counted()
    bound = gevent.socket.socket()
    bound.bind(("127.0.0.1", 0))
    bound.listen()
    server = Listener(
        bound, lambda *args: served.append(args), None, Loads(Loads.shared(), 0), warnings,
        spawn=Pool(10),
    )  # fmt: skip
    server.start()
    server.socket = WithoutFiles(server.socket, number)
    try:
        with Wire(bound.getsockname()[1]):
            wait_until(lambda: served, what="the connection to be accepted")
        assert len(warnings.texts) == 3
        assert os.strerror(number) in warnings.texts[0]
        assert "Traceback" not in capfd.readouterr().err
    finally:
        for connection, *_ in served:
            connection.close()
        server.close()
