"""What must become of a request: a table of its own, written by hand from what is promised.

It imports nothing of the product: a route that the product opens by mistake is closed here.
"""

from __future__ import annotations

from dataclasses import dataclass

ROLES = ("observer", "worker", "supervisor", "admin")  # in rising order
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE")
_SAFE = ("GET", "HEAD", "OPTIONS")

_ITEM = "/api/boards/{board}/items/{tag}"

# The least role for each route ("": everybody, also without a credential), and the status of a
# request that is let in and finds what it needs.
ROUTES: dict[str, tuple[str, int]] = {
    "GET /api/boards": ("observer", 200),
    "POST /api/boards": ("admin", 201),
    "GET /api/boards/{board}": ("observer", 200),
    "PATCH /api/boards/{board}": ("admin", 200),
    "DELETE /api/boards/{board}": ("admin", 409),  # let in, and told that the board has items
    "GET /api/boards/{board}/timeline": ("observer", 200),
    "GET /api/boards/{board}/items": ("observer", 200),
    f"GET {_ITEM}": ("observer", 200),
    "GET /api/boards/{board}/labels": ("supervisor", 200),
    f"PUT {_ITEM}": ("supervisor", 201),
    f"DELETE {_ITEM}": ("supervisor", 200),
    f"GET {_ITEM}/history": ("observer", 200),
    "GET /api/boards/{board}/events": ("observer", 200),
    f"POST {_ITEM}/take": ("worker", 200),
    f"POST {_ITEM}/pause": ("worker", 200),
    f"POST {_ITEM}/complete": ("worker", 200),
    f"POST {_ITEM}/release": ("worker", 200),
    f"POST {_ITEM}/force-release": ("supervisor", 200),
    f"POST {_ITEM}/reassign": ("supervisor", 200),
    f"POST {_ITEM}/block": ("supervisor", 200),
    f"POST {_ITEM}/unblock": ("supervisor", 200),
    f"POST {_ITEM}/reopen": ("supervisor", 200),
    f"POST {_ITEM}/undo": ("worker", 200),
    f"POST {_ITEM}/send-back": ("supervisor", 200),
    "POST /api/boards/{board}/batch": ("worker", 200),
    "GET /api/boards/{board}/export": ("observer", 200),
    "POST /api/boards/{board}/imports": ("supervisor", 201),
    "GET /api/boards/{board}/imports/{import_id}": ("supervisor", 200),
    "DELETE /api/boards/{board}/imports/{import_id}": ("supervisor", 204),
    "GET /api/boards/{board}/imports/{import_id}/run": ("supervisor", 200),
    "POST /api/boards/{board}/imports/{import_id}/run": ("supervisor", 200),
    "GET /api/boards/{board}/imports/{import_id}/added": ("supervisor", 200),
    "GET /api/boards/{board}/people": ("supervisor", 200),
    "GET /api/day": ("observer", 200),
    "POST /api/session": ("", 200),
    "GET /api/session": ("observer", 200),
    "DELETE /api/session": ("observer", 204),
    "PUT /api/session/pin": ("observer", 200),
    "POST /api/session/confirm": ("observer", 200),
    "POST /api/tickets": ("observer", 201),
    "GET /api/workers": ("admin", 200),
    "POST /api/workers/import": ("admin", 400),  # let in, and told which column is missing
    "PUT /api/workers/{worker}": ("admin", 200),
    "DELETE /api/workers/{worker}/sessions": ("admin", 204),
    "POST /api/workers/{worker}/links": ("admin", 201),
    "GET /api/badges": ("admin", 200),
    "GET /api/workers/{worker}/badges": ("admin", 200),
    "POST /api/workers/{worker}/badges": ("admin", 201),
    "DELETE /api/workers/{worker}/badges/{badge}": ("admin", 204),
    "GET /api/stations": ("admin", 200),
    "POST /api/stations": ("admin", 201),
    "DELETE /api/stations/{station}": ("admin", 204),
    "GET /api/tokens": ("admin", 200),
    "POST /api/tokens": ("admin", 201),
    "DELETE /api/tokens/{token}": ("admin", 204),
    "GET /api/sample": ("admin", 200),
    "POST /api/sample": ("admin", 200),
    "DELETE /api/sample": ("admin", 200),
    "GET /api/audit": ("admin", 200),
    "GET /api/audit/export": ("admin", 200),
    "GET /livez": ("", 200),
    "GET /readyz": ("", 200),
    "GET /metrics": ("", 200),
    "GET /api/redis-health": ("", 200),
    "GET /api/redis-connection-stats": ("", 200),
    "GET /api/openapi.json": ("", 200),
    "GET /docs": ("", 200),
    "GET /": ("", 302),
    "GET /sign-in": ("", 200),
    "GET /boards": ("", 200),
    "GET /boards/{board}": ("", 200),
    "GET /boards/{board}/items/{tag}": ("", 200),
    "GET /boards/{board}/wall": ("", 200),
    "GET /boards/{board}/settings": ("", 200),
    "GET /boards/{board}/items": ("", 200),
    "GET /boards/{board}/import": ("", 200),
    "GET /boards/{board}/labels": ("", 200),
    "GET /people": ("", 200),
    "GET /people/cards": ("", 200),
    "GET /programs": ("", 200),
    "GET /account": ("", 200),
    "GET /day": ("", 200),
    "GET /setup": ("", 200),
    "GET /status": ("", 200),
    "GET /audit": ("", 200),
    "GET /manifest.webmanifest": ("", 200),
    "GET /sw.js": ("", 200),
    "GET /static/{version}/{name}": ("", 404),  # there is no such file
}
# Read as an operation, of which there is none, and as a worker of that id.
_READ_OTHERWISE = {
    f"POST {_ITEM}/history": ("worker", 404),
    "PUT /api/workers/import": ("admin", 400),
}
PATHS = sorted({each.partition(" ")[2] for each in ROUTES})
# Without a board in the path, and open to what is valid for one board only.
_OF_ANY_BOARD = (
    "GET /api/boards", "GET /api/day", "GET /api/session", "DELETE /api/session",
    "POST /api/session/confirm", "POST /api/tickets",
)  # fmt: skip
# For people who have signed in by themselves: another credential is let in and is told so.
_OF_PEOPLE = ("DELETE /api/session", "PUT /api/session/pin")
EVENTS = "/api/boards/{board}/events"


@dataclass(frozen=True)
class Holds:
    """What a credential is worth at the moment of the request."""

    role: str | None  # None: nothing
    board: str | None = None  # the only board that it is valid for
    is_cookie: bool = False  # then unsafe methods need its CSRF token
    has_csrf: bool = True  # the right one, from no other site
    is_own_sign_in: bool = False  # a session opened with a PIN or a one-time link
    is_ticket: bool = False  # for event streams only
    is_from_elsewhere: bool = False  # a page of another site makes the browser send it
    role_with_pin: str | None = None  # a session by badge, which its PIN has not confirmed
    is_badge: bool = False  # a session by badge, confirmed or not
    is_station: bool = False  # a paired tablet, with nobody signed in


NOTHING = Holds(None)


def right_outcomes(method: str, path: str, board: str, holds: Holds) -> list[tuple[int, str]]:
    """What is right; where several conditions fail, any of them may be named."""
    first = expected(method, path, board, holds)
    found = [first]
    is_without_csrf = holds.is_cookie and not holds.has_csrf and method not in _SAFE
    if first in ((403, "forbidden"), (403, "pin_required")) and is_without_csrf:
        found.append((403, "csrf"))
    return found


def expected(  # noqa: PLR0911 - one for each reason, in their order
    method: str, path: str, board: str, holds: Holds
) -> tuple[int, str]:
    """The status, and the code of a refusal ("": it is let in)."""
    if method == "OPTIONS":
        return 200, ""
    row = _row(method, path)
    found = ROUTES.get(row) or _READ_OTHERWISE.get(row)
    if found is None:
        return 405, "method_not_allowed"
    least, status = found
    if row == "POST /api/session" and holds.is_from_elsewhere:
        return 403, "csrf"
    if least:
        if holds.role is None or (holds.is_ticket and path != EVENTS):
            return 401, "unauthenticated"
        if holds.board is not None and not _is_of_board(row, board, holds.board):
            return 403, "forbidden"
        if ROLES.index(holds.role) < ROLES.index(least):
            if holds.role_with_pin and ROLES.index(least) <= ROLES.index(holds.role_with_pin):
                return 403, "pin_required"
            return 403, "forbidden"
        if holds.is_cookie and method not in _SAFE and not holds.has_csrf:
            return 403, "csrf"
        if row == "POST /api/session/confirm" and not holds.is_badge:
            return 400, "invalid_request"
        if row in _OF_PEOPLE and not _is_persons(row, holds):
            return 400, "invalid_request"
    return status, {404: "not_found", 409: "board_not_empty"}.get(status, "")


def is_let_in(outcome: tuple[int, str]) -> bool:
    """Whether the credential was good: only who is let in is told that the board has items."""
    return outcome[1] in ("", "board_not_empty")


def _row(method: str, path: str) -> str:
    return "GET " + path if method == "HEAD" else f"{method} {path}"


def _is_of_board(row: str, board: str, only: str) -> bool:
    return board == only if "{board}" in row else row in _OF_ANY_BOARD


def _is_persons(row: str, holds: Holds) -> bool:
    """A wallboard may be signed out; its PIN is another person's."""
    if holds.is_station:
        return False
    return holds.is_own_sign_in or (holds.is_cookie and row == "DELETE /api/session")
