"""The boards' logs: events in order, each under its cursor. Live delivery reads them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from occupancy.boards.catalog.index import BoardIndex
from occupancy.boards.records import board_not_found
from occupancy.core.entities import MAIN_BOARD, Entry, Replay
from occupancy.core.errors import BoardRemoved
from occupancy.core.keys import Keys
from occupancy.storage.client import OpsClient
from occupancy.storage.commands import INCARNATION
from occupancy.storage.scripts import Script


class Log:
    """The logs of all boards. One round trip per method; raises PoolTimeout or StoreUnavailable."""

    def __init__(self, client: OpsClient, keys: Keys, index: BoardIndex) -> None:
        self._client = client
        self._keys = keys
        self._index = index
        self._replay = Script(client, "board/replay")
        self._promote = Script(client, "board/promote")

    def head(self, board: str) -> Replay:
        """Where the board's log ends, without entries. Raises BoardNotFound."""
        return self.replay(board, "", 0)

    def heads(self, boards: Sequence[str]) -> list[tuple[str, int, int]]:
        """Cursor and seq of each board's last event, and the version of its settings.

        ``("0-0", 0, 0)`` where there is none.
        """
        names = ("cursor", "seq", "settings_version")
        replies = self._client.run_pipeline(
            lambda pipeline: [
                pipeline.hmget(self._keys.board(each).board, *names) for each in boards
            ]
        )
        return [
            ((cursor or b"0-0").decode(), int(seq or 0), int(settings_version or 0))
            for cursor, seq, settings_version in replies
        ]

    def replay(self, board: str, cursor: str, count: int) -> Replay:
        """Up to ``count`` entries of the log after ``cursor``. Raises BoardNotFound.

        BoardRemoved is one that says that the board was there.
        """
        keys = self._keys.board(board)
        reply = self._replay.run([keys.board, keys.log], [int(board == MAIN_BOARD), cursor, count])
        if reply[0] == b"board_removed":
            raise BoardRemoved(f"The board {board} was removed.")
        if reply[0] == b"board_not_found":
            raise board_not_found(board)
        self._index.saw(board)
        entries = [
            Entry(reply[i].decode(), int(reply[i + 1]), reply[i + 2])
            for i in range(5, len(reply), 3)
        ]
        return Replay(
            reply[0] == b"ok", reply[1].decode(), int(reply[2]), entries,
            int(reply[3]), int(reply[4]),
        )  # fmt: skip

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

    def seq_at(self, board: str, cursor: str) -> int | None:
        """The seq of the event at ``cursor``, also before a promotion; None if the log has none."""
        found: Any = self._client.xrange(self._keys.board(board).log, cursor, cursor)
        return int(found[0][1][b"seq"]) if found and b"seq" in found[0][1] else None

    def promote(self, boards: Sequence[str]) -> None:
        """Mark each board's log if the server that has it was promoted since the last mark.

        Then every stream at an earlier cursor is reset (see board/promotion.lua).
        """
        if not self._client.has_failover:
            return
        nonce = random.getrandbits(48)
        calls: list[tuple[list[str], list[Any]]] = []
        for board in boards:
            keys = self._keys.board(board)
            arguments = [INCARNATION, nonce, int(board == MAIN_BOARD)]
            calls.append(([keys.board, keys.log], arguments))
        self._promote.run_many(calls)
