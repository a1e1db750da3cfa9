"""Line breaking for labels: wraps a text in any script to a width, without a browser.

SVG neither wraps a text nor measures it, and fonts differ from machine to machine. So widths are
those of a wide font (DejaVu Sans), rounded up: a line may end early, but is never too long.
Grapheme clusters (a letter with its marks, an emoji made of several) are never broken.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable

Width = Callable[[str], float]  # of one grapheme cluster, in units of the font size

_SOFT_HYPHEN, _ZERO_WIDTH_SPACE = "\u00ad", "\u200b"
_NO_BREAK_SPACES = "\u00a0\u2007\u202f"
_JOINERS = "\u200c\u200d"
_KEPT_FORMATS = f"{_JOINERS}\u200e\u200f"  # invisible but meaningful; others are left out
_VIRAMA = 9  # its combining class: the next letter is drawn together with the one before
_NOT_FIRST = ("Pe", "Pf", "Po", "Lm")  # categories that never begin a line
_LATIN = {
    0.41: "iIjl.,:;'|! ",
    0.5: 'ftr()[]{}/\\-"*`',
    0.84: "+=<>~^#_&$?0123456789",
    1.0: "mwMW@%",
}
_WIDTHS = {char: width for width, chars in _LATIN.items() for char in chars}


def proportional(character: str) -> float:
    """The width of a character in a proportional font, in units of the font size.

    The sum over its parts, because a font that cannot join them draws each separately.
    """
    return sum(map(_width_of_part, unicodedata.normalize("NFD", character)))


def _width_of_part(char: str) -> float:
    if char.isascii():
        return _WIDTHS.get(char, 0.65 if char.islower() else 0.8)
    category = unicodedata.category(char)
    if category in ("Mn", "Me", "Cf"):
        return 0.0
    if category == "Zs":
        return 0.4 if char in _NO_BREAK_SPACES else 1.0
    return 1.4 if ord(char) >= 0x1F000 else 1.15  # emoji are wider than any letter


def wrap(text: str, room: float, width: Width) -> list[str]:
    """The lines of ``text``, each at most ``room`` wide, in units of the font size."""
    lines: list[str] = []
    line: list[str] = []
    glue = ""
    for piece, following in _pieces(_characters(text)):
        between = [" "] if glue == " " else []
        hyphen = ["-"] if following == _SOFT_HYPHEN else []
        if line and _wide([*line, *between, *piece, *hyphen], width) <= room:
            line += [*between, *piece]
        else:
            if line:
                lines.append("".join(line) + ("-" if glue == _SOFT_HYPHEN else ""))
            line = []
            for character in piece:
                if line and _wide([*line, character, *hyphen], width) > room:
                    lines.append("".join(line))
                    line = []
                line.append(character)
        glue = following
    return [*lines, "".join(line)] if line else lines


def truncate(lines: list[str], most: int, room: float, width: Width) -> list[str]:
    """The first ``most`` of ``lines``, with an ellipsis if there are more."""
    if len(lines) <= most:
        return lines
    if most < 1:
        return []
    last = _characters(lines[most - 1])
    while last and _wide([*last, "…"], width) > room:
        last.pop()
    return [*lines[: most - 1], "".join(last).rstrip() + "…"]


def _wide(characters: Iterable[str], width: Width) -> float:
    return sum(map(width, characters))


def _pieces(characters: list[str]) -> list[tuple[list[str], str]]:
    """The unbreakable pieces, each with the separator after it: a space, a soft hyphen, or ""."""
    pieces: list[tuple[list[str], str]] = []
    piece: list[str] = []

    def end(glue: str) -> None:
        nonlocal piece
        if piece:
            pieces.append((piece, glue))
        elif pieces and glue == " ":
            pieces[-1] = (pieces[-1][0], glue)
        piece = []

    for character in characters:
        is_space = unicodedata.category(character[0]) == "Zs"
        if is_space and character not in _NO_BREAK_SPACES:
            end(" ")
        elif character in (_SOFT_HYPHEN, _ZERO_WIDTH_SPACE):
            end(character)
        else:
            if piece and (piece[-1] == "-" or _breaks_between(piece[-1], character)):
                end("")
            piece.append(character)
    end("")
    return pieces


def _breaks_between(one: str, other: str) -> bool:
    """Whether a line may break between two characters without a space: Chinese, Japanese, emoji.

    Punctuation stays with its neighbour.
    """
    is_wide = any(
        unicodedata.east_asian_width(each[0]) in "WF" or _is_of_flag(each[0])
        for each in (one, other)
    )
    return (
        is_wide
        and unicodedata.category(other[0]) not in _NOT_FIRST
        and unicodedata.category(one[0]) not in ("Ps", "Pi")
        and not {one, other} & set(_NO_BREAK_SPACES)
    )


def _characters(text: str) -> list[str]:
    """The grapheme clusters of ``text``; soft hyphens and zero-width spaces stand alone."""
    found: list[str] = []
    for char in text:
        category = unicodedata.category(char)
        if category == "Cf" and char in (_SOFT_HYPHEN, _ZERO_WIDTH_SPACE):
            found.append(char)
        elif found and _belongs_to(found[-1], char, category):
            found[-1] += char
        elif category in ("Cc", "Cs", "Zl", "Zp") or ord(char) & 0xFFFE == 0xFFFE:
            found.append("\ufffd")  # not allowed in XML, or a line break of its own
        elif category != "Cf" or char in _KEPT_FORMATS:
            found.append(char)
    return found


def _belongs_to(before: str, char: str, category: str) -> bool:
    if before in (_SOFT_HYPHEN, _ZERO_WIDTH_SPACE):
        return False
    last = before[-1]
    is_flag = len(before) == 1 and _is_of_flag(before) and _is_of_flag(char)
    return (
        category[0] == "M"
        or char in _KEPT_FORMATS
        or "\U0001f3fb" <= char <= "\U0001f3ff"  # a skin tone
        or "\U000e0020" <= char <= "\U000e007f"  # part of a region's flag
        or "\u1160" <= char <= "\u11ff"  # the rest of a Korean syllable
        or (last == "\u200d" and category != "Zs")
        or unicodedata.combining(last) == _VIRAMA
        or is_flag
    )


def _is_of_flag(char: str) -> bool:
    """Whether ``char`` is a regional indicator: two of them make the flag of a country."""
    return "\U0001f1e6" <= char <= "\U0001f1ff"
