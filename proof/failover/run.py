"""A round that always has a result."""

from __future__ import annotations

import gevent
import redis

from proof.deployment.site import Site
from proof.failover.faults import Fault
from proof.failover.round import Result, Round
from proof.history.contents import Contents
from proof.results import why_void


def run_round(
    site: Site, contents: Contents, name: str, fault: Fault, *, seed: int, is_short: bool
) -> Result:
    """One round. It is void if an error ends it."""
    try:
        return Round(site, contents, name, seed, is_short=is_short).run(fault)
    except (AssertionError, TimeoutError, gevent.Timeout, redis.RedisError) as error:
        return Result(name, seed, void=why_void(error))
