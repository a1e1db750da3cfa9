"""Slices: long work is cut, so that others have their turns in between."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Each = TypeVar("Each")
Pause = Callable[[], None]

SLICE_S = 0.0005  # an operation has a handful of steps, and each may stand behind one of these
_LOOKED_AFTER = 16


def no_pause() -> None:
    """For the command line, where there are no others."""


def sliced(
    items: Iterable[Each], pause: Pause, *, looked_after: int = _LOOKED_AFTER
) -> Iterator[Each]:
    """``items``, with a pause after each SLICE_S that work on them has taken.

    The clock is read once in ``looked_after`` items.
    """
    began_s = time.monotonic()
    for number, item in enumerate(items):
        yield item
        if number % looked_after == 0 and time.monotonic() - began_s > SLICE_S:
            pause()
            began_s = time.monotonic()
