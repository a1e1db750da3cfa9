"""Renames: the items that a worker holds show the name that the worker has now.

A held item is stored with its holder's name, because what the outside sees of it is rendered once,
when something changes. So when a worker is renamed, the items that they hold change: each is
rendered anew, in the script that does all changes, with another version and an `item.updated`.
Whatever shows or searches items (snapshots, streams, kept boards, pages) follows as it follows any
change, and nobody has to look names up while reading, which is what happens most.

Crash-safe, and right under races. swap.lua sets a mark in the step that changes the name. Two
passes follow: one at once, and one of any process's prober when the mark is old enough for every
operation to have ended that may carry the name of before (callers are remembered for two seconds,
and a request waits for a connection and an answer). The mark goes only after the second, and only
if it is still of that rename. A pass that others make too, or that was made before, changes
nothing: an item that shows the name already is left alone.
"""

from __future__ import annotations

import contextlib
import logging
from typing import Any

from .connections import OpsClient
from .errors import BoardNotFound, OccupancyError, WorkerNotFound
from .keys import Keys
from .model import MAX_BATCH_TAGS, RENAME, SERVICE, Person, Worker
from .scripts import Script
from .store import Store
from .workers import Workers

log = logging.getLogger(__name__)

SETTLED_S = 20.0  # more than a caller is remembered and an operation may wait, together


class Renames:
    """Methods raise PoolTimeout or StoreUnavailable when Redis cannot serve, unless they say so."""

    def __init__(self, client: OpsClient, keys: Keys, store: Store, workers: Workers) -> None:
        self._client = client
        self._keys = keys
        self._store = store
        self._workers = workers
        self._settle = Script(client, "settle")

    def follow(self, worker: Worker) -> None:
        """Show the new name at once. Never raises: what is not done now is done by `settle`."""
        try:
            self._show(worker.person)
        except OccupancyError as error:
            log.warning("the new name of %s is shown later: %s", worker.id, error.detail)

    def settle(self) -> None:
        """The second pass, for whoever was renamed some time ago; one round trip if nobody was."""
        marks: dict[bytes, bytes] = self._client.hgetall(self._keys.renamed)  # type: ignore[assignment] # not the asynchronous client
        if not marks:
            return
        now: Any = self._client.time()
        for worker_id, mark in marks.items():
            if now[0] - int(mark.split()[0]) >= SETTLED_S:
                with contextlib.suppress(WorkerNotFound):  # taken away by hand: nobody to show
                    self._show(self._workers.get(worker_id.decode()).person)
                self._settle.run([self._keys.renamed], [worker_id, mark])

    def _show(self, person: Person) -> None:
        for board in self._store.boards.all():
            tags = self._store.held_by(board.board, person.id)
            for first in range(0, len(tags), MAX_BATCH_TAGS):
                with contextlib.suppress(BoardNotFound):  # it was there a moment ago
                    self._store.operate(
                        board.board, RENAME, tags[first : first + MAX_BATCH_TAGS],
                        actor=SERVICE, means="service", to=person,
                    )  # fmt: skip
