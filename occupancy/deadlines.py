"""Deadlines: a client that is slow, or stands still on purpose, costs a place for a bounded time.

* The head of a request must be there within gunicorn's ``keepalive`` seconds (gunicorn reads it
  inside one timeout over all of its parts).
* Its body must be there within BODY_S. What a route never reads, gunicorn reads away before the
  next head, under the head's deadline.
* A client that does not take a piece of 64 KiB of its answer within WRITE_S is closed. Else a
  thousand requests for a large board, whose answers nobody reads, would keep them for good.
  (Event streams have the same bound from the hub; see subscriber.py.)
"""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator

import gevent
from gevent import socket

from .errors import InvalidRequest

BODY_S = 20.0
WRITE_S = 30.0
_PIECE_BYTES = 64 * 1024  # per deadline, so that a slow reader that reads may take its time


@contextlib.contextmanager
def body_deadline() -> Iterator[None]:
    """Raises InvalidRequest where the block, which reads a body, takes longer than BODY_S."""
    timeout = gevent.Timeout(BODY_S)
    timeout.start()
    try:
        yield
    except gevent.Timeout as expired:
        if expired is not timeout:
            raise
        raise InvalidRequest(f"The body did not arrive within {BODY_S:g} s.") from None
    finally:
        timeout.close()


class DeadlineSocket(socket.socket):  # type: ignore[misc] # gevent has no types
    """gevent's socket, whose peer must take what is sent; writing waits, reading is as before."""

    def sendall(self, data: bytes, flags: int = 0) -> None:
        """Send all of ``data``; raises ECONNRESET where the peer does not take a piece in time."""
        was: float | None = self.gettimeout()
        self.settimeout(WRITE_S)
        try:
            if len(data) <= _PIECE_BYTES:
                super().sendall(data, flags)
                return
            with memoryview(data) as view:
                for first in range(0, len(view), _PIECE_BYTES):
                    super().sendall(view[first : first + _PIECE_BYTES], flags)
        except TimeoutError as error:
            # gunicorn logs other errors of a socket with a traceback, and there may be thousands.
            raise ConnectionResetError(errno.ECONNRESET, "the client takes nothing") from error
        finally:
            self.settimeout(was)
