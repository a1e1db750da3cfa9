"""Revocations at random moments, while callers with that access send requests on each process.

A batch has one worker for each kind of revocation. Each worker has every way in, with callers and
streams of each way on both processes. What must end is refused within PROMISED_S of the moment at
which the revocation was acknowledged, and stays so; what must not end goes on.
"""

from __future__ import annotations

import copy
import random
import secrets
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import gevent

from occupancy.access.pins import hash_pin
from occupancy.access.stations.badge import Badges
from occupancy.access.stations.station import Stations
from occupancy.access.tokens import Tokens
from occupancy.access.workers import Workers
from occupancy.core.entities import Role
from occupancy.core.principal import Credential, digest_of
from occupancy.services import Services
from proof.access.callers import Caller, Watcher, only
from proof.access.calls import EVENTS_PATH, PIN, Sender
from proof.access.site import BOARD, Site
from tests.support.elsewhere import (
    badges_elsewhere,
    stations_elsewhere,
    tokens_elsewhere,
    workers_elsewhere,
)
from tests.support.waiting import wait_until

PROMISED_S = 5.0
NEW_PIN = "528104"
_BEFORE_S = (0.1, 1.5)  # how long all callers have worked when it comes
_REFUSED = (401, 403)

_SESSIONS = {
    "session", "other session", "session by token", "session by badge", "ticket of session",
}  # fmt: skip
_ALL = {"token", "other token", *_SESSIONS}  # a station is nobody's
# What each kind ends. A lower role ends no way in: operations are refused, reads and streams go on.
KINDS: dict[str, set[str]] = {
    "token revoked": {"token", "session by token"},
    "worker disabled": _ALL,
    "signed out": {"session", "ticket of session"},
    "signed out everywhere": _SESSIONS,
    "PIN changed by an administrator": _SESSIONS,
    "PIN changed by the worker": _SESSIONS,
    "role lowered": set(),
    "badge removed": {"session by badge"},
    "station revoked": {"session by badge", "station"},
}
# Live connections are cut again and again; the announcement reaches nobody.
TROUBLES = ("", "", "live connections cut", "not announced")


class Way(NamedTuple):
    """One way in: the headers, or the ticket, that a caller has."""

    headers: dict[str, str]
    query: str = ""


class Revokers(NamedTuple):
    """What carries out a revocation, as a command does."""

    workers: Workers
    tokens: Tokens
    badges: Badges
    stations: Stations


class Figures(NamedTuple):
    """How late a kind's last acceptances and its streams' ends were, in seconds; 0: not late."""

    last_accepted_s: float
    streams_ended_s: float
    answers: int


class Worker:
    """A worker with every way in."""

    def __init__(self, site: Site, sender: Sender, kind: str, pin_hash: str) -> None:
        services = site.services
        self.id, self.kind = f"w-{secrets.token_hex(4)}", kind
        services.workers.add(self.id, name=self.id, role=Role.SUPERVISOR, pin_hash=pin_hash)
        secret, self.token = services.tokens.create(self.id)
        other, _ = services.tokens.create(self.id)
        known = services.authenticator.identify(Credential("token", digest_of(secret)))
        by_token = services.sign_in.with_token(known, address="127.0.0.1")
        name = services.settings.cookie_name
        station, self.station = services.stations.pair(
            services.stations.create(self.id, by="proof")[0]
        )
        at_station = services.authenticator.identify(Credential("station", digest_of(station)))
        code = secrets.token_hex(8)
        self.badge, _ = services.badges.add(self.id, code, by="proof")
        by_badge = services.sign_in.with_badge(at_station, code, address="127.0.0.1")
        self.ways = {
            "token": Way({"Authorization": f"Bearer {secret}"}),
            "other token": Way({"Authorization": f"Bearer {other}"}),
            "session by token": _cookie(name, *by_token),
            "session by badge": _cookie(name, *by_badge),
            "station": _cookie(f"{name}-station", station, self.station),
            **{each: _cookie(name, *_session(services, self.id))
               for each in ("session", "other session")},
        }  # fmt: skip
        ticket = sender.send("POST", "/api/tickets", self.ways["session"].headers)
        self.ways["ticket of session"] = Way({}, f"?ticket={ticket.body['ticket']}")
        self.asked_s, self.acked_s = 0.0, 0.0  # the revocation: begun, acknowledged (monotonic)
        self.callers: dict[tuple[str, str, int], Caller] = {}  # way, what, pid
        self.watchers: dict[tuple[str, int], Watcher] = {}

    def connect(self, port: int, pid: int, chance: random.Random) -> None:
        """Open streams, and connections for requests; ``pid`` accepts them."""
        for name, way in self.ways.items():
            path = EVENTS_PATH + way.query
            self.watchers[name, pid] = Watcher(port, path=path, headers=way.headers)
            for what, method, sent in self._requests(path, way):
                self.callers[name, what, pid] = Caller(
                    port, chance, method=method, path=sent, headers=way.headers
                )

    def _requests(self, events: str, way: Way) -> Iterator[tuple[str, str, str]]:
        if way.query:
            yield "stream", "HEAD", events
            return
        yield "read", "GET", "/api/session"
        if way != self.ways["station"]:  # which only reads
            yield "operation", "POST", f"/api/boards/{BOARD}/items/T-{self.id}/take"

    def must_end(self, way: str, what: str) -> bool:
        is_lowered = self.kind == "role lowered" and what == "operation"
        return is_lowered or way in KINDS[self.kind]

    def is_at_work(self) -> bool:
        """Whether each caller has had an answer."""
        return all(each.seen for each in self.callers.values())

    def has_asked_late(self) -> bool:
        """Whether each caller has had an answer to a request from after the promised time."""
        late_s = self.acked_s + PROMISED_S
        return all(each.seen and each.seen[-1].sent_s > late_s for each in self.callers.values())

    def violations(self) -> Iterator[str]:
        """What was let in too late, or refused although it was good; and what shows nothing."""
        for (way, what, pid), caller in self.callers.items():
            name = f"{self.kind}: {what} by {way} in process {pid}"
            before = [each.status for each in caller.seen if each.answered_s < self.asked_s]
            late = [each for each in caller.seen if each.sent_s > self.acked_s + PROMISED_S]
            if 0 in (each.status for each in caller.seen):
                yield f"{name} was not answered"
            if not before or not late:
                yield f"{name} shows nothing: no request before, or after"
            if self.must_end(way, what):
                if any(each.status not in _REFUSED for each in late):
                    yield f"{name} was let in {late[0].sent_s - self.acked_s:.2f} s later"
                if set(before) & set(_REFUSED):
                    yield f"{name} was refused before"
            elif any(each.status in _REFUSED for each in caller.seen):
                yield f"{name} was refused"
        for (way, pid), watcher in self.watchers.items():
            name = f"{self.kind}: stream of {way} in process {pid}"
            if not self.must_end(way, "stream"):
                if watcher.ended_s is not None:
                    yield f"{name} has ended"
            elif watcher.ended_s is None:
                yield f"{name} goes on"
            elif watcher.ended_s > self.acked_s + PROMISED_S:
                yield f"{name} ended {watcher.ended_s - self.acked_s:.2f} s later"

    def figures(self) -> Figures:
        """How late the last acceptance and the last stream's end were."""
        accepted = [
            each.sent_s - self.acked_s
            for (way, what, _), caller in self.callers.items() if self.must_end(way, what)
            for each in caller.seen if each.status not in _REFUSED
        ]  # fmt: skip
        ended = [
            each.ended_s - self.acked_s
            for each in self.watchers.values() if each.ended_s is not None
        ]  # fmt: skip
        return Figures(
            max(0.0, *accepted), max([0.0, *ended]),
            sum(len(each.seen) for each in self.callers.values()),
        )  # fmt: skip

    def begin(self) -> None:
        """Send requests on all connections."""
        for each in self.callers.values():
            each.start()

    def stop(self) -> None:
        for caller in self.callers.values():
            caller.stop()
        for watcher in self.watchers.values():
            watcher.stop()


class Revocations:
    """Carries out batches on a site."""

    def __init__(self, site: Site, *, seed: int) -> None:
        self._site, self._chance = site, random.Random(f"revocations {seed}")
        self._sender = Sender(site.port)
        self._pin_hash = hash_pin(PIN, "")
        self._admin = {"Authorization": f"Bearer {site.admin_token}"}
        keys = copy.copy(site.services.store.keys)
        keys.access_channel = f"{site.prefix}:nowhere"
        self._unheard = Revokers(
            workers_elsewhere(site.services, keys), tokens_elsewhere(site.services, keys),
            badges_elsewhere(site.services, keys), stations_elsewhere(site.services, keys),
        )  # fmt: skip

    def batch(self, trouble: str | None = None) -> list[Worker]:
        """One revocation of each kind, at a moment of its own; the workers, to be judged."""
        drawn = self._chance.choice(TROUBLES) if trouble is None else trouble
        pids = self._site.gunicorn.worker_pids()
        workers = [Worker(self._site, self._sender, kind, self._pin_hash) for kind in KINDS]
        cutter = gevent.spawn(self._cut) if drawn == "live connections cut" else None
        try:
            for each in workers:
                answer = self._sender.send(
                    "PUT", f"/api/boards/{BOARD}/items/T-{each.id}", self._admin, {}
                )
                assert answer.status == 201, answer
            for pid in pids:
                with only(pid, pids):
                    for each in workers:
                        each.connect(self._site.port, pid, self._chance)
            for each in workers:
                each.begin()
            wait_until(lambda: all(each.is_at_work() for each in workers), timeout_s=60)
            revoking = [
                gevent.spawn_later(
                    self._chance.uniform(*_BEFORE_S), self._revoke, each,
                    is_announced=drawn != "not announced",
                    by_http=bool(self._chance.getrandbits(1)),
                )
                for each in workers
            ]  # fmt: skip
            gevent.joinall(revoking, raise_error=True)
            wait_until(lambda: all(each.has_asked_late() for each in workers), timeout_s=60)
        finally:
            if cutter is not None:
                cutter.kill()
            for each in workers:
                each.stop()
        return workers

    def close(self) -> None:
        self._sender.close()

    def _revoke(self, worker: Worker, *, is_announced: bool, by_http: bool) -> None:
        """Carry out one revocation, over HTTP or as the command line does."""
        services = self._site.services
        worker.asked_s = time.monotonic()
        revokers = self._unheard
        if is_announced:
            revokers = Revokers(
                services.workers, services.tokens, services.badges, services.stations
            )
        session = worker.ways["session"].headers
        own: dict[str, tuple[str, str, Any]] = {
            "signed out": ("DELETE", "/api/session", None),
            "PIN changed by the worker":
                ("PUT", "/api/session/pin", {"pin": PIN, "new_pin": NEW_PIN}),
        }  # fmt: skip
        if worker.kind in own:
            method, path, body = own[worker.kind]
            self._send(method, path, session, body)
        elif by_http and is_announced:
            self._send(headers=self._admin, **_request_of(worker))
        else:
            _commands(worker, *revokers)[worker.kind]()
        worker.acked_s = time.monotonic()

    def _send(self, method: str, path: str, headers: dict[str, str], body: Any) -> None:
        sender = Sender(self._site.port)  # its own: others send meanwhile
        try:
            answer = sender.send(method, path, headers, body)
        finally:
            sender.close()
        assert answer.status in (200, 204), (method, path, answer)

    def _cut(self) -> None:
        with self._site.server.client() as client:
            while True:
                client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
                gevent.sleep(0.1)


def _request_of(worker: Worker) -> dict[str, Any]:
    """What an administrator sends."""
    path = f"/api/workers/{worker.id}"
    put: dict[str, dict[str, Any]] = {
        "worker disabled": {"disabled": True},
        "PIN changed by an administrator": {"pin": NEW_PIN},
        "role lowered": {"role": "observer"},
    }
    if worker.kind in put:
        return {"method": "PUT", "path": path, "body": put[worker.kind]}
    if worker.kind == "token revoked":
        return {"method": "DELETE", "path": f"/api/tokens/{worker.token.id}", "body": None}
    if worker.kind == "badge removed":
        return {"method": "DELETE", "path": f"{path}/badges/{worker.badge.id}", "body": None}
    if worker.kind == "station revoked":
        return {"method": "DELETE", "path": f"/api/stations/{worker.station.id}", "body": None}
    return {"method": "DELETE", "path": f"{path}/sessions", "body": None}


def _commands(
    worker: Worker, workers: Workers, tokens: Tokens, badges: Badges, stations: Stations
) -> dict[str, Callable[[], Any]]:  # fmt: skip
    """What the command line does."""
    return {
        "token revoked": lambda: tokens.revoke(worker.token.id),
        "worker disabled": lambda: workers.edit(worker.id, disabled=True),
        "signed out everywhere": lambda: workers.sign_out(worker.id),
        "PIN changed by an administrator":
            lambda: workers.edit(worker.id, pin_hash=hash_pin(NEW_PIN, worker.id)),
        "badge removed": lambda: badges.remove(worker.id, worker.badge.id),
        "station revoked": lambda: stations.revoke(worker.station.id),
        "role lowered": lambda: workers.edit(worker.id, role=Role.OBSERVER.label),
    }  # fmt: skip


def _session(services: Services, worker: str) -> tuple[str, Any]:
    return services.sign_in.with_link(services.links.create(worker), address="127.0.0.1")


def _cookie(name: str, secret: str, session: Any) -> Way:
    return Way({"Cookie": f"{name}={secret}", "X-CSRF-Token": session.csrf_token})
