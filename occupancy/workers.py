"""Workers: the people and programs that may act.

A worker's *stamp* goes up with everything that must end the sessions opened before: a new PIN, a
disabling, "signed out everywhere". A session remembers the stamp that it was opened with.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from .connections import OpsClient
from .errors import AlreadyExists, InvalidRequest, WorkerNotFound
from .keys import Keys
from .model import Person, Role, Worker, WorkerId, WorkerName, control_character
from .payloads import check_shown
from .scripts import Script


class _WorkerFields(msgspec.Struct):
    id: WorkerId
    name: WorkerName


class Workers:
    """Methods raise PoolTimeout or StoreUnavailable when Redis cannot serve.

    ``on_changed`` is called when somebody's access has changed here; the other processes hear of
    it on the access channel.
    """

    def __init__(self, client: OpsClient, keys: Keys, on_changed: Callable[[], None]) -> None:
        self._client = client
        self._keys = keys
        self._on_changed = on_changed
        self._swap = Script(client, "swap")

    def add(
        self,
        worker_id: str,
        *,
        name: str,
        role: Role,
        pin_hash: str | None = None,
        disabled: bool = False,
    ) -> Worker:
        """Add a worker. Raises AlreadyExists and InvalidRequest."""
        check_shown("name", name)
        worker = checked(Worker(worker_id, name, role.label, disabled=disabled, pin_hash=pin_hash))
        if not self._client.hsetnx(self._keys.workers, worker.id, msgspec.json.encode(worker)):
            raise AlreadyExists(f"There is a worker {worker.id} already.")
        return worker

    def edit(self, worker_id: str, **changes: Any) -> Worker:
        """Change some of a worker's ``name``, ``role``, ``disabled`` and ``pin_hash``.

        What is not named stays as it is at that moment, whoever else edits the worker. A new PIN
        and a disabling end the worker's sessions. Returns the worker as it is now. Raises
        WorkerNotFound and InvalidRequest.
        """
        check_shown("name", changes.get("name"))
        while True:
            encoded = self._encoded(worker_id)
            old = msgspec.json.decode(encoded, type=Worker)
            worker = checked(msgspec.structs.replace(old, **changes))
            if worker == old:
                return old
            if worker.pin_hash != old.pin_hash or worker.disabled > old.disabled:
                worker = msgspec.structs.replace(worker, stamp=old.stamp + 1)
            if self._swapped(worker, encoded):
                return worker

    def give_pin(self, worker: Worker, pin_hash: str) -> Worker | None:
        """Another PIN for ``worker``, whose sessions end; None where they are no more as given.

        So whoever changes their own PIN does not overwrite one that an administrator has set
        after the present one was looked at.
        """
        changed = msgspec.structs.replace(worker, pin_hash=pin_hash, stamp=worker.stamp + 1)
        return changed if self._swapped(changed, msgspec.json.encode(worker)) else None

    def sign_out(self, worker_id: str) -> Worker:
        """End all sessions of a worker, wherever they are. Raises WorkerNotFound."""
        while True:
            encoded = self._encoded(worker_id)
            old = msgspec.json.decode(encoded, type=Worker)
            worker = msgspec.structs.replace(old, stamp=old.stamp + 1)
            if self._swapped(worker, encoded):
                return worker

    def _swapped(self, worker: Worker, was: bytes) -> bool:
        shall_be = msgspec.json.encode(worker)
        is_done = self._swap.run(
            [self._keys.workers, self._keys.changes],
            [worker.id, was, shall_be, self._keys.access_channel],
        )
        self._on_changed()
        return bool(is_done)

    def get(self, worker_id: str) -> Worker:
        """Raises WorkerNotFound."""
        return msgspec.json.decode(self._encoded(worker_id), type=Worker)

    def _encoded(self, worker_id: str) -> bytes:
        encoded = self._client.hget(self._keys.workers, worker_id)
        if not isinstance(encoded, bytes):
            raise WorkerNotFound(f"There is no worker {worker_id}.")
        return encoded

    def active(self, worker_id: str) -> Worker:
        """A worker who may hold items: not disabled, no observer. Raises WorkerNotFound."""
        worker = self.get(worker_id)
        if worker.disabled or not worker.may(Role.WORKER):
            why = "disabled" if worker.disabled else "an observer"
            raise WorkerNotFound(f"Worker {worker_id} is {why} and cannot hold items.")
        return worker

    def receiver(self, worker_id: str | None) -> Person | None:
        """Who an item may be given to; None where there is no such worker, for the script to say.

        It says so only after it has looked for an earlier answer to the same request.
        """
        try:
            return None if worker_id is None else self.active(worker_id).person
        except WorkerNotFound:
            return None

    def all(self) -> list[Worker]:
        """All workers, in the order of their ids."""
        found = self._client.hvals(self._keys.workers)
        return sorted(
            (msgspec.json.decode(each, type=Worker) for each in found), key=lambda each: each.id
        )

    def is_any(self) -> bool:
        """Whether there is any worker yet."""
        return bool(self._client.hlen(self._keys.workers))


def checked(worker: Worker) -> Worker:
    """``worker`` if its id and name are allowed. Raises InvalidRequest."""
    try:
        msgspec.convert({"id": worker.id, "name": worker.name}, _WorkerFields)
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"The worker {worker.id!r} is not allowed: {error}.") from error
    if control_character(worker.name) is not None:
        raise InvalidRequest(f"The name of worker {worker.id} has a control character.")
    return worker
