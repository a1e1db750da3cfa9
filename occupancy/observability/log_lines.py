"""Log lines that no input can forge.

Clients' input gets into messages and into the texts of exceptions. So a message is written on one
line and in visible ASCII, and each line of a traceback begins with a mark that no record begins
with. A line is no longer than a pipe takes at once, and is written at once: otherwise a line of
another process could come in between, and the rest of the first one would look like its own.
"""

from __future__ import annotations

import logging
import re
import sys
import traceback
from types import TracebackType
from typing import Any, TextIO

from gunicorn import glogging

FORMAT = "[%(asctime)s] [%(process)d] [%(levelname)s] %(name)s: %(message)s"
DATE_FORMAT = "%Y-%m-%d %H:%M:%S %z"  # gunicorn's: both write the same log
CONTINUED = "  | "
MAX_LINE_BYTES = 4000  # below PIPE_BUF on Linux; lines are ASCII

_OTHER_THAN_VISIBLE = re.compile(r"[^ -~]")
# In a query or a Referer; also with escapes in the name, which Werkzeug resolves.
_TICKET = re.compile(r"(?i)((?:t|%74)(?:i|%69)(?:c|%63)(?:k|%6b)(?:e|%65)(?:t|%74)=)[^&\s\"#]*")
_CREDENTIALS = {
    f"{{{prefix}{name}}}{end}"
    for name in ("authorization", "cookie", "x-csrf-token")
    for prefix, end in (("", "i"), ("http_", "e"))
} | {"{set-cookie}o", "{http_x_csrf_token}e"}
_HANDLER_NAME = "occupancy"  # not the class: a process may have newer code than its master


def visible(text: str) -> str:
    """``text`` in visible ASCII on one line: line breaks as ``\\n``, others as ``\\x1b``."""
    if not (text.isascii() and text.isprintable()):
        text = _OTHER_THAN_VISIBLE.sub(
            lambda found: found[0].encode("unicode_escape").decode("ascii"), text
        )
    if len(text) > MAX_LINE_BYTES:
        text = f"{text[: MAX_LINE_BYTES - 40]}... ({len(text)} characters)"
    return text


class LineFormatter(logging.Formatter):
    """A record on one line; its traceback, if any, on marked lines after it."""

    def format(self, record: logging.LogRecord) -> str:
        record.message = record.getMessage()
        if self.usesTime():
            record.asctime = self.formatTime(record, self.datefmt)
        # Not record.exc_text, in which another formatter may have cached a raw traceback.
        raised = self.formatException(record.exc_info) if record.exc_info else None
        rest = [line for text in (raised, record.stack_info) if text for line in text.split("\n")]
        return "\n".join(
            [visible(self.formatMessage(record)), *(CONTINUED + visible(line) for line in rest)]
        )


class LineHandler(logging.StreamHandler[TextIO]):
    """Writes each line at once."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            for line in self.format(record).split("\n"):
                self.stream.write(line + "\n")
                self.stream.flush()
        except Exception:  # noqa: BLE001 - as the standard library's handlers do
            self.handleError(record)


class Logger(glogging.Logger):  # type: ignore[misc] # gunicorn ships no types
    """gunicorn's logger; nobody can forge its error and access logs either.

    They contain no credentials: an exception, whose text may be the request's bytes, is logged by
    its class, and a ticket as "...".
    """

    def debug(self, msg: object, *args: object, **kwargs: Any) -> None:
        # gunicorn logs the parser's errors only here; see server/malformed_requests.py.
        shown = (type(each).__name__ if isinstance(each, BaseException) else each for each in args)
        super().debug(msg, *shown, **kwargs)

    def atoms(self, *args: Any) -> dict[str, Any]:
        found: dict[str, Any] = super().atoms(*args)
        for name, value in found.items():
            if name in _CREDENTIALS:
                found[name] = "..."
            elif isinstance(value, str):
                found[name] = _TICKET.sub(r"\1...", value)
        return found

    def setup(self, cfg: object) -> None:
        super().setup(cfg)
        for log in (self.error_log, self.access_log):
            for handler in list(log.handlers):
                formatter = handler.formatter
                # Other formatters come from a logging configuration of the operator.
                if type(formatter) is logging.Formatter:
                    handler.setFormatter(LineFormatter(formatter._fmt, formatter.datefmt))
                if type(handler) is logging.StreamHandler:
                    made = LineHandler(handler.stream)
                    made.setFormatter(handler.formatter)
                    made._gunicorn = True  # type: ignore[attr-defined] # gunicorn finds its own by it
                    log.removeHandler(handler)
                    log.addHandler(made)


def install(level: str) -> None:
    """Log from ``level`` on to stderr, unless the root logger is configured already.

    Called in the master, whose processes inherit it, and again in each process: after a reload the
    level may be another.
    """
    root = logging.getLogger()
    for handler in list(root.handlers):
        if handler.name == _HANDLER_NAME:
            root.removeHandler(handler)
    if root.handlers:
        return
    made = LineHandler(sys.stderr)
    made.name = _HANDLER_NAME
    made.setFormatter(LineFormatter(FORMAT, DATE_FORMAT))
    root.addHandler(made)
    root.setLevel(level.upper())


def log_failure(
    context: object,
    kind: type[BaseException],
    error: BaseException | None,
    trace: TracebackType | None,
) -> None:
    """Replaces gevent's ``Hub.print_exception``, which writes a raw traceback."""
    failure = (kind, error or kind(), trace)
    logging.getLogger("gevent").error("%r failed", context, exc_info=failure)


def without_texts(error: BaseException) -> str:
    """Where ``error`` was raised, and its class; not its text, which may be a client's."""
    frames = traceback.extract_tb(error.__traceback__)
    places = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames[-10:]]
    return " > ".join([*places, type(error).__name__])
