"""Revocation: ends the streams of callers that may not watch any more.

When a worker's access changes, the change is counted and announced ("changes worker"), and the
credentials of that worker's streams are checked again. The streams of those no longer valid are
closed, and their browsers get 401 when they come back. Nothing rests on an announcement arriving:
docs/design.md says how the count shows a missed one. Each credential is checked when it ends by
itself, and once per minute in any case: a clock may be set, and data restored from a backup. While
Redis is away no credential can be checked, and nothing is delivered either; in a Cluster other
servers than that of access still deliver, and what has ended meanwhile is closed afterwards.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Iterable, Sequence
from typing import Protocol

import gevent
from gevent.event import Event

from occupancy.core.entities import Role
from occupancy.core.errors import PoolTimeout, StoreUnavailable
from occupancy.core.principal import Credential, Principal
from occupancy.live.subscriber import Subscriber
from occupancy.observability import audit_log

log = logging.getLogger(__name__)

TURN_S = 2.0
_RETRY_S = 0.5  # soon, because a request to a server that hangs may have taken seconds already
_GOODBYE_S = 1.0  # for a client to take the bye
_CHECK_S = 60.0
_AT_ONCE = 100  # credentials per round trip, so that no connection is held for long


class Authenticator(Protocol):
    """Knows credentials. Its reads raise PoolTimeout and StoreUnavailable."""

    def revalidate(self, credentials: Sequence[Credential]) -> list[tuple[Principal, float] | None]:
        """For each: its caller and for how many seconds it is valid yet; None if it is not."""

    def changes(self) -> int: ...  # of access so far
    def forget(self, worker_id: str | None = None) -> None: ...  # None: all workers


class _Watched:
    """One credential with open streams."""

    def __init__(self, principal: Principal) -> None:
        self.principal = principal
        self.check_at = 0.0  # monotonic; when it may have ended
        self.streams: set[Subscriber] = set()


class Revocation:
    """One per process."""

    def __init__(self, authenticator: Authenticator) -> None:
        self._authenticator = authenticator
        self._watched: dict[Credential, _Watched] = {}
        self._leaving: dict[Subscriber, float] = {}  # closed, and since when (monotonic)
        self._changes: int | None = None  # None: not known, so all must be checked
        self._heard: int | None = None  # number of the last announcement; None: some were missed
        self._changed: set[str] = set()  # workers announced since the last turn
        self._wake = Event()
        self._greenlet: gevent.Greenlet | None = None

    def watch(self, principal: Principal, subscriber: Subscriber) -> None:
        """Close ``subscriber`` when ``principal`` may not watch any more; until ``unwatch``."""
        if self._greenlet is None:
            self._greenlet = gevent.spawn(self._run)
        watched = self._watched.get(principal.credential)
        if watched is None:
            watched = self._watched[principal.credential] = _Watched(principal)
        # A change between the request's check and here is noticed in the next turn.
        watched.check_at = 0.0
        watched.streams.add(subscriber)

    def unwatch(self, principal: Principal, subscriber: Subscriber) -> None:
        """The stream has ended."""
        watched = self._watched[principal.credential]
        watched.streams.discard(subscriber)
        self._leaving.pop(subscriber, None)
        if not watched.streams:
            del self._watched[principal.credential]

    def on_announcement(self, payload: bytes | None) -> None:
        """A worker's access has changed; None: announcements may have been missed."""
        if payload == b"?":
            return  # a test of the right to publish
        try:
            text, worker_id = (payload or b"").decode().split(" ", 1)
            counted: int | None = int(text)
        except ValueError:
            counted, worker_id = None, ""
        # If none was missed before this one, what is remembered of other workers is still valid.
        is_next = counted is not None and self._heard == counted - 1
        self._authenticator.forget(worker_id if is_next else None)
        self._heard = counted
        if counted is not None and self._changes == counted - 1:
            self._changes = counted
            self._changed.add(worker_id)  # a list of workers may change, one after the other
        else:
            self._changes = None
        self._wake.set()

    def stop(self) -> None:
        """End the greenlet; the process ends."""
        if self._greenlet is not None:
            self._greenlet.kill()

    def _run(self) -> None:
        is_failing = False
        while True:
            self._wake.wait(_GOODBYE_S if self._leaving else TURN_S)
            self._wake.clear()
            try:
                self._hang_up()
                self._turn()
                is_failing = False
                continue
            except (PoolTimeout, StoreUnavailable) as error:
                if not is_failing:
                    log.warning("callers not looked at: %s", error.__cause__ or error)
                is_failing = True
            except Exception:
                log.exception("ending revoked streams failed")  # the next turn is made all the same
            gevent.sleep(_RETRY_S)
            self._wake.set()

    def _turn(self) -> None:
        # Marked before anything can fail: what is not checked now is due in the next turn.
        changed, self._changed = self._changed, set()
        if changed:
            self._mark(
                each for each in self._watched.values() if each.principal.worker.id in changed
            )
        # Read before the check: a change between the two is counted again, and checked again.
        before = self._changes
        counted = self._authenticator.changes()
        if counted != self._changes:
            self._mark(self._watched.values())
            if self._changes is not None:  # else all was forgotten when the count became unknown
                self._authenticator.forget()
        now = time.monotonic()
        due = [credential for credential, each in self._watched.items() if each.check_at <= now]
        for first in range(0, len(due), _AT_ONCE):
            self._check(due[first : first + _AT_ONCE])
        # Not before, so that a failure above makes all due again. If an announcement has moved the
        # count on meanwhile, the next turn compares again.
        if self._changes == before:
            self._changes = counted

    def _mark(self, changed: Iterable[_Watched]) -> None:
        for each in changed:
            each.check_at = 0.0

    def _check(self, credentials: list[Credential]) -> None:
        asked_at = time.monotonic()
        # An announcement that comes before the answer takes this back.
        for credential in credentials:
            if credential in self._watched:
                self._watched[credential].check_at = float("inf")
        try:
            answers = self._authenticator.revalidate(credentials)
        except (PoolTimeout, StoreUnavailable):
            self._mark(self._watched[each] for each in credentials if each in self._watched)
            raise
        except Exception:
            if len(credentials) > 1:
                for each in credentials:
                    self._check([each])  # one that cannot be read must not protect the others
                return
            log.exception("a credential cannot be read, and counts as invalid")
            answers = [None]
        for credential, answer in zip(credentials, answers, strict=True):
            watched = self._watched.get(credential)
            if watched is None:
                continue  # its last stream has ended by itself
            before = watched.principal
            if answer is None or not _may_still_watch(before, answer[0]):
                self._close(watched)
            else:
                watched.principal = answer[0]
                # At random, so that credentials checked together are not due together for ever.
                check_s = random.uniform(0.5, 1.0) * _CHECK_S  # noqa: S311 - spreads load
                watched.check_at = min(watched.check_at, asked_at + min(answer[1] + 0.5, check_s))

    def _close(self, watched: _Watched) -> None:
        principal, now = watched.principal, time.monotonic()
        closed = [each for each in watched.streams if each not in self._leaving]
        for subscriber in closed:
            subscriber.close()
            self._leaving[subscriber] = now
        watched.check_at = float("inf")
        if closed:
            audit_log.record(
                "streams_closed", worker=principal.worker.id, means=principal.auth_method,
                credential=principal.id, streams=len(closed),
            )  # fmt: skip

    def _hang_up(self) -> None:
        """Hang up closed streams that have not ended: their clients do not take the bye."""
        now = time.monotonic()
        for subscriber, since in list(self._leaving.items()):
            if now - since >= _GOODBYE_S:
                subscriber.abandon()


def _may_still_watch(before: Principal, now: Principal) -> bool:
    return now.may(Role.OBSERVER) and now.board == before.board
