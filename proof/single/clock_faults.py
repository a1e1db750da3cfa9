"""Faults of the clock: the time of day is set forward or back while a process runs.

Monotonic clocks are not changed, as when an administrator or NTP sets the time.
"""

from __future__ import annotations

import email.utils
import math
import time
from collections.abc import Callable

import redis
import requests

from proof.single.preload import Preload
from proof.single.stage import Fault, Stage

_NEAR_S = 0.9
_HOUR_S = 3600.0


def set_server_clock(stage: Stage) -> None:
    """The server's clock is set forward or back by seconds, and later right again."""
    _set_server_clock(stage, stage.random.choice([-1, 1]) * stage.random.uniform(1.0, 10.0))


def set_server_clock_by_an_hour(stage: Stage) -> None:
    """The server's clock is set forward or back by an hour, and later right again."""
    _set_server_clock(stage, stage.random.choice([-_HOUR_S, _HOUR_S]))


def set_nodes_clock(stage: Stage) -> None:
    """The clock of all nodes is set forward or back, and later right again."""
    preload = _required(stage.site.node_preload)
    ahead_s = stage.random.choice([-_HOUR_S, _HOUR_S, -7.0, 7.0])
    _set_and_right(stage, preload, ahead_s, lambda: _nodes_ahead_s(stage))


def _set_server_clock(stage: Stage, ahead_s: float) -> None:
    preload = _required(stage.site.server_preload)
    stage.clock_fault_s += 2 * abs(ahead_s)
    _set_and_right(stage, preload, ahead_s, lambda: _server_ahead_s(stage))


def _set_and_right(
    stage: Stage, preload: Preload, ahead_s: float, seen_s: Callable[[], float]
) -> None:
    """Set the clock and set it right. It has happened if both were seen from outside."""

    def is_ahead_by(expected_s: float) -> bool:
        # The Date of an answer is in whole seconds.
        return abs(seen_s() - expected_s) < _NEAR_S + 1.0 * (abs(expected_s) > 2)

    stage.strike()
    stage.note = f"set by {ahead_s:.1f} s"
    try:
        preload.set_clock(ahead_s)
        was_seen = stage.wait_for(lambda: is_ahead_by(ahead_s), 10)
        stage.last(0.5, 3.0)
    finally:
        preload.set_clock(0)
    if stage.wait_for(lambda: is_ahead_by(0), 10) and was_seen:
        stage.happened()


def _server_ahead_s(stage: Stage) -> float:
    """Not a number while the server is away, by another fault."""
    try:
        with stage.site.admin() as admin:
            seconds, microseconds = admin.time()
    except redis.RedisError:
        return math.nan
    return float(seconds) + float(microseconds) / 1e6 - time.time()


def _nodes_ahead_s(stage: Stage) -> float:
    """By the Date of an answer; not a number while there is none."""
    try:
        said = requests.get(f"{stage.site.nodes[0].url}/livez", timeout=10).headers["Date"]
    except requests.RequestException:
        return math.nan
    return email.utils.parsedate_to_datetime(said).timestamp() + 0.5 - time.time()


def _required(preload: Preload | None) -> Preload:
    assert preload is not None, "the site's processes have no clock of their own"
    return preload


FAULTS: dict[str, Fault] = {
    "server-clock": Fault(set_server_clock, "clock"),
    "server-clock-hour": Fault(set_server_clock_by_an_hour, "clock"),
    "nodes-clock": Fault(set_nodes_clock, "clock"),
}
