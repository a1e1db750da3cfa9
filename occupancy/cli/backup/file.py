"""The file of a backup: gzip around frames, each a length and a MessagePack value.

The first frame is the header, the last the trailer with counts and a SHA-256 of everything; between
them are records. A key's value may take several records, one after another.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import os
import secrets
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Literal

import msgspec

from occupancy.core.errors import BackupError

FORMAT = 1
_LENGTH_BYTES = 4
_MAGIC = "occupancy backup"

Kind = Literal["string", "hash", "list", "set", "zset", "stream"]


class Header(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the backup is; ``at`` is when it began."""

    magic: str = _MAGIC
    format: int = FORMAT
    at: str
    boards: list[str]


class Record(msgspec.Struct, frozen=True, array_like=True):
    """A value, or a part of one, under its key without the prefix.

    ``expires_ms`` is a Unix time, or 0. ``value`` is a list: of one string, of fields and values,
    of members, of members and scores, or of entries (an id, and a list of fields and values).
    """

    key: str
    kind: Kind
    expires_ms: int
    value: list[Any]


class Trailer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The counts, and the checksum of all that precedes."""

    boards: int = 0
    items: int = 0
    events: int = 0
    workers: int = 0
    tokens: int = 0
    records: int = 0
    sha256: str = ""


class Writer:
    """Writes frames to ``stream``; ends with :meth:`finish`."""

    def __init__(self, stream: Any, header: Header) -> None:
        self._stream = stream
        self._hash = hashlib.sha256()
        self._records = 0
        self._frame(header)

    def add(self, record: Record) -> None:
        self._frame(record)
        self._records += 1

    def finish(
        self, *, boards: int = 0, items: int = 0, events: int = 0, workers: int = 0, tokens: int = 0
    ) -> Trailer:
        """Write the trailer and return it."""
        trailer = Trailer(
            boards=boards, items=items, events=events, workers=workers, tokens=tokens,
            records=self._records,
        )  # fmt: skip
        trailer = msgspec.structs.replace(trailer, sha256=_sealed(self._hash, trailer))
        self._frame(trailer)
        return trailer

    def _frame(self, value: Any) -> None:
        encoded = msgspec.msgpack.encode(value)
        frame = len(encoded).to_bytes(_LENGTH_BYTES, "big") + encoded
        self._hash.update(frame)
        self._stream.write(frame)


@contextlib.contextmanager
def created(path: Path) -> Iterator[Any]:
    """A stream for a Writer; the file appears, whole, when the block ends without an exception.

    Only its owner may read it. Raises BackupError if there is such a file.
    """
    _refuse_existing(path)
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, 0o600)  # whatever the umask is
            with gzip.GzipFile(filename="", mode="wb", fileobj=file, compresslevel=6) as stream:
                yield stream
            file.flush()
            os.fsync(file.fileno())
        for _ in read(partial):  # what has reached the disk is read back, and checked
            pass
        _refuse_existing(path)
        partial.rename(path)
        _sync_directory(path.parent)
    finally:
        partial.unlink(missing_ok=True)


def _refuse_existing(path: Path) -> None:
    if path.exists():
        raise BackupError(f"There is a file {path} already: a backup overwrites nothing.")


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read(path: Path) -> Iterator[Header | Record | Trailer]:
    """The header, the records, and at last the trailer, whose checksum is right.

    What comes before the trailer is not checked yet: read a file once before you use it. Raises
    BackupError.
    """
    try:
        with gzip.open(path, "rb") as stream:
            yield from _frames(stream, path)  # type: ignore[arg-type] # gzip's is no BinaryIO there
    except (EOFError, zlib.error, gzip.BadGzipFile, msgspec.DecodeError, ValueError) as error:
        raise BackupError(f"{path} is damaged, or no backup: {error}.") from error


def _frames(stream: BinaryIO, path: Path) -> Iterator[Header | Record | Trailer]:
    checksum, records = hashlib.sha256(), 0
    frame, encoded = _next_frame(stream)
    header = msgspec.msgpack.decode(encoded, type=Header)
    if header.magic != _MAGIC or header.format != FORMAT:
        raise BackupError(f"{path} has the format {header.format}, which this version cannot read.")
    checksum.update(frame)
    yield header
    while True:
        frame, encoded = _next_frame(stream)
        if encoded[0] & 0xF0 == 0x90:  # MessagePack's array: a record; the trailer is a map
            checksum.update(frame)
            records += 1
            yield msgspec.msgpack.decode(encoded, type=Record)
            continue
        trailer = msgspec.msgpack.decode(encoded, type=Trailer)
        is_right = trailer.sha256 == _sealed(checksum, trailer) and trailer.records == records
        if not is_right or stream.read(1):
            raise BackupError(f"{path} is damaged: its checksum is not that of its content.")
        yield trailer
        return


def _sealed(checksum: Any, trailer: Trailer) -> str:
    """The checksum of what precedes the trailer, and of the trailer's counts."""
    sealed = checksum.copy()
    sealed.update(msgspec.msgpack.encode(msgspec.structs.replace(trailer, sha256="")))
    return str(sealed.hexdigest())


def _next_frame(stream: BinaryIO) -> tuple[bytes, bytes]:
    length = stream.read(_LENGTH_BYTES)
    encoded = stream.read(int.from_bytes(length, "big"))
    if len(length) < _LENGTH_BYTES or not encoded or len(encoded) < int.from_bytes(length, "big"):
        raise EOFError("it ends too early")
    return length + encoded, encoded


def verified(path: Path) -> tuple[Header, Trailer]:
    """Read the whole file, and check it. Raises BackupError."""
    contents = read(path)
    header = last = next(contents)
    for each in contents:
        last = each
    assert isinstance(header, Header) and isinstance(last, Trailer)  # noqa: S101 - read() yields them so
    return header, last
