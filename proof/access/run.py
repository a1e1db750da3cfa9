"""Rounds of access under attack: the whole matrix, a batch of revocations, and guessing."""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Any

import redis

from proof.access.guessing import (
    A_DAY_FROM_ALL,
    FREE_FROM_ALL,
    Guesser,
    allowed,
    behind_a_proxy,
    from_real_addresses,
    is_forgotten,
    of_many_workers,
    over_hours,
    with_forged_addresses,
)
from proof.access.matrix import Matrix
from proof.access.revocation import Revocations
from proof.access.site import Site
from proof.deployment.running import running
from proof.results import why_void
from proof.single.preload import has_compiler

Row = dict[str, Any]
PARTS = ("matrix", "guessing", "revocations")
REVOCATIONS = 50  # of a round
_REST_AFTER_WAITS = 7  # a guesser who then rests has the most tries


def run_part(part: str, server: str, directory: Path, *, seed: int) -> Row:
    """One of :data:`PARTS`: figures, and what did not hold. A failed start makes it void."""
    began_s, void = time.monotonic(), ""
    figures: dict[str, float] = {}
    violations: list[str] = []
    try:
        if part == "matrix":
            figures, violations = _matrix(directory, seed, server)
        elif part == "guessing":
            figures, violations = _guessing(directory, server)
        else:
            figures, violations = _revocations(directory, seed, server)
    except (AssertionError, OSError, redis.RedisError) as error:
        void = why_void(error)
    return {
        "seed": seed, "void": void, "took_s": time.monotonic() - began_s, "figures": figures,
        "violations": {part: violations} if violations else {},
    }  # fmt: skip


Outcome = tuple[dict[str, float], list[str]]  # figures, and what did not hold


def _matrix(directory: Path, seed: int, server: str) -> Outcome:
    with running(Site(directory, kind=server)) as site:
        matrix = Matrix(site, seed=seed, is_full=True)
        matrix.run()
    let_in, refused = sum(matrix.let_in.values()), sum(matrix.refused.values())
    assert let_in > 1_000 and refused > 10_000, "too few requests"
    return {"let_in": let_in, "refused": refused}, matrix.violations


def _revocations(directory: Path, seed: int, server: str) -> Outcome:
    late_s, ended_s, answers, count = [0.0], [0.0], 0, 0
    violations: list[str] = []
    with running(Site(directory, kind=server)) as site:
        attack = Revocations(site, seed=seed)
        try:
            while count < REVOCATIONS:
                workers = attack.batch()
                count += len(workers)
                for each in workers:
                    violations += each.violations()
                    figures = each.figures()
                    late_s.append(figures.last_accepted_s)
                    ended_s.append(figures.streams_ended_s)
                    answers += figures.answers
        finally:
            attack.close()
    return {
        "revocations": count, "answers": answers,
        "last_let_in_s": max(late_s), "last_let_in_p50_s": statistics.median(late_s),
        "streams_ended_s": max(ended_s), "streams_ended_p50_s": statistics.median(ended_s),
    }, violations  # fmt: skip


def _guessing(directory: Path, server: str) -> Outcome:
    assert has_compiler(), "it needs a C compiler, to move the server's clock"
    violations: list[str] = []
    with running(Site(directory / "proxied", kind=server, proxies=1, has_preload=True)) as site:
        guesser = Guesser(site)
        try:
            violations += behind_a_proxy(guesser)
            violations += with_forged_addresses(guesser, is_proxied=True)
            violations += of_many_workers(guesser, times=130)
            violations += is_forgotten(guesser)
            steady, elapsed_s, wrong = over_hours(guesser, _known(guesser), hours=24)
            violations += wrong
            if not 250 < steady <= allowed(FREE_FROM_ALL, elapsed_s):
                violations.append(f"{steady} tries in a day without a rest")
            resting, _, wrong = over_hours(
                guesser, _known(guesser), hours=24, rests_after=_REST_AFTER_WAITS
            )
            violations += wrong
            if not 400 < resting <= A_DAY_FROM_ALL:
                violations.append(f"{resting} tries in a day with rests")
        finally:
            guesser.close()
    with running(Site(directory / "direct", kind=server)) as site:
        guesser = Guesser(site)
        try:
            violations += with_forged_addresses(guesser, is_proxied=False)
            violations += from_real_addresses(guesser)
        finally:
            guesser.close()
    return {"tries_of_a_day": steady, "with_rests": resting}, violations


def _known(guesser: Guesser) -> str:
    """A worker who has signed in at their address."""
    worker = guesser.add_worker()
    answer = guesser.sign_in(worker)
    assert answer.status == 200, answer
    return worker
