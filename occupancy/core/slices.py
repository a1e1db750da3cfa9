"""Slices: long work is cut into short pieces, so that other greenlets run in between."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Each = TypeVar("Each")
Pause = Callable[[], None]

SLICE_S = 0.0005  # an operation has some five switch points, and may wait for a slice at each
_CHECK_EVERY = 16


def no_pause() -> None:
    """Do nothing; for the command line, which has no other greenlets."""


def sliced(
    items: Iterable[Each], pause: Pause, *, check_every: int = _CHECK_EVERY
) -> Iterator[Each]:
    """Yield ``items`` and call ``pause`` whenever the work on them has taken SLICE_S.

    It reads the clock after every ``check_every`` items.
    """
    began_s = time.monotonic()
    for number, item in enumerate(items):
        yield item
        if number % check_every == 0 and time.monotonic() - began_s > SLICE_S:
            pause()
            began_s = time.monotonic()
