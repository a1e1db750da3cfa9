"""Sign-in: the check of a PIN, one-time link, token or badge, which then opens a session.

A badge opens a short session, at a paired station only. Others may find or copy a badge, so such a
session has the role of a worker at most, until the PIN confirms it for some minutes. Confirming
opens another session in its place, with another secret.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from occupancy.access.links import Links
from occupancy.access.login_throttle import FREE_OF_STATION, LoginThrottle
from occupancy.access.pins import PinHasher
from occupancy.access.sessions import WORKER_CHANGED, Session, Sessions
from occupancy.access.stations.badge import Badges
from occupancy.access.workers import StoredWorker, Workers
from occupancy.core import errors
from occupancy.core.errors import InvalidRequest, RateLimited, Unauthenticated
from occupancy.core.principal import Principal
from occupancy.observability.audit_limit import AuditLimit
from occupancy.observability.audit_trail.trail import AuditTrail


class SignIn:
    """Each method returns the secret of the session that it opens, and the session as stored.

    ``instead_of`` is the secret of the session that the browser had. Methods raise PoolTimeout or
    StoreUnavailable when Redis cannot serve.
    """

    def __init__(
        self,
        sessions: Sessions,
        workers: Workers,
        *,
        links: Links,
        badges: Badges,
        pin_hasher: PinHasher,
        login_throttle: LoginThrottle,
        audit_trail: AuditTrail,
        audit_limit: AuditLimit,
    ) -> None:
        self._sessions = sessions
        self._workers = workers
        self._links = links
        self._badges = badges
        self._pin_hasher = pin_hasher
        self._login_throttle = login_throttle
        self._audit_trail = audit_trail
        self._audit_limit = audit_limit

    def with_pin(
        self, worker_id: str, pin: str, *, address: str, instead_of: str | None = None
    ) -> tuple[str, Session]:
        """Open a session by worker and PIN.

        Raises RateLimited, and Unauthenticated: an unknown worker and a wrong PIN get the same
        error after the same time.
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
        return self._sessions.open(stored, instead_of, by="pin", address=address)

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
        stored = self._unchanged(principal)
        worker = stored.worker
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
                raise Unauthenticated(WORKER_CHANGED)
        return self._sessions.open(changed, instead_of, by="new_pin", address=address)

    def with_token(
        self, principal: Principal, *, address: str, instead_of: str | None = None
    ) -> tuple[str, Session]:
        """Open a session, valid as long as its token. Raises Unauthenticated and RateLimited."""
        stored = self._unchanged(principal)
        digest = principal.credential.digest
        return self._sessions.open(stored, instead_of, token=digest, by="token", address=address)

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
        return self._sessions.open(stored, instead_of, by="link", address=address)

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
        return self._sessions.open(
            stored, instead_of, by="badge", address=address,
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
        stored = self._unchanged(principal)
        worker = stored.worker
        if worker.pin_hash is None:
            raise errors.Forbidden("You have no PIN yet. Ask an administrator for a one-time link.")
        session = self._sessions.find(instead_of)
        if session is None or session.worker != worker.id or session.badge is None:
            raise Unauthenticated(WORKER_CHANGED)  # signed out meanwhile
        is_right, counted = self._try_pin(worker.id, pin, worker.pin_hash, address, is_known=True)
        if not is_right:
            raise errors.Forbidden("The PIN is not right. Try again.")
        self._login_throttle.clear_attempt(worker.id, address, counted)
        return self._sessions.open(
            stored, instead_of, by="badge_and_pin", address=address,
            badge=session.badge, station=session.station, is_confirmed=True,
            about={"station": principal.station.id if principal.station is not None else None},
        )  # fmt: skip

    def _unchanged(self, principal: Principal) -> StoredWorker:
        """The principal's worker. Raises Unauthenticated if all their sessions have ended."""
        stored = self._workers.stored(principal.worker.id)
        if stored.worker.session_generation != principal.worker.session_generation:
            raise Unauthenticated(WORKER_CHANGED)
        return stored

    def _try_pin(
        self, worker_id: str, pin: str, pin_hash: str | None, address: str, *, is_known: bool
    ) -> tuple[bool, Sequence[int]]:
        """Make one attempt, counted before the PIN is checked. Raises RateLimited.

        Returns whether the PIN is right, and what ``LoginThrottle.clear_attempt`` needs.
        """
        with self._pin_hasher.queue.place(worker_id, address, is_known=is_known):
            counted = self._login_throttle.count_attempt(worker_id, address)
            return self._pin_hasher.is_right(pin, pin_hash, is_known=is_known), counted
