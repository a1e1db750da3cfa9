"""Imports of items: an uploaded file, what its rows would do to the board, and doing it.

All of it goes in slices, on few connections and behind operations: an import of 100,000 rows holds
nobody up.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import IO, Any, Protocol, runtime_checkable

import gevent
import msgspec
from flask import g, request

from occupancy.boards.store import Store
from occupancy.core.entities import SERVICE, Item
from occupancy.core.errors import ItemNotFound, OccupancyError, TooLarge
from occupancy.core.principal import Principal
from occupancy.core.slices import sliced
from occupancy.core.transitions import PUT
from occupancy.services import Services
from occupancy.storage.fair_queue import set_priority
from occupancy.tables.causes import refused
from occupancy.tables.columns import Mapping
from occupancy.tables.imports.item_import import put_rows
from occupancy.tables.imports.item_rows import ItemRow, item_rows
from occupancy.tables.imports.report import Report, Result, with_position
from occupancy.tables.records import Rejected
from occupancy.tables.sandbox.parsing import MAX_FILE_BYTES
from occupancy.tables.uploads import MAX_ADDED_TAGS, Run, Upload
from occupancy.web.auth import yield_turn

UPLOAD_S = 120.0  # within which a file must have arrived
MAX_LINES = 50  # of each result, that an answer shows
MAX_REJECTED_LINES = 1000  # that a preview and the end of a run show
MAX_NAME_CHARS = 200  # of a file
_PIECE_BYTES = 64 * 1024
_CALLS = 1  # of the script a round trip: others get their turn on the server
_REPORT_S = 0.5


@runtime_checkable
class _Bounded(Protocol):
    """A connection of our own server, which bounds what a request sends."""

    def expect(self, size: int) -> None: ...


def receive(file: IO[bytes]) -> None:
    """Write the request's body to ``file`` as it comes. Raises TooLarge and InvalidRequest."""
    too_large = TooLarge(f"The file is larger than {MAX_FILE_BYTES // 1024**2} MiB.")
    length = request.content_length
    if length is not None and length > MAX_FILE_BYTES:
        raise too_large
    # Only here: every other route keeps the bounds of all bodies.
    request.max_content_length = MAX_FILE_BYTES + 1
    connection = request.environ.get("gunicorn.socket")
    if isinstance(connection, _Bounded):
        connection.expect(MAX_FILE_BYTES)
    late = refused(f"The file did not arrive within {UPLOAD_S:g} s.", "too_late")
    received = 0
    with gevent.Timeout(UPLOAD_S, late):
        while piece := request.stream.read(_PIECE_BYTES):
            received += len(piece)
            if received > MAX_FILE_BYTES:
                raise too_large
            file.write(piece)
    if received < (length or 0):
        raise refused("The file is incomplete.", "incomplete")
    file.flush()


class Preview(msgspec.Struct):
    """What an import would do: counts, and the first lines of each result."""

    added: int = 0
    updated: int = 0
    unchanged: int = 0
    rejected: int = 0
    lines: dict[Result, list[dict[str, Any]]] = msgspec.field(
        default_factory=lambda: {"added": [], "updated": [], "unchanged": [], "rejected": []}
    )


def preview(services: Services, board: str, upload: Upload, mapping: Mapping) -> Preview:
    """What an import by ``mapping`` would do to the board as it is now.

    Raises InvalidRequest for a mapping that is not of this file.
    """
    found = Preview()
    for result, row in _results(services, board, upload, mapping, None):
        setattr(found, result, getattr(found, result) + 1)
        lines = found.lines[result]
        if len(lines) < (MAX_REJECTED_LINES if result == "rejected" else MAX_LINES):
            lines.append(_line(row))
    by_line = {each["line"]: each for each in found.lines["updated"]}
    for line in by_line.values():
        line["changes"] = _changes(services.store, board, line)
    for lines in found.lines.values():
        lines.sort(key=lambda line: line["line"])
        for line in lines:
            line.pop("attributes", None)
    return found


def run(
    services: Services, board: str, upload: Upload, mapping: Mapping, principal: Principal
) -> Run:
    """Import the rows, and remember the mapping. Raises InvalidRequest, as ``preview``.

    Raises PoolTimeout and StoreUnavailable with the position reached: rows up to there stay, and
    running it again is safe. The audit log has one line of what was done.
    """
    report = Report(rejected=[])
    added: list[str] = []
    rows = upload.read_with(has_header=mapping.has_header).parsed.rows
    reported_s = 0.0
    state: Any = "stopped"
    try:
        for result, row in _results(services, board, upload, mapping, principal):
            if isinstance(row, Rejected):
                report.rejected.append(row)
            else:
                setattr(report, result, getattr(report, result) + 1)
                if result == "added" and len(added) < MAX_ADDED_TAGS:
                    added.append(row.tag)
                services.metrics.operation(PUT.operation, result).inc()
            if time.monotonic() - reported_s > _REPORT_S:
                services.uploads.save_run(board, upload.id, _run(report, rows, "running"))
                reported_s = time.monotonic()
        state = "done"
    except OccupancyError as error:
        if error.status != 503:
            raise
        raise with_position(error, report, rows) from error.__cause__
    finally:
        services.uploads.note_added(board, upload.id, added)
        if report.rows or state == "done":
            services.audit_trail.record(
                "items_imported", board=board, by=principal.worker.id,
                means=principal.auth_method, file=upload.file, format=upload.parsed.format,
                rows=rows, added=report.added, updated=report.updated,
                unchanged=report.unchanged, rejected=len(report.rejected),
                complete=state == "done",
            )  # fmt: skip
    services.uploads.remember(board, upload, mapping)
    ended = _run(report, rows, state)
    services.uploads.save_run(board, upload.id, ended)
    return ended


def _results(
    services: Services, board: str, upload: Upload, mapping: Mapping, principal: Principal | None
) -> Iterator[tuple[Result, ItemRow | Rejected]]:
    """The results of an import by ``principal``; None: of a dry run."""
    store = services.store
    set_priority(is_read=True)  # operations get their connections first
    store.log.head(board)  # raises BoardNotFound also if there is no good row
    read = upload.read_with(has_header=mapping.has_header)
    records = sliced(services.uploads.records(board, read), pause, check_every=4)
    rows = item_rows(read.parsed.header, mapping, records)
    person = principal.person if principal is not None else SERVICE
    method = principal.auth_method if principal is not None else "service"
    results = put_rows(
        store, board, rows, actor=person, auth_method=method,
        dry_run=principal is None, calls=_CALLS,
    )  # fmt: skip
    return sliced(results, pause, check_every=4)


def pause() -> None:
    """Let others have their turn: readers among readers, and a request that changes, everybody."""
    if g.share is not None:
        yield_turn()
    else:
        gevent.sleep(0)


def _run(report: Report, rows: int, state: Any) -> Run:
    rejected = sorted(report.rejected, key=lambda each: each.line)
    most = MAX_LINES if state == "running" else MAX_REJECTED_LINES
    return Run(
        state, rows, report.rows, report.added, report.updated, report.unchanged,
        len(report.rejected), rejected[:most], time.time(),
    )  # fmt: skip


def _line(row: ItemRow | Rejected) -> dict[str, Any]:
    if isinstance(row, Rejected):
        return {
            "line": row.line, "tag": row.name[:80], "why": row.why[:500], "cause": row.cause,
        }  # fmt: skip
    return {
        "line": row.line, "tag": row.tag, "title": row.body.title,
        "attributes": row.body.attributes,
    }  # fmt: skip


def _changes(store: Store, board: str, line: dict[str, Any]) -> list[str]:
    """What of an item a row changes: the title, and names of attributes."""
    try:
        item = msgspec.json.decode(store.queries.item(board, line["tag"]), type=Item)
    except ItemNotFound:  # it has been removed meanwhile
        return []
    found = ["title"] if line["title"] not in (None, item.title) else []
    if line["attributes"] is not None:
        missing = object()
        names = sorted({*item.attributes, *line["attributes"]})
        found += [
            name
            for name in names
            if item.attributes.get(name, missing) != line["attributes"].get(name, missing)
        ]
    return found
