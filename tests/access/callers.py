"""Workers with tokens, and a clock that stands still, for the tests of who is let in."""

from __future__ import annotations

import time

from occupancy.core.entities import Role, Worker
from occupancy.core.principal import Credential, digest_of
from occupancy.services import Services


class Clock:
    """Stands in for the module ``time``: moves only when told to."""

    def __init__(self) -> None:
        self.now_s = time.time()

    def monotonic(self) -> float:
        return self.now_s

    def time(self) -> float:
        return self.now_s


def new_token(services: Services, worker: str = "93", *, days: int | None = None) -> str:
    services.workers.add(worker, name=f"Worker {worker}", role=Role.WORKER)
    return services.tokens.create(worker, days=days)[0]


def identify(services: Services, secret: str) -> Worker:
    """Whose token it is."""
    return services.authenticator.identify(Credential("token", digest_of(secret))).worker
