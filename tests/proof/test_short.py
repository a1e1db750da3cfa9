"""The short form of the fault run: each kind of fault once, and nothing that was promised breaks.

The servers and the nodes are shared by the faults of a set-up. ``bin/prove`` is the long form.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import pytest

from proof.deployment.proxy import nginx_path
from proof.deployment.site import Site, site_on
from proof.faults import OF_CLUSTER, OF_SENTINEL, faults_of
from proof.record import Contents
from proof.run import run_round
from tests.conftest import require, require_binary

pytestmark = [pytest.mark.alone, pytest.mark.thorough]

SEED = 1
CASES = [
    *(("cluster", "valkey", "", each) for each in OF_CLUSTER),
    *(("sentinel", "redis", "", each) for each in OF_SENTINEL),
    ("cluster", "redis", "strict", "lossy-kill"),
]
SetUp = tuple[Site, Contents]


@pytest.fixture(scope="module")
def set_up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str, str, str], SetUp]]:
    """Starts a set-up when it is first asked for, and ends the one before."""
    require(nginx_path(), "nginx")
    running: dict[tuple[str, str, str], SetUp] = {}
    with contextlib.ExitStack() as stack:

        def get(topology: str, server: str, strictness: str) -> SetUp:
            name = topology, server, strictness
            if name not in running:
                stack.close()
                running.clear()
                require_binary(server)
                directory = tmp_path_factory.mktemp(topology)
                site = site_on(topology, server, directory, is_strict=bool(strictness))
                running[name] = stack.enter_context(site), Contents()
            return running[name]

        yield get


@pytest.mark.parametrize(("topology", "server", "strictness", "name"), CASES)
def test_after_a_fault_nothing_is_lost_unnoticed(
    set_up: Callable[[str, str, str], SetUp],
    topology: str, server: str, strictness: str, name: str,
) -> None:  # fmt: skip
    site, contents = set_up(topology, server, strictness)
    fault = faults_of(topology, server, is_strict=bool(strictness))[name]

    result = run_round(site, contents, name, fault, seed=SEED, is_short=True)

    assert not result.void, site.log_text()[-4000:]
    assert not result.violations, (result.figures, site.log_text()[-4000:])
