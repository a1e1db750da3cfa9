"""A revocation whose store is scripted.

The store counts and answers as Redis would at the moment of the question, and holds the answer
back until the test lets it go. So each test says exactly what came in between.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, cast

import gevent
from gevent.event import Event

from occupancy.access.authenticator import Authenticator
from occupancy.core.entities import Role, Worker
from occupancy.core.principal import Credential, Principal
from occupancy.live.revocation import Revocation
from occupancy.live.subscriber import Subscriber
from tests.support.waiting import wait_until


class Gate:
    """Where a question waits for its answer: open, unless the test has shut it."""

    def __init__(self) -> None:
        self.waiting = 0
        self._open = Event()
        self._open.set()

    def shut(self) -> None:
        self._open.clear()

    def open(self) -> None:
        self._open.set()

    def __call__(self) -> None:
        self.waiting += 1
        self._open.wait()
        self.waiting -= 1


class ScriptedAccess(Authenticator):
    """Answers from what the test says; each answer is decided first and then held at a gate."""

    def __init__(self) -> None:
        self.counted = 0
        self.ends_in_s: dict[Credential, float] = {}  # of the good ones
        self.asked: list[list[Credential]] = []
        self.forgotten: list[str | None] = []  # workers; None: all
        self.is_asked = False  # a question is under way
        self.failure: Exception | None = None
        self.unreadable: set[Credential] = set()
        self.counting, self.looking = Gate(), Gate()
        self.switch: Callable[[], None] = lambda: None

    def changes(self) -> int:
        counted = self.counted
        self._hold(self.counting)
        return counted

    def revalidate(self, credentials: Sequence[Credential]) -> list[tuple[Principal, float] | None]:
        self.asked.append(list(credentials))
        answers = [
            (caller_of(each), self.ends_in_s[each]) if each in self.ends_in_s else None
            for each in credentials
        ]
        self._hold(self.looking)
        if self.unreadable & set(credentials):
            raise ValueError("not a worker")
        return answers

    def forget(self, worker_id: str | None = None) -> None:
        self.forgotten.append(worker_id)

    def _hold(self, gate: Gate) -> None:
        self.is_asked = True
        gate()
        self.switch()
        self.is_asked = False
        if self.failure is not None:
            raise self.failure


class Stream(Subscriber):
    """An open stream that ends when it is told to, unless its connection takes nothing."""

    def __init__(self, *, is_stuck: bool = False) -> None:
        super().__init__(cast(Any, None), cast(Any, None))
        self.is_closed = False
        self._is_stuck = is_stuck
        self._end = Event()

    def close(self) -> None:
        super().close()
        self.is_closed = True
        if not self._is_stuck:
            self._end.set()

    def abandon(self) -> None:
        super().abandon()
        self._end.set()

    def leave(self) -> None:
        """The client goes away."""
        self._end.set()

    def run(self, revocation: Revocation, principal: Principal) -> None:
        revocation.watch(principal, self)
        try:
            self._end.wait()
        finally:
            revocation.unwatch(principal, self)


class Harness:
    """A revocation, the streams that it watches, and an authenticator that access changes in."""

    def __init__(self) -> None:
        self.access = ScriptedAccess()
        self.revocation = Revocation(self.access)
        self._greenlets: list[gevent.Greenlet] = []

    def open(self, worker: str, credential: str = "", *, is_stuck: bool = False) -> Stream:
        """A stream of a worker whose credential is good when it is opened."""
        principal = caller_of(credential_of(worker, credential))
        self.access.ends_in_s.setdefault(principal.credential, float("inf"))
        stream = Stream(is_stuck=is_stuck)
        self._greenlets.append(gevent.spawn(stream.run, self.revocation, principal))
        gevent.sleep(0)
        return stream

    def revoke(self, worker: str, credential: str = "", *, is_lost: bool = False) -> bytes:
        """End a credential; announce it, unless that is lost. Returns the announcement."""
        self.access.ends_in_s.pop(credential_of(worker, credential), None)
        self.access.counted += 1
        announcement = f"{self.access.counted} {worker}".encode()
        if not is_lost:
            self.revocation.on_announcement(announcement)
        return announcement

    def settle(self) -> None:
        """Wait until every credential is checked and it waits for the next turn."""
        revocation = self.revocation
        wait_until(
            lambda: (
                not self.access.is_asked
                and revocation._changes == self.access.counted
                and not revocation._changed
                and not revocation._wake.is_set()
                and all(each.check_at > time.monotonic() for each in revocation._watched.values())
            ),
            what="the check's end",
        )

    @property
    def asked(self) -> int:
        """How many credentials were looked at."""
        return sum(map(len, self.access.asked))

    def close(self) -> None:
        self.revocation.stop()
        gevent.killall(self._greenlets)


def credential_of(worker: str, name: str = "") -> Credential:
    return Credential("session", f"{worker}:{name}")


def caller_of(credential: Credential) -> Principal:
    worker = Worker(credential.digest.partition(":")[0], "Name", "worker")
    return Principal(worker=worker, role=Role.WORKER, credential=credential, id="id")


def is_closed(*streams: Stream) -> Callable[[], bool]:
    return lambda: all(each.is_closed for each in streams)
