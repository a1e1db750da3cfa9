"""Queries: a board's items as the server has them, one round trip each unless said otherwise.

Items and events are the JSON that the script rendered when they changed; it is only copied here.
Methods raise PoolTimeout or StoreUnavailable when Redis cannot serve.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import msgspec

from occupancy.boards import records
from occupancy.boards.log import Log
from occupancy.boards.records import Snapshot, page_start, page_token
from occupancy.boards.search import Search
from occupancy.core.entities import (
    FLOOR_FIELDS,
    MAIN_BOARD,
    MAX_SNAPSHOT_ITEMS,
    TAG_PATTERN,
    Person,
    version_floor,
)
from occupancy.core.keys import Keys
from occupancy.core.slices import Pause, no_pause, sliced
from occupancy.core.transitions import PUT, REMOVE
from occupancy.storage.client import OpsClient
from occupancy.storage.scripts import Script

_HISTORY_PAGE_PATTERN = r"^[1-9][0-9]{0,18}-[0-9]{1,19}\Z"  # "before 0-0" is an error to Redis
_NEAR_EVENTS, _NEAR_HOLDS = 200, 1000  # how many of each are looked at
_LARGE_ITEMS = 500  # from here on one more round trip is less than what Lua costs


class _Acted(msgspec.Struct):
    """The fields of an event that ``people_near`` needs."""

    type: str
    actor: Person


_acted = msgspec.json.Decoder(_Acted).decode
_EDITS = {PUT.event, PUT.added_event, REMOVE.event}  # an import is no work on the board


class Queries:
    """Reads items and histories; safe to share between greenlets."""

    def __init__(self, client: OpsClient, keys: Keys, log: Log) -> None:
        self._client = client
        self._keys = keys
        self._log = log
        self._snapshot = Script(client, "board/snapshot")

    def snapshot(
        self,
        board: str,
        *,
        state: str | None = None,
        holder: str | None = None,
        text: str | None = None,
        limit: int = MAX_SNAPSHOT_ITEMS,
        page: str | None = None,
        known_cursor: str = "",
        pause: Pause = no_pause,
    ) -> Snapshot | None:
        """A board's items in the order of their tags, all read at one instant.

        ``text`` is a search (search.py) in ``limit`` items at a time: a page may hold fewer
        matches, and ``next`` leads on. ``pause`` lets others run and is called in each SLICE_S.

        Returns None if the board has not changed since ``known_cursor``. Raises BoardNotFound,
        and InvalidRequest for an invalid page token. A large board takes two or three round trips.
        """
        keys = self._keys.board(board)
        if holder is not None:
            index, prefix = keys.by_holder, f"{holder}|"
        elif state is not None:
            index, prefix = keys.by_state, f"{state}|"
        else:
            index, prefix = keys.by_tag, ""
        low = (
            f"({prefix}{page_start(page, TAG_PATTERN)}" if page else f"[{prefix}" if prefix else "-"
        )
        high = f"({prefix[:-1]}}}" if prefix else "+"

        read = functools.partial(
            self.read_page, board, known_cursor,
            index=index, low=low, high=high, limit=limit, skip=len(prefix),
        )  # fmt: skip
        is_large, snapshot = read(may_be_large=not prefix and not page)
        if is_large:
            snapshot = self.whole(board, limit)
            if snapshot is None:  # shrunk, or grown beyond the limit, since it was counted
                _, snapshot = read(may_be_large=False)
        if snapshot is None:
            return None
        if holder is not None and state not in (None, "occupied"):
            return msgspec.structs.replace(snapshot, items=[])  # a held item is occupied
        if text:
            found = list(filter(Search(text).finds, sliced(snapshot.items, pause)))
            return msgspec.structs.replace(snapshot, items=found)
        return snapshot

    def read_page(
        self,
        board: str,
        known_cursor: str = "",
        *,
        index: str | None = None,
        low: str = "-",
        high: str = "+",
        limit: int = MAX_SNAPSHOT_ITEMS,
        skip: int = 0,
        may_be_large: bool = True,
    ) -> tuple[bool, Snapshot | None]:
        """A page of ``index``, by default the first page of all items; see snapshot.lua.

        Returns whether the board is a large one, which is not read here, and the snapshot: None if
        it is large or has not changed since ``known_cursor``. Raises BoardNotFound.
        """
        keys = self._keys.board(board)
        large = _LARGE_ITEMS if may_be_large else 0
        reply = self._snapshot.run(
            [keys.board, index or keys.by_tag, keys.view],
            [int(board == MAIN_BOARD), low, high, limit, skip, known_cursor, large],
        )
        if reply[0] == b"board_not_found":
            raise records.board_not_found(board)
        if reply[0] != b"ok":
            return reply[0] == b"whole", None
        following = page_token(reply[-2]) if reply[4] == b"1" and len(reply) > 5 else None
        floor = int(reply[3])
        return False, Snapshot(reply[1].decode(), int(reply[2]), floor, reply[6::2], following)

    def whole(self, board: str, limit: int = MAX_SNAPSHOT_ITEMS) -> Snapshot | None:
        """A large board, read at one instant. None if it is not large or exceeds ``limit``."""
        # Without Lua, which takes four times as long for ten thousand items.
        keys = self._keys.board(board)
        (cursor, seq, *floors), views = self._client.read_atomically(
            lambda pipeline: (
                pipeline.hmget(keys.board, "cursor", "seq", *FLOOR_FIELDS),
                pipeline.hgetall(keys.view),
            )
        )
        if cursor is None or not self.is_large(len(views), limit):
            return None
        items = [views[tag] for tag in sorted(views)]
        return Snapshot(cursor.decode(), int(seq), version_floor(*floors), items, None)

    @staticmethod
    def is_large(count: int, limit: int = MAX_SNAPSHOT_ITEMS) -> bool:
        """Whether ``whole`` reads a board of ``count`` items."""
        return _LARGE_ITEMS <= count <= limit

    def count(self, board: str) -> int:
        """How many items the board has; 0 if there is no such board."""
        return int(self._client.zcard(self._keys.board(board).by_tag))

    def item(self, board: str, tag: str) -> bytes:
        """The item's JSON. Raises BoardNotFound (a second round trip) and ItemNotFound."""
        return self.item_and_floor(board, tag)[0]

    def item_and_floor(self, board: str, tag: str) -> tuple[bytes, int]:
        """The item's JSON and the version floor of its board (see core/entities.py).

        Raises BoardNotFound (a second round trip) and ItemNotFound.
        """
        keys = self._keys.board(board)
        item, floors = self._client.run_pipeline(
            lambda pipeline: (
                pipeline.hget(keys.view, tag), pipeline.hmget(keys.board, *FLOOR_FIELDS),
            )
        )  # fmt: skip
        if not isinstance(item, bytes):
            self._log.head(board)
            raise records.item_not_found(board, tag)
        return item, version_floor(*floors)

    def items(self, board: str, tags: Sequence[str]) -> list[bytes | None]:
        """The JSON of these items, in their order; None where there is none."""
        found: list[Any] = self._client.hmget(self._keys.board(board).view, tags)
        return found

    def held_by(self, board: str, worker_id: str) -> list[str]:
        """The tags of the items that a worker holds."""
        members: Any = self._client.zrangebylex(
            self._keys.board(board).by_holder, f"[{worker_id}|", f"({worker_id}}}"
        )
        return [member.decode().rpartition("|")[2] for member in members]

    def people_near(self, board: str) -> list[str]:
        """The ids of those who hold items, or changed some lately: the latest first.

        Raises BoardNotFound (a second round trip).
        """
        keys = self._keys.board(board)
        entries, members = self._client.run_pipeline(
            lambda pipeline: (
                pipeline.xrevrange(keys.log, count=_NEAR_EVENTS),
                pipeline.zrange(keys.by_holder, 0, _NEAR_HOLDS - 1),
            )
        )  # fmt: skip
        if not entries and not members:
            self._log.head(board)
        events = [_acted(fields[b"event"]) for _, fields in entries if b"event" in fields]
        actors = [each.actor.id for each in events if each.type not in _EDITS]
        holders = [each.decode().partition("|")[0] for each in members]
        return list(dict.fromkeys([*actors, *holders]))

    def history(
        self, board: str, tag: str, *, limit: int, page: str | None = None
    ) -> tuple[list[bytes], str | None]:
        """An item's events, newest first, and the token of the next page or None.

        Raises ItemNotFound for an item that is not and was not there lately, and BoardNotFound.
        """
        return self.history_and_floor(board, tag, limit=limit, page=page)[:2]

    def history_and_floor(
        self, board: str, tag: str, *, limit: int, page: str | None = None
    ) -> tuple[list[bytes], str | None, int]:
        """As ``history``, and the version floor of the board (see core/entities.py)."""
        end = f"({page_start(page, _HISTORY_PAGE_PATTERN)}" if page else "+"
        keys = self._keys.board(board)
        entries, floors, is_removing = self._client.run_pipeline(
            lambda pipeline: (
                pipeline.xrevrange(keys.history(tag), end, "-", count=limit + 1),
                pipeline.hmget(keys.board, *FLOOR_FIELDS),
                pipeline.hexists(keys.board, "removing"),
            )
        )
        if is_removing:  # the rest of a history is not shown
            raise records.board_not_found(board)
        if not entries and page is None:
            self.item(board, tag)
        following = page_token(entries[limit - 1][0]) if len(entries) > limit else None
        events = [fields[b"event"] for _, fields in entries[:limit]]
        return events, following, version_floor(*floors)
