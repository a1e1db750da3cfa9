"""The log and the audit log: no input makes a line of its own in a message, traceback or field."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import re
import socket
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import gevent
import pytest
from gunicorn.config import Config

from occupancy.observability import audit_log, log_lines
from occupancy.observability.log_lines import (
    CONTINUED,
    MAX_LINE_BYTES,
    LineFormatter,
    LineHandler,
    visible,
)
from tests.support.deployment import ROOT, Deployment
from tests.support.servers import RealServer
from tests.support.waiting import wait_until

# Everything that some reader of a log takes for the end of a line, or for an order.
BREAKS = ["\n", "\r", "\r\n", "\v", "\f", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029"]
FORGED = "[2026-11-22 19:00:00 +0000] [1] [INFO] forged"


class Lines:
    """A log of its own, as written."""

    def __init__(self) -> None:
        self.stream = io.StringIO()
        handler = LineHandler(self.stream)
        handler.setFormatter(LineFormatter("[%(levelname)s] %(message)s"))
        self.log = logging.Logger("test")
        self.log.addHandler(handler)

    @property
    def written(self) -> list[str]:
        return self.stream.getvalue().splitlines()


@pytest.fixture
def lines() -> Lines:
    return Lines()


# Messages


@pytest.mark.parametrize("end", BREAKS, ids=ascii)
def test_a_message_stays_on_its_line(lines: Lines, end: str) -> None:
    lines.log.info("asked for %s", f"x{end}{FORGED}")
    assert len(lines.written) == 1
    assert lines.written[0].startswith("[INFO] asked for x\\")
    assert lines.written[0].endswith(FORGED)


def test_every_character_is_shown_in_visible_ascii() -> None:
    for code in range(sys.maxunicode + 1):
        shown = visible(chr(code))
        assert shown.isascii()
        assert shown.isprintable()
    assert visible("\x1b[31m \t \x00 \x7f \u202e \ud800") == (
        r"\x1b[31m \t \x00 \x7f \u202e \ud800"
    )
    assert visible("plain, \\ and 'quoted'") == "plain, \\ and 'quoted'"


def test_a_line_is_no_longer_than_a_pipe_takes_at_once(lines: Lines) -> None:
    for text in ("x" * 100_000, "é" * 100_000):
        lines.log.error("%s", text, exc_info=ValueError(text))
    assert max(len(line) for line in lines.written) < 4096
    assert len(visible("x" * MAX_LINE_BYTES)) == MAX_LINE_BYTES
    assert visible("x" * 4001).endswith("... (4001 characters)")


def test_each_line_is_written_at_once() -> None:
    writes: list[str] = []

    class Pipe(io.StringIO):
        def write(self, text: str) -> int:
            writes.append(text)
            return len(text)

    handler = LineHandler(Pipe())
    handler.setFormatter(LineFormatter("%(message)s"))
    handler.handle(logging.makeLogRecord({"msg": "failed", "exc_info": exc_info("a\nb")}))
    assert len(writes) == 3
    assert all(text.index("\n") == len(text) - 1 for text in writes)


# Tracebacks


def exc_info(text: str) -> tuple[type[ValueError], ValueError, None]:
    return ValueError, ValueError(text), None


@pytest.mark.parametrize("end", BREAKS, ids=ascii)
def test_no_line_of_a_traceback_looks_like_a_line_of_its_own(lines: Lines, end: str) -> None:
    try:
        raise ValueError(f"x{end}{FORGED}") from KeyError(f"y{end}{FORGED}")
    except ValueError:
        lines.log.exception("failed", stack_info=True)
    first, *rest = lines.written
    assert first == "[ERROR] failed"
    assert all(line.startswith(CONTINUED) for line in rest)
    assert any("test_log_lines.py" in line for line in rest)
    assert sum(FORGED in line for line in rest) == 2


def test_a_traceback_that_another_handler_has_kept_is_not_taken_over(lines: Lines) -> None:
    failure = exc_info(f"x\n{FORGED}")
    record = logging.makeLogRecord({"levelno": 40, "msg": "failed", "exc_info": failure})
    logging.Formatter().format(record)
    assert record.exc_text is not None
    lines.log.handle(record)
    assert sum(FORGED in line for line in lines.written) == 1
    assert not any(line.startswith(FORGED) for line in lines.written)


def test_the_failure_of_a_greenlet_is_logged_like_any_other(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gevent.get_hub(), "print_exception", log_lines.log_failure)

    def fail(_text: str) -> None:
        raise ValueError(FORGED)

    gevent.spawn(fail, f"\n{FORGED}").join()
    [record] = [each for each in caplog.records if each.name == "gevent"]
    assert "fail" in record.getMessage()
    assert record.exc_info is not None
    written = LineFormatter().format(record)
    assert FORGED in written
    assert "\n" + FORGED not in written


# Where it is installed


@contextlib.contextmanager
def bare_root() -> Iterator[logging.Logger]:
    """The root logger without the handlers of the test run, which come after fixtures."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers[:] = []
    try:
        yield root
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)


def test_installing_again_changes_the_level_and_adds_no_second_handler() -> None:
    with bare_root() as root:
        log_lines.install("info")
        log_lines.install("warning")
        [handler] = root.handlers
        assert isinstance(handler, LineHandler)
        assert isinstance(handler.formatter, LineFormatter)
        assert root.level == logging.WARNING


def test_a_root_logger_that_somebody_has_configured_is_left_alone() -> None:
    theirs = logging.NullHandler()
    with bare_root() as root:
        root.addHandler(theirs)
        log_lines.install("info")
        assert root.handlers == [theirs]


def test_gunicorns_handlers_are_ours_and_stay_one_each_over_a_reload(tmp_path: Path) -> None:
    config = Config()
    config.set("accesslog", "-")
    logger = log_lines.Logger(config)
    logger.setup(config)
    for log in (logger.error_log, logger.access_log):
        [handler] = log.handlers
        assert type(handler) is LineHandler
        assert isinstance(handler.formatter, LineFormatter)
    assert handler.stream is sys.stdout

    config.set("errorlog", str(tmp_path / "error.log"))
    config.set("accesslog", None)
    logger.setup(config)
    logger.error("x\n%s", FORGED)
    [handler] = logger.error_log.handlers
    assert isinstance(handler, logging.FileHandler)
    assert logger.access_log.handlers == []
    assert len((tmp_path / "error.log").read_text().splitlines()) == 1
    handler.close()
    logger.error_log.handlers.clear()


# The audit log


@pytest.fixture
def written_audit_log(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What the audit log writes when it is installed as in production."""
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    handlers, level = audit_log.log.handlers[:], audit_log.log.level
    audit_log.install()
    yield stream
    audit_log.log.handlers[:] = handlers
    audit_log.log.setLevel(level)
    audit_log.log.propagate = True


def test_a_record_is_one_json_object_with_time_and_event(written_audit_log: io.StringIO) -> None:
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    audit_log.record("sign_in", worker="93", tries=2, known=True, board=None)
    [line] = written_audit_log.getvalue().splitlines()
    found = json.loads(line)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", found["at"])
    assert before <= datetime.fromisoformat(found.pop("at")) <= datetime.now(UTC)
    assert list(found.items()) == [
        ("event", "sign_in"), ("worker", "93"), ("tries", 2), ("known", True), ("board", None),
    ]  # fmt: skip


@pytest.mark.parametrize("end", [*BREAKS, '"}', "\x1b[2K", "\x00", "\ud800", "%s"], ids=ascii)
def test_no_field_ends_a_record(written_audit_log: io.StringIO, end: str) -> None:
    text = f'x{end}{{"event": "forged"}}'
    audit_log.record("denied", path=text)
    written = written_audit_log.getvalue()
    assert written.isascii()
    [line] = written.splitlines()
    assert line.isprintable()
    assert json.loads(line)["path"] == text


def test_a_record_is_written_once_and_whatever_the_level_of_the_log(
    written_audit_log: io.StringIO,
) -> None:
    with bare_root():
        for level in ("debug", "error"):
            log_lines.install(level)
            audit_log.record("sign_in")
    assert written_audit_log.getvalue().count("\n") == 2


@pytest.mark.parametrize("text", ["x", "é", "\u2028", "😀"])
def test_a_record_is_cut_to_what_a_pipe_takes_at_once(
    written_audit_log: io.StringIO, text: str
) -> None:
    audit_log.record("denied", **{f"field_{n}": text * 100_000 for n in range(12)})
    [line] = written_audit_log.getvalue().splitlines()
    assert len(line) <= MAX_LINE_BYTES
    assert json.loads(line)["field_0"].startswith(text)


def test_a_field_that_is_no_json_is_shown_as_text(written_audit_log: io.StringIO) -> None:
    audit_log.record("denied", error=ValueError("no\nway"), path=Path("/x"))
    found = json.loads(written_audit_log.getvalue())
    assert (found["error"], found["path"]) == ("no\nway", "/x")


def test_a_command_line_writes_no_audit_log(capsys: pytest.CaptureFixture[str]) -> None:
    assert audit_log.log.handlers == []
    audit_log.record("sign_in")
    assert capsys.readouterr().err == ""


# Through gunicorn

MARK = "f0rged"
PAYLOADS = [f"{end}{FORGED} {MARK}" for end in BREAKS] + [f"\x1b[2K\r{FORGED} {MARK}"]
FIELDS = (
    b"User-Agent", b"X-Payload", b"Authorization", b"Cookie", b"Origin", b"Expect",
    b"Transfer-Encoding", b"Content-Length", b"Last-Event-ID", b"X-Forwarded-For",
)  # fmt: skip
ACCESS = 'access %(h)s "%(U)s" "%(q)s" "%(a)s" "%({x-payload}i)s"'
OURS = re.compile(
    r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4}\] \[\d+\] \[[A-Z]+\] (?!forged)"
    r"|access |  \| |\{\"at\": "
)


def send(port: int, raw: bytes) -> bytes:
    """Send the bytes of a request as they are; what comes back until the end."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(raw)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def requests_with(payload: str) -> Iterator[bytes]:
    """A payload wherever a request can carry it, well-formed or not."""
    raw, quoted = payload.encode(), quote(payload).encode()
    end = b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    yield b"GET /api/boards/" + quoted + end + b"Authorization: Bearer x\r\n\r\n"
    yield b"GET /api/boards/main/items?q=" + quoted + end + b"\r\n"
    yield b"POST /" + quoted + b"?" + quoted + end + b"\r\n"
    yield b"GET /" + raw + end + b"\r\n"
    yield b"G" + raw + b" /" + end + b"\r\n"
    yield b"GET / HTTP/1.1" + raw + b"\r\n\r\n"
    for name in FIELDS:
        yield b"POST /api/session" + end + name + b": x" + raw + b"\r\n\r\n"
    yield b"GET /livez" + end + b"x" + raw + b": y\r\n\r\n"
    body = json.dumps({"worker": payload, "pin": payload}).encode()
    for sent in (body, raw, b"{" + raw):
        head = b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(sent)
        yield b"POST /api/session" + end + head + sent
    yield b"POST /api/session" + end + b"Transfer-Encoding: chunked\r\n\r\n5" + raw + b"\r\n"


@pytest.mark.parametrize("level", ["info", "debug"])
def test_no_request_forges_a_line_of_the_log(
    tmp_path: Path, own_server: RealServer, level: str
) -> None:
    running = Deployment(
        tmp_path / "state", own_server.url, "--access-logfile", "-", "--access-logformat", ACCESS,
        OCCUPANCY_LOG_LEVEL=level,
    ).start()  # fmt: skip
    try:
        for payload in PAYLOADS:
            for raw in requests_with(payload):
                send(running.port, raw)
        own_server.stop()  # from here on requests are logged with their paths as 503
        for payload in PAYLOADS:
            for raw in requests_with(payload):
                send(running.port, raw)
        send(running.port, b"GET /last HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_until(lambda: '"/last"' in running.log, what="the last line")
    finally:
        running.stop()
    written = running.log_path.read_bytes()
    assert written.isascii()
    assert re.search(rb"[^\n -~]", written) is None
    found = [line for line in written.decode().splitlines() if MARK in line]
    kinds = {OURS.match(line) and line[0] for line in found}
    assert [line for line in found if not OURS.match(line)] == []
    assert kinds >= {"[", "a", "{"}  # the log, the access log and the audit log have a line of each
    assert any(
        " 503" in line or "occupancy.observability.repeated_warnings" in line for line in found
    )


def test_a_number_stands_before_no_word_that_is_always_a_plural() -> None:
    found = [
        f"{path.name}: {each}"
        for path in (ROOT / "occupancy").rglob("*.py")
        for each in re.findall(r"%d [a-z]{2,}s\b", path.read_text())
    ]
    assert found == []  # "1 workers": see core/texts/plurals.py
