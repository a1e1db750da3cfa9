"""Principals: who sends a request, with which credential, and what they may do.

A credential is a token (programs, wallboards), a session (browsers) or a station (paired tablets).
Only its SHA-256 leaves the request. The secrets have 256 random bits, so a slow hash would gain
nothing.
"""

from __future__ import annotations

import hashlib
import secrets

import msgspec

from occupancy.core.entities import AuthMethod, Person, Role, Worker

TOKEN_PREFIX = "occ_"  # noqa: S105 - a prefix that secret scanners can recognise, not a secret
LINK_PREFIX = "occlink_"  # of one-time sign-in links
PAIRING_PREFIX = "occpair_"  # of one-time links that pair a station


class Credential(msgspec.Struct, frozen=True):
    """A token, a session or a station, by the hash of its secret."""

    auth_method: AuthMethod
    digest: str


class StationName(msgspec.Struct, frozen=True):
    """A paired station, as those who use it see it."""

    id: str
    name: str
    board: str | None = None


class Principal(msgspec.Struct, frozen=True):
    """The sender of a request. ``id`` names the credential and is no secret.

    ``role`` is the worker's, or a lower one that the token is limited to; ``board`` is the only
    board that they may see, or None for all. Only sessions have ``idle_s``; these and stations have
    ``csrf_token``. ``station`` is the paired station at which they are.

    In a session opened with a badge ``role`` is at most worker until the PIN confirms it;
    ``role_with_pin`` is what it is then.
    """

    worker: Worker
    role: Role
    credential: Credential
    id: str
    board: str | None = None
    csrf_token: str | None = None
    idle_s: int | None = None
    has_badge: bool = False  # the session was opened with one
    role_with_pin: Role | None = None
    station: StationName | None = None

    @property
    def person(self) -> Person:
        return self.worker.person

    @property
    def auth_method(self) -> AuthMethod:
        """How they were authenticated, for the history and the audit log."""
        return "badge" if self.has_badge else self.credential.auth_method

    @property
    def has_cookie(self) -> bool:
        """Whether a browser sends the credential by itself."""
        return self.credential.auth_method in ("session", "station")

    def may(self, role: Role) -> bool:
        return self.role >= role


def new_secret(prefix: str = "") -> str:
    """A secret of 256 random bits."""
    return prefix + secrets.token_urlsafe(32)


def digest_of(secret: str) -> str:
    """The SHA-256 that is stored instead of ``secret``, in hexadecimal."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()
