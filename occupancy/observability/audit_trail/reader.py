"""The reads of the audit trail: newest first, filtered, in pages.

The streams are merged by the time at which their entries were written. A filter is applied to the
entries as they are read, at most MAX_SCANNED for a page: a page may hold fewer entries than its
limit, and ``next`` leads on. Methods raise PoolTimeout or StoreUnavailable when Redis cannot serve.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import heapq
import re
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

import msgspec

from occupancy.core.errors import InvalidRequest
from occupancy.core.keys import Keys
from occupancy.core.rate_limit import limited_address
from occupancy.core.requests.checks import check_choice
from occupancy.core.slices import Pause, no_pause, sliced
from occupancy.core.timestamps import iso_text
from occupancy.observability.audit_trail.entries import AuditEntry
from occupancy.observability.audit_trail.events import EVENTS, MAX_AGE_S, STREAMS, stream_of
from occupancy.storage.client import OpsClient

MAX_SCANNED = 5_000
MAX_LIMIT = 500
DEFAULT_LIMIT = 100
_BATCH = 250  # entries in a round trip
# The streams are in the order of writing, by the server's clock; ``at`` is a process's time. A
# refusal is written seconds later, or when the server is back.
_WRITTEN_LATE_S = 3600
_SEARCHED = ("event", "by", "means", "worker", "board", "address")
_POSITION = re.compile(r"([0-9]{1,15})-([0-9]{1,15}) ([0-9]) ([0-9a-f]{12})")


class Filters(msgspec.Struct, frozen=True, omit_defaults=True):
    """Which entries are asked for; None asks for any. ``since`` <= ``at`` < ``until``."""

    event: str | None = None
    worker: str | None = None
    by: str | None = None
    board: str | None = None
    address: str | None = None
    since: str | None = None  # as ``at`` is written
    until: str | None = None
    text: str | None = None  # each of its words occurs in the entry

    def matches(self, entry: AuditEntry) -> bool:
        """Whether ``entry`` is asked for."""
        for name in ("event", "worker", "by", "board"):
            if getattr(self, name) not in (None, getattr(entry, name)):
                return False
        if self.address is not None and not _is_at(entry.address, self.address):
            return False
        if (self.since or "") > entry.at or (self.until is not None and entry.at >= self.until):
            return False
        if self.text is None:
            return True
        values = (*(getattr(entry, name) for name in _SEARCHED), *entry.details.values())
        folded = " ".join(str(each) for each in values if each is not None).casefold()
        return all(word in folded for word in self.text.casefold().split())

    def digest(self) -> str:
        return hashlib.sha256(msgspec.json.encode(self)).hexdigest()[:12]


class Position(NamedTuple):
    """The place of an entry in the merged streams; a later one is greater."""

    ms: int
    number: int
    stream: int  # in STREAMS


class Found(NamedTuple):
    position: Position
    entry: AuditEntry

    def as_dict(self) -> dict[str, Any]:
        """The entry as the API shows it."""
        position, entry = self
        return {
            "id": f"{position.ms}-{position.number}-{position.stream}",
            **{name: getattr(entry, name) for name in entry.__struct_fields__},
        }


class AuditReader:
    """Safe to share between greenlets."""

    def __init__(self, client: OpsClient, keys: Keys) -> None:
        self._client = client
        self._keys = [keys.audit(each.name) for each in STREAMS]

    def page(
        self,
        filters: Filters,
        *,
        limit: int = DEFAULT_LIMIT,
        page: str | None = None,
        pause: Pause = no_pause,
    ) -> tuple[list[Found], str | None]:
        """Up to ``limit`` entries, and the token of the next page or None.

        ``pause`` lets others run. Raises InvalidRequest for a token that is not one of these
        filters.
        """
        after = None if page is None else _position_of(page, filters)
        found: list[Found] = []
        last = after
        for number, (position, encoded) in enumerate(sliced(self._merged(filters, after), pause)):
            if number == MAX_SCANNED and last is not None:
                return found, _page_token(last, filters)
            entry = _decoded(encoded)
            if entry is not None and filters.matches(entry):
                if len(found) == limit:
                    return found, _page_token(found[-1].position, filters)
                found.append(Found(position, entry))
            last = position
        return found, None

    def all(self, filters: Filters, *, pause: Pause = no_pause) -> Iterator[Found]:
        """Every entry that there is now, newest first; read bit by bit."""
        for position, encoded in sliced(self._merged(filters, None), pause):
            entry = _decoded(encoded)
            if entry is not None and filters.matches(entry):
                yield Found(position, entry)

    def _merged(self, filters: Filters, after: Position | None) -> Iterator[tuple[Position, bytes]]:
        asked = range(len(STREAMS))
        if filters.event is not None:
            asked = range(first := STREAMS.index(stream_of(filters.event)), first + 1)
        return heapq.merge(
            *(self._stream(each, filters, after) for each in asked),
            key=lambda each: each[0], reverse=True,
        )  # fmt: skip

    def _stream(
        self, stream: int, filters: Filters, after: Position | None
    ) -> Iterator[tuple[Position, bytes]]:
        """The entries of one stream, newest first, a batch at a time."""
        low, high = "-", "+"
        if filters.since is not None:
            low = str(max(0, _ms_of(filters.since) - _WRITTEN_LATE_S * 1000))
        oldest_ms = int((time.time() - MAX_AGE_S) * 1000)
        if filters.until is not None:
            high = str(max(0, _ms_of(filters.until) + _WRITTEN_LATE_S * 1000))
        if after is not None:
            # Of entries of the same id, that of the stream with the greatest number comes first.
            is_shown = stream >= after.stream
            high = f"{'(' if is_shown else ''}{after.ms}-{after.number}"
        while True:
            batch: Any = self._client.xrevrange(self._keys[stream], high, low, count=_BATCH)
            for id_, fields in batch:
                ms, _, number = id_.decode().partition("-")
                if int(ms) < oldest_ms:
                    return  # it is removed with the next entry
                yield Position(int(ms), int(number), stream), fields[b"entry"]
            if len(batch) < _BATCH:
                return
            high = f"({batch[-1][0].decode()}"


def time_text(name: str, text: str) -> str:
    """``at`` of a time: RFC 3339, in UTC if it has no offset, or a date. Raises InvalidRequest.

    As ``until`` a date includes its day.
    """
    try:
        if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
            day = date.fromisoformat(text) + timedelta(days=int(name == "until"))
            moment = datetime(day.year, day.month, day.day, tzinfo=UTC)
        else:
            moment = datetime.fromisoformat(text)
            moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
        return iso_text(moment.timestamp())
    except (ValueError, OverflowError):
        raise InvalidRequest(
            f"{name} must be a time such as 2026-11-29T06:00:00Z, or a date such as 2026-11-29."
        ) from None


def _ms_of(at: str) -> int:
    return int(datetime.fromisoformat(at).timestamp() * 1000)


def _decoded(encoded: bytes) -> AuditEntry | None:
    """The entry; None for one that another version has written in another form."""
    try:
        return msgspec.json.decode(encoded, type=AuditEntry)
    except msgspec.MsgspecError:
        return None


def _is_at(address: str | None, asked: str) -> bool:
    """Whether an entry's address is the one asked for, or in the same network of IPv6."""
    if address is None or address == asked:
        return address == asked
    network = limited_address(asked)
    return network != "local" and network in (address, limited_address(address))


def _page_token(position: Position, filters: Filters) -> str:
    text = f"{position.ms}-{position.number} {position.stream} {filters.digest()}"
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _position_of(token: str, filters: Filters) -> Position:
    try:
        text = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode("ascii")
    except (binascii.Error, ValueError):
        text = ""
    found = _POSITION.fullmatch(text)
    if found is None or found[4] != filters.digest() or int(found[3]) >= len(STREAMS):
        raise InvalidRequest(
            "page is not a token that this service gave out for these filters. Begin without page."
        )
    return Position(int(found[1]), int(found[2]), int(found[3]))


def filters_of(given: Mapping[str, str | None]) -> Filters:
    """Filters from the texts of a query or a command; '' is none. Raises InvalidRequest."""
    texts = {name: text for name, text in given.items() if text}
    if "event" in texts:
        check_choice("event", texts["event"], EVENTS)
    for name in ("since", "until"):
        if name in texts:
            texts[name] = time_text(name, texts[name])
    return msgspec.convert(texts, Filters)
