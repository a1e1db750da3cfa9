"""Imports items: adds or edits those of the good rows, and reports each other with its line."""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterable, Iterator

from occupancy.boards.refusals import refusal
from occupancy.boards.store import Store
from occupancy.core.entities import AuthMethod, Person
from occupancy.core.errors import OccupancyError
from occupancy.core.transitions import PUT
from occupancy.tables.imports.item_rows import ItemRow
from occupancy.tables.imports.report import Report, Result, with_position
from occupancy.tables.records import Rejected


def put_rows(
    store: Store,
    board: str,
    rows: Iterable[ItemRow | Rejected],
    *,
    actor: Person,
    auth_method: AuthMethod,
    calls: int,
    dry_run: bool = False,
) -> Iterator[tuple[Result, ItemRow | Rejected]]:
    """Add or edit the items of ``rows`` as they come, ``calls`` a round trip, and say the results.

    A rejected row may come a round trip before its turn. Raises as ``put_many``.
    """
    pending: collections.deque[ItemRow] = collections.deque()
    rejected: list[Rejected] = []

    def texts() -> Iterator[tuple[str, dict[str, str]]]:
        for row in rows:
            if isinstance(row, Rejected):
                rejected.append(row)
            else:
                pending.append(row)
                yield row.tag, row.body.as_json_texts()

    outcomes = store.commands.put_many(
        board,
        texts(),
        actor=actor,
        auth_method=auth_method,
        dry_run=dry_run,
        calls=calls,
        is_ahead=True,
    )
    for outcome in outcomes:
        row = pending.popleft()
        if not outcome.is_done:
            why = refusal(board, PUT, outcome).detail
            rejected.append(Rejected(row.line, row.tag, why))
        while rejected:
            yield "rejected", rejected.pop()
        if outcome.is_done:
            changed: Result = "updated" if outcome.changed else "unchanged"
            yield ("added" if outcome.code == "added" else changed), row
    while rejected:
        yield "rejected", rejected.pop()


def import_items(
    store: Store,
    board: str,
    rows: list[ItemRow | Rejected],
    *,
    actor: Person,
    dry_run: bool = False,
    on_progress: Callable[[int], None] = lambda _steps: None,
) -> Report:
    """Add or edit the items of ``rows``; with ``dry_run`` only report the result.

    ``on_progress`` gets the number of rows just done. Raises BoardNotFound, and PoolTimeout or
    StoreUnavailable with the position reached. Rows up to there stay, and importing again is safe.
    """
    report = Report(rejected=[row for row in rows if isinstance(row, Rejected)])
    good = [row for row in rows if isinstance(row, ItemRow)]
    store.log.head(board)  # raises BoardNotFound also if there is no good row
    on_progress(len(report.rejected))
    bodies = ((row.tag, row.body.as_json_texts()) for row in good)
    outcomes = store.commands.put_many(board, bodies, actor=actor, dry_run=dry_run)
    try:
        for row, outcome in zip(good, outcomes, strict=True):
            if not outcome.is_done:
                why = refusal(board, PUT, outcome).detail
                report.rejected.append(Rejected(row.line, row.tag, why))
            elif outcome.code == "added":
                report.added += 1
            elif outcome.changed:
                report.updated += 1
            else:
                report.unchanged += 1
            on_progress(1)
    except OccupancyError as error:
        raise with_position(error, report, len(rows)) from error.__cause__
    report.rejected.sort(key=lambda each: each.line)
    return report
