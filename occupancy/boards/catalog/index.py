"""The index of boards: the names of those that were created."""

from __future__ import annotations

from typing import Any

from occupancy.core.entities import MAIN_BOARD
from occupancy.core.keys import Keys
from occupancy.storage.client import OpsClient


class BoardIndex:
    """The names of the boards that were created.

    In a Cluster the index has a shard of its own, whose failover may lose a name while the board
    lives. So each process lists the boards that it sees: each once, and again where it is missing.
    """

    def __init__(self, client: OpsClient, keys: Keys) -> None:
        self._client = client
        self._keys = keys
        self.seen: set[str] = set()
        self._unlisted: set[str] = set()  # seen, and perhaps not in the index

    def saw(self, board: str, *, is_listed: bool | None = None) -> None:
        """Note that the board exists; ``is_listed`` is None if that is unknown. No switch point."""
        if board == MAIN_BOARD or (board in self.seen and is_listed is not False):
            return
        self.seen.add(board)
        if not is_listed:
            self._unlisted.add(board)

    def listed(self) -> set[str]:
        """The names in the index; some may be no board."""
        members: Any = self._client.smembers(self._keys.boards)
        return {name.decode() for name in members}

    def forget(self, board: str) -> None:
        """The board was removed: take it out of the index, unless there is one again.

        Another process may create it at any time, and lists it before and after. Here the check
        follows the removal from the index, so the board is listed whichever comes last.
        """
        self.seen.discard(board)
        self._unlisted.discard(board)
        self._client.srem(self._keys.boards, board)
        if self._client.hexists(self._keys.board(board).board, "steps"):
            self.add(board)

    def add(self, *boards: str) -> None:
        """List boards; those that are listed stay so."""
        self._client.sadd(self._keys.boards, *boards)

    def mend(self) -> None:
        """List what was seen since the last call; no round trip if that is nothing."""
        if self._unlisted:
            boards = tuple(self._unlisted)
            self.add(*boards)
            self._unlisted.difference_update(boards)
