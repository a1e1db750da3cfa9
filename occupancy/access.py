"""Access: workers, their tokens, and who a token belongs to.

A token is shown once, when it is made; only its SHA-256 is stored (it has 256 random bits, so
nothing is gained by a slow hash). Who a token belongs to is remembered in the process for two
seconds, so that an operation stays one round trip. Every change is announced on the access
channel and forgets what was remembered at once; the two seconds bound a lost announcement.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from typing import Any

import msgspec

from .connections import OpsClient
from .errors import AlreadyExists, InvalidRequest, NotFound, Unauthenticated, WorkerNotFound
from .keys import Keys
from .model import Person, Role, Worker, WorkerId, WorkerName, control_character
from .scripts import Script

TOKEN_PREFIX = "occ_"  # noqa: S105 - a prefix that secret scanners can recognise, not a secret
_REMEMBERED_S = 2.0
_REMEMBERED_TOKENS = 10_000


class Token(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is stored of a token; ``id`` names it, and is no secret."""

    id: str
    worker: str
    created_s: int
    expires_s: int | None = None


class _WorkerFields(msgspec.Struct):
    id: WorkerId
    name: WorkerName


class Access:
    """Workers and tokens. Methods raise PoolTimeout or StoreUnavailable when Redis cannot serve."""

    def __init__(self, client: OpsClient, keys: Keys) -> None:
        self._client = client
        self._keys = keys
        self._identify = Script(client, "identify")
        self._swap = Script(client, "swap")
        self._remembered: dict[str, tuple[float, Worker]] = {}

    # Who is asking

    def identify(self, token: str) -> Worker:
        """The worker that ``token`` belongs to. Raises Unauthenticated."""
        digest = _digest(token)
        until, worker = self._remembered.get(digest, (0.0, None))
        now = time.monotonic()
        if worker is not None and now < until:
            return worker
        # The moment counts from before the question: an answer on its way while the worker is
        # disabled is remembered no longer than one that came before.
        reply = self._identify.run([self._keys.tokens, self._keys.workers], [digest])
        if not reply:
            self._remembered.pop(digest, None)
            raise Unauthenticated(
                "The token is unknown, expired or revoked. Ask an administrator for a new one."
            )
        worker = msgspec.json.decode(reply[0], type=Worker)
        if len(self._remembered) >= _REMEMBERED_TOKENS:
            self._remembered.clear()
        self._remembered[digest] = (now + _REMEMBERED_S, worker)
        return worker

    def forget(self) -> None:
        """Forget who was remembered: somebody's access has changed."""
        self._remembered.clear()

    # Workers

    def add_worker(
        self, worker_id: str, *, name: str, role: Role, pin_hash: str | None = None
    ) -> Worker:
        """Add a worker. Raises AlreadyExists and InvalidRequest."""
        worker = _checked(Worker(worker_id, name, role.label, pin_hash=pin_hash))
        if not self._client.hsetnx(self._keys.workers, worker.id, msgspec.json.encode(worker)):
            raise AlreadyExists(f"There is a worker {worker.id} already.")
        return worker

    def edit_worker(self, worker_id: str, **changes: Any) -> Worker:
        """Change some of a worker's ``name``, ``role``, ``disabled`` and ``pin_hash``.

        What is not named stays as it is at that moment, whoever else edits the worker. Returns
        the worker as it is now. Raises WorkerNotFound and InvalidRequest.
        """
        while True:
            encoded = self._encoded(worker_id)
            old = msgspec.json.decode(encoded, type=Worker)
            worker = _checked(msgspec.structs.replace(old, **changes))
            if worker == old:
                return old
            shall_be = msgspec.json.encode(worker)
            if self._swap.run([self._keys.workers], [worker_id, encoded, shall_be]):
                self._announce(worker_id)
                return worker

    def worker(self, worker_id: str) -> Worker:
        """Raises WorkerNotFound."""
        return msgspec.json.decode(self._encoded(worker_id), type=Worker)

    def _encoded(self, worker_id: str) -> bytes:
        encoded = self._client.hget(self._keys.workers, worker_id)
        if not isinstance(encoded, bytes):
            raise WorkerNotFound(f"There is no worker {worker_id}.")
        return encoded

    def active_worker(self, worker_id: str) -> Worker:
        """A worker who may hold items: not disabled, no observer. Raises WorkerNotFound."""
        worker = self.worker(worker_id)
        if worker.disabled or not worker.may(Role.WORKER):
            why = "disabled" if worker.disabled else "an observer"
            raise WorkerNotFound(f"Worker {worker_id} is {why} and cannot hold items.")
        return worker

    def receiver(self, worker_id: str | None) -> Person | None:
        """Who an item may be given to; None where there is no such worker, for the script to say.

        It says so only after it has looked for an earlier answer to the same request.
        """
        try:
            return None if worker_id is None else self.active_worker(worker_id).person
        except WorkerNotFound:
            return None

    def workers(self) -> list[Worker]:
        """All workers, in the order of their ids."""
        found = self._client.hvals(self._keys.workers)
        return sorted(
            (msgspec.json.decode(each, type=Worker) for each in found), key=lambda each: each.id
        )

    def set_disabled(self, worker_id: str, disabled: bool) -> Worker:
        """Let a worker in no longer, or again. Raises WorkerNotFound."""
        return self.edit_worker(worker_id, disabled=disabled)

    # Tokens

    def create_token(self, worker_id: str, *, days: int | None = None) -> tuple[str, Token]:
        """A new token for a worker: the secret, which is nowhere stored, and what is.

        Raises WorkerNotFound, and InvalidRequest for fewer days than one.
        """
        if days is not None and days < 1:
            raise InvalidRequest("A token is good for one day at least.")
        worker = self.worker(worker_id)
        secret = TOKEN_PREFIX + secrets.token_urlsafe(32)
        now_s = int(time.time())
        token = Token(
            id=secrets.token_hex(4),
            worker=worker.id,
            created_s=now_s,
            expires_s=now_s + days * 86400 if days else None,
        )
        self._client.hset(self._keys.tokens, _digest(secret), msgspec.json.encode(token))
        return secret, token

    def tokens(self) -> list[Token]:
        """All tokens, oldest first."""
        return sorted(self._tokens().values(), key=lambda each: (each.created_s, each.id))

    def revoke_token(self, token_id: str) -> Token:
        """Raises NotFound."""
        for digest, token in self._tokens().items():
            if token.id == token_id:
                self._client.hdel(self._keys.tokens, digest)
                self._announce(token.worker)
                return token
        raise NotFound(f"There is no token {token_id}; `flask tokens list` shows them.")

    def _tokens(self) -> dict[str, Token]:
        found: Any = self._client.hgetall(self._keys.tokens)
        return {
            digest.decode(): msgspec.json.decode(token, type=Token)
            for digest, token in found.items()
        }

    def _announce(self, worker_id: str) -> None:
        self.forget()
        self._client.publish(self._keys.access_channel, worker_id)


def _checked(worker: Worker) -> Worker:
    try:
        msgspec.convert({"id": worker.id, "name": worker.name}, _WorkerFields)
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"The worker {worker.id!r} is not allowed: {error}.") from error
    if control_character(worker.name) is not None:
        raise InvalidRequest(f"The name of worker {worker.id} has a control character.")
    return worker


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()
