"""Page routes: the pages that workers use. Each is a shell, which its scripts fill from the API.

A shell holds no data, so it is open to everybody. Board, tag and the transition table are in data
attributes, because a page has no inline script.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import msgspec
from flask import Blueprint, Response, current_app, redirect, render_template, request
from werkzeug.wrappers import Response as WerkzeugResponse

from occupancy.core.errors import NotFound
from occupancy.core.requests.checks import check_name
from occupancy.core.transitions import PUT, REMOVE, TRANSITIONS
from occupancy.labels.stocks import STOCKS
from occupancy.observability.audit_trail.events import EVENTS
from occupancy.web.auth import current_services, public
from occupancy.web.io import asset_answer, conditional_answer
from occupancy.web.ui.assets import Assets
from occupancy.web.ui.languages import COOKIE, LANGUAGES, choose, load_catalogs
from occupancy.web.ui.theme import chosen_theme

bp = Blueprint("pages", __name__)


_PAGE_COLUMNS = (
    "operation", "event", "added_event", "sources", "target", "holder_only", "counts_time",
    "completions", "within_s", "undone_by", "fields", "is_step_earlier", "button",
    "is_for_others", "key",
)  # fmt: skip
_ROWS = [
    {**{name: getattr(each, name) for name in _PAGE_COLUMNS}, "role": each.role.label}
    for each in (*TRANSITIONS.values(), PUT, REMOVE)
]
TRANSITIONS_JSON = msgspec.json.encode(_ROWS).decode()  # the table, for the pages' scripts
_SHORTCUTS = [each for each in TRANSITIONS.values() if each.key]


class Pages:
    """The assets and texts of the pages; one for each application."""

    def __init__(self) -> None:
        self.assets = Assets()
        self.catalogs = load_catalogs(self.assets)


def current_pages() -> Pages:
    pages: Pages = current_app.extensions["occupancy.pages"]
    return pages


def chosen_language() -> str:
    """The language of the answer to this request."""
    return choose(request.cookies.get(COOKIE), request.headers.get("Accept-Language", ""))


def page(template: str, **data: Any) -> WerkzeugResponse:
    """A page in the browser's language and the chosen theme, with an ETag."""
    pages, language = current_pages(), chosen_language()
    messages = pages.catalogs[language]
    settings = current_services().settings
    text = render_template(
        template, asset=pages.assets.address, t=messages.__getitem__, language=language,
        theme=chosen_theme(request.cookies), path=request.path,
        languages=LANGUAGES, home=urlsplit(settings.public_url).netloc,
        has_service_worker=settings.service_worker,
        transitions=TRANSITIONS_JSON, shortcuts=_SHORTCUTS, **data,
    )  # fmt: skip
    response = Response(text, content_type="text/html; charset=utf-8")
    response.headers["Cache-Control"] = "no-cache"
    response.vary.update(("Accept-Language", "Cookie"))
    response.add_etag()
    return conditional_answer(response)


@bp.get("/")
@public
def start() -> WerkzeugResponse:
    return redirect("/boards")


@bp.get("/sign-in", defaults={"template": "sign_in.html"})  # by PIN or by a sign-in link
@bp.get("/boards", defaults={"template": "boards.html"})
@bp.get("/boards/<board>", defaults={"template": "board.html"})
@bp.get("/boards/<board>/items/<tag>", defaults={"template": "item.html"})  # QR codes lead here
@bp.get("/boards/<board>/wall", defaults={"template": "wall.html"})
@bp.get("/boards/<board>/settings", defaults={"template": "settings.html"})
@bp.get("/boards/<board>/items", defaults={"template": "items.html"})
@bp.get("/boards/<board>/import", defaults={"template": "import.html"})
@bp.get("/people", defaults={"template": "people.html"})
@bp.get("/people/cards", defaults={"template": "cards.html"})  # badges and PIN slips, to print
@bp.get("/programs", defaults={"template": "programs.html"})  # tokens, wallboards, stations
@bp.get("/account", defaults={"template": "account.html"})
@bp.get("/day", defaults={"template": "day.html"})
@bp.get("/setup", defaults={"template": "setup.html"})
@bp.get("/status", defaults={"template": "status.html"})
@public
def shell(template: str, **names: str) -> WerkzeugResponse:
    """A page; the names in its path are checked."""
    return page(template, **{name: check_name(name, value) for name, value in names.items()})


@bp.get("/boards/<board>/labels")
@public
def labels(board: str) -> WerkzeugResponse:
    return page("labels.html", board=check_name("board", board), stocks=list(STOCKS.values()))


@bp.get("/audit")
@public
def audit() -> WerkzeugResponse:
    return page("audit.html", audit_events=EVENTS)


@bp.get("/static/<version>/<path:name>")
@public
def static(version: str, name: str) -> WerkzeugResponse:
    """A file of the pages. Flask's own static route has no role, so the role check refuses it."""
    assets = current_pages().assets
    asset = assets.get(name)
    if asset is None:
        raise NotFound("There is nothing at this address.")
    response = asset_answer(asset)
    # During a reload, a page of one version may ask a process of another version for its files.
    is_current = version == assets.version
    cache = "public, max-age=31536000, immutable" if is_current else "no-store"
    response.headers["Cache-Control"] = cache
    return response
