"""The catalog of boards: creates and lists them, with settings and counts."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Sequence
from typing import Any

from occupancy.boards.records import Board, board_not_found
from occupancy.core.entities import DEFAULT_STEP, MAIN_BOARD, STATES
from occupancy.core.errors import AlreadyExists, InvalidRequest
from occupancy.core.keys import RESERVED_BOARD, Keys
from occupancy.storage.client import OpsClient
from occupancy.storage.commands import INCARNATION
from occupancy.storage.scripts import Script

DEFAULT_STEPS = json.dumps([DEFAULT_STEP])


class BoardIndex:
    """The names of the boards that were created.

    In a Cluster the index has a shard of its own, whose failover may lose a name while the board
    lives. So each process lists the boards that it sees: each once, and again where it is missing.
    """

    def __init__(self, client: OpsClient, keys: Keys) -> None:
        self._client = client
        self._keys = keys
        self.seen: set[str] = set()
        self._unlisted: set[str] = set()  # perhaps

    def saw(self, board: str, *, is_listed: bool | None = None) -> None:
        """There is such a board. ``is_listed`` is None where that is unknown. No switch point."""
        if board == MAIN_BOARD or (board in self.seen and is_listed is not False):
            return
        self.seen.add(board)
        if not is_listed:
            self._unlisted.add(board)

    def listed(self) -> set[str]:
        """The names in the index; some may be no board."""
        members: Any = self._client.smembers(self._keys.boards)
        return {name.decode() for name in members}

    def add(self, *boards: str) -> None:
        """List boards; those that are listed stay so."""
        self._client.sadd(self._keys.boards, *boards)

    def mend(self) -> None:
        """List what was seen since the last call; no round trip if that is nothing."""
        if self._unlisted:
            boards = tuple(self._unlisted)
            self.add(*boards)
            self._unlisted.difference_update(boards)


class Boards:
    """The boards of a deployment. Methods raise PoolTimeout or StoreUnavailable."""

    def __init__(
        self, client: OpsClient, keys: Keys, index: BoardIndex, *, writes: OpsClient
    ) -> None:
        self._client = client
        self._keys = keys
        self.index = index
        self._create = Script(writes, "board/create")
        self._remove_empty = Script(writes, "board/remove_empty")

    def all(self) -> list[Board]:
        """Every board, in the order of their names (two round trips)."""
        listed = self.index.listed()
        boards = self.named(listed | self.index.seen | {MAIN_BOARD})
        for each in boards:
            self.index.saw(each.board, is_listed=each.board in listed)
        return boards

    def named(self, names: Iterable[str]) -> list[Board]:
        """Those of ``names`` that are boards, in the order of their names."""
        return self._read(sorted(names))

    def get(self, name: str) -> Board:
        """One board. Raises BoardNotFound."""
        found = self._read([name])
        if not found:
            raise board_not_found(name)
        self.index.saw(name)
        return found[0]

    def create(
        self, name: str, *, title: str | None = None, steps: Sequence[str] = (), max_holds: int = 0
    ) -> Board:
        """Create a board (several round trips). Raises AlreadyExists and InvalidRequest.

        ``main`` may be created, to give it steps, while it has no items. Of two callers at once one
        wins. The name comes first, so every board is listed.
        """
        if name == RESERVED_BOARD:
            raise InvalidRequest(f"No board can be named {name}: choose another name.")
        keys = self._keys.board(name)
        # The name is not confirmed: reconciliation restores a name that is lost.
        self.index.add(name)
        steps_json = json.dumps(list(steps) or [DEFAULT_STEP], ensure_ascii=False)
        # A restore may have lost a board of this name, whose versions somebody has seen.
        version_base = self._client.get(self._keys.version_base) or b""
        is_new = self._create.run(
            [keys.board, keys.by_tag],
            [INCARNATION, steps_json, title or name, max_holds, version_base],
        )
        if not is_new:
            raise AlreadyExists(f"The board {name} exists already.")
        return self.get(name)

    def remove_empty(self, name: str, *, title: str, steps: Sequence[str]) -> bool:
        """Remove a board without items that still has this title and these steps."""
        keys = self._keys.board(name)
        steps_json = json.dumps(list(steps), ensure_ascii=False)
        is_removed = bool(self._remove_empty.run([keys.board, keys.by_tag], [steps_json, title]))
        if is_removed:
            self.index.seen.discard(name)
            self._client.srem(self._keys.boards, name)
        return is_removed

    def _read(self, names: Sequence[str]) -> list[Board]:
        def fill(name: str, pipeline: Any) -> None:
            keys = self._keys.board(name)
            pipeline.hgetall(keys.board)
            for state in STATES:
                pipeline.zlexcount(keys.by_state, f"[{state}|", f"({state}}}")

        found = self._client.read_each_atomically([functools.partial(fill, name) for name in names])
        boards = []
        for name, (fields, *counted) in zip(names, found, strict=True):
            counts = dict(zip(STATES, counted, strict=True))
            if b"steps" in fields or name == MAIN_BOARD:
                boards.append(
                    Board(
                        board=name,
                        title=fields.get(b"title", name.encode()).decode(),
                        steps=json.loads(fields.get(b"steps", DEFAULT_STEPS)),
                        max_holds=int(fields.get(b"max_holds", 0)),
                        cursor=fields.get(b"cursor", b"0-0").decode(),
                        seq=int(fields.get(b"seq", 0)),
                        counts=counts,
                    )
                )
        return boards
