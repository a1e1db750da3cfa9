"""Errors: each class is one kind, with its code, HTTP status, title and explanation.

The API renders them as RFC 9457 problems, the command line as one line. The ``type`` of a problem
is ``/docs#<code>``; /docs and the OpenAPI document take their texts from here. ``detail`` is a
sentence that a worker understands and that says what to do; ``extra`` helps a program to act
(``holder``, ``since``, ``retry_after`` …).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar


class OccupancyError(Exception):
    """The root of every error that occupancy raises on purpose."""

    code: ClassVar[str] = "internal_error"
    status: ClassVar[int] = 500
    title: ClassVar[str] = "Internal error"
    explanation: ClassVar[str] = (
        "Something went wrong here and has been logged. It is not your request's fault."
    )
    is_answered: ClassVar[bool] = True  # False: stops the start, so no response carries it

    def __init__(self, detail: str, **extra: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.extra = extra


class SettingError(OccupancyError):
    code, title, is_answered = "setting_error", "Wrong setting", False


class EmbeddedError(OccupancyError):
    code, title, is_answered = "embedded_error", "Embedded server not available", False


class BackupError(OccupancyError):
    code, title, is_answered = "backup_error", "Backup or restore refused", False


class InvalidRequest(OccupancyError):
    code, status, title = "invalid_request", 400, "Invalid request"
    explanation = (
        "The request is not well-formed: bad JSON, a tag that cannot be one, an unknown field, a "
        "wrong type. `detail` names the field. Correct it; the same request will be refused again. "
        "A request that is not valid HTTP has this code too, with 400, 414, 417, 431 or 501, and "
        "ends the connection."
    )


class Unauthenticated(OccupancyError):
    code, status, title = "unauthenticated", 401, "Not signed in"
    explanation = (
        "Nobody is signed in, or no longer; or the token is missing, unknown, expired or revoked, "
        "or its worker is disabled. Sign in again, or get a new token from an administrator. At "
        "sign-in: the worker or the PIN is not right."
    )


class Forbidden(OccupancyError):
    code, status, title = "forbidden", 403, "Not allowed"
    explanation = (
        "Your role does not allow this (`detail` names the role that does), or your token is for "
        "another board."
    )


class PinRequired(Forbidden):
    code, title = "pin_required", "PIN needed"
    explanation = (
        "Your role allows this, but your session was opened with a badge, which others may find or "
        "copy. Send your PIN to `POST /api/session/confirm` and repeat the request, or sign in "
        "with your PIN."
    )


class CsrfFailed(OccupancyError):
    code, status, title = "csrf", 403, "Not from our own page"
    explanation = (
        "A browser sent this with its cookie, and nothing shows that it came from one of our own "
        "pages: another site's page sent it, or `X-CSRF-Token` is missing or old. Programs send a "
        "token, and no cookie. Behind a proxy: `Host` must be passed on with its port."
    )


class NotHolder(OccupancyError):
    code, status, title = "not_holder", 403, "Not the holder"
    explanation = (
        "Somebody else holds the item (`holder`, `since`), and only its holder can do this. A "
        "supervisor can force-release or reassign it. Or somebody else has completed it, and only "
        "they can undo that."
    )


class NotFound(OccupancyError):
    code, status, title = "not_found", 404, "Not found"
    explanation = "There is nothing at this address."


class BoardNotFound(OccupancyError):
    code, status, title = "board_not_found", 404, "Board not found"
    explanation = "There is no board of this name."


class BoardRemoved(BoardNotFound):
    title = "Board removed"


class ItemNotFound(OccupancyError):
    code, status, title = "item_not_found", 404, "Item not found"
    explanation = "There is no item with this tag on the board."


class WorkerNotFound(OccupancyError):
    code, status, title = "worker_not_found", 404, "Worker not found"
    explanation = "There is no worker with this id."


class ImportNotFound(OccupancyError):
    code, status, title = "import_not_found", 404, "Import not found"
    explanation = (
        "There is no uploaded file of this id on the board. It is kept for an hour, and the board "
        "keeps the last four. Upload the file again."
    )


class MethodNotAllowed(OccupancyError):
    code, status, title = "method_not_allowed", 405, "Method not allowed"
    explanation = "The address does not take this method; `Allow` lists those it takes."


class Held(OccupancyError):
    code, status, title = "held", 409, "Held by somebody"
    explanation = (
        "Somebody holds the item: `holder` says who, `since` from when. Wait for the event that "
        "frees it, or ask the holder."
    )


class WrongState(OccupancyError):
    code, status, title = "wrong_state", 409, "Not possible in this state"
    explanation = (
        "The operation is not possible from the item's present state, or no longer; `item` is the "
        "item as it is now."
    )


class Blocked(OccupancyError):
    code, status, title = "blocked", 409, "Blocked"
    explanation = "The item is blocked, and `detail` says why. A supervisor can unblock it."


class StaleEpoch(OccupancyError):
    code, status, title = "stale_epoch", 409, "The holder has changed"
    explanation = (
        "The item has changed hands since you read its `epoch`. What you were going to do rests on "
        "a hold that is over: load the item again and decide anew."
    )


class LimitReached(OccupancyError):
    code, status, title = "limit_reached", 409, "Limit reached"
    explanation = (
        "The worker holds as many items as the board allows: pause or complete one first. Or there "
        "are as many badges or stations as possible: remove one first."
    )


class StepInUse(OccupancyError):
    code, status, title = "step_in_use", 409, "Items stand at the step"
    explanation = (
        "A step is taken out of a board's list only when no item stands there (`step`, `items`: "
        "how many). Move them on first. A completed item stands at the step at which it was "
        "completed."
    )


class BoardNotEmpty(OccupancyError):
    code, status, title = "board_not_empty", 409, "The board has items"
    explanation = (
        "A board with items is removed only if its name is sent as `confirm`; `items` says how "
        "many would be lost, with all that happened to them."
    )


class AlreadyExists(OccupancyError):
    code, status, title = "already_exists", 409, "Already exists"
    explanation = (
        "There is one of this name already. Choose another name, or remove the other one first."
    )


class LastAdmin(OccupancyError):
    code, status, title = "last_admin", 409, "The last administrator"
    explanation = (
        "The worker is the only administrator who is not disabled. Without one, nobody could give "
        "anybody access. Make somebody else an administrator first."
    )


class VersionMismatch(OccupancyError):
    code, status, title = "version_mismatch", 412, "The item has changed"
    explanation = (
        "The item, or the settings of the board, have changed since the version in `If-Match`. "
        "Load them again."
    )


class SettingsChanged(VersionMismatch):
    title = "The settings have changed"


class TooLarge(OccupancyError):
    code, status, title = "too_large", 413, "Body too large"
    explanation = "The body is larger than 64 KiB, or an imported file is larger than 20 MiB."


class UnsupportedMediaType(OccupancyError):
    code, status, title = "unsupported_media_type", 415, "Unsupported media type"
    explanation = "Send the body as `Content-Type: application/json`."


class IdempotencyKeyReused(OccupancyError):
    code, status, title = "idempotency_key_reused", 422, "Idempotency key used before"
    explanation = (
        "This `Idempotency-Key` came with another request within the last 24 hours. Use a new key "
        "for a new request."
    )


class RateLimited(OccupancyError):
    code, status, title = "rate_limited", 429, "Too many requests"
    explanation = (
        "Too many requests of one caller or from one address. Wait for `Retry-After` seconds. Any "
        "request may be refused so: reads wait in turn, and a flood waits too long."
    )


class PoolTimeout(OccupancyError):
    code, status, title = "pool_timeout", 503, "All connections are busy"
    explanation = (
        "All connections stayed busy for the whole wait. Send the request again after "
        "`Retry-After` seconds; with its `Idempotency-Key` it takes effect at most once."
    )


class StoreUnavailable(OccupancyError):
    code, status, title = "store_unavailable", 503, "The store is not available"
    explanation = (
        "Redis cannot be reached, is loading, read-only or out of memory. Send the request again "
        "after `Retry-After` seconds; with its `Idempotency-Key` it takes effect at most once."
    )


class Unconfirmed(StoreUnavailable):
    # A StoreUnavailable too, so that code which handles a store that cannot serve handles this.
    code, title = "unconfirmed", "Not confirmed by the replicas"
    explanation = (
        "The change was made, but too few replicas had it in time, so a failover may still lose "
        "it. Send the request again after `Retry-After` seconds, with its `Idempotency-Key`: it "
        "takes effect once, and the answer comes when the replicas have it."
    )


def answered_kinds() -> list[type[OccupancyError]]:
    """Every kind of error that a response may carry, in the order of status."""
    kinds: list[type[OccupancyError]] = [OccupancyError, *_kinds_of(OccupancyError)]
    return sorted((kind for kind in kinds if kind.is_answered), key=lambda kind: kind.status)


def _kinds_of(root: type[OccupancyError]) -> Iterator[type[OccupancyError]]:
    for kind in root.__subclasses__():
        if "code" in vars(kind):  # else a variant of its parent
            yield kind
        yield from _kinds_of(kind)
