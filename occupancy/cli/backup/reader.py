"""Reads a deployment for a backup, while work goes on; the package says at which instant."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import msgspec

from occupancy.cli.backup.file import Kind, Record
from occupancy.cli.backup.selection import Place, is_kept, place_of
from occupancy.cli.backup.values import PAGE, as_dict, as_list, entries_until, put_read
from occupancy.core.errors import BackupError
from occupancy.core.keys import RESERVED_BOARD, Keys
from occupancy.storage.client import OpsClient

_TRIES = 20
_KEYS_AT_ONCE = 50
_REMOVED_HISTORY_TTL_MS = 30 * 24 * 3600 * 1000
# Of a board: read in its transaction, whether or not the search for keys has found them.
_STATE: dict[str, Kind] = {
    "board": "hash", "view": "hash", "by_tag": "zset", "by_state": "zset", "by_holder": "zset",
    "log_marks": "list", "samples": "stream",
}  # fmt: skip
_KINDS: dict[bytes, Kind] = {
    each.encode(): each for each in ("string", "hash", "list", "set", "zset", "stream")
}


class Position(NamedTuple):
    """Where a board was when it was read."""

    cursor: str
    versions: dict[str, int]  # of its items
    floor_version: int  # no removed item had a higher one


class Reader:
    """Methods raise PoolTimeout, StoreUnavailable and BackupError."""

    def __init__(self, client: OpsClient, keys: Keys) -> None:
        self._client = client
        self._keys = keys
        self._root = f"{keys.prefix}:"
        self.positions: dict[str, Position] = {}
        self._found: dict[str, list[str]] = {}  # the names of keys, by board
        self._workers: dict[bytes, bytes] = {}  # as they were before the first board was read

    def find(self) -> list[str]:
        """Look for the boards, and return their names."""
        self._workers = self._client.hgetall(self._keys.workers)  # type: ignore[assignment] # not the asynchronous client
        for place in self.places():
            if not place.name.startswith(("history:", "idem:")):
                self._found.setdefault(place.board, []).append(place.name)
        return sorted(self._found.keys() - {"", RESERVED_BOARD})

    def places(self) -> Iterator[Place]:
        """The place of each key that is kept, perhaps more than once."""
        for client in self._client.every_server():
            keys: Iterator[bytes] = client.scan_iter(match=f"{self._root}*", count=1000)
            for key in keys:
                place = place_of(key.decode().removeprefix(self._root))
                if is_kept(place):
                    yield place

    def board(self, board: str) -> Iterator[Record]:
        """What a board is at one instant, and its log up to then."""
        names: dict[str, Kind] = dict(_STATE)
        others = [each for each in self._found[board] if each not in names and each != "log"]
        expiring: dict[str, int] = {}
        for name, (kind, expires_ms) in zip(others, self._kinds(board, others), strict=True):
            names[name], expiring[name] = kind, expires_ms
        values = self._at_one_instant(board, names)
        fields = as_dict(values["board"])
        versions = {
            name.removeprefix("item:"): int(as_dict(value)[b"version"])
            for name, value in values.items()
            if name.startswith("item:")
        }
        position = Position(
            fields.get(b"cursor", b"").decode(), versions, int(fields.get(b"floor_version", 0))
        )
        self.positions[board] = position
        for name, value in values.items():
            if value or name == "board":
                yield Record(_key(board, name), names[name], expiring.get(name, 0), value)
        if position.cursor:
            log = self._keys.board(board).log
            for page in entries_until(self._client, log, position.cursor):
                yield Record(_key(board, "log"), "stream", 0, page)

    def _at_one_instant(self, board: str, names: dict[str, Kind]) -> dict[str, list[Any]]:
        for _ in range(_TRIES):

            def fill(pipeline: Any) -> None:
                for name, kind in names.items():
                    put_read(pipeline, kind, self._root + _key(board, name))

            replies = self._client.read_atomically(fill)
            values = {
                name: as_list(kind, reply)
                for (name, kind), reply in zip(names.items(), replies, strict=True)
            }
            for name, value in values.items():
                if names[name] == "stream" and len(value) == PAGE:  # it goes on: samples, or new
                    values[name] = self._all_entries(board, name)
            added = {f"item:{tag.decode()}" for tag in values["by_tag"][0::2]} - names.keys()
            if not added:
                return {
                    name: value
                    for name, value in values.items()
                    if value or not name.startswith("item:")
                }
            names.update(dict.fromkeys(sorted(added), "hash"))
        raise BackupError(
            f"The board {board} gets new items all the time, so it cannot be read at one instant: "
            "try again when the import has ended."
        )

    def _all_entries(self, board: str, name: str) -> list[Any]:
        pages = entries_until(self._client, self._root + _key(board, name))
        return list(itertools.chain(*pages))

    def access(self) -> Iterator[Record]:
        """Workers and tokens at one instant, then the keys that belong to no board."""
        names = self._found.get(RESERVED_BOARD, [])
        kinds = self._kinds(RESERVED_BOARD, names)

        def fill(pipeline: Any) -> None:
            for name, (kind, _) in zip(names, kinds, strict=True):
                put_read(pipeline, kind, self._root + _key(RESERVED_BOARD, name))

        replies = self._client.read_atomically(fill) if names else []
        values = dict(zip(names, replies, strict=True))
        if renamed := {**self._renamed(values.get("workers", {})), **values.pop("renamed", {})}:
            yield Record(_key(RESERVED_BOARD, "renamed"), "hash", 0, as_list("hash", renamed))
        for name, (kind, expires_ms) in zip(names, kinds, strict=True):
            if name == "renamed":
                continue
            reply = values[name]
            if kind == "stream":
                key = self._root + _key(RESERVED_BOARD, name)
                for page in entries_until(self._client, key):
                    yield Record(_key(RESERVED_BOARD, name), kind, expires_ms, page)
            elif value := as_list(kind, reply):
                yield Record(_key(RESERVED_BOARD, name), kind, expires_ms, value)
        for name in self._found.get("", []):
            ((kind, expires_ms),) = self._kinds("", [name])
            if kind == "stream":
                for page in entries_until(self._client, self._root + name):
                    yield Record(name, kind, expires_ms, page)
                continue
            read = functools.partial(put_read, kind=kind, key=self._root + name)
            (reply,) = self._client.run_pipeline(read)
            if value := as_list(kind, reply):
                yield Record(name, kind, expires_ms, value)

    def _renamed(self, workers: dict[bytes, bytes]) -> dict[bytes, bytes]:
        """Marks (boards/holder_names.py) for workers that were edited while boards were read."""
        edited = [each for each in workers if workers[each] != self._workers.get(each)]
        if not edited:
            return {}
        seconds, micros = self._client.client_of(self._keys.workers).time()
        return dict.fromkeys(edited, b"%d %d" % (seconds, micros))

    def grown(self, on_history: Callable[[int], object]) -> Iterator[Record]:
        """Histories and Idempotency-Keys, cut where their boards were read."""
        wanted = (
            each
            for each in self.places()
            if each.name.startswith(("history:", "idem:")) and each.board in self.positions
        )
        seen: set[Place] = set()
        while chunk := list(itertools.islice(wanted, _KEYS_AT_ONCE)):
            places = [each for each in dict.fromkeys(chunk) if each not in seen]
            seen.update(places)
            yield from self._grown(places)
            on_history(sum(each.name.startswith("history:") for each in places))

    def _grown(self, places: Iterable[Place]) -> Iterator[Record]:
        asked = list(places)

        def fill(pipeline: Any) -> None:
            for board, name in asked:
                key = self._root + _key(board, name)
                put_read(pipeline, "stream" if name.startswith("history:") else "string", key)
                pipeline.execute_command("PEXPIRETIME", key)

        replies = iter(self._client.run_pipeline(fill))
        for board, name in asked:
            value, expires_ms = next(replies), max(0, next(replies))
            position = self.positions[board]
            if name.startswith("idem:"):
                if isinstance(value, bytes) and _is_until(value, position.cursor):
                    yield Record(_key(board, name), "string", expires_ms, [value])
                continue
            entries = as_list("stream", value)
            if len(entries) == PAGE:
                entries = self._all_entries(board, name)
            tag = name.removeprefix("history:")
            is_removed = tag not in position.versions
            least = position.floor_version if is_removed else position.versions[tag]
            kept = [each for each in entries if _version_of(each) <= least]
            if kept:
                if is_removed and not expires_ms:  # it was added again since
                    seconds, _ = self._client.client_of(self._root + _key(board, name)).time()
                    expires_ms = seconds * 1000 + _REMOVED_HISTORY_TTL_MS
                yield Record(_key(board, name), "stream", expires_ms if is_removed else 0, kept)

    def _kinds(self, board: str, names: list[str]) -> list[tuple[Kind, int]]:
        """The kind of each key, and when it expires."""
        if not names:
            return []

        def fill(pipeline: Any) -> None:
            for each in names:
                pipeline.type(self._root + _key(board, each))
                pipeline.execute_command("PEXPIRETIME", self._root + _key(board, each))

        replies = self._client.run_pipeline(fill)
        return [
            (_KINDS.get(kind, "string"), max(0, expires_ms))  # "none": gone meanwhile
            for kind, expires_ms in zip(replies[0::2], replies[1::2], strict=True)
        ]


def _key(board: str, name: str) -> str:
    return f"{{{board}}}:{name}" if board else name


def _version_of(entry: list[Any]) -> int:
    fields = as_dict(entry[1])
    if b"version" in fields:
        return int(fields[b"version"])
    try:  # of an older process, which left it out
        return int(msgspec.json.decode(fields[b"event"])["item"]["version"])
    except (KeyError, TypeError, msgspec.DecodeError):
        return 0  # damaged: kept as it is


def _is_until(record: bytes, cursor: str) -> bool:
    """Whether the first answer to an Idempotency-Key is not younger than ``cursor``."""
    parts = record.split(b" ", 2)  # see replayed.lua; older records name no cursor
    try:
        given, until = (tuple(map(int, each.split("-"))) for each in (parts[1].decode(), cursor))
    except (IndexError, ValueError):
        return False
    return given <= until
