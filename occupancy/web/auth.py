"""Authorization: one hook identifies the principal of a request and checks the route's rule.

Each view declares the least role that may use it, and one without a rule is refused. The credential
is a token (``Authorization: Bearer``), a session's cookie or, for a stream, a ticket;
docs/access.md has the whole table.
"""

from __future__ import annotations

import contextlib
import hmac
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager
from typing import Any, TypeVar

import msgspec
from flask import Flask, current_app, g, request

from occupancy.access.read_turns import Share
from occupancy.core.entities import Role
from occupancy.core.errors import CsrfFailed, Forbidden, PinRequired, Unauthenticated
from occupancy.core.principal import Credential, Principal, digest_of
from occupancy.core.rate_limit import limited_address
from occupancy.core.requests.checks import check_name
from occupancy.core.settings import Settings
from occupancy.services import Services
from occupancy.storage.fair_queue import set_priority
from occupancy.web.cookies import session_secret, station_secret
from occupancy.web.request import HttpRequest
from occupancy.web.security import check_origin

View = TypeVar("View", bound=Callable[..., Any])
Views = Mapping[str, Callable[..., Any]]  # Flask's, by endpoint

_SAFE_METHODS = ("GET", "HEAD")


class Rule(msgspec.Struct, frozen=True):
    """The conditions on using a route.

    ``role`` is the least role; None: everybody, also without a credential. A principal that is
    limited to a board may use the routes of that board, and those of no board with ``any_board``.
    """

    role: Role | None
    any_board: bool = False
    is_use: bool = True  # False: polled by pages; does not extend the session
    takes_ticket: bool = False


def requires(role: Role | None, **options: bool) -> Callable[[View], View]:
    """Declare the :class:`Rule` of a view: it is for ``role`` and above."""

    def declare(view: View) -> View:
        view.rule = Rule(role, **options)  # type: ignore[attr-defined] # functions take attributes
        return view

    return declare


public = requires(None)  # a view for everybody, also without a credential


def current_services() -> Services:
    """The services of the present application."""
    services: Services = current_app.extensions["occupancy"]
    return services


def principal() -> Principal:
    """The principal of the present request."""
    found: Principal = g.principal
    return found


def recording(event: str, **fields: Any) -> AbstractContextManager[dict[str, object]]:
    """Record the change of access that the block makes, with who makes it."""
    by, means = principal().worker.id, principal().auth_method
    return current_services().audit_trail.recording(event, by=by, means=means, **fields)


def yield_turn() -> None:
    """Let other readers take a turn in the middle of the present request, which is a long one."""
    if g.share is not None:
        current_services().read_turns.go_on(g.share)


def caller_address() -> str:
    """The address of the present request, as the limits count it."""
    return limited_address(request.remote_addr)


def used_ticket() -> str | None:
    """The ticket of the present request, for a route that takes tickets.

    An Authorization header takes precedence: then the ticket is not used.
    """
    return None if "Authorization" in request.headers else request.args.get("ticket")


def check_role(principal: Principal, role: Role) -> None:
    """Raise Forbidden unless ``principal`` has ``role``; for views with further rules."""
    if principal.role_with_pin is not None and principal.role < role <= principal.role_with_pin:
        raise PinRequired(
            "This needs your PIN, because you signed in with a badge. Send it to "
            "/api/session/confirm, or sign in with it."
        )
    if principal.auth_method == "station" and not principal.may(role):
        raise Forbidden("Nobody is signed in at this station. Scan your badge, or sign in.")
    if not principal.may(role):
        raise Forbidden(
            f"This needs the role {role.label}; you have {principal.role.label}. "
            "Ask somebody who has it."
        )


# Every request

_PROBE_PATHS = (
    "/livez", "/readyz", "/metrics", "/api/redis-health", "/api/redis-connection-stats",
)  # fmt: skip
_PROBING = Share("|probes", is_known=True)  # no worker's id; all probes have one share


def take_turn(
    request: HttpRequest, services: Services, credential: Credential | None = None
) -> Share | None:
    """Wait for a turn, unless the request is an operation of a known worker. Raises RateLimited.

    ``credential`` is the request's, if it has been read already. Returns the share that the request
    counts for, with which long work waits for further turns; None for an operation. Neither a
    sign-in nor a probe waits behind the reads of its address: a flooded process is alive, and must
    not be restarted.
    """
    if request.path in _PROBE_PATHS:
        services.read_turns.wait(_PROBING)
        set_priority(is_read=False)  # /readyz asks whether operations get a connection
        return _PROBING
    is_read = request.method in _SAFE_METHODS
    if credential is None:
        with contextlib.suppress(Unauthenticated):  # the request gets the error when its turn comes
            credential = credential_of(request, services.settings)
    principal = services.authenticator.known_lately(credential) if credential is not None else None
    address = limited_address(request.remote_addr)
    if principal is not None:
        services.known_addresses.add(address)
        if principal.may(Role.WORKER) and not is_read:
            set_priority(is_read=False)
            return None
        share, is_neighbour = Share(principal.worker.id, is_known=True), False
    else:
        is_sign_in = request.path == "/api/session" and request.method == "POST"
        is_neighbour = address in services.known_addresses
        share = Share((address, is_read), is_known=is_sign_in and is_neighbour)
    services.read_turns.wait(share, is_neighbour=is_neighbour)
    set_priority(is_read=is_read)
    return share


def init_app(app: Flask) -> None:
    @app.before_request
    def check() -> None:
        services = current_services()
        g.share = take_turn(request, services)
        if request.endpoint is None:
            return  # no such route: the 404 or 405 follows
        if request.method == "OPTIONS" and request.url_rule.provide_automatic_options:  # type: ignore[union-attr] # Flask sets it
            return  # no view is reached: Flask says which methods there are
        view = current_app.view_functions[request.endpoint]
        rule = rule_of(view) if hasattr(view, "rule") else None
        if rule is not None and rule.role is None:
            return
        if rule is not None and rule.takes_ticket and used_ticket() is not None:
            # Checked before it is stored with the ticket: a path may have thousands of bytes.
            ticket_board = check_name("board", (request.view_args or {}).get("board", ""))
            credential = services.tickets.use(
                request.args["ticket"], address=caller_address(), board=ticket_board
            )
        else:
            credential = credential_of(request, services.settings)
        g.principal = _identify(services, credential, is_use=rule is None or rule.is_use)
        if rule is None:
            raise Forbidden("Nobody may use this address. See /docs for those that exist.")
        board = (request.view_args or {}).get("board")
        check_rule(request, rule, principal(), board, services.settings.trusted_origins)


def _identify(services: Services, credential: Credential, *, is_use: bool) -> Principal:
    """The principal; at a station whose session has ended, the station, for what only reads."""
    try:
        return services.authenticator.identify(credential, is_use=is_use)
    except Unauthenticated:
        station = station_secret(request, services.settings)
        is_read = request.method in _SAFE_METHODS
        if credential.auth_method != "session" or station is None or not is_read:
            raise
        return services.authenticator.identify(Credential("station", digest_of(station)))


def rule_of(view: Callable[..., Any]) -> Rule:
    """The rule that ``view`` declares."""
    rule: Rule = view.rule  # type: ignore[attr-defined] # as above
    return rule


def credential_of(request: HttpRequest, settings: Settings) -> Credential:
    """The credential in the request's headers. Raises Unauthenticated."""
    header = request.headers.get("Authorization")
    if header is not None:
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise Unauthenticated("Send your token as 'Authorization: Bearer <token>'.")
        return Credential("token", digest_of(token.strip()))
    if (session := session_secret(request, settings)) is not None:
        return Credential("session", digest_of(session))
    if (station := station_secret(request, settings)) is not None:
        return Credential("station", digest_of(station))
    raise Unauthenticated(
        "You are not signed in. Sign in, or send a token as 'Authorization: Bearer <token>'."
    )


def check_rule(
    request: HttpRequest,
    rule: Rule,
    principal: Principal,
    board: str | None,
    trusted_origins: Collection[str],
) -> None:
    """Raise Forbidden, PinRequired or CsrfFailed unless ``rule`` allows it to ``principal``."""
    # The board first: a PIN that is asked for must be of use.
    if principal.board is not None and not rule.any_board and board != principal.board:
        raise Forbidden(f"You may only see the board {principal.board}.")
    if rule.role is not None:
        check_role(principal, rule.role)
    if principal.has_cookie and request.method not in _SAFE_METHODS:
        # A foreign page can make the browser send the cookie, but only our own pages get the token.
        check_origin(request, trusted_origins)
        sent = request.headers.get("X-CSRF-Token") or ""
        expected = principal.csrf_token or ""
        if not hmac.compare_digest(sent.encode(), expected.encode()):
            raise CsrfFailed("Send the session's CSRF token (GET /api/session) as X-CSRF-Token.")
