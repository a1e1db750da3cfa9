"""What a fault acts on, and what it notes: its servers, its times, and whether it happened."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import gevent

from proof.deployment.site import Site
from proof.failover.observer import Observer
from tests.support.servers import RealServer

_PROMOTION_S = 40.0  # on a loaded machine


@dataclass
class Stage:
    """One fault under way."""

    site: Site
    observer: Observer
    random: random.Random
    is_short: bool = True
    struck_s: float = 0.0
    ended_s: float = 0.0  # when another server was promoted, or the fault had its effect
    has_happened: bool = False
    boards: list[str] = field(default_factory=list)  # those concerned
    note: str = ""

    def choose(self) -> RealServer:
        """The primary of a random board, for the fault to strike."""
        return self.site.primary_of(self.random.choice(self.site.boards))

    def wait_a_moment(self) -> None:
        """Wait a random time, so that the fault meets the load at another moment with each seed."""
        gevent.sleep(self.random.uniform(0.2, 0.8))

    def strike(self, *servers: RealServer) -> None:
        """Note that the fault begins now, at these servers."""
        self.boards = [each for each in self.site.boards if self.site.primary_of(each) in servers]
        self.struck_s = time.monotonic()

    def wait_for_promotion(self) -> None:
        def is_promoted() -> bool:
            return self.observer.promoted_after(self.struck_s) is not None

        if self.wait_for(is_promoted, _PROMOTION_S):
            promotion = self.observer.promoted_after(self.struck_s)
            assert promotion is not None
            self.happened(promotion.at_s)

    def happened(self, at_s: float | None = None) -> None:
        self.has_happened = True
        self.ended_s = time.monotonic() if at_s is None else at_s

    def wait_for(self, condition: Callable[[], object], timeout_s: float) -> bool:
        """Wait for the condition; whether it became true in time."""
        deadline_s = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > deadline_s:
                return False
            gevent.sleep(0.02)
        return True
