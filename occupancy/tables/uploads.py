"""Uploads: files that were sent for an import, between the preview and the import.

Their records are kept on the server, so any process of any machine can go on, also after a restart
of the one that has read the file. They are packed in chunks of some 20 KB, each of which is read by
itself: an import needs the memory of one chunk. A board keeps the last four, each for an hour and
of 16 MiB at most, so uploads cannot fill the server.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import time
from collections.abc import Iterator
from typing import IO, Any, Literal, TypeVar

import msgspec

from occupancy.core.errors import ImportNotFound
from occupancy.core.keys import Keys
from occupancy.storage.client import OpsClient
from occupancy.tables.columns import Mapping, ParsedFile
from occupancy.tables.records import Record, Rejected
from occupancy.tables.sandbox.parsing import parse_file, unpacked

T = TypeVar("T")

UPLOAD_TTL_S = 3600
MAPPINGS_TTL_S = 365 * 24 * 3600  # from the last import: also those of a removed board end
MAX_UPLOADS = 4  # of a board
MAX_MAPPINGS = 32  # that a board remembers
MAX_ADDED_TAGS = 10_000  # that an upload lists, for the labels of what it has added
STALLED_S = 30.0  # without a sign, the process that ran an import has ended
_ID = re.compile(r"[0-9a-f]{16}\Z")


class Upload(msgspec.Struct, frozen=True):
    """An uploaded file; ``file`` is the name that its sender gives it."""

    id: str
    file: str
    parsed: ParsedFile

    def read_with(self, *, has_header: bool) -> Upload:
        """The same upload as a file with a header, as it is stored, or as one without."""
        if has_header:
            return self
        return msgspec.structs.replace(self, parsed=self.parsed.without_header())


class Run(msgspec.Struct, frozen=True):
    """How far the import of an upload is: of ``rows``, ``done`` and with which results."""

    state: Literal["none", "running", "done", "stopped"]
    rows: int
    done: int = 0
    added: int = 0
    updated: int = 0
    unchanged: int = 0
    rejected: int = 0
    lines: list[Rejected] = []
    """The first of the rejected rows."""
    at_s: float = 0.0


class _Listed(msgspec.Struct, frozen=True, array_like=True):
    id: str
    chunks: int


class _Remembered(msgspec.Struct, frozen=True, array_like=True):
    header: str  # a hash
    mapping: Mapping


class Uploads:
    """Safe to share between greenlets. Methods raise PoolTimeout or StoreUnavailable.

    Two lists of a board are read and written back as a whole. Of two uploads at once one may be
    missing in them: then it is not removed before its time, or its mapping is not remembered.
    """

    def __init__(self, client: OpsClient, keys: Keys) -> None:
        self._client = client
        self._keys = keys

    def add(
        self, board: str, file: IO[bytes], *, name: str, encoding: str, sheet: str | None
    ) -> Upload:
        """Read a file and keep its records. Raises InvalidRequest and RateLimited."""
        keys = self._keys.board(board)
        number = secrets.token_hex(8)

        def keep(position: int, chunk: bytes) -> None:
            self._client.set(keys.upload(number, position), chunk, ex=UPLOAD_TTL_S)

        parsed = parse_file(file, keep, encoding=encoding, sheet=sheet)
        upload = Upload(number, name, parsed)
        self._client.set(keys.upload(number), msgspec.json.encode(upload), ex=UPLOAD_TTL_S)
        listed = self._read(keys.uploads, list[_Listed]) or []
        listed.append(_Listed(number, parsed.chunks))
        for old in listed[:-MAX_UPLOADS]:
            self._remove(board, old.id, old.chunks)
        self._client.set(keys.uploads, msgspec.json.encode(listed[-MAX_UPLOADS:]), ex=UPLOAD_TTL_S)
        return upload

    def get(self, board: str, number: str) -> Upload:
        """Raises ImportNotFound."""
        found = None
        if _ID.match(number):
            found = self._read(self._keys.board(board).upload(number), Upload)
        if found is None:
            raise ImportNotFound("The uploaded file is no longer there. Upload it again.")
        return found

    def records(self, board: str, upload: Upload) -> Iterator[Record]:
        """The rows of the file. Raises ImportNotFound where the upload ends meanwhile."""
        keys = self._keys.board(board)
        yield from upload.parsed.leading
        for position in range(upload.parsed.chunks):
            chunk: Any = self._client.get(keys.upload(upload.id, position))
            if chunk is None:
                raise ImportNotFound("The uploaded file is no longer there. Upload it again.")
            yield from unpacked(chunk)

    def remove(self, board: str, number: str) -> None:
        """Raises ImportNotFound."""
        self._remove(board, number, self.get(board, number).parsed.chunks)

    def run(self, board: str, upload: Upload) -> Run:
        """How far the import is."""
        found = self._read(self._keys.board(board).upload(upload.id, "run"), Run)
        if found is None:
            return Run("none", upload.parsed.rows)
        if found.state == "running" and time.time() - found.at_s > STALLED_S:
            return msgspec.structs.replace(found, state="stopped")
        return found

    def save_run(self, board: str, number: str, run: Run) -> None:
        key = self._keys.board(board).upload(number, "run")
        self._client.set(key, msgspec.json.encode(run), ex=UPLOAD_TTL_S)

    def note_added(self, board: str, number: str, tags: list[str]) -> None:
        """Note items that a run has added; those of earlier runs of the upload stay."""
        if not tags:
            return
        key = self._keys.board(board).upload(number, "added")
        noted = [*self.added(board, number), *tags][:MAX_ADDED_TAGS]
        self._client.set(key, msgspec.json.encode(noted), ex=UPLOAD_TTL_S)

    def added(self, board: str, number: str) -> list[str]:
        """The tags of the items that the import has added, up to MAX_ADDED_TAGS."""
        return self._read(self._keys.board(board).upload(number, "added"), list[str]) or []

    def remembered(self, board: str, parsed: ParsedFile) -> Mapping | None:
        """The mapping with which the board has last imported a file with the same header.

        A file without one is remembered by its number of columns, and by its first row: that is
        its header where nobody knows yet that it has none.
        """
        wanted = _hash_of(parsed)
        known = self._read(self._keys.board(board).mappings, list[_Remembered]) or []
        return next((each.mapping for each in known if each.header == wanted), None)

    def remember(self, board: str, upload: Upload, mapping: Mapping) -> None:
        """Remember the mapping with which ``upload`` was imported, as :meth:`remembered` says."""
        key = self._keys.board(board).mappings
        known = self._read(key, list[_Remembered]) or []
        read = upload.read_with(has_header=mapping.has_header)
        hashes = list(dict.fromkeys([_hash_of(upload.parsed), _hash_of(read.parsed)]))
        others = [each for each in known if each.header not in hashes]
        newest_first = [*(_Remembered(each, mapping) for each in hashes), *others][:MAX_MAPPINGS]
        self._client.set(key, msgspec.json.encode(newest_first), ex=MAPPINGS_TTL_S)

    def _remove(self, board: str, number: str, chunks: int) -> None:
        keys = self._keys.board(board)
        # The head first: a reader who finds it finds the rest, or hears that it is gone.
        for part in (None, "run", "added", *range(chunks)):
            self._client.delete(keys.upload(number, part))

    def _read(self, key: str, kind: type[T]) -> T | None:
        found: Any = self._client.get(key)
        return None if found is None else msgspec.json.decode(found, type=kind)


def _hash_of(parsed: ParsedFile) -> str:
    # No name in a header has a line break, so letters are not taken for one.
    names = parsed.header if parsed.has_header else ["\n", *parsed.header]
    return hashlib.sha256("\0".join(names).lower().encode()).hexdigest()[:16]
