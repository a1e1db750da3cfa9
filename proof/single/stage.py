"""What a fault acts on, and what it notes: its times, and whether it happened."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import gevent

from proof.history.history import Loss
from proof.single.site import Site

Subject = Literal["processes", "server", "client link", "server link", "clock"]


@dataclass(frozen=True)
class Fault:
    """A kind of fault. What ``act`` does is in its docstring, in one line.

    ``act`` runs once, in a greenlet of its own, under load. It undoes the fault before it returns:
    servers run, settings and links are restored. Faults of one ``subject`` run in turn, those of
    different subjects at the same time.
    """

    act: Callable[[Stage], None]
    subject: Subject
    stops_everything: bool = False  # no operation can succeed from the strike to the end
    may_lose: bool = False  # acknowledged operations may be lost, by design


@dataclass
class Stage:
    """One fault under way, for one ``act``."""

    site: Site
    random: random.Random
    boards: Sequence[str] = ()  # those of the round
    struck_s: float = 0.0
    ended_s: float = 0.0  # when operations could succeed again
    has_happened: bool = False
    clock_fault_s: float = 0.0  # how far the server's clock was set forward or back, in all
    losses: list[Loss] = field(default_factory=list)  # times whose changes may be lost
    rolling_restarts: int = 0
    note: str = ""

    def strike(self) -> None:
        """Note that the fault begins now."""
        self.struck_s = time.monotonic()

    def happened(self) -> None:
        """Note that the fault had its effect, as seen from outside, and is over."""
        self.has_happened = True
        self.ended_s = time.monotonic()

    def last(self, least_s: float, most_s: float) -> None:
        """Wait a random time while the fault lasts."""
        gevent.sleep(self.random.uniform(least_s, most_s))

    def wait_for(self, condition: Callable[[], object], timeout_s: float = 30.0) -> bool:
        """Wait for the condition; whether it became true in time."""
        deadline_s = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > deadline_s:
                return False
            gevent.sleep(0.02)
        return True
