"""Renames: the items that a worker holds show the name that the worker has now.

A held item is stored with its holder's name, because an item is rendered once, when it changes. So
when a worker is renamed, the script that does all changes renders the items that they hold anew,
with another version and an `item.updated`. Whatever shows or searches items (snapshots, streams,
images, pages) follows as after any change, and reads, which are most frequent, look no names up.

It is safe against crashes and races. swap.lua sets a mark in the step that changes the name. Two
passes follow: one at once, and one from any process's report, when every operation that may carry
the old name must have ended (a caller is remembered for two seconds, and a request waits for a
connection and an answer). The mark is removed only after the second pass, and only if it is still
that rename's. A pass that is made twice changes nothing: it leaves items alone that show the name
already.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from occupancy.access.workers import Workers
from occupancy.boards.store import Store
from occupancy.core.entities import MAX_BATCH_TAGS, SERVICE, Person, Worker
from occupancy.core.errors import BoardNotFound, OccupancyError, WorkerNotFound
from occupancy.core.keys import Keys
from occupancy.core.transitions import RENAME
from occupancy.storage.client import OpsClient
from occupancy.storage.scripts import Script

log = logging.getLogger(__name__)
_T = TypeVar("_T")

SETTLED_S = 20.0  # longer than a caller is remembered and an operation waits, together


class HolderNames:
    """Methods raise PoolTimeout or StoreUnavailable when Redis cannot serve, unless they say so."""

    def __init__(self, client: OpsClient, keys: Keys, store: Store, workers: Workers) -> None:
        self._client = client
        self._keys = keys
        self._store = store
        self._workers = workers
        self._settle = Script(client, "board/settle_rename")

    def follow(self, worker: Worker) -> None:
        """Show the new name of ``worker``. Never raises: the rename stands, and ``settle`` does
        what fails here.
        """
        try:
            self._show(worker.person)
        except OccupancyError as error:
            log.warning("the new name of %s is shown later: %s", worker.id, error.detail)
        except Exception:
            log.exception("the new name of %s is not shown everywhere", worker.id)

    def settle(self) -> None:
        """Make the second pass for those renamed SETTLED_S ago; one round trip if there is none.

        An unexpected failure, such as a board that cannot be read, is raised after the others'.
        """
        marks: dict[bytes, bytes] = self._client.hgetall(self._keys.renamed)  # type: ignore[assignment] # not the asynchronous client
        if not marks:
            return
        now: Any = self._client.time()
        due = [each for each in marks.items() if now[0] - int(each[1].split()[0]) >= SETTLED_S]
        _each(due, self._settle_one)

    def _settle_one(self, marked: tuple[bytes, bytes]) -> None:
        worker_id, mark = marked
        with contextlib.suppress(WorkerNotFound):  # deleted by hand
            self._show(self._workers.get(worker_id.decode()).person)
        self._settle.run([self._keys.renamed], [worker_id, mark])

    def _show(self, person: Person) -> None:
        _each(self._store.boards.all(), lambda board: self._show_on(board.board, person))

    def _show_on(self, board: str, person: Person) -> None:
        tags = self._store.held_by(board, person.id)
        for first in range(0, len(tags), MAX_BATCH_TAGS):
            with contextlib.suppress(BoardNotFound):  # it was there a moment ago
                self._store.operate(
                    board, RENAME, tags[first : first + MAX_BATCH_TAGS],
                    actor=SERVICE, auth_method="service", to=person,
                )  # fmt: skip


def _each(all_of_them: Iterable[_T], do: Callable[[_T], None]) -> None:
    """Call ``do`` for each. One that fails keeps none of the others from it; then it raises.

    Where the store cannot serve, it raises at once: the others would fail as well.
    """
    failure = None
    for each in all_of_them:
        try:
            do(each)
        except OccupancyError:
            raise
        except Exception as error:  # noqa: BLE001 - raised below
            failure = failure or error
    if failure is not None:
        raise failure
