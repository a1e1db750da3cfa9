"""A run: set-ups one after the other, several faults on each, and what came of them."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import gevent
import redis

from proof.deployment.site import Site, site_on
from proof.failover.faults import Fault, faults_of
from proof.failover.round import Result, Round
from proof.history.contents import Contents
from tests.support.servers import BINARIES, binary_of


class Run:
    """Collects results; with a ``path`` they are written after each round."""

    def __init__(
        self, directory: Path, *, seed: int, rounds: int, path: Path | None = None,
        is_short: bool = False,
    ) -> None:  # fmt: skip
        self.results: list[dict[str, Any]] = []
        self._directory, self._path = directory, path
        self._seed, self._rounds, self._is_short = seed, rounds, is_short

    def measure(
        self, topology: str, server: str, *, is_strict: bool, only: Sequence[str] | None = None
    ) -> None:
        """All faults of one set-up, or those in ``only``."""
        faults = faults_of(topology, server, is_strict=is_strict)
        chosen = {name: each for name, each in faults.items() if only is None or name in only}
        if not chosen:
            return
        directory = self._directory / f"{len(self.results)}-{topology}-{server}-{is_strict}"
        directory.mkdir()
        contents = Contents()
        with site_on(topology, server, directory, is_strict=is_strict) as site:
            for number in range(self._rounds):
                for name, fault in chosen.items():
                    result = run_round(
                        site, contents, name, fault, seed=self._seed + number,
                        is_short=self._is_short,
                    )  # fmt: skip
                    self._add(topology, server, is_strict, result)
                    if result.void or result.violations:
                        _keep_log(site)

    @property
    def failures(self) -> list[dict[str, Any]]:
        """The rounds that are void, or after which something did not hold."""
        return [each for each in self.results if each["void"] or each["violations"]]

    def summary(self) -> str:
        count = len(self.results)
        return f"{count} faults, {count - len(self.failures)} without a violation"

    def _add(self, topology: str, server: str, is_strict: bool, result: Result) -> None:
        row = {"topology": topology, "server": server, "is_strict": is_strict, **vars(result)}
        self.results.append(row)
        print(text_of(row), flush=True)
        if self._path is not None:
            counts = {"about": _about(), "rounds": self.results}
            self._path.write_text(json.dumps(counts, indent=1) + "\n")


def run_round(
    site: Site, contents: Contents, name: str, fault: Fault, *, seed: int, is_short: bool
) -> Result:
    """One round. Whatever ends it early makes it void."""
    try:
        return Round(site, contents, name, seed, is_short=is_short).run(fault)
    except (AssertionError, TimeoutError, gevent.Timeout, redis.RedisError) as error:
        return Result(name, seed, void=f"{type(error).__name__}: {error}")


def _keep_log(site: Site) -> None:
    path = Path(tempfile.gettempdir()) / f"prove-{time.time():.0f}.log"
    path.write_text(site.log_text())
    print(f"  the logs of the nodes: {path}")


def _about() -> dict[str, Any]:
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": os.cpu_count(),
        "kernel": platform.release().partition("-")[0],
        "python": platform.python_version(),
        **{each: _version_of(each) for each in BINARIES},
    }


def _version_of(server: str) -> str:
    """For example ``Redis 7.0.15``."""
    binary = binary_of(server)
    if binary is None:
        return f"no {server}"
    said = subprocess.run(
        [str(binary), "--version"], capture_output=True, text=True, timeout=30, check=True
    ).stdout
    found = re.search(r"v=(\S+)", said)
    return f"{server.title()} {found[1] if found else ''}".strip()


def text_of(row: dict[str, Any]) -> str:
    """A result as lines: one, and one for each violation."""
    found = row["figures"]
    shown = " ".join(
        f"{name}={value:.2f}" if isinstance(value, float) else f"{name}={value}"
        for name, value in found.items()
    )
    outcome = "VOID: " + row["void"] if row["void"] else "ok" if not row["violations"] else "FAILED"
    strict = " strict" if row["is_strict"] else ""
    lines = [
        f"{row['topology']} {row['server']}{strict} {row['fault']} seed {row['seed']} "
        f"{row['took_s']:.1f} s {outcome}  {shown}"
    ]
    for name, texts in row["violations"].items():
        lines += [f"  {name}: {len(texts)}", *(f"    {each}" for each in texts[:5])]
    return "\n".join(lines)
