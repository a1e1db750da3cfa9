"""Whom a process asks for the map of a Cluster, and in which order."""

from __future__ import annotations

from typing import Any

from occupancy.core.server_url import Address
from occupancy.storage.topology.cluster import Cluster

FIRST, SECOND, THIRD = (Address("127.0.0.1", port) for port in (1, 2, 3))


def test_who_failed_last_is_asked_last_even_where_somebody_names_it() -> None:
    nothing: Any = None
    cluster = Cluster([FIRST, SECOND, THIRD], nothing, nothing, wait_s=1.0, default_key="k")
    assert cluster._candidates(None) == [FIRST, SECOND, THIRD]
    assert cluster._candidates(THIRD) == [THIRD, FIRST, SECOND]
    cluster._failed_at.update({FIRST: 20.0, THIRD: 10.0})
    assert cluster._candidates(None) == [SECOND, THIRD, FIRST]
    assert cluster._candidates(FIRST) == [SECOND, THIRD, FIRST]
