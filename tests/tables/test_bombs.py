"""Files made to take all memory or time: refused with a sentence, and nobody waits for them."""

from __future__ import annotations

from collections.abc import Callable

import gevent
import pytest

from occupancy.core.errors import InvalidRequest
from tests.tables.spreadsheets import parsed, xlsx_with_sheet

_SPACE = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_BEGIN = f'<?xml version="1.0"?><worksheet xmlns="{_SPACE}"><sheetData><row r="1">'
_CELL = '<c r="A1" t="inlineStr"><is><t>'


def far_cell() -> bytes:
    return xlsx_with_sheet(
        f'{_BEGIN}{_CELL}tag</t></is></c></row><row r="1048576"><c r="XFD1048576"><v>1</v></c>'
        "</row></sheetData></worksheet>"
    )


def zeros() -> bytes:
    """300 MB in 300 KB."""
    return xlsx_with_sheet(_BEGIN + _CELL + "x" * 300_000_000)


def many_columns() -> bytes:
    cells = "<c><v>1</v></c>" * 16_384
    return xlsx_with_sheet(f"{_BEGIN}{cells}</row></sheetData></worksheet>")


def entities() -> bytes:
    """A billion laughs."""
    names = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    kind = f'<!DOCTYPE worksheet [<!ENTITY l0 "lol">{names}]>'
    xml = f"{_BEGIN}{_CELL}&l9;</t></is></c></row></sheetData></worksheet>"
    return xlsx_with_sheet(xml.replace("?>", f"?>{kind}", 1))


@pytest.mark.parametrize("bomb", [far_cell, zeros, many_columns, entities])
def test_a_bomb_is_refused_while_others_go_on(bomb: Callable[[], bytes]) -> None:
    data = bomb()
    turns = 0

    def others() -> None:
        nonlocal turns
        while True:
            gevent.sleep(0.001)
            turns += 1

    greenlet = gevent.spawn(others)
    try:
        with pytest.raises(InvalidRequest) as refused:
            parsed(data)
    finally:
        greenlet.kill()
    assert refused.value.detail.endswith(".")
    assert turns > 1, "the parser's process held up the others"


def test_a_cell_of_ten_megabytes_is_a_rejected_row_at_most() -> None:
    cell = f'<c r="A2" t="inlineStr"><is><t>{"x" * 10_000_000}</t></is></c>'
    rows = f'{_CELL}tag</t></is></c></row><row r="2">{cell}</row>'
    _, records = parsed(xlsx_with_sheet(f"{_BEGIN}{rows}</sheetData></worksheet>"))
    assert [len(cell) for record in records for cell in record.cells] == [8192]


def test_the_process_that_reads_files_has_none_of_our_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given: list[dict[str, str]] = []
    import subprocess

    popen = subprocess.Popen

    def watched(*args: object, **options: dict[str, str]) -> object:
        given.append(options["env"])
        return popen(*args, **options)  # type: ignore[call-overload] # passed on

    monkeypatch.setenv("REDIS_URL", "redis://:secret@somewhere")
    monkeypatch.setattr(subprocess, "Popen", watched)
    parsed(b"tag\nT-1\n")
    assert [sorted(each) for each in given] == [["PYTHONDONTWRITEBYTECODE", "PYTHONPATH"]]
