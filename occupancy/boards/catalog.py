"""The catalog of boards: creates and lists them, with settings and counts."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from typing import Any

from occupancy.boards.records import Board, board_not_found
from occupancy.core.entities import DEFAULT_STEP, MAIN_BOARD, STATES
from occupancy.core.errors import AlreadyExists
from occupancy.core.keys import Keys
from occupancy.storage.client import OpsClient

DEFAULT_STEPS = json.dumps([DEFAULT_STEP])


class Boards:
    """The boards of a deployment. Methods raise PoolTimeout or StoreUnavailable."""

    def __init__(self, client: OpsClient, keys: Keys, *, writes: OpsClient) -> None:
        self._client = client
        self._writes = writes
        self._keys = keys

    def all(self) -> list[Board]:
        """Every board, in the order of their names (two round trips)."""
        members: Any = self._client.smembers(self._keys.boards)
        return self._read(sorted({name.decode() for name in members} | {MAIN_BOARD}))

    def get(self, name: str) -> Board:
        """One board. Raises BoardNotFound."""
        found = self._read([name])
        if not found:
            raise board_not_found(name)
        return found[0]

    def create(
        self, name: str, *, title: str | None = None, steps: Sequence[str] = (), max_holds: int = 0
    ) -> Board:
        """Create a board (several round trips). Raises AlreadyExists.

        ``main`` may be created, to give it steps, while it has no items. Of two callers at once one
        wins: the fields are set together. The name comes first, so every board is listed.
        """
        keys = self._keys.board(name)
        if self._client.zcard(keys.by_tag):
            raise AlreadyExists(f"The board {name} exists already.")
        self._client.sadd(self._keys.boards, name)
        fields = {
            "steps": json.dumps(list(steps) or [DEFAULT_STEP], ensure_ascii=False),
            "title": title or name,
            "max_holds": max_holds,
        }
        # The name is not confirmed: reconciliation restores a name that is lost.
        is_new, *_ = self._writes.run_pipeline(
            lambda pipeline: [pipeline.hsetnx(keys.board, *field) for field in fields.items()],
            transaction=True,
        )
        if not is_new:
            raise AlreadyExists(f"The board {name} exists already.")
        return self.get(name)

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
