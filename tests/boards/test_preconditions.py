"""What a caller says that it relies on is checked first, also where nothing would change."""

from __future__ import annotations

import pytest

from occupancy.boards.commands import Command
from occupancy.boards.records import Preconditions
from occupancy.core.entities import Person
from occupancy.core.transitions import PUT, TRANSITIONS
from occupancy.services import Services

ANA = Person("ana", "Ana")


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (Preconditions(versions=["2"], epoch=1), "ok"),
        (Preconditions(versions=["1"]), "version_mismatch"),
        (Preconditions(epoch=0), "stale_epoch"),
        (Preconditions(epoch=2), "stale_epoch"),
        (Preconditions(versions=["3"], epoch=1), "version_mismatch"),
    ],
)
def test_a_repeat_with_an_outdated_precondition_is_refused(
    services: Services, given: Preconditions, code: str
) -> None:
    commands = services.store.commands
    commands.execute(Command("main", PUT, ["A"], actor=ANA, items=[{}]))
    take = Command("main", TRANSITIONS["take"], ["A"], actor=ANA)
    assert commands.execute(take).outcomes[0].changed
    again = Command("main", TRANSITIONS["take"], ["A"], actor=ANA, preconditions=given)
    outcome = commands.execute(again).outcomes[0]
    assert (outcome.code, outcome.changed) == (code, False)
