"""Whether a series grows: its slope, with a confidence interval that knows of autocorrelation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from statistics import NormalDist, fmean
from typing import NamedTuple

Points = list[tuple[float, float]]
_CONFIDENCE = 0.99  # of each series: of six flat ones, one in 30 runs seems to grow
_LEAST_POINTS = 6
_LEAST_FREE = 2.0  # degrees of freedom that are left at the least


class Slope(NamedTuple):
    """Growth per hour, and the bounds of its confidence interval."""

    per_hour: float
    low: float
    high: float

    @property
    def grows(self) -> bool:
        """Whether it rises beyond noise."""
        return self.low > 0.0


def slope_of(points: Sequence[tuple[float, float]]) -> Slope:
    """Least squares over (hour, value).

    Memory is taken and given back in steps, so neighbours resemble each other. The number of points
    is reduced to that of as many independent ones: n (1 - r) / (1 + r), with r the correlation of
    neighbouring residuals. Raises ValueError for too few points.
    """
    count = len(points)
    if count < _LEAST_POINTS:
        raise ValueError(f"{count} points are too few for a slope")
    hours, values = [hour for hour, _ in points], [value for _, value in points]
    middle_h, middle = fmean(hours), fmean(values)
    spread = sum((hour - middle_h) ** 2 for hour in hours)
    per_hour = sum((hour - middle_h) * (value - middle) for hour, value in points) / spread
    rests = [value - middle - per_hour * (hour - middle_h) for hour, value in points]
    squares = sum(rest**2 for rest in rests)
    likeness = sum(a * b for a, b in pairwise(rests)) / squares if squares else 0
    independent = count * (1 - max(0.0, likeness)) / (1 + max(0.0, likeness))
    free = max(_LEAST_FREE, independent - 2)
    error = math.sqrt(squares / free / (spread * min(1.0, independent / count)))
    margin = _t(free) * error
    return Slope(per_hour, per_hour - margin, per_hour + margin)


def least_of_each(points: Sequence[tuple[float, float]], every_h: float) -> Points:
    """The least of each ``every_h``: what is taken for a moment, as by a PIN, is not kept."""
    groups: dict[int, Points] = {}
    for hour, value in points:
        groups.setdefault(int(hour / every_h), []).append((hour, value))
    return [
        (fmean(hour for hour, _ in group), min(value for _, value in group))
        for _, group in sorted(groups.items())
    ]


def _t(free: float) -> float:
    """Student's t of the confidence. Exact for 2; for more, Cornish and Fisher's expansion."""
    p = (1 + _CONFIDENCE) / 2
    if free <= _LEAST_FREE:
        return (2 * p - 1) * math.sqrt(2 / (4 * p * (1 - p)))
    z = NormalDist().inv_cdf(p)
    return (
        z
        + (z**3 + z) / (4 * free)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * free**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * free**3)
    )
