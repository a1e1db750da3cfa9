"""The routes of tokens; ``flask tokens`` does the same."""

from __future__ import annotations

from flask import Blueprint, Response

from occupancy.core.entities import Role
from occupancy.core.requests.access import TokenBody
from occupancy.web.auth import current_services, recording, requires
from occupancy.web.io import json_answer, read_body, read_query
from occupancy.web.links import sign_in_link

bp = Blueprint("tokens", __name__, url_prefix="/api/tokens")


@bp.get("")
@requires(Role.ADMIN)
def tokens() -> Response:
    read_query()
    listed = current_services().tokens.all()
    return json_answer({"tokens": [each.token.as_dict(each.used_s) for each in listed]})


@bp.post("")
@requires(Role.ADMIN)
def create_token() -> Response:
    """Create a token. The answer is the only place that ever shows it.

    Its link is for a wallboard, which opens a session with it.
    """
    read_query()
    body = read_body(TokenBody)
    if body.board is not None:
        current_services().store.boards.get(body.board)
    about = {"worker": body.worker, "role": body.role, "board": body.board}
    with recording("token_added", **about, token=None) as fields:
        secret, token = current_services().tokens.create(
            body.worker, days=body.days, board=body.board,
            role=Role.of(body.role) if body.role is not None else None,
        )  # fmt: skip
        fields.update(token=token.id)
    link = sign_in_link(secret, current_services().settings)
    return json_answer({"token": secret, **token.as_dict(), **link}, 201)


@bp.delete("/<token_id>")
@requires(Role.ADMIN)
def revoke_token(token_id: str) -> Response:
    read_query()
    tokens = current_services().tokens
    token = tokens.find(token_id)
    with recording("token_revoked", worker=token.worker, token=token.id):
        tokens.revoke(token.id)
    return Response(status=204)
