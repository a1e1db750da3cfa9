"""Removal of a board: one script removes what makes it visible, and a sweep deletes the rest.

A board may have keys for each item, history and idempotency record, too many for one script. So
remove.lua marks the board and deletes its indexes, view and log: from then on no operation, read
or stream finds it, and it cannot be created. The sweep looks at the keys of its server, and
deletes those of the board in pieces; then its name is free again. What keeps numbers from coming
again stays (see remove.lua). Invariants:

* Nothing writes keys of a marked board, except some that expire: rates, and the progress of an
  import that is running. So what a whole pass over the keys (SCAN) did not find is not there. In a
  Cluster a slot may move during a pass, so the last pass is one that has found nothing.
* Each piece is deleted by a script that checks the mark and its id. So a late sweep, of a process
  that hung, deletes nothing of a board that was created since.
* ``occ:{access}:removing`` has the names of boards whose removal has not ended. A name is put there
  before the mark and again after it, because another process takes out names without a mark. If a
  process dies, mark and name are left, and another process goes on. A lease lets one process sweep
  at a time; two at once would only work twice.
* Tokens and stations that are bound to the board are revoked before its name is free: they were not
  meant for another board. The removal does it at once, and the sweep again, because that process
  may have died. Each is in the audit, from the sweep without a name.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import random
import secrets
from collections.abc import Callable, Iterator
from typing import Any

import gevent

from occupancy.boards.records import board_not_found
from occupancy.boards.store import Store
from occupancy.core.entities import MAIN_BOARD
from occupancy.core.errors import BoardNotEmpty, OccupancyError, StoreUnavailable
from occupancy.core.recording import Recording
from occupancy.core.texts.plurals import counted
from occupancy.storage.client import OpsClient
from occupancy.storage.commands import INCARNATION
from occupancy.storage.scripts import PublishingScript, Script

log = logging.getLogger(__name__)

_KEYS_PER_PIECE = 200  # short enough that others get their turn on the server
_KEYS_PER_SCAN = 1000
_LEASE_S = 15


class Removal:
    """Methods raise PoolTimeout and StoreUnavailable. ``writes`` confirms the mark in strict mode.

    ``revoke_credentials`` revokes the tokens and stations that are bound to a board.
    ``sweep_recording`` records those that a sweep still finds.
    """

    def __init__(
        self,
        store: Store,
        *,
        writes: OpsClient,
        revoke_credentials: Callable[[str, Recording], object],
        sweep_recording: Recording,
    ) -> None:
        self._store = store
        self._client = store.client
        self._keys = store.keys
        self._revoke_credentials = revoke_credentials
        self._sweep_recording = sweep_recording
        self._remove = PublishingScript(writes, "board/removal/remove")
        self._sweep = Script(store.client, "board/removal/sweep")
        self._end = Script(store.client, "board/removal/end")
        self._sweeping: gevent.Greenlet | None = None

    def remove(self, board: str, *, with_items: bool, recording: Recording) -> int | None:
        """Remove a board and revoke what is bound to it; returns how many items it had.

        The sweep is still to come. Returns None if it is being removed already: then a request is
        perhaps repeated because its answer was lost. Raises BoardNotFound, and BoardNotEmpty unless
        ``with_items`` or there are no items.
        """
        with recording("board_removed", board=board) as fields:
            items = self._mark(board, with_items=with_items)
            fields.update(items=items)
        self._revoke_credentials(board, recording)
        return items

    def _mark(self, board: str, *, with_items: bool) -> int | None:
        keys = self._keys.board(board)
        # A full server refuses the name, but not the removal.
        with contextlib.suppress(StoreUnavailable):
            self._client.sadd(self._keys.removing, board)
        status, items = self._remove.run(
            [keys.board, keys.by_tag, keys.view, keys.by_state, keys.by_holder, keys.log,
             keys.log_marks, keys.samples],
            [INCARNATION, random.getrandbits(48), int(with_items), int(board == MAIN_BOARD),
             keys.channel],
        )  # fmt: skip
        if status == b"board_not_found":
            raise board_not_found(board)
        if status == b"board_not_empty":
            raise BoardNotEmpty(
                f"The board {board} has {counted(items, 'item')}. To remove it with all that "
                "happened to them, confirm it with its name.",
                items=items,
            )
        self._client.sadd(self._keys.removing, board)
        self._store.boards.index.forget(board)
        return int(items) if status == b"ok" else None

    def sweep(self, board: str) -> bool:
        """Delete what is left of a board that is marked, and free its name.

        Returns False if another process is sweeping, or there is nothing to sweep.
        """
        keys = self._keys.board(board)
        removal: Any = self._client.hget(keys.board, "removing")
        if removal is None:
            self._end_listing(board)
            return False
        lease = secrets.token_hex(8)
        if not self._client.set(keys.sweeper, lease, nx=True, ex=_LEASE_S):
            return False
        while found := self._pass(board, removal):
            log.info("the removed board %s: deleted %s", board, counted(found, "key"))
        if self._client.hget(keys.board, "removing") != removal:
            return False  # another process has ended it, and a new board may have tokens
        self._revoke_credentials(board, self._sweep_recording)
        self._store.boards.index.forget(board)
        self._end.run([keys.board, keys.log], [removal, INCARNATION, random.getrandbits(48)])
        self._end_listing(board)
        self._client.delete(keys.sweeper)
        return True

    def _end_listing(self, board: str) -> None:
        """Take the name out of the list of removals, unless a removal is just beginning."""
        self._client.srem(self._keys.removing, board)
        if self._client.hexists(self._keys.board(board).board, "removing"):
            self._client.sadd(self._keys.removing, board)

    def _pass(self, board: str, removal: bytes) -> int:
        """Look at every key of the board's server once; returns how many were deleted."""
        keys = self._keys.board(board)
        deleted = 0
        swept = (keys.item(""), keys.history(""), keys.idempotency_prefix, *keys.of_imports)
        for piece in _pieces(self._found(keys.root, swept)):
            self._client.expire(keys.sweeper, _LEASE_S)
            items = [each for each in piece if each.startswith(keys.item(""))]
            others = [each for each in piece if not each.startswith(keys.item(""))]
            count = self._sweep.run([keys.board, *items, *others], [removal, len(items)])
            if count < 0:
                return 0  # ended by another process
            deleted += count
        return deleted

    def _found(self, root: str, prefixes: tuple[str, ...]) -> Iterator[str]:
        client = self._client.client_of(f"{root}:")
        pattern = _literal(root) + ":*"
        cursor = None
        while cursor != 0:
            scanned: Any = client.scan(cursor or 0, match=pattern, count=_KEYS_PER_SCAN)
            cursor, found = scanned
            for key in found:
                name = key.decode(errors="replace")  # what is not ours stays
                if name.startswith(prefixes):
                    yield name

    def resume(self) -> None:
        """Sweep, in a greenlet, what this or another process has left.

        Each process calls it every few seconds; one round trip if nothing is left.
        """
        if self._sweeping is not None and not self._sweeping.ready():
            return
        members: Any = self._client.smembers(self._keys.removing)
        if members:
            names = sorted(each.decode() for each in members)
            self._sweeping = gevent.spawn(self._sweep_each, names)

    def stop(self) -> None:
        """Stop sweeping, because this process ends; another one goes on."""
        if self._sweeping is not None:
            self._sweeping.kill()

    def _sweep_each(self, boards: list[str]) -> None:
        for board in boards:
            try:
                self.sweep(board)
            except OccupancyError as error:
                log.info("the removed board %s is swept later: %s", board, error.detail)
            except Exception:
                log.exception("the removed board %s is not swept", board)


def _pieces(keys: Iterator[str]) -> Iterator[list[str]]:
    while piece := list(itertools.islice(keys, _KEYS_PER_PIECE)):
        yield piece


def _literal(text: str) -> str:
    """A pattern of the server that matches ``text`` only."""
    return "".join(f"\\{each}" if each in "*?[]^\\" else each for each in text)
