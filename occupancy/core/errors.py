"""Errors: each kind names a situation and knows its code and its HTTP status.

Raised anywhere, mapped once: the API renders them as RFC 9457 problems, the command line as one
line. ``detail`` is a sentence that a worker understands and that says what to do; ``extra`` is
what helps a program to act (``holder``, ``since``, ``retry_after`` …).
"""

from __future__ import annotations

from typing import Any, ClassVar


class OccupancyError(Exception):
    """The root of every error that occupancy raises on purpose."""

    code: ClassVar[str] = "internal_error"
    status: ClassVar[int] = 500
    title: ClassVar[str] = "Internal error"

    def __init__(self, detail: str, **extra: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.extra = extra


class SettingError(OccupancyError):
    """A setting that cannot be used; it stops the start."""

    code, title = "setting_error", "Wrong setting"


class EmbeddedError(OccupancyError):
    """The embedded server cannot be started; it stops the start."""

    code, title = "embedded_error", "Embedded server not available"


class InvalidRequest(OccupancyError):
    code, status, title = "invalid_request", 400, "Invalid request"


class Unauthenticated(OccupancyError):
    code, status, title = "unauthenticated", 401, "Not signed in"


class Forbidden(OccupancyError):
    code, status, title = "forbidden", 403, "Not allowed"


class CsrfFailed(OccupancyError):
    """A browser sent it, and nothing shows that one of our own pages made it do so."""

    code, status, title = "csrf", 403, "Not from our own page"


class NotHolder(OccupancyError):
    code, status, title = "not_holder", 403, "Not the holder"


class NotFound(OccupancyError):
    code, status, title = "not_found", 404, "Not found"


class BoardNotFound(OccupancyError):
    code, status, title = "board_not_found", 404, "Board not found"


class ItemNotFound(OccupancyError):
    code, status, title = "item_not_found", 404, "Item not found"


class WorkerNotFound(OccupancyError):
    code, status, title = "worker_not_found", 404, "Worker not found"


class MethodNotAllowed(OccupancyError):
    code, status, title = "method_not_allowed", 405, "Method not allowed"


class Held(OccupancyError):
    code, status, title = "held", 409, "Held by somebody"


class WrongState(OccupancyError):
    code, status, title = "wrong_state", 409, "Not possible in this state"


class Blocked(OccupancyError):
    code, status, title = "blocked", 409, "Blocked"


class StaleEpoch(OccupancyError):
    code, status, title = "stale_epoch", 409, "The holder has changed"


class LimitReached(OccupancyError):
    code, status, title = "limit_reached", 409, "Too many items held"


class AlreadyExists(OccupancyError):
    """A board or worker of that name is there already."""

    code, status, title = "already_exists", 409, "Already exists"


class VersionMismatch(OccupancyError):
    code, status, title = "version_mismatch", 412, "The item has changed"


class TooLarge(OccupancyError):
    code, status, title = "too_large", 413, "Body too large"


class UnsupportedMediaType(OccupancyError):
    code, status, title = "unsupported_media_type", 415, "Unsupported media type"


class IdempotencyKeyReused(OccupancyError):
    code, status, title = "idempotency_key_reused", 422, "Idempotency key used before"


class RateLimited(OccupancyError):
    """Too many requests of one caller or one address; ``retry_after`` says how long to wait."""

    code, status, title = "rate_limited", 429, "Too many requests"


class PoolTimeout(OccupancyError):
    """All connections of a pool stayed busy for the whole wait."""

    code, status, title = "pool_timeout", 503, "All connections are busy"


class StoreUnavailable(OccupancyError):
    """Redis cannot be reached, or cannot take the command right now."""

    code, status, title = "store_unavailable", 503, "The store is not available"
