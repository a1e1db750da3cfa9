"""QR codes of one-time links, for a screen from which a tablet or a phone takes them."""

from __future__ import annotations

import io

import segno
from flask import request

from occupancy.core.settings import Settings

_QUIET_MODULES = 4  # the white margin around a code, by ISO/IEC 18004


def code_of(path: str, settings: Settings) -> str:
    """``path`` as an SVG image of its QR code, at the address that the asking browser uses.

    OCCUPANCY_URL comes first: an administrator may ask at an address that only their machine has.
    """
    url = (settings.url or request.host_url).rstrip("/") + path
    image = io.BytesIO()
    segno.make_qr(url, error="m").save(
        image, kind="svg", border=_QUIET_MODULES, light="#fff", omitsize=True, xmldecl=False,
        nl=False,
    )  # fmt: skip
    return image.getvalue().decode()
