"""Restores a backup below an empty prefix: all of it, or nothing."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from occupancy.cli.backup import file, positions
from occupancy.cli.backup.file import Header, Kind, Record, Trailer
from occupancy.cli.backup.selection import TOKENS, is_kept, place_of
from occupancy.cli.backup.values import PAGE, as_dict, as_list, entries_until, put_read, put_write
from occupancy.core.entities import MAIN_BOARD
from occupancy.core.errors import BackupError
from occupancy.core.keys import Keys
from occupancy.storage.client import OpsClient

_RECORDS_AT_ONCE = 100
_KEYS_AT_ONCE = 200


class Restorer:
    """Methods raise PoolTimeout, StoreUnavailable, redis's errors and BackupError."""

    def __init__(self, client: OpsClient, keys: Keys) -> None:
        self._client = client
        self._keys = keys
        self._root = f"{keys.prefix}:"

    def restore(
        self, path: Path, *, has_tokens: bool = True, is_again: bool = False,
        advance: Callable[[int], object],
    ) -> tuple[Header, Trailer]:  # fmt: skip
        """Restore the file, and compare what the server has then with it.

        ``is_again`` first removes what an interrupted restore has left. ``advance`` gets the number
        of records just restored.
        """
        header, trailer = file.verified(path)
        self._begin(is_again=is_again)
        try:
            digests = self._write(path, header, has_tokens=has_tokens, advance=advance)
            self._compare(digests)
        except BaseException:  # also Ctrl-C
            self._remove_all()
            self._client.delete(self._keys.restoring)
            raise
        self._client.delete(self._keys.restoring)
        return header, trailer

    def _begin(self, *, is_again: bool) -> None:
        keys = self._keys
        if is_again and self._client.exists(keys.restoring):
            self._remove_all()
        elif not self._client.set(keys.restoring, "1", nx=True):
            raise BackupError(
                "Another restore runs, or was interrupted. If none runs: restore with "
                "--discard-interrupted, which removes what that one has left."
            )
        if found := next(self._kept_keys(), None):
            self._client.delete(keys.restoring)
            raise BackupError(
                f"There is data already, such as {found}: a restore overwrites nothing. Use an "
                "empty server or state directory, another database, or another OCCUPANCY_PREFIX."
            )

    def _kept_keys(self) -> Iterator[str]:
        for client in self._client.every_server():
            keys: Iterator[bytes] = client.scan_iter(match=f"{self._root}*", count=1000)
            for key in keys:
                text = key.decode()
                place = place_of(text.removeprefix(self._root))
                if is_kept(place) or text == self._keys.boards:
                    yield text

    def _remove_all(self) -> None:
        found = self._kept_keys()
        while chunk := list(itertools.islice(found, _KEYS_AT_ONCE)):
            self._client.run_pipeline(lambda pipeline, chunk=chunk: [*map(pipeline.delete, chunk)])  # type: ignore[misc] # mypy infers no lambda with defaults

    def _write(
        self, path: Path, header: Header, *, has_tokens: bool, advance: Callable[[int], object]
    ) -> dict[str, tuple[Kind, bool, Any]]:
        """Write every record; returns kind, whether it expires, and the digest of each key."""
        seconds, micros = self._client.client_of(self._keys.workers).time()
        now_ms = seconds * 1000 + micros // 1000
        digests: dict[str, tuple[Kind, bool, Any]] = {}
        lifted = self._lifted(file.read(path), header, now_ms)
        while chunk := list(itertools.islice(lifted, _RECORDS_AT_ONCE)):
            if not has_tokens:
                chunk = [each for each in chunk if each.key not in TOKENS]
            chunk = [each for each in chunk if not 0 < each.expires_ms <= now_ms]

            def fill(pipeline: Any, chunk: list[Record] = chunk) -> None:
                for each in chunk:
                    put_write(
                        pipeline, each.kind, self._root + each.key, each.value, each.expires_ms
                    )

            if chunk:
                self._client.run_pipeline(fill)
            for each in chunk:
                default = each.kind, bool(each.expires_ms), hashlib.sha256()
                _update(digests.setdefault(each.key, default)[2], each.value, each.kind)
            advance(len(chunk))
        if header.boards:
            self._client.sadd(self._keys.boards, *header.boards)
        # Boards of the same name as one that is lost count on from here too (Boards.create).
        self._client.set(self._keys.version_base, positions.lifted_base(now_ms))
        return digests

    def _lifted(self, contents: Iterable[Any], header: Header, now_ms: int) -> Iterator[Record]:
        """The records, with every board's positions lifted, and the marks of their logs."""
        marks: dict[str, bytes] = {}
        for record in contents:
            if not isinstance(record, Record):
                continue
            place = place_of(record.key)
            if place.name != "board" or place.board not in {*header.boards, MAIN_BOARD}:
                yield record
                continue
            fields, marks[place.board] = positions.lift(as_dict(record.value), now_ms)
            yield msgspec.structs.replace(record, value=as_list("hash", fields))
        if MAIN_BOARD not in marks:  # it exists by itself, and may have been used since
            fields, marks[MAIN_BOARD] = positions.lift({}, now_ms)
            yield Record(f"{{{MAIN_BOARD}}}:board", "hash", 0, as_list("hash", fields))
        for board, mark in marks.items():  # now, because they end the logs
            yield Record(f"{{{board}}}:log", "stream", 0, [[mark, [b"promotion", b"0"]]])

    def _compare(self, digests: dict[str, tuple[Kind, bool, Any]]) -> None:
        """Read everything back. Raises BackupError where the server has something else."""
        remaining = iter(digests.items())
        while chunk := list(itertools.islice(remaining, _KEYS_AT_ONCE)):

            def fill(pipeline: Any, chunk: list[Any] = chunk) -> None:
                for key, (kind, _, _) in chunk:
                    put_read(pipeline, kind, self._root + key)

            replies = self._client.run_pipeline(fill)
            for (key, (kind, may_expire, expected)), reply in zip(chunk, replies, strict=True):
                digest, value = hashlib.sha256(), as_list(kind, reply)
                is_long = kind == "stream" and len(value) == PAGE
                pages = entries_until(self._client, self._root + key) if is_long else [value]
                for page in pages:
                    _update(digest, page, kind)
                if digest.digest() != expected.digest() and (value or not may_expire):
                    raise BackupError(f"The server has another {key} than the backup: try again.")
        if int(self._client.exists(self._keys.restoring)) != 1:
            raise BackupError("Another restore has run at the same time: try again.")


def _update(digest: Any, value: list[Any], kind: Kind) -> None:
    """Add a value, or a part of one: the same for all ways to cut a stream into parts."""
    parts = value if kind == "stream" else [value]
    for each in parts:
        digest.update(msgspec.msgpack.encode(each))
