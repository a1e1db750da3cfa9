"""QR codes of one-time links, for a screen or a slip from which a device takes them."""

from __future__ import annotations

from flask import request

from occupancy.core.settings import Settings
from occupancy.labels.code import qr_image


def code_of(path: str, settings: Settings) -> str:
    """``path`` as an SVG image of its QR code, at the address that the asking browser uses.

    OCCUPANCY_URL comes first: an administrator may ask at an address that only their machine has.
    """
    return qr_image((settings.url or request.host_url).rstrip("/") + path)
