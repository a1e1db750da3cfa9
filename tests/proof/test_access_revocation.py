"""The short form of revocations at random moments, over two processes.

``proof/access/run.py`` is the long form.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from proof.access.revocation import KINDS, Revocations
from proof.access.site import Site
from proof.deployment.running import running
from tests.conftest import require_binary

pytestmark = [pytest.mark.alone, pytest.mark.thorough]

SEED = 1


@pytest.fixture(scope="module")
def attack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Revocations]:
    require_binary("valkey")
    with running(Site(tmp_path_factory.mktemp("access"))) as site:
        made = Revocations(site, seed=SEED)
        yield made
        made.close()


def test_revoked_access_ends_in_time_on_each_process_and_no_other_does(
    attack: Revocations,
) -> None:
    workers = attack.batch("")

    assert [each.kind for each in workers] == list(KINDS)
    assert [text for each in workers for text in each.violations()] == []
