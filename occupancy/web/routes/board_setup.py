"""The routes that create, set up and remove boards; ``flask boards`` does the same."""

from __future__ import annotations

from flask import Blueprint, Response, request

from occupancy.core.entities import Role
from occupancy.core.requests.boards import BoardBody, BoardRemovalBody, BoardSettingsBody
from occupancy.core.requests.checks import check_name
from occupancy.web.auth import current_services, recording, requires
from occupancy.web.entity_tags import allowed_versions
from occupancy.web.io import as_response, read_body, read_query
from occupancy.web.operations import board_reply

bp = Blueprint("board_setup", __name__, url_prefix="/api/boards")


@bp.post("")
@requires(Role.ADMIN)
def create_board() -> Response:
    read_query()
    body = read_body(BoardBody)
    with recording("board_added", board=body.board):
        board = current_services().store.boards.create(
            body.board, title=body.title, steps=body.steps or (), max_holds=body.max_holds or 0
        )
    return as_response(board_reply(board, 201))


@bp.patch("/<board>")
@requires(Role.ADMIN)
def configure_board(board: str) -> Response:
    """Change settings of a board: fields that are not given keep their value."""
    read_query()
    check_name("board", board)
    versions = allowed_versions(request.headers.get("If-Match"))
    body = read_body(BoardSettingsBody)
    with recording("board_edited", board=board) as fields:
        done = current_services().store.boards.configure(board, body, versions=versions)
        fields.update(fields=",".join(done.changed), version=done.board.settings.version)
        if not done.changed:
            fields.clear()
    return as_response(board_reply(done.board))


@bp.delete("/<board>")
@requires(Role.ADMIN)
def remove_board(board: str) -> Response:
    """Remove a board, with its items if ``confirm`` is its name."""
    read_query()
    check_name("board", board)
    body = read_body(BoardRemovalBody)
    services = current_services()
    services.removal.remove(board, with_items=body.confirm == board, recording=recording)
    services.removal.resume()  # any process would, within seconds
    return Response(status=204)
