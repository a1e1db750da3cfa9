"""Problem codes: which errors the API answers, what each means and what to do about it.

The ``type`` of a problem is ``/docs#<code>``; the page and the OpenAPI document take the codes
from here. A test holds this table to the kinds of errors.py.
"""

from __future__ import annotations

from occupancy.core import errors
from occupancy.core.errors import OccupancyError

# Kinds that stop the start or a command, so that no response ever carries them.
_NEVER_ANSWERED: tuple[type[OccupancyError], ...] = (
    errors.SettingError,
    errors.EmbeddedError,
)

MEANINGS: dict[str, str] = {
    "invalid_request": "The request is not well-formed: bad JSON, a tag that cannot be one, an "
    "unknown field, a wrong type. `detail` names the field. Correct it; the same request will be "
    "refused again. A request that is not valid HTTP has this code too, with 400, 414, 417, 431 "
    "or 501, and ends the connection.",
    "unauthenticated": "Nobody is signed in, or no longer; or the token is missing, unknown, "
    "expired or revoked, or its worker is disabled. Sign in again, or get a new token from an "
    "administrator. At sign-in: the worker or the PIN is not right.",
    "forbidden": "Your role does not allow this (`detail` names the role that does), or your token "
    "is for another board.",
    "csrf": "A browser sent this with its cookie, and nothing shows that it came from one of our "
    "own pages: another site's page sent it, or `X-CSRF-Token` is missing or old. Programs send "
    "a token, and no cookie. Behind a proxy: `Host` must be passed on with its port.",
    "not_holder": "Somebody else holds the item (`holder`, `since`), and only its holder can do "
    "this. A supervisor can force-release or reassign it.",
    "not_found": "There is nothing at this address.",
    "board_not_found": "There is no board of this name.",
    "item_not_found": "There is no item with this tag on the board.",
    "worker_not_found": "There is no worker with this id.",
    "method_not_allowed": "The address does not take this method; `Allow` lists those it takes.",
    "held": "Somebody holds the item: `holder` says who, `since` from when. Wait for the event "
    "that frees it, or ask the holder.",
    "wrong_state": "The operation is not possible from the item's present state; `item` is the "
    "item as it is now.",
    "blocked": "The item is blocked, and `detail` says why. A supervisor can unblock it.",
    "stale_epoch": "The item has changed hands since you read its `epoch`. What you were going to "
    "do rests on a hold that is over: load the item again and decide anew.",
    "limit_reached": "The worker holds as many items as the board allows. Pause or complete one "
    "first.",
    "already_exists": "There is one of this name already.",
    "version_mismatch": "The item has changed since the version in `If-Match`. Load it again.",
    "too_large": "The body is larger than 64 KiB.",
    "unsupported_media_type": "Send the body as `Content-Type: application/json`.",
    "idempotency_key_reused": "This `Idempotency-Key` came with another request within the last "
    "24 hours. Use a new key for a new request.",
    "rate_limited": "Too many requests of one caller or from one address. Wait for `Retry-After` "
    "seconds. Any request may be told so: reads wait in turn, and a flood waits too long.",
    "pool_timeout": "All connections stayed busy for the whole wait. Send the request again after "
    "`Retry-After` seconds; with its `Idempotency-Key` it takes effect at most once.",
    "store_unavailable": "Redis cannot be reached, is loading, read-only or out of memory. Send "
    "the request again after `Retry-After` seconds; with its `Idempotency-Key` it takes effect at "
    "most once.",
    "internal_error": "Something went wrong here and has been logged. It is not your request's "
    "fault.",
}


def kinds() -> list[type[OccupancyError]]:
    """Every kind of error that a response may carry, in the order of status."""
    found: list[type[OccupancyError]] = [OccupancyError, *OccupancyError.__subclasses__()]
    return sorted(
        (kind for kind in found if kind not in _NEVER_ANSWERED), key=lambda kind: kind.status
    )
