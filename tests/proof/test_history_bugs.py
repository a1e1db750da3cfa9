"""The judge: each classic bug of a server is found."""

from __future__ import annotations

import pytest

from proof.history.checks import violations
from tests.proof.faulty_servers import (
    AppliedTwice,
    DoubleTake,
    EpochReused,
    EventNotPublished,
    HolderNotChecked,
    IndexForgotten,
    LostUpdate,
    NumberSkipped,
    PreconditionIgnored,
    ReasonLost,
    RoleNotChecked,
    StaleRead,
    StepSkipped,
    TimeNotCounted,
    UndoBeginsAnew,
    UndoByAnybody,
    UndoOfAnything,
    VersionReused,
)
from tests.proof.histories import CALLS
from tests.proof.simulation import Server, Simulation

BUGS: list[tuple[type[Server], set[str]]] = [
    (DoubleTake, {"exclusive", "linearizable", "table"}),
    (LostUpdate, {"linearizable", "acknowledged", "unique"}),
    (AppliedTwice, {"keys"}),
    (EpochReused, {"counted", "linearizable", "table", "unique"}),
    (VersionReused, {"linearizable", "table", "unique", "keys"}),
    (StaleRead, {"linearizable", "unique"}),
    (HolderNotChecked, {"holder_only", "linearizable"}),
    (RoleNotChecked, {"holder_only", "linearizable"}),
    (PreconditionIgnored, {"linearizable"}),
    (TimeNotCounted, {"table", "worked_time"}),
    (IndexForgotten, {"indexes"}),
    (EventNotPublished, {"streams"}),
    (NumberSkipped, {"numbers"}),
    (StepSkipped, {"linearizable", "table"}),
    (ReasonLost, {"linearizable", "table"}),
    (UndoByAnybody, {"linearizable", "table"}),
    (UndoOfAnything, {"linearizable", "table"}),
    (UndoBeginsAnew, {"table", "worked_time"}),
]


@pytest.mark.parametrize(("server", "checks"), BUGS)
def test_a_bug_of_the_server_is_found(server: type[Server], checks: set[str]) -> None:
    missing = set(checks)
    for seed in range(6):  # a bug may need more than one
        missing -= violations(Simulation(seed, make_server=server).run(CALLS)).keys()
        if not missing:
            break
    assert not missing
