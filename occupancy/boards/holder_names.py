"""Holder names: the items that a worker holds show the name that the worker has now.

The script that renames a worker (replace_worker.lua) sets a mark in the same step; the held items
are then rendered again. Two passes follow: one at once, and one from any process's report, when
every operation that may carry the old name must have ended (an authenticated caller is remembered
for two seconds, and a request waits for a connection and an answer). The second removes the mark,
if it is still that of this rename. Items that show the name already are left alone.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from occupancy.boards.commands import Command
from occupancy.boards.store import Store
from occupancy.core.entities import MAX_BATCH_TAGS, SERVICE, Person, Worker
from occupancy.core.errors import BoardNotFound, OccupancyError, WorkerNotFound
from occupancy.core.transitions import RENAME
from occupancy.storage.scripts import Script

log = logging.getLogger(__name__)
_T = TypeVar("_T")

SETTLED_S = 20.0  # longer than a caller is remembered plus the longest wait of an operation


class HolderNames:
    """Methods raise PoolTimeout or StoreUnavailable when Redis cannot serve, unless they say so."""

    def __init__(self, store: Store, worker_of: Callable[[str], Worker]) -> None:
        """``worker_of`` finds a worker by id, or raises WorkerNotFound."""
        self._store = store
        self._worker_of = worker_of
        self._settle = Script(store.client, "board/settle_rename")

    def follow(self, worker: Worker) -> None:
        """Show the new name of ``worker``. Never raises: ``settle`` repeats what fails here."""
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
        marks: dict[bytes, bytes] = self._store.client.hgetall(self._store.keys.renamed)  # type: ignore[assignment] # not the asynchronous client
        if not marks:
            return
        now: Any = self._store.client.time()
        due = [each for each in marks.items() if now[0] - int(each[1].split()[0]) >= SETTLED_S]
        _each(due, self._settle_one)

    def _settle_one(self, marked: tuple[bytes, bytes]) -> None:
        worker_id, mark = marked
        with contextlib.suppress(WorkerNotFound):  # deleted by hand
            self._show(self._worker_of(worker_id.decode()).person)
        self._settle.run([self._store.keys.renamed], [worker_id, mark])

    def _show(self, person: Person) -> None:
        _each(self._store.boards.all(), lambda board: self._show_on(board.board, person))

    def _show_on(self, board: str, person: Person) -> None:
        tags = self._store.queries.held_by(board, person.id)
        for first in range(0, len(tags), MAX_BATCH_TAGS):
            with contextlib.suppress(BoardNotFound):  # it was there a moment ago
                command = Command(
                    board, RENAME, tags[first : first + MAX_BATCH_TAGS],
                    SERVICE, auth_method="service", to=person,
                )  # fmt: skip
                self._store.commands.execute(command)


def _each(all_of_them: Iterable[_T], do: Callable[[_T], None]) -> None:
    """Call ``do`` for each; raise the first failure at the end, or at once if Redis is away."""
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
