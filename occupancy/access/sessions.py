"""Sessions: a browser is signed in by PIN, by a token, by a one-time link, or by a badge.

The browser gets a secret in a cookie; the session is stored on the server. It ends after some time
without use (for shared tablets), and in any case after a shift. A session opened with a token (a
wallboard) lives as long as the token.

A badge opens a short session, at a paired station only. Others may find or copy a badge, so such a
session has the role of a worker at most, until the PIN confirms it for some minutes. Confirming
opens another session in its place, with another secret.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Mapping, Sequence

import msgspec

from occupancy.access.links import Links
from occupancy.access.login_throttle import FREE_OF_STATION, LoginThrottle
from occupancy.access.pins import PinHasher
from occupancy.access.stations.badge import Badges
from occupancy.access.workers import StoredWorker, Workers
from occupancy.core import errors
from occupancy.core.errors import InvalidRequest, RateLimited, Unauthenticated
from occupancy.core.keys import Keys
from occupancy.core.principal import Principal, digest_of, new_secret
from occupancy.observability import audit_log
from occupancy.observability.audit_limit import AuditLimit
from occupancy.observability.audit_trail.trail import AuditTrail
from occupancy.storage.client import OpsClient
from occupancy.storage.scripts import PublishingScript

MAX_SESSIONS = 1_000  # of one worker by PIN, link or badge; and of one token
BADGE_IDLE_S = 120  # a session opened with a badge ends after this time without use
CONFIRMED_S = 300  # after its PIN such a session has its worker's whole role for this time
_CHANGED = "The worker has just been changed. Sign in again."
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
        workers: Workers,
        links: Links,
        pin_hasher: PinHasher,
        *,
        badges: Badges,
        writes: OpsClient,
        audit_trail: AuditTrail,
        audit_limit: AuditLimit,
        on_changed: Callable[[str], None],
        idle_s: int,
        max_s: int,
    ) -> None:
        self._login_throttle = LoginThrottle(client, keys)
        self._links = links
        self._badges = badges
        self._pin_hasher = pin_hasher
        self._audit_trail = audit_trail
        self._audit_limit = audit_limit
        self._on_changed = on_changed
        self._client = client
        self._keys = keys
        self._workers = workers
        self._idle_s = idle_s
        self._max_s = max_s
        self._sign_in = PublishingScript(writes, "access/sign_in")
        self._revoke = PublishingScript(writes, "access/revoke")

    def with_pin(
        self, worker_id: str, pin: str, *, address: str, instead_of: str | None = None
    ) -> tuple[str, Session]:
        """Open a session by worker and PIN: its secret, and the session as it is stored.

        ``instead_of`` is the secret of the session that the browser had. Raises RateLimited, and
        Unauthenticated: an unknown worker and a wrong PIN get the same error after the same time.
        """
        stored = worker = None
        with contextlib.suppress(errors.WorkerNotFound):
            stored = self._workers.stored(worker_id)
            worker = stored.worker
        # An unknown worker id is not recorded: people type their PIN into the wrong field.
        about = {"worker": worker.id if worker is not None else None, "address": address}
        pin_hash = worker.pin_hash if worker is not None else None
        try:
            is_known = self._login_throttle.is_known(worker_id, address)
            is_right, counted = self._try_pin(worker_id, pin, pin_hash, address, is_known=is_known)
            if stored is None or stored.worker.disabled or not is_right:
                raise Unauthenticated(
                    "The worker or the PIN is not right. Check both, and try again."
                )
        except Unauthenticated as error:
            self._audit_trail.record_soon("sign_in_refused", by="pin", code=error.code, **about)
            raise
        except RateLimited as error:
            self._audit_limit.record("sign_in_refused", by="pin", code=error.code, **about)
            raise
        self._login_throttle.clear_attempt(worker_id, address, counted)
        return self._open(stored, instead_of, idle_s=self._idle_s, by="pin", address=address)

    def with_new_pin(
        self,
        principal: Principal,
        pin: str | None,
        new_pin: str,
        *,
        address: str,
        instead_of: str | None,
    ) -> tuple[str, Session]:
        """Change the principal's own PIN. Ends all their sessions and opens a new one.

        ``pin`` is the present PIN; an attempt counts as at a sign-in. A worker without a PIN, who
        has signed in by a link, needs none. Raises RateLimited, Forbidden for a wrong PIN (they
        stay signed in), and InvalidRequest for a new PIN that is not allowed, and for a token or a
        session opened with one: the person in front of a wallboard need not be its worker.
        """
        if principal.credential.auth_method != "session" or principal.idle_s is None:
            raise InvalidRequest("Sign in with your PIN or a one-time link to change the PIN.")
        stored = self._workers.stored(principal.worker.id)
        worker = stored.worker
        if worker.session_generation != principal.worker.session_generation:
            raise Unauthenticated(_CHANGED)  # disabled or signed out since they were identified
        if worker.pin_hash is not None:
            if pin is None:
                raise InvalidRequest("Send pin, the present one, and new_pin.")
            is_right, counted = self._try_pin(
                worker.id, pin, worker.pin_hash, address, is_known=True
            )
            if not is_right:
                raise errors.Forbidden("The present PIN is not right. Try again.")
            self._login_throttle.clear_attempt(worker.id, address, counted)
        elif principal.has_badge:
            # Otherwise a person who finds a badge could set the PIN that confirms its sessions.
            raise errors.Forbidden(
                "A badge is not enough to set your first PIN. Ask an administrator for a one-time "
                "link."
            )
        new_hash = self._pin_hasher.hash(new_pin, worker.id)
        with self._audit_trail.recording(
            "pin_changed", worker=worker.id, credential=principal.id, address=address
        ):
            changed = self._workers.set_pin(stored, new_hash)
            if changed is None:
                raise Unauthenticated(_CHANGED)
        return self._open(changed, instead_of, idle_s=self._idle_s, by="new_pin", address=address)

    def _try_pin(
        self, worker_id: str, pin: str, pin_hash: str | None, address: str, *, is_known: bool
    ) -> tuple[bool, Sequence[int]]:
        """Make one attempt, counted before the PIN is checked. Raises RateLimited.

        Returns whether the PIN is right, and what ``LoginThrottle.clear_attempt`` needs.
        """
        with self._pin_hasher.queue.place(worker_id, address, is_known=is_known):
            counted = self._login_throttle.count_attempt(worker_id, address)
            return self._pin_hasher.is_right(pin, pin_hash, is_known=is_known), counted

    def with_token(
        self, principal: Principal, *, address: str, instead_of: str | None = None
    ) -> tuple[str, Session]:
        """Open a session, valid as long as its token. Raises Unauthenticated and RateLimited."""
        stored = self._workers.stored(principal.worker.id)
        if stored.worker.session_generation != principal.worker.session_generation:
            raise Unauthenticated(_CHANGED)
        digest = principal.credential.digest
        return self._open(stored, instead_of, token=digest, by="token", address=address)

    def with_link(
        self, secret: str, *, address: str, instead_of: str | None = None
    ) -> tuple[str, Session]:
        """Open a session by a one-time link, and use it up. Raises Unauthenticated."""
        try:
            stored = self._links.redeem(secret)
        except errors.Unconfirmed as error:
            self._audit_limit.record("sign_in_refused", by="link", code=error.code, address=address)
            raise errors.Unconfirmed(
                "Too few replicas confirmed that the link is used up. Try it again in a moment; "
                "if it was used, ask for a new one.",
                retry_after=1,
            ) from error
        if stored is None:
            self._audit_limit.record(
                "sign_in_refused", by="link", code=Unauthenticated.code, address=address
            )
            raise Unauthenticated("This link was used or is no longer valid. Ask for a new one.")
        return self._open(stored, instead_of, idle_s=self._idle_s, by="link", address=address)

    def with_badge(
        self, principal: Principal, code: str, *, address: str, instead_of: str | None = None
    ) -> tuple[str, Session]:
        """Open a short session by a badge, at the station that ``principal`` is.

        Raises RateLimited, and Unauthenticated: an unknown badge and that of a disabled worker get
        the same error.
        """
        station_id = principal.worker.id
        about = {"station": principal.id, "address": address}
        stored = None
        try:
            counted = self._login_throttle.count_attempt(
                station_id, address, free_of_pair=FREE_OF_STATION, free_of_worker=FREE_OF_STATION,
                what="unknown badges",
            )  # fmt: skip
            found = self._badges.find(code)
            if found is not None:
                with contextlib.suppress(errors.WorkerNotFound):
                    stored = self._workers.stored(found.badge.worker)
            if found is None or stored is None or stored.worker.disabled:
                raise Unauthenticated(
                    "This badge is not known. Sign in with your PIN, or ask an administrator."
                )
        except Unauthenticated as error:
            self._audit_trail.record("sign_in_refused", by="badge", code=error.code, **about)
            raise
        except RateLimited as error:
            self._audit_limit.record("sign_in_refused", by="badge", code=error.code, **about)
            raise
        self._login_throttle.clear_attempt(station_id, address, counted)
        return self._open(
            stored, instead_of, idle_s=BADGE_IDLE_S, by="badge", address=address,
            badge=found.digest, station=principal.credential.digest,
            about={"badge": found.badge.id, "station": principal.id},
        )  # fmt: skip

    def confirmed(
        self, principal: Principal, pin: str, *, address: str, instead_of: str
    ) -> tuple[str, Session]:
        """Open another session in place of the principal's, which a badge has opened.

        For some minutes it has the worker's whole role. An attempt counts as at a sign-in. Raises
        RateLimited, Forbidden for a wrong PIN (the earlier session stays) and for a worker without
        one, and InvalidRequest where no badge has opened the session.
        """
        if not principal.has_badge:
            raise InvalidRequest(
                "Your session was not opened with a badge, so it needs no confirmation."
            )
        stored = self._workers.stored(principal.worker.id)
        worker = stored.worker
        if worker.session_generation != principal.worker.session_generation:
            raise Unauthenticated(_CHANGED)
        if worker.pin_hash is None:
            raise errors.Forbidden("You have no PIN yet. Ask an administrator for a one-time link.")
        session = self._stored(instead_of)
        if session is None or session.worker != worker.id or session.badge is None:
            raise Unauthenticated(_CHANGED)  # signed out meanwhile
        is_right, counted = self._try_pin(worker.id, pin, worker.pin_hash, address, is_known=True)
        if not is_right:
            raise errors.Forbidden("The PIN is not right. Try again.")
        self._login_throttle.clear_attempt(worker.id, address, counted)
        return self._open(
            stored, instead_of, idle_s=BADGE_IDLE_S, by="badge_and_pin", address=address,
            badge=session.badge, station=session.station, is_confirmed=True,
            about={"station": principal.station.id if principal.station is not None else None},
        )  # fmt: skip

    def _stored(self, secret: str) -> Session | None:
        encoded = self._client.hget(self._keys.sessions, digest_of(secret))
        return msgspec.json.decode(encoded, type=Session) if isinstance(encoded, bytes) else None

    def _open(
        self,
        stored: StoredWorker,
        instead_of: str | None,
        *,
        by: str,
        address: str,
        idle_s: int | None = None,
        token: str | None = None,
        badge: str | None = None,
        station: str | None = None,
        is_confirmed: bool = False,
        about: Mapping[str, object] | None = None,
    ) -> tuple[str, Session]:
        secret, worker = new_secret(), stored.worker
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
            raise Unauthenticated(_CHANGED)
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
