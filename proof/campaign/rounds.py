"""One round of any kind, on a set-up that runs."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gevent
import redis

from proof.access.run import run_part
from proof.campaign.kinds import ACCESS, LOST_ANSWERS, RECONNECTS, ROLLING_RESTARTS, Kind, SetUp
from proof.campaign.load_faults import LOSE_ANSWERS
from proof.day.run import run_days
from proof.deployment.site import site_on
from proof.failover.faults import faults_of
from proof.failover.run import run_round as run_failover
from proof.history.contents import Contents
from proof.network.proxy import FaultProxy
from proof.results import why_void
from proof.single.round import Result, Round
from proof.single.run import FAULTS, OPERATIONS
from proof.single.run import run_round as run_faults
from proof.single.site import Site, running
from proof.single.stage import Fault

_RESTARTS_OF_A_ROUND = 4
_SEVERAL_OPERATIONS = 10_000  # of a round with several faults, at least
_RECONNECT_EVERY_S = 0.2
NO_START = (AssertionError, OSError, gevent.Timeout, redis.RedisError)

Row = dict[str, Any]


class Runner:
    """Runs rounds on one set-up."""

    def __init__(
        self, set_up: SetUp, run: Callable[[Kind, int], Row], log_text: Callable[[], str]
    ) -> None:
        self._set_up, self._run = set_up, run
        self.log_text = log_text
        self.is_worn_out = False  # nobody knows what state it is in

    def run(self, kind: Kind, seed: int) -> Row:
        row = self._run(kind, seed)
        self.is_worn_out = row.pop("ended_early", False)
        return row_of(kind, self._set_up, row)


def row_of(kind: Kind, set_up: SetUp, row: Row) -> Row:
    """A round's result, with what it ran on."""
    fault = row.pop("fault", None)
    return {
        "kind": kind.name, "topology": set_up.topology, "server": set_up.server,
        "nodes": set_up.nodes, "is_strict": set_up.is_strict,
        "faults": [fault] if fault else row.pop("faults", []), "notes": row.pop("notes", []), **row,
    }  # fmt: skip


@contextlib.contextmanager
def runner_on(set_up: SetUp) -> Iterator[Runner]:
    """Start a set-up, and stop it at the end. Raises one of :data:`NO_START`."""
    with tempfile.TemporaryDirectory(prefix="occ-prove-") as name:
        directory = Path(name)
        if set_up.topology == "day":
            log: list[str] = []
            yield Runner(
                set_up, lambda _, seed: run_days(set_up.server, directory, seed=seed, log=log),
                lambda: "\n".join(log),
            )  # fmt: skip
        elif set_up.topology == "access":
            yield Runner(
                set_up,
                lambda kind, seed: run_part(ACCESS[kind.name], set_up.server, directory, seed=seed),
                lambda: "",
            )
        elif set_up.topology == "single":
            site = Site(
                set_up.server, directory, nodes=set_up.nodes,
                make_link=FaultProxy if set_up.has_links else None,
                has_preloads=set_up.has_preloads,
            )  # fmt: skip
            with running(site):
                yield Runner(
                    set_up, lambda kind, seed: vars(_run_single(site, kind, seed)), site.log_text
                )
        else:
            contents = Contents()
            with site_on(
                set_up.topology, set_up.server, directory, is_strict=set_up.is_strict
            ) as failover_site:
                faults = faults_of(set_up.topology, set_up.server, is_strict=set_up.is_strict)
                yield Runner(
                    set_up,
                    lambda kind, seed: vars(
                        run_failover(
                            failover_site, contents, kind.fault, faults[kind.fault], seed=seed,
                            is_short=False,
                        )
                    ),
                    failover_site.log_text,
                )  # fmt: skip


def _run_single(site: Site, kind: Kind, seed: int) -> Result:
    if kind.part in ("single faults", "several faults", "storms"):
        operations = OPERATIONS if kind.part == "single faults" else _SEVERAL_OPERATIONS
        return run_faults(site, kind.plan(seed), operations=operations)
    faults: list[tuple[str, Fault]] = {
        LOST_ANSWERS: [(LOST_ANSWERS, LOSE_ANSWERS)],
        RECONNECTS: [("connections-killed", FAULTS["connections-killed"])],
        ROLLING_RESTARTS: [("rolling-restart", FAULTS["rolling-restart"])] * _RESTARTS_OF_A_ROUND,
    }[kind.name]
    every_s = _RECONNECT_EVERY_S if kind.name == RECONNECTS else 1.0
    try:
        return Round(site, faults, seed, operations=OPERATIONS, reconnect_every_s=every_s).run()
    except NO_START as error:
        void = why_void(error)
        return Result([name for name, _ in faults], seed, void=void, ended_early=True)
