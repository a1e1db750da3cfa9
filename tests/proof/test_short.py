"""The short form of the fault run: each kind of fault once, and nothing that was promised breaks.

The servers and the nodes are shared by the faults of a set-up. ``bin/prove`` is the long form.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest

from proof.deployment.proxy import nginx_path
from proof.deployment.site import Site, site_on
from proof.failover.faults import OF_CLUSTER, OF_SENTINEL, faults_of
from proof.failover.run import run_round
from proof.history.contents import Contents
from tests.conftest import require, require_binary

pytestmark = [pytest.mark.alone, pytest.mark.thorough]

SEED = 1


class Case(NamedTuple):
    """A fault on a set-up."""

    topology: str
    server: str
    fault: str
    is_strict: bool = False

    def __str__(self) -> str:
        strict = "strict-" if self.is_strict else ""
        return f"{strict}{self.topology}-{self.fault}"


CASES = [
    *(Case("cluster", "valkey", each) for each in OF_CLUSTER),
    Case("cluster", "redis", "lossy-kill", is_strict=True),
    *(Case("sentinel", "redis", each) for each in OF_SENTINEL),
]
SetUp = tuple[Site, Contents]


@pytest.fixture(scope="module")
def set_up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Case], SetUp]]:
    """Starts a set-up when it is first asked for, and ends the one before."""
    require(nginx_path(), "nginx")
    running: dict[tuple[str, str, bool], SetUp] = {}
    with contextlib.ExitStack() as stack:

        def get(case: Case) -> SetUp:
            name = case.topology, case.server, case.is_strict
            if name not in running:
                stack.close()
                running.clear()
                require_binary(case.server)
                directory = tmp_path_factory.mktemp(case.topology)
                site = site_on(case.topology, case.server, directory, is_strict=case.is_strict)
                running[name] = stack.enter_context(site), Contents()
            return running[name]

        yield get


@pytest.mark.parametrize("case", CASES, ids=str)
def test_after_a_fault_nothing_is_lost_unnoticed(
    set_up: Callable[[Case], SetUp], case: Case
) -> None:
    site, contents = set_up(case)
    fault = faults_of(case.topology, case.server, is_strict=case.is_strict)[case.fault]

    result = run_round(site, contents, case.fault, fault, seed=SEED, is_short=True)

    assert not result.void, site.log_text()[-4000:]
    assert not result.violations, (result.figures, site.log_text()[-4000:])
