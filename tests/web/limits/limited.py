"""What the tests of limits do."""

from __future__ import annotations

from occupancy.core.entities import Person
from occupancy.core.transitions import TRANSITIONS

TAKE = TRANSITIONS["take"]
ACTOR = Person("93", "Worker 93")
TAGS = [f"T-{number}" for number in range(50)]
AT_ONCE = 50  # what a rate of 1/s, the smallest, lets through at once: a whole batch
MORE = TAGS[:20]  # so many that no slow machine makes them pass after all
