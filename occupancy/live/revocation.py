"""The guard: ends the streams of those who may not watch any more.

Each open stream is registered with the credential that it was opened with. When somebody's access
changes, the change is counted and announced ("changes worker"), and the credentials of that
worker's streams are looked at again; the streams of those that are good no more are closed, and
their browsers are told 401 when they come back. Whoever does not take the goodbye is hung up on.

Nothing rests on an announcement arriving. The count is read every two seconds, and if it is not
the one of the last announcement, something was missed: all credentials are looked at again. A
credential that ends by itself (a session nobody uses, a token that expires) is looked at when it
ends, and each once a minute in any case: a clock may be set, and data restored from a backup.
While Redis is away nothing can be looked at, and nothing is delivered either.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Iterable

import gevent
from gevent.event import Event

from occupancy.access.authenticator import Authenticator
from occupancy.core.entities import Role
from occupancy.core.errors import PoolTimeout, StoreUnavailable
from occupancy.core.principal import Credential, Principal
from occupancy.live.subscriber import Subscriber
from occupancy.observability import audit_log

log = logging.getLogger(__name__)

TURN_S = 2.0
_RETRY_S = 0.5  # soon: a question to a server that hangs may have taken seconds already
_GOODBYE_S = 1.0  # to take it
_LOOK_S = 60.0
_AT_ONCE = 100  # credentials in a round trip, so that no connection is held for long


class _Watched:
    """One credential with open streams."""

    def __init__(self, principal: Principal) -> None:
        self.principal = principal
        self.look_at = 0.0  # monotonic; when it may have ended
        self.streams: set[Subscriber] = set()


class Revocation:
    """Of one worker process."""

    def __init__(self, access: Authenticator) -> None:
        self._access = access
        self._watched: dict[Credential, _Watched] = {}
        self._leaving: dict[Subscriber, float] = {}  # closed, and since when (monotonic)
        self._changes: int | None = None  # None: not known, look at all
        self._heard: int | None = None  # number of the last announcement; None: some were missed
        self._changed: set[str] = set()  # workers that were announced since the last turn
        self._wake = Event()
        self._greenlet: gevent.Greenlet | None = None

    def watch(self, principal: Principal, subscriber: Subscriber) -> None:
        """Close ``subscriber`` when ``caller`` may not watch any more; until ``unwatch``."""
        if self._greenlet is None:
            self._greenlet = gevent.spawn(self._run)
        watched = self._watched.get(principal.credential)
        if watched is None:
            watched = self._watched[principal.credential] = _Watched(principal)
        # Whatever has happened between the request's check and here is seen in the next turn.
        watched.look_at = 0.0
        watched.streams.add(subscriber)

    def unwatch(self, principal: Principal, subscriber: Subscriber) -> None:
        """Its stream has ended."""
        watched = self._watched[principal.credential]
        watched.streams.discard(subscriber)
        self._leaving.pop(subscriber, None)
        if not watched.streams:
            del self._watched[principal.credential]

    def on_announcement(self, payload: bytes | None) -> None:
        """Somebody's access has changed; None: announcements may have been missed."""
        if payload == b"?":
            return  # a test of the right to publish (rights.lua)
        try:
            text, worker_id = (payload or b"").decode().split(" ", 1)
            counted: int | None = int(text)
        except ValueError:
            counted, worker_id = None, ""
        # Nothing was missed before this one: what is remembered of others is still good.
        is_next = counted is not None and self._heard == counted - 1
        self._access.forget(worker_id if is_next else None)
        self._heard = counted
        if counted is not None and self._changes == counted - 1:
            self._changes = counted
            self._changed.add(worker_id)  # a list of workers may change, one after the other
        else:
            self._changes = None
        self._wake.set()

    def stop(self) -> None:
        """This process ends."""
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
                log.exception("the guard failed")  # and the next turn is made all the same
            gevent.sleep(_RETRY_S)
            self._wake.set()

    def _turn(self) -> None:
        # Marked before anything can fail: what is not looked at now is due in the next turn.
        changed, self._changed = self._changed, set()
        if changed:
            self._mark(
                each for each in self._watched.values() if each.principal.worker.id in changed
            )
        # Read before looking: a change between the two is counted again, and looked at again.
        before = self._changes
        counted = self._access.changes()
        if counted != self._changes:
            self._mark(self._watched.values())
            if self._changes is not None:  # else forgotten as that became unknown, or never known
                self._access.forget()
        now = time.monotonic()
        due = [credential for credential, each in self._watched.items() if each.look_at <= now]
        for first in range(0, len(due), _AT_ONCE):
            self._look(due[first : first + _AT_ONCE])
        # Not before: what fails above is due again in the next turn. Where an announcement has
        # moved it on meanwhile, the next turn compares again.
        if self._changes == before:
            self._changes = counted

    def _mark(self, changed: Iterable[_Watched]) -> None:
        for each in changed:
            each.look_at = 0.0

    def _look(self, credentials: list[Credential]) -> None:
        asked_at = time.monotonic()
        # Taken back by an announcement that comes while the answer is under way.
        for credential in credentials:
            if credential in self._watched:
                self._watched[credential].look_at = float("inf")
        try:
            answers = self._access.revalidate(credentials)
        except (PoolTimeout, StoreUnavailable):
            self._mark(self._watched[each] for each in credentials if each in self._watched)
            raise
        except Exception:
            if len(credentials) > 1:
                for each in credentials:
                    self._look([each])  # one that cannot be read must not shield the others
                return
            log.exception("a credential cannot be read, and lets nobody in")
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
                # At different moments, so that not all are due together once they were.
                look_s = random.uniform(0.5, 1.0) * _LOOK_S  # noqa: S311 - spreads load
                watched.look_at = min(watched.look_at, asked_at + min(answer[1] + 0.5, look_s))

    def _close(self, watched: _Watched) -> None:
        principal, now = watched.principal, time.monotonic()
        closed = [each for each in watched.streams if each not in self._leaving]
        for subscriber in closed:
            subscriber.close()
            self._leaving[subscriber] = now
        watched.look_at = float("inf")
        if closed:
            audit_log.record(
                "streams_closed", worker=principal.worker.id, means=principal.auth_method,
                credential=principal.id, streams=len(closed),
            )  # fmt: skip

    def _hang_up(self) -> None:
        """On those who were to go and have not: their connection does not take the goodbye."""
        now = time.monotonic()
        for subscriber, since in list(self._leaving.items()):
            if now - since >= _GOODBYE_S:
                subscriber.abandon()


def _may_still_watch(before: Principal, now: Principal) -> bool:
    return now.may(Role.OBSERVER) and now.board == before.board
