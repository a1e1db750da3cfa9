"""Whether memory grows: a leak does so every day, the allocator's fragments ever less."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from proof.day.memory import Samples
from proof.day.slope import Points, least_of_each, slope_of

_EVERY_H = 1.0  # a point of each series
BY_DESIGN = ("server, all", "server, kept by design")  # these series may grow


def judge(row: dict[str, Any], days: Sequence[Samples]) -> None:
    """Add the slopes of each series, and what grows beyond noise on each of the days."""
    found = row["memory"] = []
    for name in days[0]:
        slopes = [_slope(least_of_each(day[name], _EVERY_H)) for day in days]
        grows = all(each["low"] > 0 for each in slopes)
        is_by_design = name in BY_DESIGN
        found.append({"name": name, "by_design": is_by_design, "grows": grows, "days": slopes})
        if grows and not is_by_design:
            each_day = "; ".join(
                f"{each['per_hour_kib']:.1f} KiB an hour, at least {each['low']:.1f}, from "
                f"{each['first_kib']} to {each['last_kib']} KiB" for each in slopes
            )  # fmt: skip
            row["violations"].setdefault("memory", []).append(f"{name} grows by {each_day}")


def _slope(points: Points) -> dict[str, Any]:
    slope = slope_of(points)
    return {
        "first_kib": round(points[0][1]), "last_kib": round(points[-1][1]),
        "per_hour_kib": round(slope.per_hour, 2), "low": round(slope.low, 2),
        "high": round(slope.high, 2), "hourly_kib": [round(value) for _, value in points],
    }  # fmt: skip
