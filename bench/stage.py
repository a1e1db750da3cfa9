"""The stage of a run: each is started afresh, alone, measured and ended, in turn.

Fresh processes make memory and warm-up comparable. Whoever fails leaves a row that says so, and
the run goes on.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import redis

from bench.cpu import children
from bench.generator import Generator
from bench.work import PRODUCT

T = TypeVar("T")
_PAUSE_S = 1.0  # after each: what it left behind (closed sockets, pages) is cleared up


class Stage:
    """Where a round of the works is measured."""

    def __init__(
        self, directory: Path, kinds: Mapping[str, Callable[[Path], Any]], *, is_short: bool
    ) -> None:
        self.generator = Generator(directory)
        self.directory = directory
        self.is_short = is_short
        self.round = 0
        self.label = ""
        self._kinds = kinds

    def pick(self, full: T, short: T) -> T:
        return short if self.is_short else full

    @contextmanager
    def peer(self, start: Callable[[Path], T]) -> Iterator[T]:
        """A peer in a directory of its own; it ends with the block."""
        with tempfile.TemporaryDirectory(dir=self.directory, ignore_cleanup_errors=True) as own:
            before = children(os.getpid())
            peer: Any = None
            try:
                peer = start(Path(own))
                yield peer
            finally:
                if peer is not None:
                    peer.stop()
                for pid in set(children(os.getpid())).difference(before):
                    os.kill(pid, signal.SIGTERM)  # what a start that failed has left
        time.sleep(self.pick(_PAUSE_S, 0.0))

    def in_turn(
        self, names: Sequence[str], measure: Callable[[Any], dict[str, Any]],
        starts: Mapping[str, Callable[[Path], Any]] | None = None,
    ) -> dict[str, dict[str, Any]]:  # fmt: skip
        """A row of each that can be had; another begins in each round.

        ``starts`` are other ways to start, by name.
        """
        here = [name for name in names if name in self._kinds]
        if not here:
            return {}
        turned = here[self.round % len(here) :] + here[: self.round % len(here)]
        kinds = {**self._kinds, **(starts or {})}
        rows = {name: self.row(name, kinds[name], measure) for name in turned}
        return {name: rows[name] for name in here}

    def row(
        self, name: str, start: Callable[[Path], T], measure: Callable[[T], dict[str, Any]]
    ) -> dict[str, Any]:
        """The figures of one; where it fails, what went wrong."""
        return self.rows(name, start, lambda peer: {name: measure(peer)})[name]

    def rows(
        self, name: str, start: Callable[[Path], T],
        measure: Callable[[T], dict[str, dict[str, Any]]],
    ) -> dict[str, dict[str, Any]]:  # fmt: skip
        """Several rows of one process; where it fails, one that says what went wrong."""
        self.say(name)
        try:
            with self.peer(start) as peer:
                return measure(peer)
        except (OSError, RuntimeError, ValueError, redis.RedisError) as error:
            self.say(f"{name}: {error}")
            return {name: {"failed": str(error)}}

    def product(self, **options: Any) -> Callable[[Path], Any]:
        """How the product is started with these options."""
        return lambda directory: self._kinds[PRODUCT](directory, **options)

    def say(self, what: str) -> None:
        print(f"bench: {self.label}: {what}", file=sys.stderr, flush=True)
