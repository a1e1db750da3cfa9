"""The kept cases: a file each, the bytes as they are sent.

``CUT`` stands where a packet ends. A file is a past finding or a boundary; its name says which.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

DIRECTORY = Path(__file__).parent / "corpus"
CUT = b"\n<cut>\n"


def kept(target: str) -> dict[str, bytes]:
    """The cases of a target, by name."""
    return {
        path.name: path.read_bytes()
        for path in sorted((DIRECTORY / target).glob("*"))
        if path.is_file()
    }


def keep(target: str, case: bytes) -> Path:
    """Keep a finding, under a name that a person replaces by a better one."""
    path = DIRECTORY / target / f"found-{hashlib.sha256(case).hexdigest()[:12]}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(case)
    return path
