"""Tokens: the credentials of programs and wallboards.

A token's secret is shown once, when it is created; only its hash is stored. A token acts as its
worker, or with fewer rights: it may be narrowed to a lower role and to one board.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import Any

import msgspec

from occupancy.access.workers import Workers
from occupancy.core.entities import Role
from occupancy.core.errors import InvalidRequest, NotFound
from occupancy.core.keys import Keys
from occupancy.core.principal import TOKEN_PREFIX, digest_of, new_secret
from occupancy.core.recording import Recording
from occupancy.core.requests.access import MAX_TOKEN_DAYS
from occupancy.core.timestamps import iso_text
from occupancy.storage.client import OpsClient
from occupancy.storage.scripts import PublishingScript


class Token(msgspec.Struct, frozen=True, omit_defaults=True):
    """A token as it is stored. ``id`` names it and is no secret."""

    id: str
    worker: str
    created_s: int
    expires_s: int | None = None
    role: str | None = None
    board: str | None = None

    def as_dict(self, used_s: int | None = None) -> dict[str, Any]:
        """The token as the API shows it; ``used_s``: when it was last used, if that is known."""
        return {
            "id": self.id,
            "worker": self.worker,
            "role": self.role,
            "board": self.board,
            "created": optional_time(self.created_s),
            "expires": optional_time(self.expires_s),
            "expired": self.expires_s is not None and self.expires_s <= time.time(),
            "last_used": optional_time(used_s),
        }


class TokenUse(msgspec.Struct, frozen=True):
    """A token, and when it was last used (seconds since the epoch, to the minute), if ever."""

    token: Token
    used_s: int | None


class Tokens:
    """Methods raise PoolTimeout or StoreUnavailable when Redis cannot serve.

    ``writes`` is the client for changes, which confirms them.
    """

    def __init__(
        self, client: OpsClient, keys: Keys, workers: Workers, on_changed: Callable[[str], None],
        *, writes: OpsClient,
    ) -> None:  # fmt: skip
        self._client = client
        self._writes = writes
        self._keys = keys
        self._workers = workers
        self._on_changed = on_changed
        self._revoke = PublishingScript(self._writes, "access/revoke")

    def create(
        self,
        worker_id: str,
        *,
        days: int | None = None,
        role: Role | None = None,
        board: str | None = None,
    ) -> tuple[str, Token]:
        """A new token for a worker: its secret, which is not stored, and what is stored.

        ``role`` and ``board`` narrow its rights. Raises WorkerNotFound, and InvalidRequest for days
        out of bounds or a role above the worker's.
        """
        if days is not None and not 1 <= days <= MAX_TOKEN_DAYS:
            raise InvalidRequest(
                f"A token is valid for 1 to {MAX_TOKEN_DAYS} days, or without end."
            )
        worker = self._workers.get(worker_id)
        if role is not None and not worker.may(role):
            raise InvalidRequest(f"Worker {worker.id} is {worker.role}: less than {role.label}.")
        secret = new_secret(TOKEN_PREFIX)
        now_s = int(time.time())
        token = Token(
            id=secrets.token_hex(4),
            worker=worker.id,
            created_s=now_s,
            expires_s=now_s + days * 86400 if days else None,
            role=role.label if role is not None else None,
            board=board,
        )
        self._writes.hset(self._keys.tokens, digest_of(secret), msgspec.json.encode(token))
        return secret, token

    def all(self) -> list[TokenUse]:
        """All tokens, oldest first."""
        keys = self._keys
        stored, uses = self._client.run_pipeline(
            lambda pipeline: (pipeline.hgetall(keys.tokens), pipeline.hgetall(keys.uses))
        )
        listed = []
        for digest, encoded in stored.items():
            used_s = int(uses[digest]) if digest in uses else None
            listed.append(TokenUse(msgspec.json.decode(encoded, type=Token), used_s))
        return sorted(listed, key=lambda each: (each.token.created_s, each.token.id))

    def find(self, token_id: str) -> Token:
        """The token of that id. Raises NotFound."""
        return self._found(token_id)[1]

    def revoke(self, token_id: str) -> Token:
        """Make a token invalid for good. Raises NotFound."""
        digest, token = self._found(token_id)
        self._revoke_one(digest, token)
        return token

    def _found(self, token_id: str) -> tuple[bytes, Token]:
        """A token and its secret's hash. Raises NotFound."""
        for digest, token in self._stored():
            if token.id == token_id:
                return digest, token
        # Perhaps an earlier request has revoked it, and was not confirmed: this one says that it
        # does not exist, so that must last.
        self._writes.exists(self._keys.tokens)
        raise NotFound(
            f"There is no token {token_id}, or it was revoked; `flask tokens list` shows all."
        )

    def revoke_of_board(self, board: str, recording: Recording) -> None:
        """Revoke the tokens that are bound to a removed board."""
        bound = [each for each in self._stored() if each[1].board == board]
        for digest, token in bound:
            with recording(
                "token_revoked", worker=token.worker, token=token.id, board=board
            ) as fields:
                if not self._revoke_one(digest, token):
                    fields.clear()  # another process has revoked and recorded it

    def _stored(self) -> list[tuple[bytes, Token]]:
        """Each token with the hash of its secret."""
        stored: Any = self._client.hgetall(self._keys.tokens)
        return [
            (digest, msgspec.json.decode(encoded, type=Token)) for digest, encoded in stored.items()
        ]

    def _revoke_one(self, digest: bytes, token: Token) -> bool:
        """Revoke a token; returns False if it was revoked meanwhile."""
        keys = self._keys
        try:
            (existed,) = self._revoke.run(
                [keys.tokens, keys.uses, keys.session_ends, keys.changes],
                [digest, token.worker, keys.access_channel],
            )
        finally:  # it may be revoked although that is not confirmed
            self._on_changed(token.worker)
        return bool(existed)


def optional_time(at_s: int | None) -> str | None:
    """A time (seconds since the epoch) as text, to the second."""
    return None if at_s is None else iso_text(at_s, "seconds")
