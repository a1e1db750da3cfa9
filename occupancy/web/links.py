"""One-time links and links with a token, as the API answers them: a path, and a QR code."""

from __future__ import annotations

from flask import request

from occupancy.core.settings import Settings
from occupancy.labels.code import qr_image


def sign_in_link(secret: str, settings: Settings) -> dict[str, str]:
    """The ``path`` of the link, and the whole link as a QR code, an ``svg``.

    The asking page knows the address at which browsers reach us, so it needs only the path. The
    code is for another device: it has the address in OCCUPANCY_URL, or else the one of the request.
    """
    path = f"/sign-in#{secret}"
    return {"path": path, "svg": qr_image((settings.url or request.host_url).rstrip("/") + path)}
