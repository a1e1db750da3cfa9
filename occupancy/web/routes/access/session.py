"""The routes of a browser's session, and of the tickets for event streams.

A session has a cookie (``web/cookies.py``), and a CSRF token, which only our own pages get.
``sign_in`` opens one.
"""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, after_this_request, request

from occupancy.access.sessions import Session
from occupancy.access.tickets import TICKET_TTL_S
from occupancy.core.entities import Role
from occupancy.core.errors import (
    InvalidRequest,
    Unauthenticated,
    Unconfirmed,
)
from occupancy.core.principal import (
    Credential,
    Principal,
    digest_of,
)
from occupancy.core.requests.access import ConfirmBody, PinBody
from occupancy.web import auth
from occupancy.web.cookies import (
    session_cookie_names,
    session_secret,
    set_session_cookie,
)
from occupancy.web.io import json_answer, read_body, read_query

bp = Blueprint("session", __name__, url_prefix="/api")


def is_signed_in_by_old_cookie() -> bool:
    """Whether the browser is signed in here by a cookie with the old name.

    If not, such a cookie may belong to another deployment on this host, and must be kept.
    """
    services = auth.current_services()
    name, old_name = session_cookie_names(request, services.settings)
    secret = request.cookies.get(old_name)
    if not secret or name in request.cookies:
        return False
    try:
        services.authenticator.identify(Credential("session", digest_of(secret)), is_use=False)
    except Unauthenticated:
        return False
    return True


def signed_in(secret: str, session: Session, *, has_old_cookie: bool) -> Response:
    """The answer to a sign-in: who is signed in now, and the session's cookie."""
    credential = Credential("session", digest_of(secret))
    response = json_answer(
        session_as_dict(auth.current_services().authenticator.identify(credential))
    )
    max_age_s = session.ends_s - session.created_s
    set_cookie(response, secret, max_age_s=max_age_s, has_old_cookie=has_old_cookie)
    return response


def set_cookie(response: Response, secret: str, *, max_age_s: int, has_old_cookie: bool) -> None:
    """Set the session's cookie on a response to the present request; see ``web/cookies.py``."""
    settings = auth.current_services().settings
    set_session_cookie(
        response, request, settings, secret, max_age_s=max_age_s, has_old_cookie=has_old_cookie
    )


@bp.get("/session")
@auth.requires(Role.OBSERVER, any_board=True, is_use=False)
def who_am_i() -> Response:
    read_query()
    return json_answer(session_as_dict(auth.principal()))


@bp.delete("/session")
@auth.requires(Role.OBSERVER, any_board=True)
def sign_out() -> Response:
    read_query()
    if auth.principal().credential.auth_method != "session":
        raise InvalidRequest(
            "Only a session can be signed out. To end a token or a station, an administrator "
            "revokes it."
        )
    has_old_cookie = is_signed_in_by_old_cookie()

    def without_cookie(response: Response) -> Response:
        set_cookie(response, "", max_age_s=0, has_old_cookie=has_old_cookie)
        return response

    try:
        auth.current_services().sessions.end(auth.principal(), address=auth.caller_address())
    except Unconfirmed:
        after_this_request(without_cookie)  # the session has ended all the same
        raise
    return without_cookie(Response(status=204))


@bp.put("/session/pin")
@auth.requires(Role.OBSERVER)
def change_pin() -> Response:
    """Change one's own PIN. The answer is that of a sign-in, with a new cookie and CSRF token."""
    read_query()
    body = read_body(PinBody)
    has_old_cookie, services = is_signed_in_by_old_cookie(), auth.current_services()
    secret, session = services.sign_in.with_new_pin(
        auth.principal(), body.pin, body.new_pin, address=auth.caller_address(),
        instead_of=session_secret(request, services.settings),
    )  # fmt: skip
    return signed_in(secret, session, has_old_cookie=has_old_cookie)


@bp.post("/session/confirm")
@auth.requires(Role.OBSERVER, any_board=True)
def confirm() -> Response:
    """Confirm a session opened with a badge. The answer is that of a sign-in."""
    read_query()
    body = read_body(ConfirmBody)
    has_old_cookie, services = is_signed_in_by_old_cookie(), auth.current_services()
    secret, session = services.sign_in.confirmed(
        auth.principal(), body.pin, address=auth.caller_address(),
        instead_of=session_secret(request, services.settings) or "",
    )  # fmt: skip
    return signed_in(secret, session, has_old_cookie=has_old_cookie)


@bp.post("/tickets")
@auth.requires(Role.OBSERVER, any_board=True, is_use=False)
def create_ticket() -> Response:
    """Create a ticket, for an EventSource without a cookie."""
    read_query()
    secret = auth.current_services().tickets.create(auth.principal())
    return json_answer({"ticket": secret, "expires_in_s": TICKET_TTL_S}, 201)


def session_as_dict(known: Principal) -> dict[str, Any]:
    """The session as the API shows it."""
    return {
        "worker": {"id": known.worker.id, "name": known.worker.name, "role": known.role.label},
        "means": known.auth_method, "board": known.board,
        "csrf_token": known.csrf_token, "idle_s": known.idle_s,
        "role_with_pin": known.role_with_pin.label if known.role_with_pin is not None else None,
        "station": known.station,
    }  # fmt: skip
