"""The routes of a browser's session, and of the tickets for event streams.

A session has a cookie, which scripts cannot read and foreign pages cannot send (``HttpOnly``,
``SameSite=Lax``), and a CSRF token, which only our own pages get. Signing in replaces the browser's
present session in one step.
"""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, after_this_request, request

from occupancy.access.sessions import Session
from occupancy.access.tickets import TICKET_TTL_S
from occupancy.core.entities import Role
from occupancy.core.errors import InvalidRequest, RateLimited, Unauthenticated, Unconfirmed
from occupancy.core.principal import LINK_PREFIX, Credential, Principal, digest_of
from occupancy.core.requests import PinBody, SignInBody
from occupancy.services import Services
from occupancy.web import auth
from occupancy.web.io import json_answer, read_body, read_query
from occupancy.web.security import check_origin

bp = Blueprint("signin", __name__, url_prefix="/api")


@bp.post("/session")
@auth.public
def sign_in() -> Response:
    """Sign in with worker and PIN, or with the token of a link. A refusal ends no session."""
    services = auth.current_services()
    check_origin(request, services.settings.trusted_origins)  # else a foreign page could sign us in
    read_query()
    body = read_body(SignInBody)
    has_old_cookie = _has_old_cookie()
    try:
        secret, session = _open(services, body)
    except (Unauthenticated, RateLimited) as error:
        services.metrics.sign_ins.labels(error.code).inc()
        raise
    services.metrics.sign_ins.labels("ok").inc()
    return _signed_in(secret, session, has_old_cookie=has_old_cookie)


def _has_old_cookie() -> bool:
    """Whether the browser is signed in here by a cookie with the old name.

    If not, such a cookie may belong to another deployment on this host, and must be kept.
    """
    services = auth.current_services()
    name, old_name = auth.cookie_names(request, services.settings)
    secret = request.cookies.get(old_name)
    if not secret or name in request.cookies:
        return False
    try:
        services.authenticator.identify(Credential("session", digest_of(secret)), is_use=False)
    except Unauthenticated:
        return False
    return True


def _signed_in(secret: str, session: Session, *, has_old_cookie: bool) -> Response:
    credential = Credential("session", digest_of(secret))
    response = json_answer(_described(auth.current_services().authenticator.identify(credential)))
    max_age_s = session.ends_s - session.created_s
    _set_cookie(response, secret, max_age_s=max_age_s, has_old_cookie=has_old_cookie)
    return response


def _set_cookie(response: Response, secret: str, *, max_age_s: int, has_old_cookie: bool) -> None:
    name, old_name = auth.cookie_names(request, auth.current_services().settings)
    attributes: dict[str, Any] = {
        "path": "/", "httponly": True, "samesite": "Lax", "secure": request.is_secure,
    }  # fmt: skip
    response.set_cookie(name, secret, max_age=max_age_s, **attributes)
    if has_old_cookie:
        response.delete_cookie(old_name, **attributes)


def _open(services: Services, body: SignInBody) -> tuple[str, Session]:
    had = auth.session_secret(request, services.settings)
    address = auth.caller_address()
    if body.token is not None and body.worker is None and body.pin is None:
        if body.token.startswith(LINK_PREFIX):
            return services.sessions.with_link(body.token, address=address, instead_of=had)
        try:
            known = services.authenticator.identify(Credential("token", digest_of(body.token)))
        except Unauthenticated as error:
            services.audit_limit.record(
                "sign_in_refused", by="token", code=error.code, address=address
            )
            raise
        return services.sessions.with_token(known, address=address, instead_of=had)
    if body.token is None and body.worker is not None and body.pin is not None:
        return services.sessions.with_pin(body.worker, body.pin, address=address, instead_of=had)
    raise InvalidRequest("Send worker and pin, or token.")


@bp.get("/session")
@auth.requires(Role.OBSERVER, any_board=True, is_use=False)
def who_am_i() -> Response:
    read_query()
    return json_answer(_described(auth.principal()))


@bp.delete("/session")
@auth.requires(Role.OBSERVER, any_board=True)
def sign_out() -> Response:
    read_query()
    if auth.principal().auth_method != "session":
        raise InvalidRequest("A token is not signed out; an administrator can revoke it.")
    has_old_cookie = _has_old_cookie()

    def without_cookie(response: Response) -> Response:
        _set_cookie(response, "", max_age_s=0, has_old_cookie=has_old_cookie)
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
    """Change the own PIN. The answer is that of a sign-in, with a new cookie and CSRF token."""
    read_query()
    body = read_body(PinBody)
    has_old_cookie, services = _has_old_cookie(), auth.current_services()
    secret, session = services.sessions.with_new_pin(
        auth.principal(), body.pin, body.new_pin, address=auth.caller_address(),
        instead_of=auth.session_secret(request, services.settings),
    )  # fmt: skip
    return _signed_in(secret, session, has_old_cookie=has_old_cookie)


@bp.post("/tickets")
@auth.requires(Role.OBSERVER, any_board=True, is_use=False)
def create_ticket() -> Response:
    """Create a ticket, for an EventSource without a cookie."""
    read_query()
    secret = auth.current_services().tickets.create(auth.principal())
    return json_answer({"ticket": secret, "expires_in_s": TICKET_TTL_S}, 201)


def _described(known: Principal) -> dict[str, Any]:
    return {
        "worker": {"id": known.worker.id, "name": known.worker.name, "role": known.role.label},
        "means": known.auth_method, "board": known.board,
        "csrf_token": known.csrf_token, "idle_s": known.idle_s,
    }  # fmt: skip
