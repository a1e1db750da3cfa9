"""The figures of a round, and how they are looked up, divided and summed up over rounds.

A round gives rows: figures by the name of the system that was measured.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Any

Row = Mapping[str, Any]
Rows = Mapping[str, Row]  # of one round, by system; the product's variants begin with its name

PRODUCT = "product"


def figure(rows: Rows, name: str, key: str) -> float | None:
    """One figure of a system; None where the round has none."""
    found = rows.get(name, {}).get(key)
    return None if found is None else float(found)


def median_of(rounds: Sequence[Rows], name: str, key: str) -> float | None:
    """The median of a figure over the rounds."""
    return known_median(figure(rows, name, key) for rows in rounds)


def known_median(values: Iterable[float | None]) -> float | None:
    """The median of the values that are not None; None if there are none."""
    known = [each for each in values if each is not None]
    return median(known) if known else None


def quotient(part: float | None, whole: float | None) -> float | None:
    """``part / whole`` where both are known and ``whole`` is positive."""
    return part / whole if part is not None and whole is not None and whole > 0 else None


def names_of(rounds: Sequence[Rows]) -> list[str]:
    """The systems that any of the rounds has, in their order."""
    return list(dict.fromkeys(name for rows in rounds for name in rows))
