"""A run on one server: each fault alone, and several at once."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import gevent
import redis

from proof.network.proxy import FaultProxy
from proof.results import Results, keep_log
from proof.single import (
    clock_faults,
    network_faults,
    process_faults,
    resource_faults,
    server_faults,
)
from proof.single.preload import has_compiler
from proof.single.round import Result, Round
from proof.single.site import Site, running
from proof.single.stage import Fault

FAULTS: dict[str, Fault] = {
    **process_faults.FAULTS, **server_faults.FAULTS, **network_faults.FAULTS,
    **clock_faults.FAULTS, **resource_faults.FAULTS,
}  # fmt: skip
SEVERAL = "several"  # of different kinds at once, drawn from the seed
OPERATIONS = 5_000  # of each round, at least
_MOST_AT_ONCE = 4
_ROUNDS_OF_A_SITE = 30
_LOSE_EVERY = 6  # of the acknowledgements that pass a link
_NEED_LINKS = set(network_faults.FAULTS)
_NEED_PRELOADS = {*clock_faults.FAULTS, "disk-full"}


class Plan(NamedTuple):
    """A round to come."""

    names: tuple[str, ...]
    seed: int

    @property
    def needs(self) -> tuple[bool, bool]:
        """Whether its site needs links, and another clock and disk."""
        names = set(self.names)
        return bool(names & _NEED_LINKS), bool(names & _NEED_PRELOADS)


class SingleRun:
    """Adds to the results."""

    def __init__(
        self, directory: Path, results: Results, *, seed: int, rounds: int,
        operations: int = OPERATIONS,
    ) -> None:  # fmt: skip
        self._directory, self._results = directory, results
        self._seed, self._rounds, self._operations = seed, rounds, operations
        self._site_count = 0

    def measure(self, server: str, *, nodes: int, only: Sequence[str] | None = None) -> None:
        """The faults in ``only``, or all and then several at once, some rounds each."""
        plans = plans_of(only, seed=self._seed, rounds=self._rounds)
        for (has_links, has_preloads), group in groupby(
            sorted(plans, key=lambda each: each.needs), key=lambda each: each.needs
        ):
            pending = list(group)
            while pending:
                self._site_count += 1
                site = Site(
                    server, self._directory / f"single-{self._site_count}", nodes=nodes,
                    make_link=FaultProxy if has_links else None, has_preloads=has_preloads,
                )  # fmt: skip
                with running(site):
                    pending = self._run_on(site, pending)

    def _run_on(self, site: Site, pending: list[Plan]) -> list[Plan]:
        """Carry out rounds until the site must be replaced; returns the plans that are left."""
        for count, plan in enumerate(pending, 1):
            result = run_round(site, plan, operations=self._operations)
            self._results.add(
                {"topology": "single", "server": site.kind, "nodes": len(site.nodes),
                 **vars(result)}
            )  # fmt: skip
            if result.void or result.violations:
                keep_log(site.log_text())
            if count == _ROUNDS_OF_A_SITE or result.ended_early:
                return pending[count:]
        return []


def plans_of(only: Sequence[str] | None, *, seed: int, rounds: int) -> Iterator[Plan]:
    """Each fault alone, and several at once, with each seed."""
    able = [each for each in FAULTS if has_compiler() or each not in _NEED_PRELOADS]
    for number in range(seed, seed + rounds):
        for name in able:
            if only is None or name in only:
                yield Plan((name,), number)
        if only is None or SEVERAL in only:
            chance = random.Random(f"{SEVERAL} {number}")
            names = chance.sample(able, chance.randint(2, _MOST_AT_ONCE))
            yield Plan(tuple(names), number)


def run_round(site: Site, plan: Plan, *, operations: int) -> Result:
    """One round. It is void if an error ends it."""
    faults = [(name, FAULTS[name]) for name in plan.names]
    try:
        return Round(site, faults, plan.seed, operations=operations, lose_every=_LOSE_EVERY).run()
    except (AssertionError, OSError, gevent.Timeout, redis.RedisError) as error:
        void = f"{type(error).__name__}: {error}"
        return Result(list(plan.names), plan.seed, void=void, ended_early=True)
