"""The route that signs a browser in, by PIN, link, token or badge, or pairs it as a station.

Signing in replaces the browser's present session in one step.
"""

from __future__ import annotations

import contextlib
import re

from flask import Blueprint, Response, request

from occupancy.access.sessions import Session
from occupancy.access.stations.badge import plain_code
from occupancy.core.entities import TAG_PATTERN
from occupancy.core.errors import (
    AlreadyExists,
    Forbidden,
    InvalidRequest,
    ItemNotFound,
    RateLimited,
    Unauthenticated,
    Unconfirmed,
)
from occupancy.core.principal import (
    LINK_PREFIX,
    PAIRING_PREFIX,
    Credential,
    Principal,
    digest_of,
)
from occupancy.core.requests.access import SignInBody
from occupancy.core.requests.checks import check_name
from occupancy.services import Services
from occupancy.web import auth
from occupancy.web.cookies import (
    session_secret,
    set_station_cookie,
    station_secret,
)
from occupancy.web.io import json_answer, read_body, read_query
from occupancy.web.routes.access.session import (
    is_signed_in_by_old_cookie,
    session_as_dict,
    set_cookie,
    signed_in,
)
from occupancy.web.security import check_origin

bp = Blueprint("sign_in", __name__, url_prefix="/api")


@bp.post("/session")
@auth.public
def sign_in() -> Response:
    """Sign in with worker and PIN, the token of a link, or a badge. A refusal ends no session.

    The token of a pairing link makes the browser a station.
    """
    services = auth.current_services()
    check_origin(request, services.settings.trusted_origins)  # else a foreign page could sign us in
    read_query()
    body = read_body(SignInBody)
    has_old_cookie = is_signed_in_by_old_cookie()
    try:
        if _only(body, "token") and (body.token or "").startswith(PAIRING_PREFIX):
            return _pair(services, body.token or "")
        secret, session = _open(services, body)
    except (Unauthenticated, RateLimited) as error:
        services.metrics.sign_ins.labels(error.code).inc()
        raise
    services.metrics.sign_ins.labels("ok").inc()
    response = signed_in(secret, session, has_old_cookie=has_old_cookie)
    station = station_secret(request, services.settings)
    if body.badge is not None and station is not None:
        set_station_cookie(response, request, services.settings, station)
    return response


def _pair(services: Services, token: str) -> Response:
    """Make the browser a station, and end the session that it had: others will stand there."""
    address = auth.caller_address()
    try:
        secret, station = services.stations.pair(token)
    except Unauthenticated as error:
        services.audit_limit.record(
            "sign_in_refused", by="pairing", code=error.code, address=address
        )
        raise
    except Unconfirmed as error:
        raise Unconfirmed(
            "Too few replicas confirmed that the link is used up. Try it again in a moment; if it "
            "was used, revoke the station and pair anew.",
            retry_after=1,
        ) from error
    services.audit_trail.record(
        "station_paired", station=station.id, name=station.name, board=station.board,
        address=address,
    )  # fmt: skip
    had = session_secret(request, services.settings)
    if had is not None:
        with contextlib.suppress(Unauthenticated):
            known = services.authenticator.identify(
                Credential("session", digest_of(had)), is_use=False
            )
            services.sessions.end(known, address=address)
    known = services.authenticator.identify(Credential("station", digest_of(secret)))
    response = json_answer(session_as_dict(known))
    set_cookie(response, "", max_age_s=0, has_old_cookie=is_signed_in_by_old_cookie())
    set_station_cookie(response, request, services.settings, secret)
    return response


def _only(body: SignInBody, *names: str) -> bool:
    """Whether ``body`` has these fields and no others."""
    return all(
        (getattr(body, each) is not None) == (each in names) for each in body.__struct_fields__
    )


def _open(services: Services, body: SignInBody) -> tuple[str, Session]:
    had = session_secret(request, services.settings)
    address = auth.caller_address()
    if body.badge is not None and (_only(body, "badge") or _only(body, "badge", "board")):
        station = _station(services, address)
        if body.board is not None:
            _check_is_no_item(services, station, body.board, body.badge)
        return services.sign_in.with_badge(station, body.badge, address=address, instead_of=had)
    if body.token is not None and _only(body, "token"):
        if body.token.startswith(LINK_PREFIX):
            return services.sign_in.with_link(body.token, address=address, instead_of=had)
        try:
            known = services.authenticator.identify(Credential("token", digest_of(body.token)))
        except Unauthenticated as error:
            services.audit_limit.record(
                "sign_in_refused", by="token", code=error.code, address=address
            )
            raise
        return services.sign_in.with_token(known, address=address, instead_of=had)
    if body.worker is not None and body.pin is not None and _only(body, "worker", "pin"):
        return services.sign_in.with_pin(body.worker, body.pin, address=address, instead_of=had)
    raise InvalidRequest("Send worker and pin, or token; at a paired station, badge.")


def _station(services: Services, address: str) -> Principal:
    """The paired station that sends the request. Raises Unauthenticated."""
    secret = station_secret(request, services.settings)
    try:
        if secret is None:
            raise Unauthenticated(
                "A badge signs in at a paired station only. Sign in with your PIN, or ask an "
                "administrator to pair this device."
            )
        return services.authenticator.identify(Credential("station", digest_of(secret)))
    except Unauthenticated as error:
        services.audit_limit.record("sign_in_refused", by="badge", code=error.code, address=address)
        raise


def _check_is_no_item(services: Services, station: Principal, board: str, code: str) -> None:
    """Raise AlreadyExists if ``code`` is an item's tag: an item goes before a badge.

    A badge is compared without a scanner's prefix and in upper case, so the tag is looked for like
    that too. The page asks this with the badge and not by the item's address: a badge must be in no
    log.
    """
    check_name("board", board)
    if station.board is not None and board != station.board:
        raise Forbidden(f"This station may only see the board {station.board}.")
    plain = plain_code(code)
    for tag in dict.fromkeys((plain, plain.upper())):
        if not re.match(TAG_PATTERN, tag):
            continue
        with contextlib.suppress(ItemNotFound):
            services.store.queries.item(board, tag)
            raise AlreadyExists(
                "An item of this board has that tag, so it is no badge. Scan a badge.", item=tag
            )
