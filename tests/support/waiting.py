"""Waiting for a condition with a deadline: the only way for a test to wait."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(
    condition: Callable[[], T | None], *, timeout_s: float = 10.0, what: str = "the condition"
) -> T:
    """Call ``condition`` until it returns something true, and return that.

    Raises AssertionError after ``timeout_s``, with ``what`` was waited for and the last value. An
    exception from ``condition`` is not caught. ``time.sleep`` is looked up at each turn, so other
    greenlets run meanwhile in a process that gevent has patched.
    """
    deadline_s = time.monotonic() + timeout_s
    while not (value := condition()):
        if time.monotonic() > deadline_s:
            raise AssertionError(f"waited {timeout_s:g} s for {what}; it is {value!r}")
        time.sleep(0.01)
    return value
