"""Promotions: which servers became primaries, and how many streams were reset for it.

Each process sees a promotion by itself, and leaves what it saw in Redis for a day, so that every
machine shows the same. In a Cluster a server that takes slots over by a migration has its streams
reset as well: its sightings are of another kind.
"""

from __future__ import annotations

import collections
import logging
import time
from collections.abc import Iterable
from typing import Any, Literal

import msgspec

from occupancy.core.keys import Keys
from occupancy.core.timestamps import iso_text
from occupancy.observability.metrics import Metrics
from occupancy.storage.client import OpsClient
from occupancy.storage.topology.shard import Shard

log = logging.getLogger(__name__)

KEPT_S = 24 * 3600
_MAX_SIGHTINGS = 500  # in Redis; the oldest are dropped first
_MAX_PENDING = 100
_MAX_SHOWN = 20


class Sighting(msgspec.Struct, frozen=True):
    """What one process saw of a promotion; ``boards`` and ``streams`` are those that it serves."""

    at: float  # seconds since 1970
    server: str
    incarnation: int
    boards: int
    streams: int
    kind: Literal["promotion", "slot_move"] = "promotion"


class Promotions:
    """One per process. Methods that say so raise PoolTimeout and StoreUnavailable."""

    def __init__(self, client: OpsClient, keys: Keys, metrics: Metrics) -> None:
        self._client = client
        self._keys = keys
        self._metrics = metrics
        self._known: dict[str, int] = {}  # incarnation by address
        self._pending: collections.deque[Sighting] = collections.deque(maxlen=_MAX_PENDING)

    def begin(self, shards: Iterable[Shard]) -> None:
        """Remember the first servers, which have not been promoted; later calls do nothing."""
        if not self._known:
            self.promoted_among(shards)

    def promoted_among(self, shards: Iterable[Shard]) -> list[Shard]:
        """Those that have been promoted since the last call; of the first call, none."""
        is_first = not self._known
        found = []
        for shard in shards:
            if shard.address and shard.incarnation > self._known.get(shard.address, -1):
                self._known[shard.address] = shard.incarnation
                found.append(shard)
        return [] if is_first else found

    def note(self, shard: Shard, *, boards: int, streams: int) -> None:
        """Log a promotion or a slot move, and keep it to be recorded. No switch point."""
        log.warning(
            "%s %s (%s %d): %d boards watched here, %d streams reset",
            "slots have moved to" if shard.has_taken_slots else "promotion of", shard.address,
            "epoch" if shard.has_taken_slots else "failover", shard.incarnation, boards, streams,
        )  # fmt: skip
        self._metrics.promotion_resets.labels(shard.address).inc(streams)
        sighting = Sighting(
            time.time(), shard.address, shard.incarnation, boards, streams,
            "slot_move" if shard.has_taken_slots else "promotion",
        )  # fmt: skip
        self._pending.append(sighting)

    def record(self) -> None:
        """Write what is pending to Redis. Raises."""
        while self._pending:
            sighting = self._pending[0]
            key = self._keys.promotion(sighting.server, sighting.incarnation)
            is_first = bool(self._client.set(key, "1", nx=True, ex=KEPT_S))
            if is_first and sighting.kind == "promotion":
                self._metrics.promotions.labels(sighting.server).inc()
            if is_first or sighting.boards:
                encoded = msgspec.json.encode(sighting)
                self._client.run_pipeline(
                    lambda pipeline, encoded=encoded: (  # type: ignore[misc] # bound now
                        pipeline.rpush(self._keys.promotions, encoded),
                        pipeline.ltrim(self._keys.promotions, -_MAX_SIGHTINGS, -1),
                        pipeline.expire(self._keys.promotions, KEPT_S),
                    )
                )
            self._pending.popleft()

    def of_a_day(self) -> list[dict[str, Any]]:
        """The promotions of the last day, newest first, over all processes. Raises.

        ``boards`` is the most that one process watched, ``streams`` the sum over the processes.
        """
        oldest = time.time() - KEPT_S
        found: Any = self._client.lrange(self._keys.promotions, 0, -1)
        merged: dict[tuple[str, int], Sighting] = {}
        for each in found:
            one = msgspec.json.decode(each, type=Sighting)
            if one.at >= oldest:
                other = merged.get((one.server, one.incarnation), one)
                merged[one.server, one.incarnation] = Sighting(
                    at=min(one.at, other.at), server=one.server, incarnation=one.incarnation,
                    boards=max(one.boards, other.boards),
                    streams=one.streams + (other.streams if other is not one else 0),
                    kind=other.kind,
                )  # fmt: skip
        newest = sorted(merged.values(), key=lambda each: each.at, reverse=True)[:_MAX_SHOWN]
        return [{**msgspec.structs.asdict(each), "at": iso_text(each.at)} for each in newest]
