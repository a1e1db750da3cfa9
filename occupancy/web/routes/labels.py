"""Labels of items as pages to print; the page /boards/B/labels is made of them.

The page shows these drawings and prints them itself, with a stylesheet that sets the size of the
paper. So what is seen is what is printed, in one job, and nothing has to be downloaded first. A PDF
would need a library, Pillow, and fonts for every script that a title may be in; the browser has
fonts, and makes a PDF of the same pages where somebody wants the file.

A request draws few labels: a thousand are a hundred short requests or less, of which the page shows
the progress, and between which everybody else has a turn.
"""

from __future__ import annotations

import msgspec
from flask import Blueprint, Response, request

from occupancy.core.entities import Item, Role
from occupancy.core.errors import InvalidRequest
from occupancy.core.requests.checks import check_choice, check_name
from occupancy.labels.sheet import sheets
from occupancy.labels.stocks import STOCKS
from occupancy.web.auth import current_services, requires, yield_turn
from occupancy.web.io import json_answer, read_limit, read_query

MAX_TAGS = 100  # in a request

bp = Blueprint("labels", __name__, url_prefix="/api/boards")


@bp.get("/<board>/labels")
@requires(Role.SUPERVISOR)
def labels(board: str) -> Response:
    """The labels of ``tags`` in their order; those that are no items any more are ``missing``."""
    query = read_query("stock", "tags", "first")
    check_name("board", board)
    stock = STOCKS[check_choice("stock", query.get("stock", ""), STOCKS)]
    tags = [check_name("tag", each) for each in query.get("tags", "").split(",")]
    if len(tags) > MAX_TAGS:
        raise InvalidRequest(
            f"tags has more than {MAX_TAGS} tags. Divide them over several requests."
        )
    first = read_limit(query, 1, stock.labels, "first")
    services = current_services()
    title = services.store.boards.get(board).title
    found = services.store.queries.items(board, tags)
    items = [msgspec.json.decode(each, type=Item) for each in found if each is not None]
    url = (services.settings.url or request.host_url).rstrip("/") + f"/boards/{board}"
    pages = sheets(
        items, stock, board_url=url, board_title=title, first=first,
        pause=yield_turn,
    )  # fmt: skip
    missing = [tag for tag, each in zip(tags, found, strict=True) if each is None]
    return json_answer({"pages": list(pages), "missing": missing, "board_url": url})
