"""Reads a file in a process of its own, and bounds it: ``process`` is that one.

One file at a time in a process of ours: the limits of memory hold for one.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, cast

import msgspec

from occupancy.core.errors import InvalidRequest, RateLimited
from occupancy.tables.causes import Cause, refused
from occupancy.tables.columns import ParsedFile
from occupancy.tables.encoding import AUTO
from occupancy.tables.records import Record

MAX_FILE_BYTES = 20 * 1024 * 1024
MAX_CHUNKS_BYTES = 16 * 1024 * 1024  # packed, so what an upload takes on the server
MAX_PARSING_S = 60.0
_MAX_WAIT_S = 20.0
_MAX_FRAME_BYTES = 8 * 1024 * 1024
_TOO_MUCH = (
    "The file takes too much time or memory to read, or is damaged. Keep only the sheet with the "
    "items, and save it as CSV."
)

OnChunk = Callable[[int, bytes], object]
"""Gets the number of a chunk and its packed records."""

_turns = threading.BoundedSemaphore(1)
_ROOT = Path(__file__).parents[3]


def parse_file(
    file: IO[bytes], on_chunk: OnChunk, *, encoding: str = AUTO, sheet: str | None = None
) -> ParsedFile:
    """Read ``file``, which has a descriptor, from its beginning.

    Raises InvalidRequest for what cannot be read within the limits, and RateLimited where others
    are read for too long.
    """
    if not _turns.acquire(timeout=_MAX_WAIT_S):
        raise RateLimited("Other files are being read. Send this one again.", retry_after=10)
    try:
        with _output(file, encoding, sheet) as output:
            return _read(output, on_chunk)
    finally:
        _turns.release()


def unpacked(chunk: bytes) -> list[Record]:
    """The records of a chunk."""
    return msgspec.msgpack.decode(zlib.decompress(chunk), type=list[Record])


@contextlib.contextmanager
def _output(file: IO[bytes], encoding: str, sheet: str | None) -> Iterator[IO[bytes]]:
    """The output of the process that parses; it has ended after the block, however that ends."""
    os.lseek(file.fileno(), 0, os.SEEK_SET)
    command = [sys.executable, "-P", "-m", "occupancy.tables.sandbox.process"]
    process = subprocess.Popen(  # noqa: S603 - our own program; the arguments are only data to it
        [*command, encoding, sheet or ""],
        stdin=file.fileno(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        # None of our settings, which have the server's password.
        env={"PYTHONPATH": str(_ROOT), "PYTHONDONTWRITEBYTECODE": "1"}, cwd="/",
    )  # fmt: skip
    timer = threading.Timer(MAX_PARSING_S, process.kill)
    timer.start()
    try:
        with cast(IO[bytes], process.stdout) as output:
            yield output
    finally:
        timer.cancel()
        process.kill()
        process.wait()


def _read(out: IO[bytes], on_chunk: OnChunk) -> ParsedFile:
    chunks = size = 0
    while True:
        kind, payload = _frame(out)
        if kind == b"C":
            size += len(payload)
            if size > MAX_CHUNKS_BYTES:
                raise refused("The file has too much text: divide it.", "too_much_text")
            on_chunk(chunks, payload)
            chunks += 1
        elif kind == b"H":
            return msgspec.json.decode(payload, type=ParsedFile)
        elif kind == b"E":
            raise _refusal(payload)
        else:
            raise refused(_TOO_MUCH, "too_heavy")


def _refusal(payload: bytes) -> InvalidRequest:
    detail, cause = msgspec.json.decode(payload, type=tuple[str, Cause | None])
    return InvalidRequest(detail, cause=cause) if cause is not None else InvalidRequest(detail)


def _frame(out: IO[bytes]) -> tuple[bytes, bytes]:
    """The next frame; an empty one where the process ended without its last."""
    head = out.read(5)
    length = int.from_bytes(head[1:5], "big")
    if len(head) < 5 or length > _MAX_FRAME_BYTES:
        return b"", b""
    payload = out.read(length)
    return (head[:1], payload) if len(payload) == length else (b"", b"")
