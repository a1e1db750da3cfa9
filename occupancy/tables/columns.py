"""The columns of a file: their names, and which of them are the code and the title."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

import msgspec

from occupancy.tables.causes import refused
from occupancy.tables.cells import shown
from occupancy.tables.records import Record, one_line
from occupancy.tables.table import Columns

_MAX_HEADER_CHARS = 200  # of a column's name; an attribute's has less, so such a one is refused


class Mapping(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the columns of a file are: names of its header, or letters where it has none.

    Columns that are neither ``code`` nor ``title``, nor ``left_out``, are attributes.
    """

    code: str
    title: str | None = None
    left_out: list[str] = []
    has_header: bool = True


class Column(msgspec.Struct, frozen=True):
    """A column as a person recognises it; ``unique`` is the share of codes that occur once."""

    name: str
    samples: list[str]
    unique: float


class Headerless(msgspec.Struct, frozen=True):
    """What else is to be known of a file to read it as one without a header.

    ``leading`` are the records that are no rows where it has one: the header, which is the last of
    them, and what stands above. ``is_plain`` says that the file plainly has no header.
    """

    columns: list[Column] = []
    guess: Mapping | None = None
    leading: list[Record] = []
    is_plain: bool = False


class ParsedFile(msgspec.Struct, frozen=True):
    """What is known of a file that was read. Its records are in ``chunks`` chunks.

    It is read as a file with a header; :meth:`without_header` reads it as one without.
    """

    format: str  # csv, xlsx, xls, ods
    header: list[str]
    header_line: int | None
    columns: list[Column]
    guess: Mapping | None
    rows: int
    chunks: int
    encoding: str | None = None  # of CSV
    separator: str | None = None
    sheet: str | None = None  # that was read
    sheets: list[str] = []
    headerless: Headerless = Headerless()
    leading: list[Record] = []  # rows that come before those in the chunks

    @property
    def has_header(self) -> bool:
        return self.header_line is not None

    def without_header(self) -> ParsedFile:
        """The same file, whose columns are called A, B, C …, and whose every record is a row."""
        other = self.headerless
        return msgspec.structs.replace(
            self, header=[each.name for each in other.columns], header_line=None,
            columns=other.columns, guess=other.guess, rows=self.rows + len(other.leading),
            leading=other.leading,
        )  # fmt: skip


def header_of(record: Record) -> list[str]:
    """The names of the columns, each in one line, without the empty ones at the end."""
    names = [one_line(cell.strip()[:_MAX_HEADER_CHARS]) for cell in record.cells]
    while names and not names[-1]:
        names.pop()
    return names


def headerless_mapping(
    letters: Sequence[str], code: str, title: str | None = None,
    left_out: Sequence[str] | None = None,
) -> Mapping:  # fmt: skip
    """The mapping of a file without a header, whose columns are called ``letters``.

    Where nobody says what is ``left_out``, all other columns are: a letter tells nothing as the
    name of an attribute.
    """
    used = {code.strip().lower(), (title or "").strip().lower()}
    others = [each for each in letters if each.lower() not in used]
    return Mapping(code, title, others if left_out is None else list(left_out), has_header=False)


def mapped_columns(header: Sequence[str], mapping: Mapping) -> Columns:
    """The columns of an import by ``mapping``. Raises InvalidRequest for an unknown column.

    Another column that is called like a field of the item, tag or title, gets a 2 behind its name.
    """
    code = _position(header, mapping.code)
    title = None if mapping.title is None else _position(header, mapping.title)
    if title == code:
        detail = "The same column cannot be both the code and the title."
        raise refused(detail, "same_column")
    left_out = {n for name in mapping.left_out for n in _positions(header, name)} - {code, title}
    names = list(header)
    for position, name in enumerate(header):
        if position == code:
            names[position] = "tag"
        elif position == title:
            names[position] = "title"
        elif name.strip().lower() in ("tag", "title"):
            names[position] = f"{name.strip()} 2"
    return Columns(
        names, needed=("tag",), optional=("title",), left_out=left_out,
        has_header=mapping.has_header,
    )  # fmt: skip


def _position(header: Sequence[str], name: str) -> int:
    return _positions(header, name)[0]


def _positions(header: Sequence[str], name: str) -> list[int]:
    """Where ``name`` stands in the header, exactly or else in any case."""
    wanted = name.strip().lower()
    exact = [n for n, each in enumerate(header) if each == name]
    found = exact or [n for n, each in enumerate(header) if each.strip().lower() == wanted]
    if not found or not wanted:
        names = shown(", ".join(header)[:200])
        detail = f"There is no column '{shown(name[:80])}'; the columns are: {names}."
        raise refused(detail, "no_column", column=shown(name[:80]))
    return found


def simple_name(name: str) -> str:
    """``name`` without case, accents, spaces and signs: "Nº de Spool" becomes "ndespool"."""
    text = unicodedata.normalize("NFKD", name.replace("º", "").replace("°", "")).casefold()
    return "".join(each for each in text if each.isascii() and each.isalnum())
