"""What the rounds do that bring on one goal: many lost answers, or several rolling restarts."""

from __future__ import annotations

from proof.network.proxy import FaultProxy
from proof.single.network_faults import lost_answers
from proof.single.stage import Fault, Stage

LOST_ANSWERS_OF_A_ROUND = 4_000
_LOST_EVERY = 2  # of the acknowledgements
_MOST_S = 120.0


def lose_answers(stage: Stage) -> None:
    """Half of all acknowledgements are lost, at full load, until it is some thousands."""
    link = stage.site.client_link
    assert isinstance(link, FaultProxy), "the site has no proxy that does harm"
    mode = lost_answers(_LOST_EVERY)
    before = link.count(mode.name)
    stage.strike()
    with link.during(mode):
        stage.wait_for(lambda: link.count(mode.name) - before >= LOST_ANSWERS_OF_A_ROUND, _MOST_S)
    lost = link.count(mode.name) - before
    stage.note = f"{mode.name} {lost}"
    if lost >= LOST_ANSWERS_OF_A_ROUND:
        stage.happened()


LOSE_ANSWERS = Fault(lose_answers, "client link")
