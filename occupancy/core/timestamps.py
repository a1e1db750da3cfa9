"""Timestamps as text: RFC 3339, in UTC, ending in ``Z``."""

from __future__ import annotations

from datetime import UTC, datetime


def iso_text(at_s: float, timespec: str = "milliseconds") -> str:
    """``at_s`` (seconds since the epoch) as text, cut to ``timespec`` as datetime defines it."""
    return datetime.fromtimestamp(at_s, UTC).isoformat(timespec=timespec).replace("+00:00", "Z")
