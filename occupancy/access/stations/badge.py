"""Badges: codes on cards that sign a worker in at a paired station.

A badge's code is any text that a scanner sends: digits, Code 39 or 128, the number of an NFC card.
Few codes are possible, so only an HMAC of it is stored, made with a random key, and the badge is
found by that. A person who can read the store can also read the key and try all codes: the HMAC
protects a badge no better than a hash protects a PIN.

Case is ignored, because Caps Lock swaps it, and so is a scanner's prefix for the kind of code.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import unicodedata
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from occupancy.access.tokens import optional_time
from occupancy.access.workers import Workers
from occupancy.core.errors import AlreadyExists, InvalidRequest, LimitReached, NotFound
from occupancy.core.keys import Keys
from occupancy.core.requests.checks import check_shown, check_text
from occupancy.core.slices import Pause, no_pause, sliced
from occupancy.storage.client import OpsClient
from occupancy.storage.scripts import PublishingScript

MIN_CODE_CHARS, MAX_CODE_CHARS = 4, 128
MAX_OF_WORKER = 20
MAX_BADGES = 20_000
_ENDING_CHARS, _ENDING_FROM_CHARS = 2, 8  # the ending would give half of a shorter code away
_KEY_BYTES = 32
_AIM_PREFIX = re.compile(r"\A\][A-Za-z][0-9A-Za-z]")


class Badge(msgspec.Struct, frozen=True, omit_defaults=True):
    """A badge as it is stored, without its code. ``id`` names it and is no secret."""

    id: str
    worker: str
    created_s: int
    by: str  # the worker who added it, or the command line
    label: str | None = None
    ending: str | None = None  # last characters of the code

    def as_dict(self, used_s: int | None = None) -> dict[str, Any]:
        """The badge as the API shows it; ``used_s``: when it last signed in, if that is known."""
        return {
            "id": self.id,
            "worker": self.worker,
            "label": self.label,
            "ending": self.ending,
            "added": optional_time(self.created_s),
            "added_by": self.by,
            "last_used": optional_time(used_s),
        }


class FoundBadge(NamedTuple):
    badge: Badge
    digest: str  # the HMAC of its code


class BadgeUse(NamedTuple):
    badge: Badge
    used_s: int | None  # when it last signed in; None before the first time


class Badges:
    """Methods raise PoolTimeout or StoreUnavailable when Redis cannot serve.

    ``writes`` is the client for changes, which confirms them.
    """

    def __init__(
        self, client: OpsClient, keys: Keys, workers: Workers, on_changed: Callable[[str], None],
        *, writes: OpsClient,
    ) -> None:  # fmt: skip
        self._client = client
        self._writes = writes
        self._keys = keys
        self._workers = workers
        self._on_changed = on_changed
        self._revoke = PublishingScript(writes, "access/revoke")

    def add(
        self, worker_id: str, code: str, *, by: str, label: str | None = None
    ) -> tuple[Badge, bool]:
        """Give a worker a badge; returns it, and whether it is new: the worker may have it already.

        Raises WorkerNotFound, InvalidRequest for a malformed code or label, LimitReached, and
        AlreadyExists with the ``worker`` who has it.
        """
        code = normalized(code)
        check_text("label", label)
        check_shown("label", label)
        worker = self._workers.get(worker_id)
        digest = self._digest_of(code, may_make_key=True)
        found = self._at(digest)
        if found is None:
            self._check_limits(worker.id)
            badge = Badge(
                id=secrets.token_hex(4), worker=worker.id, created_s=self._now_s(), by=by,
                label=label, ending=_ending_of(code),
            )  # fmt: skip
            if self._writes.hsetnx(self._keys.badges, digest, msgspec.json.encode(badge)):
                return badge, True
            found = self._at(digest)  # another request was faster
        if found is None or found.worker != worker.id:
            owner = found.worker if found is not None else None
            whose = f"worker {owner}" if owner is not None else "another worker"
            raise AlreadyExists(
                f"This badge belongs to {whose}. Remove it there first.", worker=owner
            )
        # An earlier request may have added it without being confirmed: this waits for replicas.
        self._writes.exists(self._keys.badges)
        return found, False

    def of(self, worker_id: str) -> list[Badge]:
        """The badges of a worker, oldest first. Raises WorkerNotFound."""
        self._workers.get(worker_id)
        return [each for each in self.all() if each.worker == worker_id]

    def all(self) -> list[Badge]:
        """All badges, oldest first."""
        found = self._client.hvals(self._keys.badges)
        badges = [msgspec.json.decode(each, type=Badge) for each in found]
        return sorted(badges, key=lambda each: (each.created_s, each.id))

    def with_uses(self, worker_id: str | None = None, *, pause: Pause = no_pause) -> list[BadgeUse]:
        """The badges of a worker, or all, oldest first, and when each was last used.

        Two round trips, however many there are. Raises WorkerNotFound.
        """
        if worker_id is not None:
            self._workers.get(worker_id)
        stored: Any = self._client.hgetall(self._keys.badges)
        found: list[tuple[bytes, Badge]] = []
        for digest, encoded in sliced(stored.items(), pause):
            badge = msgspec.json.decode(encoded, type=Badge)
            if worker_id in (None, badge.worker):
                found.append((digest, badge))
        if not found:
            return []
        found.sort(key=lambda each: (each[1].created_s, each[1].id))
        uses: Any = self._client.hmget(self._keys.uses, [digest for digest, _ in found])
        return [
            BadgeUse(badge, int(used) if used is not None else None)
            for (_, badge), used in zip(found, uses, strict=True)
        ]

    def find_by_id(self, worker_id: str, badge_id: str) -> Badge:
        """The badge of a worker with that id. Raises NotFound."""
        return self._stored(worker_id, badge_id)[1]

    def remove(self, worker_id: str, badge_id: str) -> Badge:
        """Remove a badge, which ends the sessions that were opened with it. Raises NotFound."""
        keys = self._keys
        digest, badge = self._stored(worker_id, badge_id)
        try:
            self._revoke.run(
                [keys.badges, keys.uses, keys.session_ends, keys.changes],
                [digest, worker_id, keys.access_channel],
            )
        finally:  # it may be removed although that is not confirmed
            self._on_changed(worker_id)
        return badge

    def _stored(self, worker_id: str, badge_id: str) -> tuple[bytes, Badge]:
        found: Any = self._client.hgetall(self._keys.badges)
        for digest, encoded in found.items():
            badge = msgspec.json.decode(encoded, type=Badge)
            if (badge.id, badge.worker) == (badge_id, worker_id):
                return digest, badge
        # Perhaps an earlier request has removed it, and was not confirmed: this one says that it
        # does not exist, so that must last.
        self._writes.exists(self._keys.badges)
        raise NotFound(
            f"Worker {worker_id} has no badge of that id. It may have been removed: load the list."
        )

    def find(self, code: str) -> FoundBadge | None:
        """The badge with that code; None if there is none, or the code is malformed."""
        try:
            digest = self._digest_of(normalized(code))
        except InvalidRequest:
            return None
        badge = self._at(digest) if digest else None
        return FoundBadge(badge, digest) if badge is not None else None

    def _at(self, digest: str) -> Badge | None:
        encoded = self._client.hget(self._keys.badges, digest)
        return msgspec.json.decode(encoded, type=Badge) if isinstance(encoded, bytes) else None

    def _check_limits(self, worker_id: str) -> None:
        badges = self.all()
        if len([each for each in badges if each.worker == worker_id]) >= MAX_OF_WORKER:
            raise LimitReached(f"Worker {worker_id} has {MAX_OF_WORKER} badges. Remove one first.")
        if len(badges) >= MAX_BADGES:
            raise LimitReached(f"There are {MAX_BADGES} badges. Remove some first.")

    def _digest_of(self, code: str, *, may_make_key: bool = False) -> str:
        """The HMAC of a normalized code; '' while there is no key, so no badge."""
        key = self._client.get(self._keys.badge_key)
        if key is None and may_make_key:
            # If two processes make a key at once, the first one stays.
            self._writes.set(self._keys.badge_key, secrets.token_bytes(_KEY_BYTES), nx=True)
            key = self._client.get(self._keys.badge_key)
        if not isinstance(key, bytes):
            return ""
        return hmac.new(key, code.encode(), hashlib.sha256).hexdigest()

    def _now_s(self) -> int:
        moment: Any = self._client.time()
        return int(moment[0])


def normalized(code: str) -> str:
    """``code`` as it is compared. Raises InvalidRequest, whose text does not contain the code."""
    text = plain_code(code).upper()
    check_text("The code", text)
    if not MIN_CODE_CHARS <= len(text) <= MAX_CODE_CHARS:
        raise InvalidRequest(
            f"The code of a badge has {MIN_CODE_CHARS} to {MAX_CODE_CHARS} characters."
        )
    return text


def plain_code(code: str) -> str:
    """``code`` without a scanner's prefix, and without spaces around it."""
    text = unicodedata.normalize("NFKC", code).strip()
    return _AIM_PREFIX.sub("", text).strip()


def _ending_of(code: str) -> str | None:
    return code[-_ENDING_CHARS:] if len(code) >= _ENDING_FROM_CHARS else None
