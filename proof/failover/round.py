"""One round: a fault under load, then quiet, then the checks."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field
from typing import Any

import gevent

from proof.deployment.site import BUDGET, Site
from proof.failover.checks import figures, violations
from proof.failover.faults import Fault
from proof.failover.load import FailoverLoad
from proof.failover.observer import Observer
from proof.failover.record import Record
from proof.failover.stage import Stage
from proof.history.contents import Contents
from proof.load.wire import Client
from tests.support.waiting import wait_until

_LEAST_CHANGES = 20
_WHOLE_S = 90.0  # a Sentinel takes some 12 s to notice an old primary that is back
_AFTER_S = 0.8


@dataclass
class Result:
    """What a round has shown."""

    fault: str
    seed: int
    void: str = ""  # why it proves nothing
    violations: dict[str, list[str]] = field(default_factory=dict)
    figures: dict[str, Any] = field(default_factory=dict)
    took_s: float = 0.0


class Round:
    """One fault on a site that runs and is whole."""

    def __init__(
        self, site: Site, contents: Contents, name: str, seed: int, *, is_short: bool = True
    ) -> None:
        self._site, self._contents = site, contents
        self._name, self._seed, self._is_short = name, seed, is_short
        self._random = random.Random(f"{name} {seed}")
        self._admin = site.client("admin")

    def run(self, fault: Fault) -> Result:
        began_s = time.monotonic()
        result = Result(self._name, self._seed)
        observer = Observer(self._site.servers)
        load = FailoverLoad(self._site, self._random)
        stage = Stage(self._site, observer, self._random, is_short=self._is_short)
        try:
            logs_before = {each: self._site.log_of(each) for each in self._site.boards}
            load.begin()
            secret, token_id = self._site.new_token()
            revoking = gevent.spawn_later(self._random.uniform(0.3, 2.5), self._revoke, token_id)
            fault(stage)
            if not stage.wait_for(self._site.servers.is_whole, _WHOLE_S):
                result.void = "the servers did not become whole"
                return result
            gevent.sleep(_AFTER_S)
            load.end()
            revoking.get(timeout=60)
            items = load.settle()
            record = Record(
                people=self._site.people,
                calls=load.calls,
                watchers=load.watchers, items=items,
                logs={each: self._site.log_of(each) for each in self._site.boards},
                logs_before=logs_before, struck_s=stage.struck_s, ended_s=stage.ended_s,
                concerned=stage.boards, most_connections=dict(observer.most_connections),
                budget=BUDGET, revoked_status=self._status_of(secret),
                is_strict=self._site.is_strict, contents=self._contents,
            )  # fmt: skip
            result.figures = figures(record)
            result.violations = violations(record)
            if not stage.has_happened:
                result.void = "the fault did not happen"
            elif result.figures["changes"] < _LEAST_CHANGES:
                result.void = f"only {result.figures['changes']} changes"
        finally:
            observer.stop()
            load.stop()
            self._admin.close()
            result.took_s = time.monotonic() - began_s
        return result

    def _revoke(self, token_id: str) -> None:
        """Revoke a token during the fault, again until it is acknowledged."""
        wait_until(
            lambda: self._admin.send("DELETE", f"/api/tokens/{token_id}").status in (200, 204, 404),
            timeout_s=60, what="the revocation",
        )  # fmt: skip

    def _status_of(self, secret: str) -> int:
        client = Client(self._site.proxy.port, secret)
        try:
            for _ in range(4):  # each process, as a rule
                status = client.send("GET", "/api/session").status
                if status == 200:
                    break
            return status
        finally:
            client.close()
