"""Two deployments with the same contents, one for each way in, and the checks of every case.

A case names what only a running deployment has by placeholders of the same length:
a new item and another one (``T-000000-a``, ``T-000000-b``) on a board that is new now and then
(``b-0000``), tokens (``token_of``), the session's cookie and CSRF token, and a cursor. A target
that concerns settings sends its cases to variants of the twins.
"""

from __future__ import annotations

import contextlib
import functools
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import redis

from occupancy.boards.commands import Command
from occupancy.core.entities import Person, Role
from occupancy.core.principal import Credential, digest_of
from occupancy.core.settings import Settings
from occupancy.core.transitions import PUT
from proof.fuzz.answers import EVENTS, Answer, Violation, read
from proof.fuzz.corpus import CUT
from proof.fuzz.way import ErrorLog, Way

OPEN, HIDDEN, BOARD = b"T-000000-a", b"T-000000-b", b"b-0000"
COOKIE, CSRF, CURSOR = b"@cookie@", b"@csrf@", b"@cursor@"
_ROLES = {
    "observer": Role.OBSERVER, "worker": Role.WORKER, "supervisor": Role.SUPERVISOR,
    "admin": Role.ADMIN,
}  # fmt: skip
_TOKEN_LENGTH = 47
_CASES_OF_A_BOARD = 100
_SUPERVISOR = Person("supervisor", "Supervisor")
_LIMITS: dict[str, Any] = {
    "operations_per_s": 100_000, "address_operations_per_s": 100_000,
    "streams_per_caller": 10_000,
}  # fmt: skip


def token_of(role: str) -> str:
    """The placeholder of a token of a worker with that role."""
    return f"occ_{role}_".ljust(_TOKEN_LENGTH, "x")


class Twins:
    """Both deployments, with workers, tokens and a session that they share.

    ``changes`` are settings that differ from the default; ``errors`` is given to variants.
    """

    def __init__(
        self, redis_url: str, directory: Path, prefix: str, errors: ErrorLog | None = None,
        **changes: Any,
    ) -> None:  # fmt: skip
        make = functools.partial(
            Settings, redis_url=redis_url, state_dir=str(directory), processes=1, **_LIMITS,
            **changes,
        )  # fmt: skip
        self._make_variant = functools.partial(Twins, redis_url, directory)
        self._prefix = prefix
        self._variants: dict[tuple[tuple[str, Any], ...], Twins] = {}
        self._errors = errors or ErrorLog()
        if errors is None:
            logging.getLogger().addHandler(self._errors)
        self.fast = Way(make(prefix=f"{prefix}-f", fast_path=True))
        self.slow = Way(make(prefix=f"{prefix}-s", fast_path=False))
        self._redis = redis.Redis.from_url(redis_url, protocol=2)
        self._count = self._boards = 0
        self._placeholders: list[tuple[bytes, bytes]] = []
        self._cookies: dict[Way, bytes] = {}
        self._fill()
        for way in self.ways:
            way.start()

    @property
    def ways(self) -> tuple[Way, Way]:
        return self.fast, self.slow

    def variant(self, **changes: Any) -> Twins:
        """Twins with these settings, which are closed with this one."""
        key = tuple(sorted(changes.items()))
        if key not in self._variants:
            prefix = f"{self._prefix}-{len(self._variants)}"
            self._variants[key] = self._make_variant(prefix, self._errors, **changes)
        return self._variants[key]

    def close(self) -> None:
        for each in self._variants.values():
            each.close()
        logging.getLogger().removeHandler(self._errors)
        for way in self.ways:
            way.stop()
        self._redis.close()

    def answers(self, way: Way, pieces: list[bytes]) -> list[Answer]:
        """The answers of one way to a case. Raises Violation if they are wrong by themselves."""
        store, board = way.services.store, self._board
        before = store.log.head(board).head_seq
        sent = [self._filled(each, way) for each in pieces]
        answers = read(way.send(sent))
        # A refusal has changed nothing, and each change was answered as one.
        told = sum(_changes(each) for each in answers)
        done = store.log.head(board).head_seq - before
        if told != done:
            raise Violation(f"{done} changes in the log, {told} in the answers: {answers}")
        if self._errors.lines:
            lines, self._errors.lines = self._errors.lines, []
            raise Violation(f"logged: {lines[0][:3000]}")
        return answers

    def check(self, case: bytes) -> tuple[list[Answer], list[Answer]]:
        """Send a case both ways. Raises Violation if the answers differ or are wrong."""
        with self.case():
            return self.compared(case.split(CUT))

    @contextlib.contextmanager
    def case(self) -> Iterator[None]:
        """A block that sends one case, to items of its own."""
        self._begin_case()
        try:
            yield
        except BaseException:
            self._errors.lines.clear()
            self._create_board()  # the boards may differ now, which must not fail the next case
            raise

    def compared(self, pieces: list[bytes]) -> tuple[list[Answer], list[Answer]]:
        """The answers of both ways. Raises Violation if they differ or are wrong."""
        fast, slow = self.answers(self.fast, pieces), self.answers(self.slow, pieces)
        for one, other in zip(fast, slow, strict=False):
            if one.comparable() != other.comparable():
                raise Violation(f"fast {one.comparable()}\nslow {other.comparable()}")
        if len(fast) != len(slow):
            raise Violation(f"fast {fast}\nslow {slow}")
        return fast, slow

    @property
    def _board(self) -> str:
        return f"b-{self._boards:04}"

    def _begin_case(self) -> None:
        self._count += 1
        if self._count % _CASES_OF_A_BOARD == 0:
            self._create_board()
        tags = [each.decode().replace("000000", f"{self._count:06}") for each in (OPEN, HIDDEN)]
        for way in self.ways:
            way.services.store.commands.execute(
                Command(self._board, PUT, tags, actor=_SUPERVISOR, items=[{}, {}])
            )

    def _create_board(self) -> None:
        self._boards += 1
        for way in self.ways:
            way.services.store.boards.create(self._board, steps=("ARM", "SOLD"))

    def _fill(self) -> None:
        services = self.fast.services
        for name, role in _ROLES.items():
            services.workers.add(name, name=name.title(), role=role)
            secret, _ = services.tokens.create(name)
            if len(secret) != _TOKEN_LENGTH:
                raise AssertionError(f"a token has {len(secret)} characters")
            self._placeholders.append((token_of(name).encode(), secret.encode()))
        known = services.authenticator.identify(credential_of(self._placeholders[1][1].decode()))
        secret, session = services.sign_in.with_token(known, address="127.0.0.1", instead_of=None)
        self._placeholders.append((CSRF, session.csrf_token.encode()))
        for way in self.ways:
            self._cookies[way] = f"{way.services.settings.cookie_name}={secret}".encode()
        source = self.fast.services.settings.prefix
        for key in list(self._redis.scan_iter(match=f"{source}:*", count=1000)):
            copy = key.replace(source.encode(), self.slow.services.settings.prefix.encode(), 1)
            self._redis.copy(key, copy)
        self._create_board()

    def _filled(self, piece: bytes, way: Way) -> bytes:
        """``piece`` with the placeholders replaced."""
        number = f"{self._count:06}".encode()
        piece = piece.replace(b"T-000000-", b"T-%b-" % number)
        piece = piece.replace(BOARD, self._board.encode()).replace(COOKIE, self._cookies[way])
        if CURSOR in piece:
            cursor = way.services.store.log.head(self._board).head_cursor
            piece = piece.replace(CURSOR, cursor.encode())
        for placeholder, text in self._placeholders:
            piece = piece.replace(placeholder, text)
        return piece


@contextlib.contextmanager
def twins_on(redis_url: str, directory: Path, prefix: str) -> Iterator[Twins]:
    made = Twins(redis_url, directory, prefix)
    try:
        yield made
    finally:
        made.close()


def _changes(answer: Answer) -> int:
    """The number of changed items in an answer."""
    if answer.kind != "application/json" or not answer.body or answer.get("idempotency-replayed"):
        return 0
    told = json.loads(answer.body)
    results = told.get("results", [told])
    return sum(each.get("changed") is True for each in results)


def credential_of(secret: str) -> Credential:
    """The credential of a token."""
    return Credential("token", digest_of(secret))


__all__ = ["EVENTS", "Twins", "Violation", "credential_of", "token_of", "twins_on"]
