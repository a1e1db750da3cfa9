"""Imports of workers from a file: what its rows would do, and doing it.

Two rules protect the person who imports. No row takes the role of administrator from anybody, so
one is left whatever else happens at the same time; people do that by hand, on purpose. And no row
sets the caller's own PIN, which would end the session that imports.

A hash of a PIN takes 50 ms. So a run stops after RUN_S, and the next request goes on: no proxy
gives up waiting, and a lost answer costs nothing, because rows that are in change nothing.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import IO, Any

import msgspec

from occupancy.core.entities import Role, Worker
from occupancy.core.errors import InvalidRequest, LastAdmin, RateLimited, WorkerNotFound
from occupancy.core.principal import Principal
from occupancy.core.slices import sliced
from occupancy.services import Services
from occupancy.storage.fair_queue import set_priority
from occupancy.tables.columns import ParsedFile
from occupancy.tables.imports.report import Result
from occupancy.tables.imports.worker_rows import (
    RefusalCode,
    RefusedRow,
    RowRefused,
    WorkerReader,
    WorkerRow,
)
from occupancy.tables.records import Record
from occupancy.tables.sandbox.parsing import parse_file, unpacked
from occupancy.web.auth import recording
from occupancy.web.item_imports import pause

MAX_ROWS = 10_000
MAX_LINE = 999_999_999
RUN_S = 20.0


class Line(msgspec.Struct, frozen=True, omit_defaults=True):
    """What becomes of a row. ``changes`` are among name, role and pin."""

    line: int
    id: str
    result: Result
    name: str = ""
    role: str = ""
    has_pin: bool = False  # whether the row has one
    changes: list[str] = []
    code: RefusalCode | None = None
    why: str | None = None


class Found(msgspec.Struct):
    """The answer: counts, and every row that this request has looked at."""

    dry_run: bool
    format: str
    rows: int
    left_out: list[str]
    added: int = 0
    updated: int = 0
    unchanged: int = 0
    rejected: int = 0
    lines: list[Line] = []
    next_line: int | None = None
    """Where the next request goes on; None: that was the last."""


def read(
    file: IO[bytes], *, encoding: str, sheet: str | None
) -> tuple[ParsedFile, Iterator[Record]]:
    """The file and its records. Raises InvalidRequest and RateLimited."""
    chunks: list[bytes] = []
    parsed = parse_file(file, lambda _, chunk: chunks.append(chunk), encoding=encoding, sheet=sheet)
    if parsed.rows > MAX_ROWS:
        raise InvalidRequest(
            f"The file has {parsed.rows} rows; at most {MAX_ROWS} are imported at once. Divide it.",
            most=MAX_ROWS,
        )
    return parsed, (record for chunk in chunks for record in unpacked(chunk))


def run(
    services: Services, parsed: ParsedFile, records: Iterable[Record], principal: Principal,
    *, file: str, dry_run: bool, from_line: int,
) -> Found:  # fmt: skip
    """Import the rows from ``from_line`` on, or say what that would do.

    Raises InvalidRequest for the file as a whole. Raises PoolTimeout and StoreUnavailable in the
    middle of a run: what is done stays, and the audit trail has it. ``file`` is its name there.
    """
    set_priority(is_read=True)  # operations get their connections first
    reader = WorkerReader(parsed.header)
    found = Found(dry_run, parsed.format, parsed.rows, reader.left_out, lines=[])
    writer = _DryRun(services, principal) if dry_run else _Run(services, principal)
    began_s = time.monotonic()
    is_over = False
    try:
        for row in sliced(reader.rows(records), pause, check_every=4):
            if row.line < from_line:
                continue
            if found.lines and not dry_run and time.monotonic() - began_s > RUN_S:
                found.next_line = row.line
                break
            try:
                line = writer.line(row)
            except RateLimited:  # many others are having PINs hashed
                if not found.lines:
                    raise
                found.next_line = row.line
                break
            setattr(found, line.result, getattr(found, line.result) + 1)
            found.lines.append(line)
        is_over = True
    finally:
        if not dry_run and (is_over or found.lines):
            services.audit_trail.record(
                "workers_imported", by=principal.worker.id, means=principal.auth_method,
                file=file, format=parsed.format, rows=parsed.rows, added=found.added,
                updated=found.updated, unchanged=found.unchanged, rejected=found.rejected,
                complete=is_over and found.next_line is None,
            )  # fmt: skip
    return found


class _DryRun:
    """Says what rows would do to the workers as they are now. It compares no PINs."""

    def __init__(self, services: Services, principal: Principal) -> None:
        self._services = services
        self._caller = principal.worker.id
        self._present: dict[str, Worker] | None = None

    def line(self, row: WorkerRow | RefusedRow) -> Line:
        if isinstance(row, RefusedRow):
            return Line(row.line, row.id, "rejected", code=row.code, why=row.why)
        old = self._old(row.id)
        result: Result = "added"
        changes: list[str] = []
        try:
            self._check(row, old)
            if old is None:
                self._add(row)
            else:
                changes = self._edit(row, old)
                result = "updated" if changes else "unchanged"
        except RowRefused as refused:
            return Line(row.line, row.id, "rejected", code=refused.code, why=refused.why)
        except LastAdmin as error:  # has become an administrator since _check
            return Line(row.line, row.id, "rejected", code="admin", why=error.detail.rstrip("."))
        return Line(
            row.line, row.id, result, name=row.name, role=row.role.label,
            has_pin=bool(row.pin), changes=changes,
        )  # fmt: skip

    def _check(self, row: WorkerRow, old: Worker | None) -> None:
        if old is not None and old.may(Role.ADMIN) and row.role < Role.ADMIN:
            raise RowRefused(
                "admin", "they are an administrator; an import takes that role from nobody"
            )
        if row.pin and row.id == self._caller:
            raise RowRefused("own_pin", "this is you; an import does not change your own PIN")

    def _old(self, worker_id: str) -> Worker | None:
        if self._present is None:
            self._present = {each.id: each for each in self._services.workers.all()}
        return self._present.get(worker_id)

    def _add(self, row: WorkerRow) -> None:
        pass

    def _edit(self, row: WorkerRow, old: Worker) -> list[str]:
        """The changes."""
        return [
            name for name, is_other in (
                ("name", row.name != old.name),
                ("role", row.role.label != old.role),
                ("pin", bool(row.pin)),
            ) if is_other
        ]  # fmt: skip


class _Run(_DryRun):
    """Makes the changes. Each has its entry in the audit trail, as one made by hand."""

    def _old(self, worker_id: str) -> Worker | None:
        try:
            return self._services.workers.get(worker_id)
        except WorkerNotFound:
            return None

    def _add(self, row: WorkerRow) -> None:
        pin_hash = self._services.pin_hasher.hash(row.pin, row.id) if row.pin else None
        fields = "name,role,pin" if row.pin else "name,role"
        with recording(
            "worker_added", worker=row.id, role=row.role.label, fields=fields, disabled=False
        ):
            self._services.workers.add(row.id, name=row.name, role=row.role, pin_hash=pin_hash)

    def _edit(self, row: WorkerRow, old: Worker) -> list[str]:
        changes = super()._edit(row, old)
        values: dict[str, Any] = {"name": row.name, "role": row.role.label}
        new = {name: values[name] for name in changes if name != "pin"}
        if "pin" in changes:
            hasher = self._services.pin_hasher
            with hasher.queue.place(row.id, "", is_known=True):
                is_same = hasher.is_right(row.pin, old.pin_hash, is_known=True)
            if is_same:
                changes.remove("pin")
            else:
                new["pin_hash"] = hasher.hash(row.pin, row.id)
        with recording(
            "worker_edited", worker=row.id, role=row.role.label, fields=",".join(changes),
            disabled=None,
        ) as fields:  # fmt: skip
            # Also without a change: an earlier request may have made it, and was not confirmed.
            worker = self._services.workers.edit(row.id, **new)
            fields.update(role=worker.role, disabled=worker.disabled)
            if not changes:
                fields.clear()
        return changes
