"""The trail: who signed in, who was denied, whose streams were ended; one JSON object a line.

The lines go to stderr, between those of the log, and begin with ``{``, which no line of the log
does. They are ASCII, so that nothing in a field can look like the end of a line, and no longer
than a pipe takes at once. Never give it a secret.
"""

from __future__ import annotations

import datetime
import json
import logging
import sys

from occupancy.observability.log_lines import MAX_LINE_BYTES, LineHandler

log = logging.getLogger(__name__)

_CUTS = (256, 64, 16)  # characters of a text; enough for any id, and for the gist of a path


def record(event: str, **fields: object) -> None:
    """Write one line: ``at`` (UTC), ``event``, and ``fields``, in that order.

    Numbers, booleans and None stay what they are; everything else becomes a text, cut to 256
    characters, or less where there are many long ones.
    """
    if not log.isEnabledFor(logging.INFO):
        return  # the command line
    at = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
    whole = {"at": at.replace("+00:00", "Z"), "event": event, **fields}
    line = ""
    for longest in _CUTS:
        line = json.dumps({name: _plain(value, longest) for name, value in whole.items()})
        if len(line) <= MAX_LINE_BYTES:
            break
    log.info("%s", line)


def _plain(value: object, longest: int) -> object:
    return value if value is None or isinstance(value, int | float) else str(value)[:longest]


def install() -> None:
    """Write the trail to stderr, whatever the level of the log is."""
    handler = LineHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    log.handlers = [handler]
    log.setLevel(logging.INFO)
    log.propagate = False
