"""The process that reads one file from anybody, under limits; ``parsing`` starts it.

A file may be made to take all memory or time: a ZIP of zeros, a cell at the far end of the sheet,
entities in XML. Here it takes those of a process that has nothing to lose: no setting, no secret,
no connection. Its frames are described in ``reading``.
"""

from __future__ import annotations

import resource
import sys

# What one file may take: several times what 100,000 rows of ten columns do.
_LIMITS = (
    (resource.RLIMIT_AS, 768 * 1024 * 1024),
    (resource.RLIMIT_CPU, 20),
    (resource.RLIMIT_FSIZE, 0),  # it writes no file
    (resource.RLIMIT_CORE, 0),
)


def main(encoding: str, sheet: str) -> None:
    """Read stdin in ``encoding``, and the sheet of that name ('': the first with content)."""
    for what, limit in _LIMITS:
        _, hard = resource.getrlimit(what)
        lowest = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(what, (lowest, lowest))
    # Only now: what is imported, and imports at its start, is under the limits too.
    from occupancy.tables.sandbox.reading import write_frames  # noqa: PLC0415 - see above

    write_frames(sys.stdin.buffer, sys.stdout.buffer, encoding=encoding, sheet=sheet or None)


if __name__ == "__main__":
    main(*sys.argv[1:])
