"""Auth: who is asking, and whether the route is for them.

Each route declares the least role that may use it; one hook checks it before every request, and
a route that declares nothing is refused. A caller shows a token (``Authorization: Bearer``), the
cookie of a session, or, for a stream, a ticket; docs/access.md has the whole table.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
from flask import Flask, current_app, g, request

from .attempts import limited_address
from .browser import check_origin
from .callers import Caller, Credential, digest_of
from .errors import CsrfFailed, Forbidden, Unauthenticated
from .model import Role
from .services import Services

View = TypeVar("View", bound=Callable[..., Any])

_SAFE_METHODS = ("GET", "HEAD")


class Rule(msgspec.Struct, frozen=True):
    """Who may use a route.

    ``role`` is the least role; None: everybody, known or not. A caller that is limited to a board
    may use the routes of that board, and those that are of no board and say ``any_board``.
    """

    role: Role | None
    any_board: bool = False
    is_use: bool = True  # False: a page calls it by itself, and no session lives longer for it
    takes_ticket: bool = False


def requires(
    role: Role, *, any_board: bool = False, is_use: bool = True, takes_ticket: bool = False
) -> Callable[[View], View]:
    """Declares that a view is for callers of ``role`` and above; see :class:`Rule`."""
    return _declares(Rule(role, any_board, is_use, takes_ticket))


def public(view: View) -> View:
    """Declares that a view is for everybody, known or not."""
    return _declares(Rule(None))(view)


def _declares(rule: Rule) -> Callable[[View], View]:
    def declare(view: View) -> View:
        view.rule = rule  # type: ignore[attr-defined] # functions take attributes
        return view

    return declare


def caller() -> Caller:
    """Who has sent the present request."""
    known: Caller = g.caller
    return known


def caller_address() -> str:
    """Where the present request comes from, as the limits count it."""
    return limited_address(request.remote_addr)


def check_role(role: Role) -> None:
    """Raises Forbidden unless the caller has ``role``, where it depends on more than the route."""
    if not caller().may(role):
        raise Forbidden(f"This needs the role {role.label}; you have {caller().role.label}.")


# Sessions' cookies


def cookie_name() -> str:
    """``__Host-`` makes browsers hold it to this host and to HTTPS (RFC 6265bis, 4.1.3)."""
    return "__Host-occupancy" if request.is_secure else "occupancy"


def session_secret() -> str | None:
    """The secret that the browser's cookie holds."""
    return request.cookies.get(cookie_name()) or None


def init_app(app: Flask, services: Services) -> None:
    @app.before_request
    def check() -> None:
        if request.endpoint is None:
            return  # no such route: the 404 or 405 follows
        if request.method == "OPTIONS" and request.url_rule.provide_automatic_options:  # type: ignore[union-attr] # Flask sets it
            return  # no view is reached: Flask says which methods there are
        rule = getattr(current_app.view_functions[request.endpoint], "rule", None)
        if rule is not None and rule.role is None:
            return
        takes_ticket = rule is not None and rule.takes_ticket
        credential = _credential(services, takes_ticket=takes_ticket)
        g.caller = services.access.identify(credential, is_use=rule is None or rule.is_use)
        if rule is None:
            raise Forbidden("This address is not open to anybody.")
        check_role(rule.role)
        _check_board(rule)
        if caller().means == "session" and request.method not in _SAFE_METHODS:
            _check_csrf(services.settings.trusted_origins)


def _credential(services: Services, *, takes_ticket: bool) -> Credential:
    header = request.headers.get("Authorization")
    if header is not None:
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise Unauthenticated("Send your token as 'Authorization: Bearer <token>'.")
        return Credential("token", digest_of(token.strip()))
    if takes_ticket and "ticket" in request.args:
        return services.sessions.use_ticket(request.args["ticket"])
    secret = session_secret()
    if secret is None:
        raise Unauthenticated(
            "You are not signed in. Sign in, or send a token as 'Authorization: Bearer <token>'."
        )
    return Credential("session", digest_of(secret))


def _check_board(rule: Rule) -> None:
    only = caller().board
    if only is None or rule.any_board:
        return
    if (request.view_args or {}).get("board") != only:
        raise Forbidden(f"You may only see the board {only}.")


def _check_csrf(allowed_origins: tuple[str, ...]) -> None:
    # A foreign page can make the browser send the cookie; it cannot read the token, which only
    # our own pages are told.
    check_origin(request, allowed_origins)
    sent = request.headers.get("X-CSRF-Token", "")
    expected = caller().csrf_token or ""
    if not hmac.compare_digest(sent.encode(), expected.encode()):
        raise CsrfFailed("Send the session's CSRF token (GET /api/session) as X-CSRF-Token.")
