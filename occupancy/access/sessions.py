"""Sessions: people signed in at a browser, by PIN, by a token, or by a one-time link.

The browser gets a secret in a cookie; the session itself is kept on the server, so that it can be
ended at any moment. It ends by itself after some time without use (for a shared tablet), and in
any case after a shift. One that was opened with a token (a wallboard) lives as long as the token.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence

import msgspec

from occupancy.access.login_throttle import LoginThrottle
from occupancy.access.pins import PinHasher
from occupancy.access.workers import StoredWorker, Workers
from occupancy.core.entities import Role, Worker
from occupancy.core.errors import (
    Forbidden,
    InvalidRequest,
    RateLimited,
    Unauthenticated,
    WorkerNotFound,
)
from occupancy.core.keys import Keys
from occupancy.core.principal import LINK_PREFIX, Principal, digest_of, new_secret
from occupancy.observability import audit_log
from occupancy.observability.audit_limit import LimitedAudit
from occupancy.storage.client import OpsClient
from occupancy.storage.scripts import PublishingScript, Script

LINK_TTL_S = 3600
FIRST_WORKER = Worker("admin", "Administrator", Role.ADMIN.label)
MAX_SESSIONS = 1_000  # of one worker by PIN or link, and opened with one token
_CHANGED = "The worker has just been changed. Sign in again."
# How fast one token opens sessions: ms for each, and how many at once; in all, and by address.
# At this pace a thousand take an hour.
_TOKEN_INTERVAL_MS, _TOKEN_AT_ONCE = 5_000, 300
_TOKEN_ADDRESS_INTERVAL_MS, _TOKEN_ADDRESS_AT_ONCE = 10_000, 100
# A session of a token that was used within this time makes no room for another: a wall is dark at
# night, and must not be put out by morning.
_TOKEN_KEPT_S = 86400
_TOKEN_SESSION_S = 400 * 86400  # what browsers keep a cookie for at most (RFC 6265bis)


class Session(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is stored of a session; ``id`` names it, and is no secret."""

    id: str
    worker: str
    csrf_token: str
    stamp: int = 0
    idle_s: int | None = None
    token: str | None = None  # hash of the token that it was opened with
    created_s: int = 0
    ends_s: int = 0


class Sessions:
    """Methods raise PoolTimeout or StoreUnavailable when Redis cannot serve."""

    def __init__(
        self,
        client: OpsClient,
        keys: Keys,
        workers: Workers,
        desk: PinHasher,
        *,
        denials: LimitedAudit,
        on_changed: Callable[[str], None],
        idle_s: int,
        max_s: int,
    ) -> None:
        self._attempts = LoginThrottle(client, keys)
        self._desk = desk
        self._denials = denials
        self._on_changed = on_changed
        self._client = client
        self._keys = keys
        self._workers = workers
        self._idle_s = idle_s
        self._max_s = max_s
        self._sign_in = PublishingScript(client, "access/sign_in")
        self._redeem = Script(client, "access/redeem")
        self._revoke = PublishingScript(client, "access/revoke")

    # Signing in

    def with_pin(
        self, worker_id: str, pin: str, *, address: str, instead_of: str | None = None
    ) -> tuple[str, Session]:
        """Open a session for who knows the PIN: its secret, and what is stored.

        ``instead_of`` is the secret of the session that the browser had. Raises Unauthenticated
        (the same, after the same time, for an unknown worker and a wrong PIN) and RateLimited.
        """
        stored = self._stored(worker_id)
        worker = stored.worker if stored is not None else None
        # Who is unknown is not named in the trail: people type their PIN into the wrong field.
        about = {"worker": worker.id if worker is not None else None, "address": address}
        pin_hash = worker.pin_hash if worker is not None else None
        try:
            is_known = self._attempts.is_known(worker_id, address)
            is_right, counted = self._try_pin(worker_id, pin, pin_hash, address, is_known=is_known)
            if stored is None or stored.worker.disabled or not is_right:
                raise Unauthenticated("The worker or the PIN is not right.")
        except Unauthenticated as error:
            audit_log.record("sign_in_refused", by="pin", code=error.code, **about)
            raise
        except RateLimited as error:
            self._denials.record("sign_in_refused", by="pin", code=error.code, **about)
            raise
        self._attempts.forgive(worker_id, address, counted)
        return self._open(stored, instead_of, idle_s=self._idle_s, by="pin", address=address)

    def _stored(self, worker_id: str) -> StoredWorker | None:
        try:
            return self._workers.stored(worker_id)
        except WorkerNotFound:
            return None

    def with_new_pin(
        self,
        principal: Principal,
        pin: str | None,
        new_pin: str,
        *,
        address: str,
        instead_of: str | None,
    ) -> tuple[str, Session]:
        """Change the caller's own PIN: a session as after signing in, and all others have ended.

        ``pin`` is the present one, counted as at a sign-in; who was let in by a link and has none
        yet needs none. Raises Forbidden for a wrong one (they stay signed in), RateLimited, and
        InvalidRequest for a PIN that is not allowed and for who shows a token, or has signed in
        with one: whoever stands at a wallboard is not its worker.
        """
        if principal.auth_method != "session" or principal.idle_s is None:
            raise InvalidRequest("Sign in with your PIN or a one-time link to change the PIN.")
        stored = self._workers.stored(principal.worker.id)
        worker = stored.worker
        if worker.stamp != principal.worker.stamp:
            raise Unauthenticated(_CHANGED)  # disabled, signed out: since they were looked at
        if worker.pin_hash is not None:
            if pin is None:
                raise InvalidRequest("Send pin, the present one, and new_pin.")
            is_right, counted = self._try_pin(
                worker.id, pin, worker.pin_hash, address, is_known=True
            )
            if not is_right:
                raise Forbidden("The present PIN is not right.")
            self._attempts.forgive(worker.id, address, counted)
        changed = self._workers.give_pin(stored, self._desk.hash(new_pin, worker.id))
        if changed is None:
            raise Unauthenticated(_CHANGED)
        audit_log.record("pin_changed", worker=worker.id, credential=principal.id, address=address)
        return self._open(changed, instead_of, idle_s=self._idle_s, by="new_pin", address=address)

    def _try_pin(
        self, worker_id: str, pin: str, pin_hash: str | None, address: str, *, is_known: bool
    ) -> tuple[bool, Sequence[int]]:
        """Make one attempt, counted before the PIN is checked. Raises RateLimited.

        Returns whether the PIN is right, and what ``Attempts.forgive`` needs.
        """
        with self._desk.queue.place(worker_id, address, is_known=is_known):
            counted = self._attempts.begin(worker_id, address)
            return self._desk.is_right(pin, pin_hash, is_known=is_known), counted

    def with_token(
        self, principal: Principal, *, address: str, instead_of: str | None = None
    ) -> tuple[str, Session]:
        """Open a session for who has shown a token; it is good for as long as the token is."""
        stored = self._workers.stored(principal.worker.id)
        if stored.worker.stamp != principal.worker.stamp:
            raise Unauthenticated(_CHANGED)
        digest = principal.credential.digest
        return self._open(stored, instead_of, token=digest, by="token", address=address)

    def with_link(
        self, secret: str, *, address: str, instead_of: str | None = None
    ) -> tuple[str, Session]:
        """Open a session for who has a one-time link, and use it up. Raises Unauthenticated."""
        encoded = self._redeem.run(
            [self._keys.link(digest_of(secret)), self._keys.workers],
            [FIRST_WORKER.id, msgspec.json.encode(FIRST_WORKER)],
        )
        if encoded is None:
            self._denials.record(
                "sign_in_refused", by="link", code=Unauthenticated.code, address=address
            )
            raise Unauthenticated("This link was used, or is good no more. Ask for a new one.")
        stored = StoredWorker(msgspec.json.decode(encoded, type=Worker), encoded)
        return self._open(stored, instead_of, idle_s=self._idle_s, by="link", address=address)

    def _open(
        self,
        stored: StoredWorker,
        instead_of: str | None,
        *,
        by: str,
        address: str,
        idle_s: int | None = None,
        token: str | None = None,
    ) -> tuple[str, Session]:
        secret, worker = new_secret(), stored.worker
        session = Session(
            id=secrets.token_hex(4),
            worker=worker.id,
            csrf_token=new_secret(),
            stamp=worker.stamp,
            idle_s=idle_s,
            token=token,
        )
        keys = self._keys
        opened, *ended = self._sign_in.run(
            [
                keys.sessions, keys.uses, keys.session_ends, keys.workers, keys.changes,
                keys.session_ends_of(worker.id, token),
                *(keys.token_sign_ins(token, address) if token is not None else ()),
            ],
            [
                digest_of(secret), msgspec.json.encode(session),
                self._max_s if token is None else _TOKEN_SESSION_S, stored.encoded,
                digest_of(instead_of) if instead_of else "", keys.access_channel, MAX_SESSIONS,
                _TOKEN_INTERVAL_MS, _TOKEN_ADDRESS_INTERVAL_MS,
                _TOKEN_AT_ONCE, _TOKEN_ADDRESS_AT_ONCE, _TOKEN_KEPT_S,
            ],
        )  # fmt: skip
        if opened is None:
            raise Unauthenticated(_CHANGED)
        if isinstance(opened, int):
            wait_s = -(-opened // 1000)
            raise RateLimited(
                "This link or token has too many sessions, and all of them are in use. Ask an "
                "administrator for another one."
                if ended
                else "Too many sign-ins with this token or link at once. Try again in a moment.",
                retry_after=wait_s,
            )
        for each in ended:
            self._on_changed(each.decode())
        audit_log.record(
            "signed_in", by=by, worker=worker.id, credential=session.id, address=address
        )
        return secret, msgspec.json.decode(opened, type=Session)

    # Signing out

    def end(self, principal: Principal, *, address: str) -> None:
        """End the session of ``caller``."""
        keys = self._keys
        self._revoke.run(
            [keys.sessions, keys.uses, keys.session_ends, keys.changes],
            [principal.credential.digest, principal.worker.id, keys.access_channel],
        )
        self._on_changed(principal.worker.id)
        audit_log.record(
            "signed_out", worker=principal.worker.id, credential=principal.id, address=address
        )

    # Links

    def create_link(self, worker_id: str | None) -> str:
        """The secret of a link that signs a worker in, once, within the hour.

        What ends the worker's sessions ends the link. Without a worker: for the first one, an
        administrator, while there is none. Raises WorkerNotFound, and InvalidRequest for who is
        disabled.
        """
        made_for = ""
        if worker_id is not None:
            worker = self._workers.get(worker_id)
            if worker.disabled:
                raise InvalidRequest(f"Worker {worker.id} is disabled; enable them first.")
            made_for = f"{worker.stamp} {worker.id}"
        secret = new_secret(LINK_PREFIX)
        self._client.set(self._keys.link(digest_of(secret)), made_for, ex=LINK_TTL_S)
        return secret

    def claim_invitation(self, run: str) -> bool:
        """Whether this process is the one of ``run`` that invites the first administrator."""
        return bool(self._client.set(self._keys.invitation(run), "1", nx=True, ex=60))

    def withdraw_invitation(self, run: str) -> None:
        """The processes of ``run`` end: those that come after invite anew."""
        self._client.delete(self._keys.invitation(run))
