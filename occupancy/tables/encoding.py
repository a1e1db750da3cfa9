"""Detects the encoding of a CSV file: UTF-16 by its first bytes, else UTF-8, else Windows-1252."""

from __future__ import annotations

import codecs
import re

from occupancy.core.errors import InvalidRequest
from occupancy.tables.causes import refused

AUTO = "auto"
UTF_8, WINDOWS = "utf-8", "cp1252"
# The last two, Excel's "CSV (MS-DOS)" and "CSV (Macintosh)", are never guessed.
ENCODINGS = (AUTO, UTF_8, WINDOWS, "latin-1", "utf-16", "cp850", "mac-roman")

_ZIP, _OLE = b"PK\x03\x04", b"\xd0\xcf\x11\xe0"  # .xlsx, .ods and .numbers; .xls

_UTF_8_CHARACTER = re.compile(
    rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}"
)
_HIGH_BYTE = re.compile(rb"[\x80-\xff]")


def workbook_format(data: bytes) -> str | None:
    """xlsx, xls or ods, by the first bytes; None for a file that is no spreadsheet."""
    if data.startswith(_OLE):
        return "xls"
    if data.startswith(_ZIP):
        return "ods" if b"opendocument.spreadsheet" in data[:200] else "xlsx"
    return None


def detect_encoding(data: bytes) -> str:
    """The likely encoding of ``data``; decoding may still fail."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    # UTF-16 without its mark: a header begins with ASCII, so every other byte is 0.
    if len(data) > 1 and 0 in data[:2]:
        return "utf-16-le" if data[1] == 0 else "utf-16-be"
    if _is(data, UTF_8) or data.startswith(codecs.BOM_UTF8) or not _is(data, WINDOWS):
        return UTF_8
    # UTF-8 with one broken byte would be nonsense throughout as Windows-1252. Conversely, a few
    # pairs of Windows-1252, like É before a closing quotation mark, are UTF-8 by accident.
    rest, characters = _UTF_8_CHARACTER.subn(b"", data)
    return UTF_8 if characters > len(_HIGH_BYTE.findall(rest)) else WINDOWS


def decode_text(data: bytes, encoding: str) -> str:
    """The text without byte-order marks and padding. Raises InvalidRequest with the line."""
    if workbook_format(data) is not None:
        raise InvalidRequest(
            "The file is the spreadsheet itself, not CSV: open it, and save or export it as CSV."
        )
    if encoding == AUTO:
        encoding = detect_encoding(data)
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise refused(
            f"The file is not {encoding}: line {line} has the byte 0x{data[error.start]:02X}. "
            "Save it as UTF-8, or name its encoding (--encoding).",
            "encoding",
            encoding=encoding,
            line=line,
        ) from error
    return text.lstrip("\ufeff").rstrip("\0\x1a")  # DOS ends a file with Ctrl-Z


def _is(data: bytes, encoding: str) -> bool:
    try:
        data.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True
