"""The short form of the rounds on one server: some faults, and nothing that was promised breaks.

``bin/prove --topology single`` is the long form.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from proof.deployment.running import running
from proof.single.round import Round
from proof.single.run import Plan, run_round
from proof.single.site import Site
from proof.single.stage import Fault, Stage
from tests.conftest import require_binary

pytestmark = [pytest.mark.alone, pytest.mark.thorough]

SEED = 1
OPERATIONS = 1_000
CASES = [
    ("valkey", ("process-kill",)),
    ("valkey", ("out-of-memory",)),
    ("valkey", ("reload", "script-flush")),
    ("redis", ("server-kill",)),
    ("redis", ("connections-killed", "process-stop")),
]
SiteOf = Callable[[str], Site]


@pytest.fixture(scope="module")
def site_of(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SiteOf]:
    """Starts a site on a kind of server when it is first asked for."""
    with contextlib.ExitStack() as stack:

        @functools.cache
        def start(kind: str) -> Site:
            require_binary(kind)
            return stack.enter_context(running(Site(kind, tmp_path_factory.mktemp(kind))))

        yield start


@pytest.mark.parametrize(("server", "faults"), CASES, ids=str)
def test_after_faults_the_history_has_no_violation(
    site_of: SiteOf, server: str, faults: tuple[str, ...]
) -> None:
    site = site_of(server)

    result = run_round(site, Plan(faults, SEED), operations=OPERATIONS)

    assert not result.void, site.log_text()[-4000:]
    assert not result.violations, (result.figures, site.log_text()[-4000:])


def test_a_log_that_was_cut_is_noticed(site_of: SiteOf) -> None:
    site = site_of("redis")

    result = run_round(site, Plan(("aof-cut",), SEED), operations=OPERATIONS)

    assert not result.void, site.log_text()[-4000:]
    assert not result.violations, (result.figures, site.log_text()[-4000:])
    assert result.figures["resets"] > 0
    assert result.figures["acknowledged_and_lost"] > 0


def test_an_entry_that_vanishes_from_the_log_is_a_violation(site_of: SiteOf) -> None:
    site = site_of("valkey")

    def lose_an_entry(stage: Stage) -> None:
        """The newest entry of a board's log is deleted."""
        log = site.keys.board(stage.boards[0]).log
        with site.admin() as admin:
            entries: Any = admin.xrevrange(log, count=1)
            assert admin.xdel(log, entries[0][0]) == 1
        stage.happened()

    result = Round(site, [("lost entry", Fault(lose_an_entry, "server"))], SEED).run()

    assert {"numbers", "acknowledged"} & set(result.violations)
