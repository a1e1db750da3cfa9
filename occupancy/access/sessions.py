"""Sessions: a browser is signed in by PIN, by a token, by a one-time link, or by a badge.

The browser gets a secret in a cookie; the session is stored on the server. It ends after some time
without use (for shared tablets), and in any case after a shift. A session opened with a token (a
wallboard) lives as long as the token. ``sign_in`` checks who may have one; ``authenticator`` finds
and extends it at each request.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping

import msgspec

from occupancy.access.workers import StoredWorker
from occupancy.core.errors import RateLimited, Unauthenticated
from occupancy.core.keys import Keys
from occupancy.core.principal import Principal, digest_of, new_secret
from occupancy.observability import audit_log
from occupancy.observability.audit_trail.trail import AuditTrail
from occupancy.storage.client import OpsClient
from occupancy.storage.scripts import PublishingScript

MAX_SESSIONS = 1_000  # of one worker by PIN, link or badge; and of one token
BADGE_IDLE_S = 120  # a session opened with a badge ends after this time without use
CONFIRMED_S = 300  # after its PIN such a session has its worker's whole role for this time
WORKER_CHANGED = "The worker has just been changed. Sign in again."
# The rate at which one token opens sessions: ms for each, and the number at once; in total, and
# from one address. A thousand sessions take an hour.
_TOKEN_INTERVAL_MS, _TOKEN_AT_ONCE = 5_000, 300
_TOKEN_ADDRESS_INTERVAL_MS, _TOKEN_ADDRESS_AT_ONCE = 10_000, 100
# A token's session is not ended to make room for another within this time of its last use: a
# wallboard is switched off at night, and must still be signed in on the next day.
_TOKEN_KEPT_S = 86400
_TOKEN_SESSION_S = 400 * 86400  # what browsers keep a cookie for at most (RFC 6265bis)


class Session(msgspec.Struct, frozen=True, omit_defaults=True):
    """A session as it is stored. ``id`` names it and is no secret."""

    id: str
    worker: str
    csrf_token: str
    generation: int = msgspec.field(default=0, name="stamp")  # the worker's when it was opened
    idle_s: int | None = None  # ends after this time without use
    token: str | None = None  # hash of the token that it was opened with
    created_s: int = 0
    ends_s: int = 0
    badge: str | None = None  # HMAC of the badge that it was opened with
    station: str | None = None  # hash of the secret of the station where it was opened
    is_confirmed: bool = False  # it was opened with the badge and the PIN


class Sessions:
    """Methods raise PoolTimeout or StoreUnavailable when Redis cannot serve.

    ``writes`` is the client for changes, which confirms them.
    """

    def __init__(
        self,
        client: OpsClient,
        keys: Keys,
        *,
        writes: OpsClient,
        audit_trail: AuditTrail,
        on_changed: Callable[[str], None],
        idle_s: int,
        max_s: int,
    ) -> None:
        self._client = client
        self._keys = keys
        self._audit_trail = audit_trail
        self._on_changed = on_changed
        self._idle_s = idle_s
        self._max_s = max_s
        self._sign_in = PublishingScript(writes, "access/sign_in")
        self._revoke = PublishingScript(writes, "access/revoke")

    def find(self, secret: str) -> Session | None:
        """The session with this secret, as it is stored."""
        encoded = self._client.hget(self._keys.sessions, digest_of(secret))
        return msgspec.json.decode(encoded, type=Session) if isinstance(encoded, bytes) else None

    def open(
        self,
        stored: StoredWorker,
        instead_of: str | None,
        *,
        by: str,
        address: str,
        token: str | None = None,
        badge: str | None = None,
        station: str | None = None,
        is_confirmed: bool = False,
        about: Mapping[str, object] | None = None,
    ) -> tuple[str, Session]:
        """Open a session of ``stored``: its secret, and the session as it is stored.

        ``instead_of`` is the secret of the session that the browser had, which ends in the same
        step. Raises RateLimited, and Unauthenticated if the worker is no longer as ``stored`` says.
        """
        secret, worker = new_secret(), stored.worker
        idle_s = None if token is not None else self._idle_s if badge is None else BADGE_IDLE_S
        session = Session(
            id=secrets.token_hex(4),
            worker=worker.id,
            csrf_token=new_secret(),
            generation=worker.session_generation,
            idle_s=idle_s,
            token=token,
            badge=badge,
            station=station,
            is_confirmed=is_confirmed,
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
            raise Unauthenticated(WORKER_CHANGED)
        if isinstance(opened, int):
            detail = "Too many sign-ins with this token or link at once. Try again in a moment."
            if ended:
                detail = (
                    "This link or token has too many sessions, and all of them are in use. Ask an "
                    "administrator for another one."
                )
            raise RateLimited(detail, retry_after=-(-opened // 1000))
        for each in ended:
            self._on_changed(each.decode())
        self._audit_trail.record(
            "signed_in", by=by, worker=worker.id, credential=session.id, address=address,
            **(about or {}),
        )  # fmt: skip
        return secret, msgspec.json.decode(opened, type=Session)

    def end(self, principal: Principal, *, address: str) -> None:
        """End the session of ``principal``."""
        keys = self._keys
        with audit_log.recording(
            self._audit_trail.try_record, "signed_out", worker=principal.worker.id,
            credential=principal.id, address=address,
        ):  # fmt: skip
            try:
                self._revoke.run(
                    [keys.sessions, keys.uses, keys.session_ends, keys.changes],
                    [principal.credential.digest, principal.worker.id, keys.access_channel],
                )
            finally:  # it may have ended although its answer was lost
                self._on_changed(principal.worker.id)
