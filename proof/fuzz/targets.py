"""The targets by name, and how one is fuzzed: kept cases first, then new ones by a grammar.

Hypothesis makes the cases, and makes a finding smaller before it is reported.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from occupancy.core.errors import StoreUnavailable
from proof.fuzz.corpus import kept
from proof.fuzz.http_parts import cut
from proof.fuzz.inputs import (
    bodies,
    origins,
    pages,
    proxies,
    requests,
    spreadsheets,
    tables,
    tickets,
    values,
)
from proof.fuzz.twins import Twins

Check = Callable[[bytes], object]
_PHASES = (Phase.explicit, Phase.generate, Phase.shrink)


def _by_twins(twins: Twins) -> Check:
    return twins.check


class Target(NamedTuple):
    """A strategy of cases, and what makes their check.

    With ``is_http`` a case is the bytes that are sent, so an edited one may be cut into packets.
    """

    cases: SearchStrategy[bytes]
    check_on: Callable[[Twins], Check]
    is_http: bool = False


TARGETS = {
    "requests": Target(requests.cases(), _by_twins, is_http=True),
    "values": Target(values.cases(), _by_twins, is_http=True),
    "bodies": Target(bodies.cases(), _by_twins, is_http=True),
    "tables": Target(tables.cases(), lambda _twins: tables.check),
    "spreadsheets": Target(spreadsheets.cases(), lambda _twins: spreadsheets.check),
    "proxies": Target(proxies.cases(), proxies.check_on),
    "origins": Target(origins.cases(), origins.check_on),
    "tickets": Target(tickets.cases(), tickets.check_on),
    "pages": Target(pages.cases(), pages.check_on),
}


class Finding(Exception):
    """A violation, and its case, as small as Hypothesis made it."""

    def __init__(self, case: bytes, why: BaseException) -> None:
        super().__init__(f"{why}\nthe case: {case!r}")
        self.case = case


def fuzz(name: str, check: Check, *, count: int, number: int, until: float = float("inf")) -> int:
    """Check ``count`` cases of the seed ``number``; returns how many. Raises Finding.

    None is begun after ``until`` (of ``time.monotonic``). A third are edits of kept cases.
    """
    target, known = TARGETS[name], list(kept(name).values())
    cases = target.cases
    if known and target.is_http:
        cases = st.one_of(cases, cases, st.sampled_from(known).flatmap(_varied))
    elif known:
        cases = st.one_of(cases, cases, st.sampled_from(known).flatmap(requests.edited))
    done, last = 0, b""

    @seed(number)
    @settings(
        max_examples=count, database=None, deadline=None, phases=_PHASES,
        suppress_health_check=list(HealthCheck), report_multiple_bugs=False, print_blob=False,
    )  # fmt: skip
    @given(case=cases)
    def attempt(case: bytes) -> None:
        nonlocal done, last
        if time.monotonic() > until and not last:
            return
        done += 1
        try:
            check(case)
        except Exception:
            last = case
            raise

    try:
        attempt()
    except StoreUnavailable:
        raise  # the run's server failed: no finding
    except Exception as error:
        raise Finding(last, error) from error
    return done


@st.composite
def _varied(draw: st.DrawFn, case: bytes) -> bytes:
    return draw(cut(draw(requests.edited(case))))
