"""The timeline: how many items of a board were in each state, over the last days.

operate/record.lua keeps the counts before the first change of every five minutes. Five minutes
without a sample had no change, so the counts at each boundary since the first one are exact.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from occupancy.boards.records import board_not_found
from occupancy.core.entities import MAIN_BOARD, MAX_TIMELINE_HOURS, STATES
from occupancy.core.keys import Keys
from occupancy.core.timestamps import iso_text
from occupancy.storage.client import OpsClient

SAMPLE_MS = 5 * 60 * 1000
SAMPLES_KEPT = MAX_TIMELINE_HOURS * 3600 * 1000 // SAMPLE_MS


class Sample(msgspec.Struct, frozen=True):
    """A board at a moment; ``completions`` counts the steps ever completed, less those undone."""

    at_ms: int
    counts: dict[str, int]
    completions: int


class Timeline(msgspec.Struct, frozen=True):
    """Samples by time, the last of which is now, at ``cursor`` and ``seq``."""

    cursor: str
    seq: int
    points: list[Sample]

    def as_dict(self) -> dict[str, Any]:
        """The timeline as the API shows it."""
        return {
            "cursor": self.cursor,
            "seq": self.seq,
            "interval_s": SAMPLE_MS // 1000,
            "points": [
                {
                    "at": iso_text(each.at_ms / 1000),
                    "counts": each.counts,
                    "completions": each.completions,
                }
                for each in self.points
            ],
        }


class Timelines:
    """The timelines of a deployment's boards. Methods raise PoolTimeout or StoreUnavailable."""

    def __init__(self, client: OpsClient, keys: Keys) -> None:
        self._client = client
        self._keys = keys

    def get(self, board: str, *, hours: int) -> Timeline:
        """The last ``hours`` (up to MAX_TIMELINE_HOURS), as far as known. Raises BoardNotFound."""
        keys = self._keys.board(board)
        began_ms = int(time.time() * 1000) - hours * 3600 * 1000
        began_ms -= began_ms % SAMPLE_MS

        def fill(pipeline: Any) -> None:
            pipeline.time()
            pipeline.hmget(keys.board, "steps", "cursor", "seq", "completions", "removing")
            for state in STATES:
                pipeline.zlexcount(keys.by_state, f"[{state}|", f"({state}}}")
            pipeline.xrevrange(keys.samples, f"({began_ms}-0", "-", count=1)
            pipeline.xrange(keys.samples, f"{began_ms}-0", "+")

        replies = self._client.read_atomically(fill)
        (seconds, microseconds), fields, *counts = replies[:-2]
        steps, cursor, seq, completions, removing = fields
        if removing is not None or (steps is None and board != MAIN_BOARD):
            raise board_not_found(board)
        now = Sample(
            seconds * 1000 + microseconds // 1000,
            dict(zip(STATES, counts, strict=True)),
            int(completions or 0),
        )
        samples = [_sample(*entry) for entry in (*replies[-2], *replies[-1])]
        return Timeline(
            (cursor or b"0-0").decode(), int(seq or 0), list(_points(samples, now, began_ms))
        )


def _points(samples: Iterable[Sample], now: Sample, began_ms: int) -> Iterator[Sample]:
    """Samples, and now, joined so that straight lines between them are right.

    ``samples`` may hold one from before ``began_ms``: from there on the counts are known.
    """
    known_ms: int | None = None  # from here to the next sample nothing has changed
    for sample in (*(each for each in samples if each.at_ms < now.at_ms), now):
        if sample.at_ms >= began_ms:
            if known_ms is not None and max(known_ms, began_ms) < sample.at_ms:
                yield msgspec.structs.replace(sample, at_ms=max(known_ms, began_ms))
            yield sample
        known_ms = sample.at_ms + SAMPLE_MS


def _sample(cursor: bytes, fields: dict[bytes, bytes]) -> Sample:
    return Sample(
        int(cursor.partition(b"-")[0]),
        {state: int(fields[state.encode()]) for state in STATES},
        int(fields[b"completions"]),
    )
