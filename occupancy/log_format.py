"""Log lines that no input can forge.

What a client sends ends up in messages and in the texts of exceptions: paths with line breaks,
names with escape sequences for a terminal. So a message is shown on one line and in visible ASCII,
and each line of a traceback begins with a mark that no record begins with.

A line is no longer than a pipe takes at once, and is written at once: were it written in parts,
a line of another process could come between them, and the rest of the first would begin a line.
"""

from __future__ import annotations

import logging
import re
import sys
from types import TracebackType
from typing import TextIO

from gunicorn import glogging

FORMAT = "[%(asctime)s] [%(process)d] [%(levelname)s] %(name)s: %(message)s"
DATE_FORMAT = "%Y-%m-%d %H:%M:%S %z"
CONTINUED = "  | "
MAX_LINE_BYTES = 4000  # below PIPE_BUF on Linux; lines are ASCII

_OTHER_THAN_VISIBLE = re.compile(r"[^ -~]")
_HANDLER_NAME = "occupancy"  # not the class: a worker process may have newer code than its master


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
        # Not record.exc_text, in which another formatter may have kept the traceback as it is.
        rest = []
        if record.exc_info:
            rest += self.formatException(record.exc_info).split("\n")
        if record.stack_info:
            rest += record.stack_info.split("\n")
        lines = [visible(self.formatMessage(record)), *(CONTINUED + visible(line) for line in rest)]
        return "\n".join(lines)


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
    """gunicorn's logger, whose error and access logs nobody can forge either."""

    def setup(self, cfg: object) -> None:
        super().setup(cfg)
        for log in (self.error_log, self.access_log):
            for handler in list(log.handlers):
                formatter = handler.formatter
                # Others are of a logging configuration that somebody chose.
                if type(formatter) is logging.Formatter:
                    handler.setFormatter(LineFormatter(formatter._fmt, formatter.datefmt))
                if type(handler) is logging.StreamHandler:
                    log.removeHandler(handler)
                    log.addHandler(_line_handler_like(handler))


def _line_handler_like(handler: logging.StreamHandler[TextIO]) -> LineHandler:
    made = LineHandler(handler.stream)
    made.setFormatter(handler.formatter)
    made._gunicorn = True  # type: ignore[attr-defined] # by it gunicorn replaces it at a reload
    return made


def install(level: str) -> None:
    """Log from ``level`` on to stderr, unless somebody has configured the root logger already.

    Once in the master, whose processes inherit it, and again in each of them: after a reload
    the level may be another.
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
    """Instead of gevent's ``Hub.print_exception``, which writes a traceback as it is."""
    failure = (kind, error or kind(), trace)
    logging.getLogger("gevent").error("%r failed", context, exc_info=failure)
