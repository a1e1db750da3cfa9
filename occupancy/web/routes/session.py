"""Sign-in: the routes of a browser's session, and of the tickets for event streams.

A session is a cookie that scripts cannot read and that foreign pages cannot send (``HttpOnly``,
``SameSite=Lax``), and a CSRF token that only our own pages are told. Signing in while somebody is
signed in switches: the session before ends in the same step.
"""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, current_app, request

from occupancy.access.sessions import Session
from occupancy.access.tickets import TICKET_TTL_S
from occupancy.core.entities import Role
from occupancy.core.errors import InvalidRequest, RateLimited, Unauthenticated
from occupancy.core.principal import LINK_PREFIX, Credential, Principal, digest_of
from occupancy.core.requests import PinBody, SignInBody
from occupancy.services import Services
from occupancy.web.auth import (
    caller_address,
    cookie_names,
    principal,
    public,
    requires,
    session_secret,
)
from occupancy.web.io import json_answer, read_body, read_query
from occupancy.web.security import check_origin

bp = Blueprint("signin", __name__, url_prefix="/api")


def _services() -> Services:
    services: Services = current_app.extensions["occupancy"]
    return services


@bp.post("/session")
@public
def sign_in() -> Response:
    """With worker and PIN, or with what stands in a link. A refusal leaves who was signed in."""
    services = _services()
    check_origin(request, services.settings.trusted_origins)  # else a foreign page could sign us in
    read_query()
    body = read_body(SignInBody)
    is_of_before = _is_signed_in_of_before()
    try:
        secret, session = _open(services, body)
    except (Unauthenticated, RateLimited) as error:
        services.metrics.sign_ins.labels(error.code).inc()
        raise
    services.metrics.sign_ins.labels("ok").inc()
    return _signed_in(secret, session, is_of_before=is_of_before)


def _is_signed_in_of_before() -> bool:
    """Whether the browser is signed in here by a cookie that has the old name.

    Another deployment on this host may still have it, and nobody is to be signed out there.
    """
    services = _services()
    name, old_name = cookie_names(request, services.settings)
    secret = request.cookies.get(old_name)
    if not secret or name in request.cookies:
        return False
    try:
        services.authenticator.identify(Credential("session", digest_of(secret)), is_use=False)
    except Unauthenticated:
        return False
    return True


def _signed_in(secret: str, session: Session, *, is_of_before: bool) -> Response:
    signed_in = _services().authenticator.identify(Credential("session", digest_of(secret)))
    response = json_answer(_described(signed_in))
    max_age_s = session.ends_s - session.created_s
    _set_cookie(response, secret, max_age_s=max_age_s, is_of_before=is_of_before)
    return response


def _set_cookie(response: Response, secret: str, *, max_age_s: int, is_of_before: bool) -> None:
    name, old_name = cookie_names(request, _services().settings)
    response.set_cookie(
        name, secret, max_age=max_age_s, path="/",
        httponly=True, samesite="Lax", secure=request.is_secure,
    )  # fmt: skip
    if is_of_before:
        response.delete_cookie(
            old_name, path="/", httponly=True, samesite="Lax", secure=request.is_secure
        )


def _open(services: Services, body: SignInBody) -> tuple[str, Session]:
    had = session_secret(request, _services().settings)
    address = caller_address()
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
@requires(Role.OBSERVER, any_board=True, is_use=False)
def who_am_i() -> Response:
    read_query()
    return json_answer(_described(principal()))


@bp.delete("/session")
@requires(Role.OBSERVER, any_board=True)
def sign_out() -> Response:
    read_query()
    if principal().auth_method != "session":
        raise InvalidRequest("A token is not signed out; an administrator can revoke it.")
    is_of_before = _is_signed_in_of_before()
    _services().sessions.end(principal(), address=caller_address())
    response = Response(status=204)
    _set_cookie(response, "", max_age_s=0, is_of_before=is_of_before)
    return response


@bp.put("/session/pin")
@requires(Role.OBSERVER)
def change_pin() -> Response:
    """One's own PIN. The answer is that of a sign-in, with a cookie and a CSRF token anew."""
    read_query()
    body = read_body(PinBody)
    is_of_before = _is_signed_in_of_before()
    secret, session = _services().sessions.with_new_pin(
        principal(), body.pin, body.new_pin,
        address=caller_address(), instead_of=session_secret(request, _services().settings),
    )  # fmt: skip
    return _signed_in(secret, session, is_of_before=is_of_before)


@bp.post("/tickets")
@requires(Role.OBSERVER, any_board=True, is_use=False)
def create_ticket() -> Response:
    """For an EventSource that has no cookie."""
    read_query()
    secret = _services().tickets.create(principal())
    return json_answer({"ticket": secret, "expires_in_s": TICKET_TTL_S}, 201)


def _described(known: Principal) -> dict[str, Any]:
    return {
        "worker": {"id": known.worker.id, "name": known.worker.name, "role": known.role.label},
        "means": known.auth_method,
        "board": known.board,
        "csrf_token": known.csrf_token,
        "idle_s": known.idle_s,
    }
