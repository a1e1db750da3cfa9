"""A credential, what it is worth, and the parts that its states are made of; see ``states.py``."""

from __future__ import annotations

import functools
import itertools
import json
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from occupancy.access.pins import hash_pin
from occupancy.access.sessions import Session
from occupancy.access.stations.station import Station
from occupancy.core.entities import Role
from occupancy.core.principal import Credential as StoredCredential
from occupancy.core.principal import digest_of
from proof.access.calls import PIN, Sender
from proof.access.expected import NOTHING, Holds
from proof.access.site import Site

CSRF = "X-CSRF-Token"
Headers = dict[str, str]


@dataclass
class Credential:
    """What a caller sends, in turn one of ``variants``, and what that is worth.

    ``end`` brings it into its state, after it has been used on each process: these remember it.
    """

    worker: str
    variants: list[Headers]
    holds: Holds
    end: Callable[[], Any] | None = None
    before: Holds | None = None  # what it was worth until then
    ends_silently: bool = False  # nothing announces it: a process may remember it for 2 s
    query: str = ""
    source: str | None = None  # the address that it is sent from
    _turns: Iterator[Headers] = field(init=False)

    def __post_init__(self) -> None:
        self._turns = itertools.cycle(self.variants)

    def headers(self) -> Headers:
        return next(self._turns)


class AtStation(NamedTuple):
    """A worker who is signed in by a badge; ``own`` is the secret of the session."""

    worker: str
    badge: str
    station: str
    own: str
    session: Session


class Maker:
    """Makes workers, tokens, sessions and tickets, as the command line does."""

    def __init__(self, site: Site, sender: Sender) -> None:
        self._site, self._sender, self._services = site, sender, site.services
        self._elsewhere = site.services_of(site.prefix + "-2")  # another deployment
        self._cookie = site.services.settings.cookie_name

    def _worker(self, role: str) -> str:
        worker = f"w-{secrets.token_hex(4)}"
        self._services.workers.add(worker, name=worker, role=Role.of(role))
        return worker

    def _token(self, worker_role: str, **narrowed: Any) -> tuple[str, str, Any]:
        worker = self._worker(worker_role)
        return worker, *self._services.tokens.create(worker, **narrowed)

    def _session(self, worker: str) -> tuple[str, Session]:
        link = self._services.links.create(worker)
        return self._services.sign_in.with_link(link, address="127.0.0.1")

    def _wall(self, secret: str) -> tuple[str, Session]:
        """A session that a token opens."""
        known = self._services.authenticator.identify(StoredCredential("token", digest_of(secret)))
        return self._services.sign_in.with_token(known, address="127.0.0.1")

    def _at_station(self, role: str, board: str | None = None) -> AtStation:
        """A worker who has signed in by a badge at a station."""
        services, worker, code = self._services, self._worker(role), secrets.token_hex(8)
        services.workers.edit(worker, pin_hash=_pin_hash())
        badge, _ = services.badges.add(worker, code, by="proof")
        secret, station = self._station(board)
        known = services.authenticator.identify(StoredCredential("station", digest_of(secret)))
        own, session = services.sign_in.with_badge(known, code, address="127.0.0.1")
        return AtStation(worker, badge.id, station.id, own, session)

    def _station(self, board: str | None = None) -> tuple[str, Station]:
        link, _ = self._services.stations.create("proof", by="proof", board=board)
        return self._services.stations.pair(link)

    def _by_cookie(
        self, worker: str, own: str, session: Session, holds: Holds, *, is_wall: bool = False,
        name: str | None = None,
    ) -> Credential:  # fmt: skip
        headers = {"Cookie": f"{name or self._cookie}={own}", CSRF: session.csrf_token}
        worth = Holds(holds.role, is_cookie=True, is_own_sign_in=not is_wall)
        return Credential(worker, [headers, {**headers, "Sec-Fetch-Site": "same-origin"}], worth)

    def _ended(
        self, worker: str, secret: str, role: str, end: Callable[[], Any]
    ) -> Credential:  # fmt: skip
        return Credential(worker, [bearer(secret)], NOTHING, before=Holds(role), end=end)

    def _ended_session(self, made: Credential, end: Callable[[], Any]) -> Credential:
        made.before, made.holds, made.end = made.holds, NOTHING, end
        return made

    def _store(self, key: str, secret: str, **changes: int) -> None:
        """Change what is stored of a credential: as if time had passed."""
        client, digest = self._services.store.client, digest_of(secret)
        stored: Any = client.hget(key, digest)
        client.hset(key, digest, json.dumps({**json.loads(stored), **changes}))

    def _disable(self, worker: str) -> None:
        self._services.workers.edit(worker, disabled=True)

    def _ticket(self, secret: str) -> str:
        answer = self._sender.send("POST", "/api/tickets", bearer(secret))
        assert answer.status == 201, answer
        return f"?ticket={answer.body['ticket']}"

    def _use(self, path: str) -> None:
        assert self._sender.send("GET", path, {}).status == 200


@functools.cache
def _pin_hash() -> str:
    return hash_pin(PIN)


def bearer(secret: str) -> Headers:
    return {"Authorization": f"Bearer {secret}"}
