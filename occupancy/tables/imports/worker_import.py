"""Imports workers: adds or edits those of the good rows, and reports each other with its line.

This is the command line's import, of a file that was made for it; ``worker_rows`` reads lists that
people keep.
"""

from __future__ import annotations

from collections.abc import Callable

from occupancy.access.pins import hash_pin, is_pin
from occupancy.access.workers import Workers
from occupancy.core.entities import Role, Worker
from occupancy.core.errors import InvalidRequest, LastAdmin, OccupancyError
from occupancy.tables.cells import check_key, parse_pin, shown
from occupancy.tables.encoding import AUTO
from occupancy.tables.imports.report import Report, with_position
from occupancy.tables.records import Rejected
from occupancy.tables.table import Row, Table


def read_workers(data: bytes, *, encoding: str = AUTO) -> list[Row | Rejected]:
    """The rows of a file of workers, in order. Raises InvalidRequest for the file as a whole."""
    table = Table(data, needed=("id", "name", "role"), optional=("pin",), encoding=encoding)
    unknown = [name for name in table.columns if name not in ("id", "name", "role", "pin", "")]
    if unknown:
        raise InvalidRequest(f"A worker has no column {shown(', '.join(unknown)[:200])}.")
    return list(table.rows())


def import_workers(
    workers: Workers,
    rows: list[Row | Rejected],
    *,
    on_progress: Callable[[int], None] = lambda _steps: None,
) -> Report:
    """Add or edit the workers of ``rows``.

    An empty or missing PIN keeps the worker's PIN, and disabled workers stay disabled.
    ``on_progress`` gets the number of rows just done. Raises PoolTimeout or StoreUnavailable with
    the position reached.
    """
    report = Report(rejected=[])
    present = {worker.id: worker for worker in workers.all()}
    lines: dict[str, int] = {}
    try:
        for row in rows:
            if isinstance(row, Rejected):
                report.rejected.append(row)
            else:
                _import_worker(workers, row, present, lines, report)
            on_progress(1)
    except OccupancyError as error:
        raise with_position(error, report, len(rows)) from error.__cause__
    return report


def _import_worker(
    workers: Workers, row: Row, present: dict[str, Worker], lines: dict[str, int], report: Report
) -> None:
    worker_id = row.cells["id"].strip()
    old = present.get(worker_id)
    try:
        check_key("id", "worker", worker_id, lines, row.line)
        name, role = row.cells["name"].strip(), _role(row.cells["role"])
        pin_hash = _pin_hash(row.cells.get("pin", ""), worker_id, old)
        if old is None:
            workers.add(worker_id, name=name, role=role, pin_hash=pin_hash)
            report.added += 1
        elif workers.edit(worker_id, name=name, role=role.label, pin_hash=pin_hash) != old:
            report.updated += 1
        else:
            report.unchanged += 1
    except (InvalidRequest, LastAdmin) as error:
        report.rejected.append(Rejected(row.line, worker_id, error.detail.rstrip(".")))


def _role(text: str) -> Role:
    """The role of that name. Raises InvalidRequest for an unknown one."""
    try:
        return Role.of(text.strip())
    except KeyError as error:
        roles = ", ".join(role.label for role in Role)
        raise InvalidRequest(f"role {text[:80]!r} is none of {roles}.") from error


def _pin_hash(pin: str, worker_id: str, old: Worker | None) -> str | None:
    pin = parse_pin(pin)
    if pin.isdecimal() and len(pin) < 4:
        raise InvalidRequest(
            "pin has fewer than 4 digits. If it began with 0, the spreadsheet has removed that: "
            "format the column as text and enter the PIN again."
        )
    old_hash = old.pin_hash if old else None
    if not pin or (old_hash is not None and is_pin(pin, old_hash)):
        return old_hash
    return hash_pin(pin, worker_id)
