"""Files that a command imports: their encoding, their rows, and the report of what was done."""

from __future__ import annotations

import itertools
import tempfile

import click
import msgspec

from occupancy.cli.command import fail
from occupancy.cli.output import print_json
from occupancy.core.errors import InvalidRequest
from occupancy.core.texts.plurals import counted
from occupancy.tables.cells import shown
from occupancy.tables.columns import Mapping, headerless_mapping
from occupancy.tables.encoding import AUTO, ENCODINGS, WINDOWS, detect_encoding
from occupancy.tables.imports.item_rows import ItemRow, item_rows
from occupancy.tables.imports.report import Report
from occupancy.tables.records import Rejected
from occupancy.tables.sandbox.parsing import parse_file, unpacked

encoding_option = click.option(
    "--encoding", type=click.Choice(ENCODINGS), default=AUTO, show_default=True,
    help="The file's encoding; auto: UTF-8, UTF-16 with its mark, or else Windows-1252.",
)  # fmt: skip


def chosen_encoding(data: bytes, encoding: str) -> str:
    """The encoding to read a file in; prints a note if it is a guess."""
    if encoding != AUTO:
        return encoding
    found = detect_encoding(data)
    if found == WINDOWS:
        click.echo(
            "The file is not UTF-8: it is read as Windows-1252. If letters are wrong, name "
            "another --encoding (cp850 for MS-DOS, mac-roman for an old Mac).",
            err=True,
        )
    return found


def mapped_rows(
    data: bytes, encoding: str, code: str | None, title: str | None, sheet: str | None,
    *, has_header: bool = True,
) -> list[ItemRow | Rejected]:  # fmt: skip
    """The rows of a file of items, read in the sandbox; prints a note of sheets that are not read.

    ``code`` and ``title`` name the columns of the tags and titles, without a header by letters.
    Raises InvalidRequest.
    """
    if not has_header and code is None:
        raise InvalidRequest(
            "Without a header the columns are called A, B, C, and so on: name the one of the tags "
            "(--code-column A)."
        )
    chunks: list[bytes] = []
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.flush()
        parsed = parse_file(
            file, lambda _number, chunk: chunks.append(chunk), encoding=encoding, sheet=sheet
        )
    if not has_header:
        parsed = parsed.without_header()
    names = [name.lower() for name in parsed.header]
    if code is None and "tag" not in names and parsed.guess is not None:
        columns = shown(", ".join(parsed.header)[:200])
        raise InvalidRequest(
            f"There is no column 'tag'; the columns are: {columns}. If the tags are in "
            f"'{shown(parsed.guess.code[:80])}', name it (--code-column)."
        )
    others = [each for each in parsed.sheets if each != parsed.sheet]
    if others and sheet is None:
        listed = shown(", ".join(others)[:200])
        click.echo(f"Read the sheet {shown(parsed.sheet or '')}; not read: {listed}.", err=True)
    if has_header or code is None:
        mapping = Mapping(code or "tag", title or ("title" if "title" in names else None))
    else:
        mapping = headerless_mapping(parsed.header, code, title)
    records = itertools.chain(parsed.leading, itertools.chain.from_iterable(map(unpacked, chunks)))
    return list(item_rows(parsed.header, mapping, records))


def print_report(
    report: Report, as_json: bool, encoding: str | None, *, is_dry_run: bool = False
) -> None:
    """Print the result of an import; ends the command with status 1 if rows were rejected."""
    rejected = len(report.rejected)
    if as_json:
        fields = {"encoding": encoding, "dry_run": is_dry_run}
        print_json({**msgspec.to_builtins(report), **fields})
    else:
        for each in report.rejected:
            name = f" ({each.name[:80]})" if each.name.isprintable() and each.name else ""
            click.echo(f"line {each.line}{name}: {each.why}")
        click.echo(
            f"{report.added} added, {report.updated} updated, {report.unchanged} unchanged, "
            f"{rejected} rejected{' (dry run: nothing was changed)' if is_dry_run else ''}"
        )
    if rejected:
        fail(f"{rejected} of {counted(report.rows, 'row')} rejected.")
