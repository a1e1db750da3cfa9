"""The pages as an app that a device installs: its manifest and its service worker.

The worker is one script at a fixed address, because a browser compares it with the one it has. It
names the version of the files and all of them, so each version has another script.
"""

from __future__ import annotations

from typing import Any

import msgspec
from flask import Blueprint, Response
from werkzeug.wrappers import Response as WerkzeugResponse

from occupancy.web.auth import current_services, public
from occupancy.web.io import conditional_answer
from occupancy.web.routes.pages import Pages, chosen_language, current_pages

bp = Blueprint("web_app", __name__)

_GROUND = "#f6f4f0"  # --paper of css/app.css
_ICONS = (
    ("icon.svg", "image/svg+xml", "any", "any"),
    ("icon-192.png", "image/png", "192x192", "any"),
    ("icon-512.png", "image/png", "512x512", "any"),
    ("icon-full-512.png", "image/png", "512x512", "maskable"),
)


@bp.get("/manifest.webmanifest")
@public
def manifest() -> WerkzeugResponse:
    """The manifest (W3C Web Application Manifest), in the browser's language."""
    pages, language = current_pages(), chosen_language()
    texts = pages.catalogs[language]
    body: dict[str, Any] = {
        "id": "/boards", "start_url": "/boards", "scope": "/", "display": "standalone",
        "lang": language, "dir": "ltr",
        "name": texts["app.name"], "short_name": "occupancy", "description": texts["app.about"],
        "background_color": _GROUND, "theme_color": _GROUND,
        "icons": [
            {"src": pages.assets.address(name), "type": kind, "sizes": sizes, "purpose": purpose}
            for name, kind, sizes, purpose in _ICONS
        ],
    }  # fmt: skip
    response = Response(msgspec.json.encode(body), content_type="application/manifest+json")
    response.vary.update(("Accept-Language", "Cookie"))
    return _revalidated(response)


@bp.get("/sw.js")
@public
def service_worker() -> WerkzeugResponse:
    """The service worker; where the setting says 0, one that removes itself."""
    pages = current_pages()
    if current_services().settings.service_worker:
        script = _constants(pages) + pages.assets.text("worker/keep_shell.js")
    else:
        script = pages.assets.text("worker/remove.js")
    response = Response(script, content_type="text/javascript; charset=utf-8")
    # A worker runs under the policy of its own script.
    response.headers["Content-Security-Policy"] = (
        "default-src 'none'; connect-src 'self'; frame-ancestors 'none'"
    )
    return _revalidated(response)


def _constants(pages: Pages) -> str:
    files = [each for each in pages.assets.addresses() if "/worker/" not in each]
    names = {"VERSION": pages.assets.version, "FILES": files}
    return "".join(
        f"const {name} = {msgspec.json.encode(value).decode()};\n" for name, value in names.items()
    )


def _revalidated(response: Response) -> WerkzeugResponse:
    response.headers["Cache-Control"] = "no-cache"
    response.add_etag()
    return conditional_answer(response)
