"""Which mode applies to a message: modes that were given together, and their counts."""

from __future__ import annotations

import collections
import random

from gevent.event import Event

from proof.network.mode import Direction, Mode


class Choice:
    """Modes that begin and end together, and how often each has matched and applied."""

    def __init__(self, modes: list[Mode], seed: int) -> None:
        self.modes = modes
        self.has_ended = Event()
        self._random = random.Random(seed)
        self._matched: collections.Counter[int] = collections.Counter()
        self._applied: collections.Counter[int] = collections.Counter()

    def of(
        self, kinds: tuple[str, ...], request: bytes, direction: Direction | None = None
    ) -> Mode | None:
        """The first mode that applies to this message; without a direction, in either."""
        for number, mode in enumerate(self.modes):
            if (
                mode.kind in kinds
                and (direction is None or mode.concerns(direction))
                and mode.matching.encode() in request
                and self._is_turn(number, mode)
            ):
                return mode
        return None

    def _is_turn(self, number: int, mode: Mode) -> bool:
        if mode.most and self._applied[number] >= mode.most:
            return False
        self._matched[number] += 1
        if mode.every:
            is_turn = self._matched[number] % mode.every == 0
        else:
            is_turn = self._random.random() < mode.chance
        self._applied[number] += is_turn
        return is_turn
