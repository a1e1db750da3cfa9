"""The authenticator: the principal behind a credential.

A principal is remembered for two seconds, so that an operation stays one round trip. Each process
forgets a worker at once when a change is announced; two seconds bound a lost announcement.

The replicas do not confirm the last use of a credential, which is all that is written here: each
request would wait for them, and a failover that loses it lets a session end some moments early.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from typing import Any

import gevent
import msgspec

from occupancy.access.sessions import CONFIRMED_S, Session
from occupancy.access.stations.station import Station
from occupancy.access.tokens import Token
from occupancy.core.entities import Role, Worker
from occupancy.core.errors import PoolTimeout, StoreUnavailable, Unauthenticated
from occupancy.core.keys import Keys
from occupancy.core.principal import Credential, Principal
from occupancy.storage.client import OpsClient
from occupancy.storage.scripts import Script

_REMEMBERED_S = 2.0
_TAKEN_S = 15.0  # while the server of access does not answer
_MOST_WAIT_S = 0.5  # for that server, where the principal may be taken without it
_ASK_AGAIN_S = 1.0
_MAX_REMEMBERED = 10_000
_MAX_CHANGES = 1_000  # workers whose last change is known separately
_SESSION_USE_S, _TOKEN_USE_S = 1, 60  # how exactly the last use is stored

_REASONS = {
    "token": "The token is unknown, expired or revoked. Ask an administrator for a new one.",
    "session": "You are not signed in any more. Sign in again.",
    "station": "This station is not paired any more. Ask an administrator for a pairing link.",
}


class Authenticator:
    """Methods raise PoolTimeout or StoreUnavailable when Redis cannot serve."""

    def __init__(self, client: OpsClient, keys: Keys) -> None:
        self._client = client
        self._keys = keys
        self._identify = Script(client, "access/identify")
        self._remembered: dict[Credential, tuple[float, Principal, bool]] = {}
        self._taken_until: dict[Credential, float] = {}  # those of _remembered
        self._has_own_server = client.is_sharded
        self._away_until = 0.0  # the server of access has not answered: ask it again then
        self._of_worker: dict[str, set[Credential]] = {}  # those of _remembered
        # This process numbers the changes that it hears of: an answer that was on its way when its
        # worker changed is not remembered.
        self._change = 0
        self._all_changed = 0  # number of the last change that concerned all workers
        self._changed: dict[str, int] = {}  # worker id → number of its last change since then

    def identify(self, credential: Credential, *, is_use: bool = True) -> Principal:
        """The principal with ``credential``. Raises Unauthenticated.

        ``is_use`` is false for requests that a page sends by itself, perhaps with nobody in front
        of it: they do not extend a session.
        """
        until, remembered, was_use = self._remembered.get(credential, (0.0, None, False))
        asked_at, change = time.monotonic(), self._change
        if remembered is not None and asked_at < until and (was_use or not is_use):
            return remembered
        may_take = self._has_own_server and asked_at < self._taken_until.get(credential, 0.0)
        if remembered is not None and may_take:
            reply = self._ask_briefly(credential, is_use)
            if reply is None:
                if credential in self._remembered:  # still: no change was announced meanwhile
                    return remembered
                raise StoreUnavailable("The server does not answer. Try again in a moment.")
        else:
            reply = self._identify.run(*self._ask(credential, is_use))
        principal, ends_in_s = self._read(credential, reply)
        self._remember(principal, ends_in_s, asked_at, change, is_use=is_use)
        return principal

    def _ask_briefly(self, credential: Credential, is_use: bool) -> Any:
        """The reply, or None if there is none within a moment; then one caller a second asks."""
        now = time.monotonic()
        if now < self._away_until:
            return None
        if self._away_until:
            self._away_until = now + _ASK_AGAIN_S  # the others do not wait for this question
        reply = None
        # No error of ours as the timeout's: the client below would try again.
        timeout = gevent.Timeout(_MOST_WAIT_S, False)
        with timeout, contextlib.suppress(PoolTimeout, StoreUnavailable):
            reply = self._identify.run(*self._ask(credential, is_use))
        self._away_until = 0.0 if reply is not None else time.monotonic() + _ASK_AGAIN_S
        return reply

    def remembered(self, credential: Credential) -> Principal | None:
        """The principal, if that is known without asking Redis; does not extend a session."""
        until, principal, _ = self._remembered.get(credential, (0.0, None, False))
        return principal if time.monotonic() < until else None

    def known_lately(self, credential: Credential) -> Principal | None:
        """The principal last seen with ``credential``; for turns only, never to authorize."""
        _, principal, _ = self._remembered.get(credential, (0.0, None, False))
        return principal

    def identify_many(self, credentials: Sequence[Credential]) -> None:
        """Remember each principal, in one round trip; no use. Refused credentials are left out."""
        asked_at, change = time.monotonic(), self._change
        replies = self._identify.run_many([self._ask(each, False) for each in credentials])
        for credential, reply in zip(credentials, replies, strict=True):
            with contextlib.suppress(Exception):  # a request with that one gets the error
                principal, ends_in_s = self._read(credential, reply)
                self._remember(principal, ends_in_s, asked_at, change, is_use=False)

    def revalidate(self, credentials: Sequence[Credential]) -> list[tuple[Principal, float] | None]:
        """For each: its principal and for how many seconds that holds, or None if it is not valid.

        One round trip; nothing is remembered, and no session is extended.
        """
        replies = self._identify.run_many([self._ask(each, False) for each in credentials])
        return [
            self._read(credential, reply) if len(reply) > 1 else None
            for credential, reply in zip(credentials, replies, strict=True)
        ]

    def forget(self, worker_id: str | None = None) -> None:
        """Forget a worker whose access has changed; with None all, because any may have changed."""
        self._change += 1
        if worker_id is None or (
            worker_id not in self._changed and len(self._changed) >= _MAX_CHANGES
        ):
            self._all_changed = self._change
            self._changed.clear()
            if worker_id is None and self._has_own_server:
                self._expire()  # its server may be heard again before it answers
            else:
                self._clear()
            return
        self._changed[worker_id] = self._change
        for credential in self._of_worker.pop(worker_id, ()):
            self._remembered.pop(credential, None)
            self._taken_until.pop(credential, None)

    def changes(self) -> int:
        """The number of changes of access so far, in the whole deployment."""
        counted = self._client.get(self._keys.changes)
        return int(counted) if isinstance(counted, bytes) else 0

    def _remember(
        self, principal: Principal, ends_in_s: float, asked_at: float, change: int, *, is_use: bool
    ) -> None:
        if max(self._all_changed, self._changed.get(principal.worker.id, 0)) > change:
            return  # the answer may be older than the change
        if len(self._remembered) >= _MAX_REMEMBERED:
            self._clear()
        # Counted from before the question, in case the announcement is lost.
        until = asked_at + min(_REMEMBERED_S, ends_in_s)
        self._remembered[principal.credential] = until, principal, is_use
        self._taken_until[principal.credential] = asked_at + min(_TAKEN_S, ends_in_s)
        # A stored credential never changes its worker.
        self._of_worker.setdefault(principal.worker.id, set()).add(principal.credential)

    def _clear(self) -> None:
        self._remembered.clear()
        self._taken_until.clear()
        self._of_worker.clear()

    def _expire(self) -> None:
        """Ask for each anew."""
        for credential, (_, principal, was_use) in self._remembered.items():
            self._remembered[credential] = 0.0, principal, was_use

    def _drop(self, credential: Credential) -> None:
        _, principal, _ = self._remembered.pop(credential, (0.0, None, False))
        self._taken_until.pop(credential, None)
        if principal is not None:
            others = self._of_worker[principal.worker.id]
            others.discard(credential)
            if not others:
                del self._of_worker[principal.worker.id]

    def _ask(self, credential: Credential, is_use: bool) -> tuple[list[str], list[Any]]:
        keys = [
            self._keys.tokens, self._keys.sessions, self._keys.uses, self._keys.workers,
            self._keys.stations, self._keys.badges,
        ]  # fmt: skip
        noted_s = _SESSION_USE_S if is_use else ""
        return keys, [credential.auth_method, credential.digest, noted_s, _TOKEN_USE_S]

    def _read(self, credential: Credential, reply: list[bytes]) -> tuple[Principal, float]:
        if len(reply) == 1:
            self._drop(credential)
            raise Unauthenticated(_REASONS[credential.auth_method])
        station = msgspec.json.decode(reply[4], type=Station) if reply[4] else None
        if station is not None and credential.auth_method == "station":
            return _station_principal(station, credential), float("inf")
        worker = msgspec.json.decode(reply[0], type=Worker)
        token = msgspec.json.decode(reply[1], type=Token) if reply[1] else None
        session = msgspec.json.decode(reply[2], type=Session) if reply[2] else None
        role = Role.of(worker.role)
        if token is not None and token.role is not None:
            role = min(role, Role.of(token.role))
        ends_in_s = float(reply[3]) if reply[3] else float("inf")
        role_with_pin = None
        if session is not None and session.badge is not None and role > Role.WORKER:
            # More than a worker's role needs the PIN, which is good for some minutes.
            confirmed_s = CONFIRMED_S - float(reply[5]) if session.is_confirmed else 0.0
            if confirmed_s > 0:
                ends_in_s = min(ends_in_s, confirmed_s)
            else:
                role, role_with_pin = Role.WORKER, role
        board = token.board if token is not None else None
        principal = Principal(
            worker=worker,
            role=role,
            credential=credential,
            id=session.id if session is not None else token.id if token is not None else "",
            board=station.board if station is not None else board,
            csrf_token=session.csrf_token if session is not None else None,
            idle_s=session.idle_s if session is not None else None,
            has_badge=session is not None and session.badge is not None,
            role_with_pin=role_with_pin,
            station=station.shown if station is not None else None,
        )
        return principal, ends_in_s


def _station_principal(station: Station, credential: Credential) -> Principal:
    return Principal(
        worker=station.worker,
        role=Role.OBSERVER,
        credential=credential,
        id=station.id,
        board=station.board,
        csrf_token=station.csrf_token,
        station=station.shown,
    )
