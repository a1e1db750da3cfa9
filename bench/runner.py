"""Runs systems in turn: each is started afresh, alone on the machine, measured and ended.

Fresh processes make memory and warm-up comparable. A system that fails leaves a row that says so,
and the run goes on.
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

T = TypeVar("T")
_PAUSE_S = 1.0  # after each: the kernel clears up what it left behind (closed sockets, pages)


class Runner:
    """Measures one round after the other; ``systems`` says how each is started, by name."""

    def __init__(
        self, generator: Generator, directory: Path,
        systems: Mapping[str, Callable[[Path], Any]], *, is_short: bool,
    ) -> None:  # fmt: skip
        self.generator = generator
        self.directory = directory
        self.is_short = is_short
        self.round = 0
        self.label = ""
        self._systems = systems

    def pick(self, full: T, short: T) -> T:
        """One of two sizes: of a full run, or of a short one."""
        return short if self.is_short else full

    def has(self, name: str) -> bool:
        """Whether this system takes part."""
        return name in self._systems

    @contextmanager
    def running(self, start: Callable[[Path], T]) -> Iterator[T]:
        """A system in a directory of its own; it ends with the block."""
        with tempfile.TemporaryDirectory(dir=self.directory, ignore_cleanup_errors=True) as own:
            before = children(os.getpid())
            system: Any = None
            try:
                system = start(Path(own))
                yield system
            finally:
                if system is not None:
                    system.stop()
                for pid in set(children(os.getpid())).difference(before):
                    os.kill(pid, signal.SIGTERM)  # left behind by a start that failed
        time.sleep(self.pick(_PAUSE_S, 0.0))

    def in_turn(
        self, names: Sequence[str], measure: Callable[[Any], dict[str, Any]],
        starts: Mapping[str, Callable[[Path], Any]] | None = None,
    ) -> dict[str, dict[str, Any]]:  # fmt: skip
        """A row of each system that takes part; another begins in each round.

        ``starts`` are other ways to start, by name.
        """
        present = [name for name in names if self.has(name)]
        if not present:
            return {}
        first = self.round % len(present)
        systems = {**self._systems, **(starts or {})}
        rows = {
            name: self.row(name, systems[name], measure)
            for name in present[first:] + present[:first]
        }
        return {name: rows[name] for name in present}

    def row(
        self, name: str, start: Callable[[Path], T], measure: Callable[[T], dict[str, Any]]
    ) -> dict[str, Any]:
        """The figures of one system; if it fails, the reason."""
        return self.rows(name, start, lambda system: {name: measure(system)})[name]

    def rows(
        self, name: str, start: Callable[[Path], T],
        measure: Callable[[T], dict[str, dict[str, Any]]],
    ) -> dict[str, dict[str, Any]]:  # fmt: skip
        """Several rows of one process; if it fails, one row with the reason."""
        self.say(name)
        try:
            with self.running(start) as system:
                return measure(system)
        except (OSError, RuntimeError, ValueError, redis.RedisError) as error:
            self.say(f"{name}: {error}")
            return {name: {"failed": str(error)}}

    def start(self, name: str, **options: Any) -> Callable[[Path], Any]:
        """How a system is started with these options; it need not take part."""
        return lambda directory: self._systems[name](directory, **options)

    def say(self, what: str) -> None:
        print(f"bench: {self.label}: {what}", file=sys.stderr, flush=True)
