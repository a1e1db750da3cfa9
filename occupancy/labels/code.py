"""QR codes as a path of SVG."""

from __future__ import annotations

from itertools import groupby

import segno

QUIET_MODULES = 4  # the white margin around a code, by ISO/IEC 18004
# Of the eight masks the best is usually sought, which takes 14 of 18 ms. That is too long for one
# piece of work in a process that serves others. Readers decode any mask: the code names its own.
_MASK = 3


def qr_svg(text: str, *, left: float, top: float, side: float) -> str:
    """The code of ``text`` with its white margin, as a square of ``side`` in another SVG."""
    place = f'x="{left:.2f}" y="{top:.2f}" width="{side:.2f}" height="{side:.2f}"'
    return _drawn(text, place)


def qr_image(text: str) -> str:
    """The same as an image of its own, without a size."""
    return _drawn(text, 'xmlns="http://www.w3.org/2000/svg"')


def _drawn(text: str, attributes: str) -> str:
    matrix = segno.make_qr(text, error="m", mask=_MASK).matrix
    modules = len(matrix) + 2 * QUIET_MODULES
    runs = []
    for row, line in enumerate(matrix, QUIET_MODULES):
        column = QUIET_MODULES
        for is_dark, run in groupby(line):
            length = len(list(run))
            if is_dark:
                runs.append(f"M{column} {row}h{length}v1h-{length}z")
            column += length
    return (
        f'<svg {attributes} viewBox="0 0 {modules} {modules}" shape-rendering="crispEdges">'
        f'<path fill="#fff" d="M0 0h{modules}v{modules}h-{modules}z"/>'
        f'<path d="{"".join(runs)}"/></svg>\n'
    )
