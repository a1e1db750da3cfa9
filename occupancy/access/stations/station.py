"""Stations: shared tablets that an administrator has paired, where a badge signs in.

A station is made with a one-time link, valid for an hour. The browser that opens it gets a secret
in a cookie. By itself a station sees what an observer of its board sees; a badge that is scanned
there opens a session (``sessions``). Only hashes of both secrets are stored.

The sender of a station's own requests has the id ``station:ID``, which no worker can have.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from occupancy.access.tokens import optional_time
from occupancy.core.entities import Role, Worker
from occupancy.core.errors import LimitReached, NotFound, Unauthenticated
from occupancy.core.keys import Keys
from occupancy.core.principal import PAIRING_PREFIX, StationName, digest_of, new_secret
from occupancy.core.recording import Recording
from occupancy.core.requests.checks import check_shown, check_text
from occupancy.storage.client import OpsClient
from occupancy.storage.scripts import PublishingScript, Script

PAIRING_TTL_S = 3600
COOKIE_S = 400 * 86400  # what browsers keep a cookie for at most (RFC 6265bis)
MAX_STATIONS = 1_000


class Station(msgspec.Struct, frozen=True, omit_defaults=True):
    """A station as it is stored. ``id`` names it and is no secret."""

    id: str
    name: str
    csrf_token: str
    created_s: int
    by: str  # the worker who made it, or the command line
    link_ends_s: int
    board: str | None = None
    paired_s: int | None = None

    @property
    def caller_id(self) -> str:
        return f"station:{self.id}"

    @property
    def worker(self) -> Worker:
        """The station as the worker of its requests."""
        return Worker(self.caller_id, self.name, Role.OBSERVER.label)

    @property
    def shown(self) -> StationName:
        return StationName(self.id, self.name, self.board)

    def as_dict(self, used_s: int | None = None) -> dict[str, Any]:
        """The station as the API shows it; ``used_s``: when it was last used, if that is known."""
        return {
            "id": self.id,
            "name": self.name,
            "board": self.board,
            "added": optional_time(self.created_s),
            "added_by": self.by,
            "paired": optional_time(self.paired_s),
            "last_used": optional_time(used_s),
        }


class StationUse(NamedTuple):
    """A station, and when it was last used (seconds since the epoch, to the minute), if ever."""

    station: Station
    used_s: int | None


class Stations:
    """Methods raise PoolTimeout or StoreUnavailable when Redis cannot serve.

    ``writes`` is the client for changes, which confirms them. ``on_changed`` is called when this
    process has revoked a station: sessions of any worker may have ended.
    """

    def __init__(
        self, client: OpsClient, keys: Keys, on_changed: Callable[[], None], *, writes: OpsClient
    ) -> None:
        self._client = client
        self._writes = writes
        self._keys = keys
        self._on_changed = on_changed
        self._pair = Script(writes, "access/pair_station")
        self._revoke = PublishingScript(writes, "access/revoke_station")

    def create(self, name: str, *, by: str, board: str | None = None) -> tuple[str, Station]:
        """Create a station; returns the secret of the link that pairs it, and the station.

        Raises InvalidRequest for a malformed name, and LimitReached.
        """
        check_text("name", name)
        check_shown("name", name)
        now_s = self._now_s()
        found: Any = self._client.hgetall(self._keys.stations)
        expired = [digest for digest, each in found.items() if _is_expired(_decoded(each), now_s)]
        if expired:
            self._writes.hdel(self._keys.stations, *expired)
        if len(found) - len(expired) >= MAX_STATIONS:
            raise LimitReached(f"There are {MAX_STATIONS} stations. Revoke some first.")
        secret = new_secret(PAIRING_PREFIX)
        station = Station(
            id=secrets.token_hex(4), name=name, csrf_token=new_secret(), created_s=now_s, by=by,
            link_ends_s=now_s + PAIRING_TTL_S, board=board,
        )  # fmt: skip
        self._writes.hset(self._keys.stations, digest_of(secret), msgspec.json.encode(station))
        return secret, station

    def pair(self, link_secret: str) -> tuple[str, Station]:
        """Use up a pairing link; returns the secret for the cookie, and the station.

        Raises Unauthenticated for a link that is used, expired or unknown.
        """
        secret = new_secret()
        encoded = self._pair.run([self._keys.stations], [digest_of(link_secret), digest_of(secret)])
        if encoded is None:
            raise Unauthenticated("This link was used or is no longer valid. Ask for a new one.")
        return secret, _decoded(encoded)

    def all(self) -> list[StationUse]:
        """All stations, oldest first; without those whose link has expired."""
        keys = self._keys
        stored, uses, (now_s, _) = self._client.run_pipeline(
            lambda pipeline: (
                pipeline.hgetall(keys.stations), pipeline.hgetall(keys.uses), pipeline.time(),
            )
        )  # fmt: skip
        listed = []
        for digest, encoded in stored.items():
            station, used_s = _decoded(encoded), uses.get(digest)
            if not _is_expired(station, now_s):
                listed.append(StationUse(station, int(used_s) if used_s is not None else None))
        return sorted(listed, key=lambda each: (each.station.created_s, each.station.id))

    def find(self, station_id: str) -> Station:
        """The station of that id. Raises NotFound."""
        return self._stored(station_id)[1]

    def revoke(self, station_id: str) -> Station:
        """Make a station, or the link that would pair it, invalid for good. Raises NotFound.

        The sessions that were opened there with a badge end too.
        """
        digest, station = self._stored(station_id)
        self._revoke_one(digest, station)
        return station

    def revoke_of_board(self, board: str, recording: Recording) -> None:
        """Revoke the stations of a removed board."""
        found: Any = self._client.hgetall(self._keys.stations)
        stations = [(digest, _decoded(encoded)) for digest, encoded in found.items()]
        for digest, station in stations:
            if station.board != board:
                continue
            with recording(
                "station_revoked", station=station.id, name=station.name, board=board
            ) as fields:
                if not self._revoke_one(digest, station):
                    fields.clear()  # another process has revoked and recorded it

    def _revoke_one(self, digest: bytes, station: Station) -> bool:
        """Revoke a station; returns False if it was revoked meanwhile."""
        keys = self._keys
        try:
            (existed,) = self._revoke.run(
                [keys.stations, keys.uses, keys.changes],
                [digest, station.caller_id, keys.access_channel],
            )
        finally:  # it may be revoked although that is not confirmed
            self._on_changed()
        return bool(existed)

    def _stored(self, station_id: str) -> tuple[bytes, Station]:
        found: Any = self._client.hgetall(self._keys.stations)
        for digest, encoded in found.items():
            station = _decoded(encoded)
            if station.id == station_id:
                return digest, station
        # As in Tokens: an earlier request may have revoked it without being confirmed.
        self._writes.exists(self._keys.stations)
        raise NotFound(
            f"There is no station {station_id}, or it was revoked; `flask stations list` shows all."
        )

    def _now_s(self) -> int:
        moment: Any = self._client.time()
        return int(moment[0])


def _decoded(encoded: bytes) -> Station:
    return msgspec.json.decode(encoded, type=Station)


def _is_expired(station: Station, now_s: int) -> bool:
    """Whether the station was not paired within the time of its link."""
    return station.paired_s is None and station.link_ends_s <= now_s
