"""One way in: a gunicorn worker of this process, with the real listener, on a loopback socket.

All that reads bytes is the product's own: ``server/process.py`` makes the listener, as it does for
gunicorn, and gunicorn's configuration file is the one that is deployed. Only the fork and the
master are left out, so a case takes milliseconds.
"""

from __future__ import annotations

import contextlib
import logging
import os
from pathlib import Path
from typing import Any

import gevent
from gevent import socket
from gevent.pool import Pool
from gunicorn.app.base import Application

from occupancy import create_app
from occupancy.core.settings import Settings
from occupancy.server.accept_balancing import Loads
from occupancy.server.process import Process
from occupancy.server.worker import GunicornWorker
from occupancy.services import Services
from proof.fuzz.answers import Violation, has_begun

ROOT = Path(__file__).parents[2]
CASE_S = 12.0  # longer than the server keeps a connection whose client has shut down
_PIECE_S = 0.0005  # between two pieces: the worker reads the first meanwhile
_BEGIN_S = 0.5  # a stream that was asked for begins within it
_QUIET_TURNS = 60  # of the event loop without a byte: no stream follows


class _Configured(Application):  # type: ignore[misc] # gunicorn ships no types
    """gunicorn's application, configured by our file alone."""

    def load_config(self) -> None:
        self.load_config_from_file(str(ROOT / "gunicorn.conf.py"))
        self.cfg.set("workers", 1)


class Way:
    """Serves with ``settings``, which say whether the fast path is on."""

    def __init__(self, settings: Settings) -> None:
        self.services = Services.for_web(settings)
        configured = _Configured()
        log = configured.cfg.logger_class(configured.cfg)
        worker = GunicornWorker(1, os.getpid(), [], configured, 30, configured.cfg, log)
        self._heartbeat_file = worker.tmp
        worker.loads = Loads.shared()
        worker.wsgi = create_app(self.services)
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        self.port: int = listener.getsockname()[1]
        self._server: Any = Process(worker).listener(listener, spawn=Pool(500))

    def start(self) -> None:
        self.services.hub.start()
        self._server.start()

    def stop(self) -> None:
        self._server.stop(timeout=1)
        self.services.hub.drain(timeout_s=1.0)
        self.services.revocation.stop()
        self.services.close()
        self._heartbeat_file.close()

    def send(self, pieces: list[bytes]) -> bytes:
        """Send ``pieces``, then the end; returns all answers. Raises Violation at a hang."""
        with gevent.Timeout(CASE_S, Violation(f"no end within {CASE_S} s")):
            return self._exchange(pieces)

    def _exchange(self, pieces: list[bytes]) -> bytes:
        received = bytearray()
        with socket.create_connection(("127.0.0.1", self.port)) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            reader = gevent.spawn(_read_to_end, connection, received)
            writer = gevent.spawn(_write, connection, pieces)
            try:
                # A stream reads no more requests and need not end: its beginning is enough.
                if not (b"vent" in b"".join(pieces) and self._is_stream(reader, received)):
                    writer.get()
                    with contextlib.suppress(OSError):
                        connection.shutdown(socket.SHUT_WR)
                    reader.get()
            finally:
                gevent.killall([reader, writer])
        return bytes(received)

    @staticmethod
    def _is_stream(reader: gevent.Greenlet, received: bytearray) -> bool:
        """Wait until a stream has begun or nothing more comes; whether it is a stream."""
        quiet_turns, length = 0, 0
        with gevent.Timeout(_BEGIN_S, False):
            while not reader.ready():
                if has_begun(bytes(received)):
                    return True
                gevent.sleep(0.001)
                quiet_turns = quiet_turns + 1 if len(received) == length else 0
                length = len(received)
                is_coming = received.find(b"text/event-stream") >= 0
                if length and quiet_turns > _QUIET_TURNS and not is_coming:
                    break
        return False


def _write(connection: socket.socket, pieces: list[bytes]) -> None:
    with contextlib.suppress(OSError):  # it has refused the first pieces, and closed
        for number, piece in enumerate(pieces):
            if number:
                gevent.sleep(_PIECE_S)
            connection.sendall(piece)


def _read_to_end(connection: socket.socket, received: bytearray) -> None:
    with contextlib.suppress(ConnectionError):  # closed with bytes unread: the kernel resets
        while data := connection.recv(65536):
            received += data


class ErrorLog(logging.Handler):
    """Keeps what is logged as an error, or with a traceback.

    It leaves out live delivery, which warns when the machine is busy.
    """

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.name.startswith("occupancy.live"):
            return
        text = record.getMessage()
        if record.levelno >= logging.ERROR or record.exc_info or "Traceback" in text:
            self.lines.append(f"{record.name}: {text}")
