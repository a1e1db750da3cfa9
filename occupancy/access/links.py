"""One-time sign-in links, for a forgotten PIN and for the first administrator.

A link is good for an hour and for one sign-in, and ends with its worker's sessions. Only its
secret's hash is stored.
"""

from __future__ import annotations

from typing import Any

import msgspec

from occupancy.access.workers import StoredWorker, Workers
from occupancy.core.entities import Role, Worker
from occupancy.core.errors import InvalidRequest
from occupancy.core.keys import Keys
from occupancy.core.principal import LINK_PREFIX, digest_of, new_secret
from occupancy.storage.client import OpsClient
from occupancy.storage.scripts import Script

LINK_TTL_S = 3600
FIRST_WORKER = Worker("admin", "Administrator", Role.ADMIN.label)


class Links:
    """Methods raise PoolTimeout or StoreUnavailable when Redis cannot serve.

    The ``client`` confirms what it writes: a link that was used up must not come back.
    """

    def __init__(self, client: OpsClient, keys: Keys, workers: Workers) -> None:
        self._client = client
        self._keys = keys
        self._workers = workers
        self._redeem = Script(client, "access/redeem")

    def create(self, worker_id: str | None) -> str:
        """A new link for a worker: its secret.

        With None the link makes and signs in the first worker, an administrator, as long as there
        is no worker. Raises WorkerNotFound, and InvalidRequest for a disabled worker.
        """
        secret = new_secret(LINK_PREFIX)
        digest = digest_of(secret)
        subject = ""
        if worker_id is not None:
            worker = self._workers.get(worker_id)
            if worker.disabled:
                raise InvalidRequest(f"Worker {worker.id} is disabled; enable them first.")
            subject = f"{worker.session_generation} {worker.id}"
            listed = self._keys.links_of(worker.id)  # before the link itself
            self._client.run_pipeline(
                lambda pipeline: (
                    pipeline.sadd(listed, digest), pipeline.expire(listed, LINK_TTL_S),
                )
            )  # fmt: skip
        self._client.set(self._keys.link(digest), subject, ex=LINK_TTL_S)
        return secret

    def revoke_of(self, worker_id: str) -> None:
        """Revoke the links of a worker who is removed: a later one with the same id is another."""
        listed = self._keys.links_of(worker_id)
        digests: Any = self._client.smembers(listed)
        self._client.delete(listed, *(self._keys.link(each.decode()) for each in digests))

    def redeem(self, secret: str) -> StoredWorker | None:
        """Use a link up: the worker that it signs in, or None where it is not valid."""
        encoded = self._redeem.run(
            [self._keys.link(digest_of(secret)), self._keys.workers],
            [FIRST_WORKER.id, msgspec.json.encode(FIRST_WORKER)],
        )
        if encoded is None:
            return None
        return StoredWorker(msgspec.json.decode(encoded, type=Worker), encoded)
