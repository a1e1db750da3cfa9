"""The boards' logs: events in order, each under its cursor. Live delivery reads them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from occupancy.boards.records import board_not_found
from occupancy.core.entities import MAIN_BOARD, Entry, Replay
from occupancy.core.keys import Keys
from occupancy.storage.client import INCARNATION, OpsClient
from occupancy.storage.scripts import Script


class Log:
    """The logs of all boards. One round trip per method; raises PoolTimeout or StoreUnavailable."""

    def __init__(self, client: OpsClient, keys: Keys) -> None:
        self._client = client
        self._keys = keys
        self._replay = Script(client, "board/replay")
        self._promote = Script(client, "board/promote")

    def head(self, board: str) -> Replay:
        """Where the board's log ends, without entries. Raises BoardNotFound."""
        return self.replay(board, "", 0)

    def heads(self, boards: Sequence[str]) -> list[tuple[str, int]]:
        """Cursor and seq of each board's last event; ``("0-0", 0)`` where there is none."""
        replies = self._client.run_pipeline(
            lambda pipeline: [
                pipeline.hmget(self._keys.board(each).board, "cursor", "seq") for each in boards
            ]
        )
        return [((cursor or b"0-0").decode(), int(seq or 0)) for cursor, seq in replies]

    def replay(self, board: str, cursor: str, count: int) -> Replay:
        """Up to ``count`` entries of the log after ``cursor``. Raises BoardNotFound."""
        keys = self._keys.board(board)
        reply = self._replay.run([keys.board, keys.log], [int(board == MAIN_BOARD), cursor, count])
        if reply[0] == b"board_not_found":
            raise board_not_found(board)
        entries = [
            Entry(reply[i].decode(), int(reply[i + 1]), reply[i + 2])
            for i in range(3, len(reply), 3)
        ]
        return Replay(reply[0] == b"ok", reply[1].decode(), int(reply[2]), entries)

    def follow(self, board: str, cursor: str, *, block_ms: int, count: int) -> list[Entry]:
        """Up to ``count`` entries after ``cursor``, waiting ``block_ms`` for the first of them.

        Holds its connection for the whole wait, which must be shorter than the socket's timeout:
        for the command line, never for a stream. :meth:`replay` says whether the cursor is in the
        log and whether there is such a board. An entry without an event is the mark of a promotion.
        """
        reply: Any = self._client.xread(
            {self._keys.board(board).log: cursor}, count=count, block=max(1, block_ms)
        )
        entries = reply[0][1] if reply else []
        return [
            Entry(cursor.decode(), int(fields.get(b"seq", 0)), fields.get(b"event", b""))
            for cursor, fields in entries
        ]

    def promote(self, boards: Sequence[str]) -> int:
        """Mark each board's log if the server that has it was promoted since the last mark.

        Then every stream at an earlier cursor is reset (see board/promotion.lua). Returns how many
        were marked now; an operation, or another process, may have marked the others before.
        """
        if not self._client.has_failover:
            return 0
        nonce = random.getrandbits(48)  # noqa: S311 - unique, not secret
        keys = [self._keys.board(each) for each in boards]
        marked = self._promote.run_many([([each.board, each.log], [INCARNATION, nonce]) for each in keys])
        return sum(marked)
