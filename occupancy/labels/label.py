"""One label: the code at the left, the texts at its right.

The tag is whole and as large as the label allows, because people read it from afar; title and
board's name take a smaller part, and give way where a long tag needs it.
"""

from __future__ import annotations

import re
from urllib.parse import quote
from xml.sax.saxutils import escape

from occupancy.core.entities import Item
from occupancy.labels.code import qr_svg
from occupancy.labels.lines import proportional, truncate, wrap
from occupancy.labels.stocks import Stock

_LINE_HEIGHT = 1.25  # in units of the font size
_BASELINE = 0.97  # from the top of a line; what hangs below it, such as in "g", has 0.25
_MONOSPACE = 0.61  # the width of a character
_TAG_FONT = 'font-family="ui-monospace, monospace" font-weight="bold"'
_TEXT_FONT = 'font-family="system-ui, sans-serif"'
_CODE_WIDTH = 0.42  # of the label, at most
_GAP_MM = 1.5
_TITLE_SHARE = 0.32  # of the height, at most
_MAX_TAG_MM, _MIN_TAG_MM, _STEP_MM = 14.0, 1.0, 0.2
_GOOD_TAG_MM = 3.4  # read at arm's length: below it, title and board's name give way
_ONE_LINE = 0.8  # how much smaller a tag may be so that it stays on one line
_WHOLE_PARTS = 0.6  # how much smaller a tag may be so that no part of it is broken
_TAIL = 7  # characters at a tag's end that stay on one line: those of one board differ there


def label_svg(item: Item, stock: Stock, *, board_url: str, board_title: str) -> str:
    """A label as the content of an SVG of its size, in millimetres."""
    width, height = stock.label_mm
    padding = stock.padding_mm
    free = height - 2 * padding
    side = min(free, width * _CODE_WIDTH)
    left = padding + side + _GAP_MM
    room = width - left - padding
    title_mm = min(5.0, max(2.5, height * 0.075))
    board_mm = title_mm * 0.85
    url = f"{board_url}/items/{quote(item.tag, safe=':')}"
    all_titles = wrap(item.title, room / title_mm, proportional)
    board = truncate(
        wrap(board_title, room / board_mm, proportional), 1, room / board_mm, proportional
    )
    most = min(len(all_titles), max(1, int(free * _TITLE_SHARE / (title_mm * _LINE_HEIGHT))))
    for lines, names in [*((each, board) for each in range(most, -1, -1)), (0, [])]:
        title = truncate(all_titles, lines, room / title_mm, proportional)
        below = len(title) * title_mm * _LINE_HEIGHT + len(names) * board_mm * _LINE_HEIGHT
        tag_mm, tag = tag_lines(item.tag, room, free - below)
        if tag_mm >= _GOOD_TAG_MM:
            break
    texts, y = [], padding
    for line in tag:
        texts.append(_text(line, left, y, tag_mm, _TAG_FONT))
        y += tag_mm * _LINE_HEIGHT
    for line in title:
        texts.append(_text(line, left, y, title_mm, _TEXT_FONT))
        y += title_mm * _LINE_HEIGHT
    for line in names:
        bottom = height - padding - board_mm * _LINE_HEIGHT
        texts.append(_text(line, left, bottom, board_mm, _TEXT_FONT))
    code = qr_svg(url, left=padding, top=(height - side) / 2, side=side)
    return code + "".join(texts)


def tag_lines(tag: str, room: float, height: float) -> tuple[float, list[str]]:
    """The largest size in mm at which ``tag`` fits, and its lines. (0, []) if none fits."""
    size, lines = _largest(tag, room, height)
    one_line = int(room / (len(tag) * _MONOSPACE) / _STEP_MM) * _STEP_MM
    if len(lines) > 1 and one_line >= size * _ONE_LINE:
        return one_line, [tag]
    return size, lines


def _largest(tag: str, room: float, height: float) -> tuple[float, list[str]]:
    broken: tuple[float, list[str]] = (0.0, [])
    steps = round((_MAX_TAG_MM - _MIN_TAG_MM) / _STEP_MM)
    for step in range(steps + 1):
        size = _MAX_TAG_MM - step * _STEP_MM
        if size < broken[0] * _WHOLE_PARTS:
            break
        in_line = int(room / (size * _MONOSPACE))
        lines, is_whole = break_tag(tag, in_line)
        if not lines or len(lines) * size * _LINE_HEIGHT > height:
            continue
        if is_whole:
            return size, lines
        if not broken[1]:
            broken = (size, lines)
    return broken


def break_tag(tag: str, most: int) -> tuple[list[str], bool]:
    """Lines of at most ``most`` characters, and whether no part between separators is broken.

    Its last seven characters are never broken, unless a separator is there. [] if that cannot be.
    """
    lines, line, is_whole = [], "", True
    for part in re.findall(r"[^-._:]+[-._:]*", tag):
        if len(line) + len(part) <= most:
            line += part
            continue
        if line:
            lines.append(line)
        line = part
        if len(part) > most:
            if most < _TAIL:
                return [], False
            is_whole = False
            while len(line) > most:
                # The rest must not be shorter than the end that stays together.
                taken = min(most, len(line) - _TAIL)
                lines.append(line[:taken])
                line = line[taken:]
    return [*lines, line], is_whole


def _text(text: str, left: float, top: float, size: float, font: str) -> str:
    return (
        f'<text x="{left:.2f}" y="{top + size * _BASELINE:.2f}" font-size="{size:.2f}" {font}>'
        f"{escape(text)}</text>\n"
    )
