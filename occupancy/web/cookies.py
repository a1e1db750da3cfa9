"""The cookies of sessions and stations: their names, how they are read, and how they are set.

Scripts cannot read them, and foreign pages cannot send them (``HttpOnly``, ``SameSite=Lax``). A
paired station has a cookie of its own, which stays when a session ends.
"""

from __future__ import annotations

from typing import Any

from flask import Response

from occupancy.access.stations.station import COOKIE_S
from occupancy.core.settings import Settings
from occupancy.web.request import HttpRequest

_OLD_SESSION_COOKIE = "occupancy"  # in earlier versions, the name in every deployment


def session_cookie_names(request: HttpRequest, settings: Settings) -> tuple[str, str]:
    """The name of the session cookie, and its earlier name, which is still accepted.

    A browser that has both has signed in since, which ended the session of the older cookie. With
    ``__Host-`` browsers restrict it to this host and to HTTPS (RFC 6265bis, 4.1.3).
    """
    prefix = "__Host-" if request.is_secure else ""
    return prefix + settings.cookie_name, prefix + _OLD_SESSION_COOKIE


def session_secret(request: HttpRequest, settings: Settings) -> str | None:
    """The secret in the browser's session cookie, or None."""
    names, cookies = session_cookie_names(request, settings), request.cookies
    return next((cookies[name] for name in names if cookies.get(name)), None)


def station_secret(request: HttpRequest, settings: Settings) -> str | None:
    """The secret in the browser's station cookie, or None."""
    return request.cookies.get(_station_cookie_name(request, settings)) or None


def set_session_cookie(
    response: Response, request: HttpRequest, settings: Settings, secret: str, *, max_age_s: int,
    has_old_cookie: bool,
) -> None:  # fmt: skip
    """Set the session cookie; with ``max_age_s`` 0 the browser deletes it.

    ``has_old_cookie``: delete the one with the earlier name too.
    """
    name, old_name = session_cookie_names(request, settings)
    response.set_cookie(name, secret, max_age=max_age_s, **_attributes(request))
    if has_old_cookie:
        response.delete_cookie(old_name, **_attributes(request))


def set_station_cookie(
    response: Response, request: HttpRequest, settings: Settings, secret: str
) -> None:
    """Set the station cookie, for as long as browsers keep one."""
    name = _station_cookie_name(request, settings)
    response.set_cookie(name, secret, max_age=COOKIE_S, **_attributes(request))


def _station_cookie_name(request: HttpRequest, settings: Settings) -> str:
    return f"{session_cookie_names(request, settings)[0]}-station"


def _attributes(request: HttpRequest) -> dict[str, Any]:
    # Lax and not Strict: a page that is opened from elsewhere must know who is signed in.
    return {"path": "/", "httponly": True, "samesite": "Lax", "secure": request.is_secure}
