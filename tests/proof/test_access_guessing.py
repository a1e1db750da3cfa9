"""PIN guessing from a thousand addresses: the published bound holds, and the worker gets in.

``proof/access/run.py`` guesses for a whole day of the server's clock.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from proof.access.guessing import (
    FREE_FROM_ALL,
    Guesser,
    allowed,
    behind_a_proxy,
    from_real_addresses,
    is_forgotten,
    over_hours,
    with_forged_addresses,
)
from proof.access.site import Site
from proof.deployment.running import running
from proof.single.preload import has_compiler
from tests.conftest import require, require_binary

pytestmark = pytest.mark.thorough


@pytest.fixture(scope="module")
def guesser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guesser]:
    """Behind a declared proxy, on a clock that can be set."""
    require_binary("valkey")
    require(has_compiler() or None, "cc")
    yield from guesser_on(
        Site(tmp_path_factory.mktemp("proxied"), proxies=1, has_preload=True)
    )  # fmt: skip


@pytest.fixture(scope="module")
def direct(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guesser]:
    """No proxy is declared."""
    require_binary("valkey")
    yield from guesser_on(Site(tmp_path_factory.mktemp("direct")))


def guesser_on(site: Site) -> Iterator[Guesser]:
    with running(site):
        made = Guesser(site)
        yield made
        made.close()


def test_a_thousand_addresses_behind_a_proxy_have_twenty_tries_of_one_worker(
    guesser: Guesser,
) -> None:
    assert list(behind_a_proxy(guesser)) == []


@pytest.mark.parametrize("is_proxied", [True, False])
def test_an_address_that_says_it_is_many_is_one(
    guesser: Guesser, direct: Guesser, is_proxied: bool
) -> None:
    chosen = guesser if is_proxied else direct
    assert list(with_forged_addresses(chosen, is_proxied=is_proxied)) == []


def test_hundreds_of_addresses_of_connections_have_twenty_tries_of_one_worker(
    direct: Guesser,
) -> None:
    assert list(from_real_addresses(direct, count=200)) == []


def test_the_tries_of_half_an_hour_stay_within_the_bound(guesser: Guesser) -> None:
    worker = guesser.add_worker()
    assert guesser.sign_in(worker).status == 200

    tried, elapsed_s, violations = over_hours(guesser, worker, hours=0.5)

    assert violations == []
    assert FREE_FROM_ALL + 8 < tried <= allowed(FREE_FROM_ALL, elapsed_s)


def test_the_limits_leave_nothing_behind_when_they_are_forgotten(guesser: Guesser) -> None:
    worker = guesser.add_worker()
    guesser.guess(lambda _: worker, ["198.51.100.1", "198.51.100.2"])
    assert guesser.limit_keys()

    assert list(is_forgotten(guesser)) == []
