"""The audit log: sign-ins, denials, ended streams, changes of access; one JSON object a line.

The lines go to stderr, between those of the log, and begin with ``{``, which no line of the log
does. They are ASCII, so that no field can contain what looks like the end of a line, and no longer
than a pipe takes at once. A caller must never pass a secret.
"""

from __future__ import annotations

import contextlib
import json
import logging
import sys
import time
from collections.abc import Callable, Iterator

from occupancy.core.errors import PoolTimeout, StoreUnavailable, Unconfirmed
from occupancy.core.timestamps import iso_text
from occupancy.observability.log_lines import MAX_LINE_BYTES, LineHandler

log = logging.getLogger(__name__)

_MAX_CHARS = (256, 64, 16)  # of a text: enough for any id, and for the gist of a path


def record(event: str, **fields: object) -> None:
    """Write one line: ``at`` (UTC), ``event``, and ``fields``, in that order.

    Numbers, booleans and None keep their type; other values become texts, cut to 256 characters,
    or to fewer where the line would be too long. An ``at`` in ``fields`` replaces the present time.
    """
    if not log.isEnabledFor(logging.INFO):
        return  # the command line
    whole = {"at": iso_text(time.time()), "event": event, **fields}
    line = ""
    for max_chars in _MAX_CHARS:
        line = json.dumps({name: _plain(value, max_chars) for name, value in whole.items()})
        if len(line) <= MAX_LINE_BYTES:
            break
    log.info("%s", line)


@contextlib.contextmanager
def recording(
    write: Callable[..., None], event: str, **fields: object
) -> Iterator[dict[str, object]]:
    """Record the change that the block makes, by ``write``; the block may add to the fields.

    If the block clears the fields, nothing has changed, and nothing is recorded.

    A change that is not confirmed is made all the same, and its repetition may find nothing to
    change: so it is recorded now.
    """
    try:
        yield fields
    except Unconfirmed:
        with contextlib.suppress(PoolTimeout, StoreUnavailable):  # the caller hears of the change
            write(event, **fields)
        raise
    if fields:
        write(event, **fields)


def _plain(value: object, max_chars: int) -> object:
    return value if value is None or isinstance(value, int | float) else str(value)[:max_chars]


def install() -> None:
    """Write the audit log to stderr, whatever the level of the log is."""
    handler = LineHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    log.handlers = [handler]
    log.setLevel(logging.INFO)
    log.propagate = False
