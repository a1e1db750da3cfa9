"""Promotions: which servers became primaries, and how many streams were reset for it.

Each process sees a promotion by itself, and leaves what it saw in Redis for a day, so that every
machine shows the same. In a Cluster a server that takes slots over by a migration has its streams
reset as well: its sightings are of another kind.

When the change is seen, its boards have not come to the server yet, or their logs have no mark. So
the streams are counted where a board is found to be reset, and the sighting is made once that has
been done for all boards of the server. Slots move one after the other, and only the first one
raises the incarnation: what comes later makes another sighting of the same change.
"""

from __future__ import annotations

import collections
import logging
import time
from collections.abc import Collection, Iterable
from typing import Any, Literal, NamedTuple

import msgspec

from occupancy.core.keys import Keys
from occupancy.core.texts.plurals import counted
from occupancy.core.timestamps import iso_text
from occupancy.observability.metrics import Metrics
from occupancy.storage.client import OpsClient
from occupancy.storage.topology.shard import Shard

log = logging.getLogger(__name__)

KEPT_S = 24 * 3600
_MAX_SIGHTINGS = 500  # in Redis; the oldest are dropped first
_MAX_PENDING = 100
_MAX_SHOWN = 20
_MOVE_S = 2.0  # from a slot move to its sighting: more slots may follow
_LONGEST_S = 10.0  # then it is told without the boards whose logs have no mark yet

Kind = Literal["promotion", "slot_move"]


class Change(NamedTuple):
    """A rise of a server's incarnation."""

    server: str
    incarnation: int
    kind: Kind

    @classmethod
    def of(cls, shard: Shard) -> Change:
        """The last one of that server."""
        kind: Kind = "slot_move" if shard.has_taken_slots else "promotion"
        return cls(shard.address, shard.incarnation, kind)


class _Tally:
    """What a change has reset in this process and is not told yet."""

    def __init__(self) -> None:
        self.began_at = time.monotonic()
        self.boards = 0
        self.streams = 0


class Sighting(msgspec.Struct, frozen=True):
    """What one process saw of a change; ``boards`` and ``streams`` are those that it reset."""

    at: float  # seconds since 1970
    server: str
    incarnation: int
    boards: int
    streams: int
    kind: Kind = "promotion"
    process: str = ""


class Promotions:
    """One per process. Methods that say so raise PoolTimeout and StoreUnavailable.

    ``process`` is this process's name.
    """

    def __init__(self, client: OpsClient, keys: Keys, metrics: Metrics, *, process: str) -> None:
        self._client = client
        self._keys = keys
        self._metrics = metrics
        self._process = process
        self._known: dict[str, int] = {}  # incarnation by address
        self._tallies: dict[Change, _Tally] = {}
        self._pending: collections.deque[Sighting] = collections.deque(maxlen=_MAX_PENDING)

    def begin(self, shards: Iterable[Shard]) -> None:
        """Remember the first servers, which have not been promoted; later calls do nothing."""
        if not self._known:
            self.see(shards)

    def see(self, shards: Iterable[Shard]) -> None:
        """Note the servers promoted since the last call; the first call learns which there are."""
        is_first = not self._known
        for shard in shards:
            if not shard.address or shard.incarnation <= self._known.get(shard.address, -1):
                continue
            self._known[shard.address] = shard.incarnation
            if not is_first:
                self._tallies.setdefault(Change.of(shard), _Tally())

    def count(self, change: Change, *, boards: int, streams: int) -> None:
        """Count boards and streams that ``change`` resets, seen or not. No switch point."""
        if not self._known:
            return  # the first servers
        self._known[change.server] = max(self._known.get(change.server, -1), change.incarnation)
        tally = self._tallies.setdefault(change, _Tally())
        tally.boards += boards
        tally.streams += streams

    @property
    def has_untold(self) -> bool:
        """Whether there is something to ``tell``."""
        return bool(self._tallies)

    def tell(self, marking: Collection[str]) -> None:
        """Log each change, and keep it to be recorded. No switch point.

        ``marking`` are the servers some of whose boards are not counted yet.
        """
        for change, tally in list(self._tallies.items()):
            age_s = time.monotonic() - tally.began_at
            is_moving = change.kind == "slot_move" and age_s < _MOVE_S
            if age_s < _LONGEST_S and (is_moving or change.server in marking):
                continue
            del self._tallies[change]
            is_move = change.kind == "slot_move"
            log.warning(
                "%s %s (%s %d): %s watched here, %s reset",
                "slots have moved to" if is_move else "promotion of", change.server,
                "epoch" if is_move else "failover", change.incarnation,
                counted(tally.boards, "board"), counted(tally.streams, "stream"),
            )  # fmt: skip
            self._metrics.promotion_resets.labels(change.server).inc(tally.streams)
            self._pending.append(
                Sighting(
                    time.time(), change.server, change.incarnation, tally.boards, tally.streams,
                    change.kind, self._process,
                )
            )  # fmt: skip

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
        by_change: dict[tuple[str, int], list[Sighting]] = {}
        for each in found:
            one = msgspec.json.decode(each, type=Sighting)
            if one.at >= oldest:
                by_change.setdefault((one.server, one.incarnation), []).append(one)
        merged = sorted(map(_merged, by_change.values()), key=lambda each: each.at, reverse=True)
        names = ("server", "incarnation", "boards", "streams", "kind")
        return [
            {"at": iso_text(each.at), **{name: getattr(each, name) for name in names}}
            for each in merged[:_MAX_SHOWN]
        ]


def _merged(sightings: list[Sighting]) -> Sighting:
    """The sightings of one change by all processes, as one."""
    boards: collections.Counter[str] = collections.Counter()
    for each in sightings:
        boards[each.process] += each.boards
    return msgspec.structs.replace(
        sightings[0], at=min(each.at for each in sightings), boards=max(boards.values()),
        streams=sum(each.streams for each in sightings),
    )  # fmt: skip
