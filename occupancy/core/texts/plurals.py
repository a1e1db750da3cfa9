"""Nouns with their number, for messages and log lines."""

from __future__ import annotations


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """``1 row``, ``2 rows``; ``plural`` is for nouns whose plural is not the noun and an s."""
    return f"{number} {noun if number == 1 else plural or f'{noun}s'}"
