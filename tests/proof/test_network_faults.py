"""Faults of network, clock and resources on a real site: each happens, and ends.

One of each mechanism; a round of `bin/prove` has them all.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from proof.deployment.running import running
from proof.network.proxy import FaultProxy
from proof.single import clock_faults, network_faults, resource_faults
from proof.single.load import SingleLoad
from proof.single.preload import has_compiler
from proof.single.site import Site
from proof.single.stage import Stage
from tests.conftest import require, require_binary
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.alone, pytest.mark.thorough]

FAULTS = network_faults.FAULTS | clock_faults.FAULTS | resource_faults.FAULTS
TRIED = (
    "clients-answers-lost", "clients-refused", "streams-cut", "server-replies-lost", "server-held",
    "server-clock-hour", "nodes-clock", "disk-full", "nodes-files", "server-files", "slow-reader",
)  # fmt: skip


@pytest.fixture(scope="module")
def loaded(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Site, list[str], SingleLoad]]:
    """A site with a load that goes on for all tests."""
    require_binary("valkey")
    require(has_compiler() or None, "cc")
    directory = tmp_path_factory.mktemp("site")
    site = Site("valkey", directory, make_link=FaultProxy, has_preloads=True)
    with running(site):
        boards = site.new_boards()[:2]
        load = SingleLoad(site, boards, random.Random(1), pause_s=0.05)
        try:
            load.begin()
            yield site, boards, load
        finally:
            load.stop()


@pytest.mark.parametrize("name", TRIED)
def test_the_fault_happens_and_the_site_works_afterwards(
    name: str, loaded: tuple[Site, list[str], SingleLoad]
) -> None:
    site, boards, load = loaded
    stage = Stage(site, random.Random(name), boards=boards)
    FAULTS[name].act(stage)
    assert stage.has_happened, f"{name}: {stage.note}"
    wait_until(site.is_ready, timeout_s=40, what=f"the site to be ready after {name}")
    before = _acknowledged(load)
    wait_until(
        lambda: _acknowledged(load) > before + 20, timeout_s=30, what=f"operations after {name}"
    )
    wait_until(
        lambda: all(each.is_live for each in load.watchers),
        timeout_s=30, what=f"all streams to be live after {name}",
    )  # fmt: skip


def _acknowledged(load: SingleLoad) -> int:
    return sum(each.reply is not None and each.reply.status == 200 for each in load.calls)
