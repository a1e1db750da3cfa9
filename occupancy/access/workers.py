"""Workers: the people and programs that may act.

A worker's *session generation* rises with everything that must end the earlier sessions: a new PIN,
disabling the worker, "sign out everywhere".

During a rolling upgrade a newer process may store fields that this one does not know. So a worker
is compared by the bytes that were read, and an edit keeps unknown fields.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, NamedTuple

import msgspec

from occupancy.core.entities import (
    COMMAND_LINE,
    Person,
    Role,
    Worker,
    WorkerId,
    WorkerName,
    control_character,
)
from occupancy.core.errors import AlreadyExists, InvalidRequest, LastAdmin, WorkerNotFound
from occupancy.core.keys import Keys
from occupancy.core.requests.checks import check_shown
from occupancy.storage.client import OpsClient
from occupancy.storage.scripts import PublishingScript

_NO_OTHER_ADMIN = 2  # an answer of replace_worker.lua and remove_worker.lua


class _WorkerFields(msgspec.Struct):
    id: WorkerId
    name: WorkerName


class StoredWorker(NamedTuple):
    """A worker, and the bytes that it was read from or written as."""

    worker: Worker
    encoded: bytes


class Workers:
    """Methods raise PoolTimeout or StoreUnavailable when Redis cannot serve.

    ``on_changed`` is called with a worker's id when this process has changed their access, and
    ``on_renamed`` with a renamed worker. ``writes`` is the client for changes, which confirms them.
    """

    on_renamed: Callable[[Worker], None] = staticmethod(lambda worker: None)

    def __init__(
        self, client: OpsClient, keys: Keys, on_changed: Callable[[str], None],
        *, writes: OpsClient,
    ) -> None:  # fmt: skip
        self._client = client
        self._writes = writes
        self._keys = keys
        self._on_changed = on_changed
        self._replace_worker = PublishingScript(self._writes, "access/replace_worker")
        self._remove_worker = PublishingScript(self._writes, "access/remove_worker")

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
        if not self._writes.hsetnx(self._keys.workers, worker.id, msgspec.json.encode(worker)):
            raise AlreadyExists(f"There is a worker {worker.id} already.")
        return worker

    def edit(self, worker_id: str, **changes: Any) -> Worker:
        """Change some of a worker's ``name``, ``role``, ``disabled`` and ``pin_hash``.

        Other processes' edits of other fields stay. A new PIN and disabling end the sessions.
        Returns the worker as it is now. Raises WorkerNotFound, InvalidRequest, and LastAdmin if no
        active administrator would be left.
        """
        check_shown("name", changes.get("name"))
        while True:
            old = self.stored(worker_id)
            worker = checked(msgspec.structs.replace(old.worker, **changes))
            if worker == old.worker:
                # Perhaps by an earlier request that was not confirmed.
                self._writes.exists(self._keys.workers)
                return worker
            if worker.pin_hash != old.worker.pin_hash or worker.disabled > old.worker.disabled:
                worker = _next_generation(worker)
            if self._replace(old, worker):
                if worker.name != old.worker.name:
                    self.on_renamed(worker)
                return worker

    def set_pin(self, old: StoredWorker, pin_hash: str) -> StoredWorker | None:
        """Set a PIN, which ends the sessions; None if the worker has changed since ``old``."""
        # A worker's own change must not overwrite a PIN that an administrator has set meanwhile.
        worker = msgspec.structs.replace(old.worker, pin_hash=pin_hash)
        return self._replace(old, _next_generation(worker))

    def sign_out(self, worker_id: str) -> Worker:
        """End all sessions of a worker, wherever they are. Raises WorkerNotFound."""
        while True:
            old = self.stored(worker_id)
            worker = _next_generation(old.worker)
            if self._replace(old, worker):
                return worker

    def remove(self, old: StoredWorker) -> bool:
        """Remove a worker with all sessions; False if the worker has changed since ``old``.

        The caller revokes tokens, badges and links first. Histories keep what the worker has done,
        with the name. Raises LastAdmin if others are left and no active administrator among them.
        """
        keys, worker_id = self._keys, old.worker.id
        try:
            (done,) = self._remove_worker.run(
                [keys.workers, keys.changes, keys.renamed],
                [worker_id, old.encoded, keys.access_channel, int(_is_active_admin(old.worker))],
            )
        finally:
            self._on_changed(worker_id)
        if done == _NO_OTHER_ADMIN:
            raise _last_admin(old.worker)
        if done:
            # Otherwise such a session would be valid for a later worker with the same id.
            digests: Any = self._client.zrange(keys.session_ends_of(worker_id), 0, -1)
            self._client.run_pipeline(
                lambda pipeline: (
                    pipeline.delete(keys.session_ends_of(worker_id)),
                    *(pipeline.hdel(keys.sessions, each) for each in digests),
                    *(pipeline.hdel(keys.uses, each) for each in digests),
                    *(pipeline.zrem(keys.session_ends, each) for each in digests),
                )
            )
        return bool(done)

    def _replace(self, old: StoredWorker, worker: Worker) -> StoredWorker | None:
        """Store ``worker`` in place of ``old``; None if ``old`` is not what is stored any more."""
        encoded = _edited(old.encoded, worker)
        is_renamed = worker.name != old.worker.name
        is_admin_lost = _is_active_admin(old.worker) and not _is_active_admin(worker)
        try:
            (done,) = self._replace_worker.run(
                [self._keys.workers, self._keys.changes, self._keys.renamed],
                [worker.id, old.encoded, encoded, self._keys.access_channel,
                 int(is_renamed), int(is_admin_lost)],
            )  # fmt: skip
        finally:  # it may be stored although that is not confirmed
            self._on_changed(worker.id)
        if done == _NO_OTHER_ADMIN:
            raise _last_admin(old.worker)
        return StoredWorker(worker, encoded) if done else None

    def get(self, worker_id: str) -> Worker:
        """Raises WorkerNotFound."""
        return self.stored(worker_id).worker

    def stored(self, worker_id: str) -> StoredWorker:
        """A worker, with the bytes that are stored. Raises WorkerNotFound."""
        encoded = self._client.hget(self._keys.workers, worker_id)
        if not isinstance(encoded, bytes):
            raise WorkerNotFound(f"There is no worker {worker_id}.")
        return StoredWorker(msgspec.json.decode(encoded, type=Worker), encoded)

    def active(self, worker_id: str) -> Worker:
        """A worker who may hold items: not disabled, no observer. Raises WorkerNotFound."""
        worker = self.get(worker_id)
        if worker.disabled or not worker.may(Role.WORKER):
            why = "disabled" if worker.disabled else "an observer"
            raise WorkerNotFound(f"Worker {worker_id} is {why} and cannot hold items.")
        return worker

    def receiver(self, worker_id: str | None) -> Person | None:
        """The receiver of an item; None where there is no such worker.

        The script then refuses, but only after looking for an earlier answer to the same request.
        """
        try:
            return None if worker_id is None else self.active(worker_id).person
        except WorkerNotFound:
            return None

    def all(self) -> list[Worker]:
        """All workers, in the order of their ids."""
        found = self._client.hvals(self._keys.workers)
        workers = [msgspec.json.decode(each, type=Worker) for each in found]
        return sorted(workers, key=lambda each: each.id)

    def is_last_admin(self, worker: Worker, *, going: Collection[str] = ()) -> bool:
        """Whether others are left without ``worker``, and no active administrator among them.

        Those whose ids are ``going`` do not count: they go first.
        """
        others = [each for each in self.all() if each.id not in {worker.id, *going}]
        return _is_active_admin(worker) and bool(others) and not any(map(_is_active_admin, others))

    def is_any(self) -> bool:
        """Whether there is any worker."""
        return bool(self._client.hlen(self._keys.workers))


def _is_active_admin(worker: Worker) -> bool:
    return worker.role == Role.ADMIN.label and not worker.disabled


def _last_admin(worker: Worker) -> LastAdmin:
    return LastAdmin(
        f"{worker.name} ({worker.id}) is the only active administrator. Make somebody else an "
        "administrator first."
    )


def _next_generation(worker: Worker) -> Worker:
    return msgspec.structs.replace(worker, session_generation=worker.session_generation + 1)


def _edited(encoded: bytes, worker: Worker) -> bytes:
    """``worker`` as JSON, with the fields of ``encoded`` that this version does not know."""
    fields = msgspec.json.decode(encoded, type=dict[str, msgspec.Raw])
    unknown = {name: raw for name, raw in fields.items() if name not in _KNOWN_FIELDS}
    known = msgspec.json.decode(msgspec.json.encode(worker), type=dict[str, msgspec.Raw])
    return msgspec.json.encode({**known, **unknown})


_KNOWN_FIELDS = frozenset(Worker.__struct_encode_fields__)


def worker_as_dict(worker: Worker) -> dict[str, Any]:
    """A worker as the API shows it, without the hash of the PIN."""
    return {
        "id": worker.id,
        "name": worker.name,
        "role": worker.role,
        "disabled": worker.disabled,
        "has_pin": worker.pin_hash is not None,
    }


def checked(worker: Worker) -> Worker:
    """``worker`` if its id and name are allowed. Raises InvalidRequest."""
    try:
        msgspec.convert({"id": worker.id, "name": worker.name}, _WorkerFields)
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"The worker {worker.id!r} is not allowed: {error}.") from error
    if control_character(worker.name) is not None:
        raise InvalidRequest(f"The name of worker {worker.id} has a control character.")
    if worker.person == COMMAND_LINE:
        raise InvalidRequest(
            "Histories name the command line by this id and name. Choose another id or name."
        )
    return worker
