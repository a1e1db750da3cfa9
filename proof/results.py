"""A round's result as text, and on what machine it was."""

from __future__ import annotations

import functools
import os
import platform
import re
import subprocess
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.support.servers import BINARIES, binary_of

SHOWN = {  # figures of a round on its line, and what stands before and after each
    "operations": ("", " operations"), "per_s": ("", "/s"), "replayed": ("", " lost and retried"),
    "deliveries": ("", " deliveries"), "forced_reconnects": ("", " reconnects"),
    "acknowledged_and_lost": ("acknowledged and lost ", ""), "hours": ("", " hours"),
}  # fmt: skip
_SHOWN_TEXTS = 5
_HERE = str(Path(__file__).parent)


def text_of(row: Mapping[str, Any]) -> str:
    """A result as lines: one, and one for each violation."""
    figures = row["figures"]
    shown = ", ".join(
        f"{before}{figures[name]:,.0f}{after}"
        for name, (before, after) in SHOWN.items() if figures.get(name)
    )  # fmt: skip
    outcome = f"VOID, {row['void']}" if row["void"] else "VIOLATED" if row["violations"] else "ok"
    lines = [f"{name_of(row)}: {outcome}; {shown + ', ' if shown else ''}{row['took_s']:.1f} s"]
    for name, texts in row["violations"].items():
        lines += [f"  {name}: {len(texts)}", *(f"    {each}" for each in texts[:_SHOWN_TEXTS])]
    return "\n".join(lines)


def why_void(error: BaseException) -> str:
    """What ended a round early, and where: the innermost line of this package, and its callers'."""
    frames = traceback.extract_tb(error.__traceback__)
    places = [
        f"{Path(each.filename).name}:{each.lineno}" for each in frames if _HERE in each.filename
    ]
    return f"{type(error).__name__}: {error} ({', from '.join(places[:-4:-1])})"


def name_of(row: Mapping[str, Any]) -> str:
    """Which round it was: what ``bin/prove --only KIND --seed S`` repeats, and on what it ran."""
    faults = f" ({'+'.join(row['faults'])})" if len(set(row["faults"])) > 1 else ""
    nodes = f", {row['nodes']} nodes" if row["nodes"] > 1 else ""
    return f"{row['kind']}{faults}, seed {row['seed']}, {row['server']}{nodes}"


def about() -> dict[str, Any]:
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": os.cpu_count(),
        "kernel": platform.release().partition("-")[0],
        "python": platform.python_version(),
        **{each: _version_of(each) for each in BINARIES},
    }


@functools.cache
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
