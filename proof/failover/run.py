"""A run: set-ups one after the other, several faults on each, and what came of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import gevent
import redis

from proof.deployment.site import Site, site_on
from proof.failover.faults import Fault, faults_of
from proof.failover.round import Result, Round
from proof.history.contents import Contents
from proof.results import Results, keep_log


class Run:
    """Adds to the results."""

    def __init__(
        self, directory: Path, results: Results, *, seed: int, rounds: int, is_short: bool = False
    ) -> None:
        self._directory, self._results = directory, results
        self._seed, self._rounds, self._is_short = seed, rounds, is_short

    def measure(
        self, topology: str, server: str, *, is_strict: bool, only: Sequence[str] | None = None
    ) -> None:
        """All faults of one set-up, or those in ``only``."""
        faults = faults_of(topology, server, is_strict=is_strict)
        chosen = {name: each for name, each in faults.items() if only is None or name in only}
        if not chosen:
            return
        directory = self._directory / f"{topology}-{server}-{is_strict}"
        directory.mkdir()
        contents = Contents()
        with site_on(topology, server, directory, is_strict=is_strict) as site:
            for number in range(self._rounds):
                for name, fault in chosen.items():
                    result = run_round(
                        site, contents, name, fault, seed=self._seed + number,
                        is_short=self._is_short,
                    )  # fmt: skip
                    self._results.add(
                        {"topology": topology, "server": server, "is_strict": is_strict,
                         **vars(result)}
                    )  # fmt: skip
                    if result.void or result.violations:
                        keep_log(site.log_text())


def run_round(
    site: Site, contents: Contents, name: str, fault: Fault, *, seed: int, is_short: bool
) -> Result:
    """One round. It is void if an error ends it."""
    try:
        return Round(site, contents, name, seed, is_short=is_short).run(fault)
    except (AssertionError, TimeoutError, gevent.Timeout, redis.RedisError) as error:
        return Result(name, seed, void=f"{type(error).__name__}: {error}")
