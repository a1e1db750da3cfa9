"""What the rounds have shown: printed, kept, and written to a file after each."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.support.servers import BINARIES, binary_of


class Results:
    """Rows, one for each round; with a ``path`` they are written after each."""

    def __init__(self, path: Path | None = None) -> None:
        self.rows: list[dict[str, Any]] = []
        self._path = path

    def add(self, row: dict[str, Any]) -> None:
        self.rows.append(row)
        print(text_of(row), flush=True)
        if self._path is not None:
            counts = {"about": _about(), "rounds": self.rows}
            self._path.write_text(json.dumps(counts, indent=1) + "\n")

    @property
    def failures(self) -> list[dict[str, Any]]:
        """The rounds that are void, or after which something did not hold."""
        return [each for each in self.rows if each["void"] or each["violations"]]

    def summary(self) -> str:
        count = len(self.rows)
        return f"{count} rounds, {count - len(self.failures)} without a violation"


def keep_log(text: str) -> None:
    """Keep the logs of the nodes of a round that failed."""
    path = Path(tempfile.gettempdir()) / f"prove-{time.time():.0f}.log"
    path.write_text(text)
    print(f"  the logs of the nodes: {path}")


def text_of(row: dict[str, Any]) -> str:
    """A result as lines: one, and one for each violation."""
    shown = " ".join(
        f"{name}={value:.2f}" if isinstance(value, float) else f"{name}={value}"
        for name, value in row["figures"].items()
    )
    outcome = "VOID: " + row["void"] if row["void"] else "ok" if not row["violations"] else "FAILED"
    lines = [f"{name_of(row)}, {row['took_s']:.1f} s: {outcome}  {shown}"]
    lines += [f"  {each}" for each in row.get("notes", [])]
    for name, texts in row["violations"].items():
        lines += [f"  {name}: {len(texts)}", *(f"    {each}" for each in texts[:5])]
    return "\n".join(lines)


def name_of(row: dict[str, Any]) -> str:
    """Which round it was, and how to repeat it."""
    if row["topology"] == "single":
        nodes = f", {row['nodes']} nodes" if row["nodes"] > 1 else ""
        return f"one server, {row['server']}{nodes}, {'+'.join(row['faults'])}, seed {row['seed']}"
    strict = ", strict mode" if row["is_strict"] else ""
    return f"{row['topology']} of {row['server']}{strict}, {row['fault']}, seed {row['seed']}"


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
