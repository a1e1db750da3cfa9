"""The rounds on one server: each fault alone, several at once, and storms of many."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import gevent
import redis

from proof.results import why_void
from proof.single import (
    clock_faults,
    network_faults,
    process_faults,
    resource_faults,
    server_faults,
)
from proof.single.preload import has_compiler
from proof.single.round import Result, Round
from proof.single.site import Site
from proof.single.stage import Fault

FAULTS: dict[str, Fault] = {
    **process_faults.FAULTS, **server_faults.FAULTS, **network_faults.FAULTS,
    **clock_faults.FAULTS, **resource_faults.FAULTS,
}  # fmt: skip
SEVERAL = "several"  # of different kinds at once, drawn from the seed
STORM = "storm"  # of many faults, as many at once as have different subjects
OPERATIONS = 5_000  # of each round, at least
_MOST_AT_ONCE = 4
_FAULTS_OF_A_STORM = 24
_LEAST_SHARE_OF_A_STORM = 0.75  # that have an effect: a server that is away cannot be slow too
_RECONNECT_EVERY_S = 0.3  # in a storm
# Each one widens what is possible for the worked time of the whole round.
_NOT_IN_STORMS = {"server-clock", "server-clock-hour"}
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


def plans_of(only: Sequence[str] | None, *, seed: int, rounds: int) -> Iterator[Plan]:
    """Each fault alone, several at once, and a storm, with each seed."""
    able = [each for each in FAULTS if has_compiler() or each not in _NEED_PRELOADS]
    for number in range(seed, seed + rounds):
        for name in able:
            if only is None or name in only:
                yield Plan((name,), number)
        if only is None or SEVERAL in only:
            chance = random.Random(f"{SEVERAL} {number}")
            names = chance.sample(able, chance.randint(2, _MOST_AT_ONCE))
            yield Plan(tuple(names), number)
        if only is None or STORM in only:
            chance = random.Random(f"{STORM} {number}")
            stormy = [each for each in able if each not in _NOT_IN_STORMS]
            yield Plan(tuple(chance.sample(stormy, _FAULTS_OF_A_STORM)), number)


def run_round(site: Site, plan: Plan, *, operations: int) -> Result:
    """One round. It is void if an error ends it."""
    faults = [(name, FAULTS[name]) for name in plan.names]
    is_storm = len(faults) > _MOST_AT_ONCE
    try:
        return Round(
            site, faults, plan.seed, operations=operations, lose_every=_LOSE_EVERY,
            reconnect_every_s=_RECONNECT_EVERY_S if is_storm else 1.0,
            least_share=_LEAST_SHARE_OF_A_STORM if is_storm else 1.0,
        ).run()  # fmt: skip
    except (AssertionError, OSError, gevent.Timeout, redis.RedisError) as error:
        void = why_void(error)
        return Result(list(plan.names), plan.seed, void=void, ended_early=True)
