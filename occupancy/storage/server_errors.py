"""The meaning of the server's errors: unable to serve now, not the primary, or permission denied.

redis-py's other errors are bugs of ours and stay as they are.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import Any

import redis

from occupancy.core.errors import StoreUnavailable

ServerError = redis.RedisError
"""Every error of the server or the connection to it, for modules that do not import redis."""

ReplyError = redis.ResponseError
"""An error reply; the connection goes on."""

_WRONG_SERVER = (
    redis.ReadOnlyError,
    redis.exceptions.MasterDownError,
    redis.BusyLoadingError,
    redis.AuthenticationError,
)

# A lost connection, and replies of a server that cannot serve now: redis-py's classes (it strips
# the code from their text), and the codes for which it has no class.
_TEMPORARY = (
    redis.ConnectionError,
    redis.ReadOnlyError,
    redis.exceptions.ClusterDownError,
    redis.exceptions.MasterDownError,
    redis.exceptions.TryAgainError,
    redis.exceptions.ExecAbortError,  # the server's state changed, and no command ran
)
_TEMPORARY_CODES = ("MISCONF", "NOREPLICAS", "BUSY")
# A command denied inside a script answers ERR: the texts of Redis 7.0; of Valkey and Redis 7.2.
_DENIED_IN_SCRIPT = ("The user executing the script", "ACL failure in script")


@contextlib.contextmanager
def unavailable_as_error() -> Iterator[None]:
    """Raises StoreUnavailable for every error that means that the server cannot serve now."""
    try:
        yield
    except redis.RedisError as error:
        if meaning := _meaning(error):
            raise StoreUnavailable(meaning[0], retry_after=meaning[1]) from error
        raise


def _meaning(error: redis.RedisError) -> tuple[str, int] | None:
    """A text for the caller, and the seconds until a retry makes sense; None for a bug of ours."""
    text = str(error)
    is_reply = isinstance(error, redis.ResponseError)
    if isinstance(error, redis.TimeoutError):
        return "The store did not answer in time. Try again in a moment.", 2
    if isinstance(error, redis.ConnectionError) and "max number of clients" in text:
        detail = "The store takes no more connections: its maxclients is lower than "
        return detail + "OCCUPANCY_REDIS_BUDGET plus other clients. Raise it.", 2
    if isinstance(error, redis.exceptions.MovedError):  # a Cluster's client follows it
        return "REDIS_URL leads to a node of a cluster: it must be redis+cluster://….", 10
    if isinstance(error, redis.OutOfMemoryError):
        detail = "The store's memory is full: changes are refused until an administrator gives it "
        return detail + "more. Earlier changes are safe.", 30
    if isinstance(error, _TEMPORARY) or (is_reply and text.startswith(_TEMPORARY_CODES)):
        return "The store cannot take this right now; nothing is lost. Try again in a moment.", 2
    is_denied = is_reply and any(each in text for each in _DENIED_IN_SCRIPT)
    is_denied = is_denied or isinstance(error, redis.exceptions.NoPermissionError)
    denial = "The store's user lacks rights: `flask redis check` names them.", 10
    return denial if is_denied else None


def is_wrong_server(error: redis.RedisError) -> bool:
    """Whether ``error`` suggests that the connection leads to a server that is not the primary.

    A demoted primary answers LOADING while it copies the new one; one that is cut off from others,
    NOREPLICAS; a proxy that has reopened its own side, NOAUTH. An error costs one connect more.
    """
    if isinstance(error, _WRONG_SERVER):
        return True
    text = str(error)
    if isinstance(error, redis.exceptions.ExecAbortError):
        return any(code in text for code in ("READONLY", "MASTERDOWN", "NOREPLICAS"))
    return text.startswith("NOREPLICAS")


def is_elsewhere(reply: redis.RedisError) -> bool:
    """Whether ``reply`` says that this server of a Cluster does not serve the slot now."""
    # A MovedError is an AskError too.
    moving = redis.exceptions.AskError | redis.exceptions.TryAgainError
    return isinstance(reply, moving | redis.exceptions.ClusterDownError)


def server_text(error: BaseException) -> str:
    """What the server says in ``error``; '' for any other error, whose text may be a client's."""
    return str(error) if isinstance(error, redis.RedisError) else ""


def is_withheld(reply: Any) -> bool:
    """Whether ``reply`` refuses a command that the user may not run or the server lacks."""
    return isinstance(reply, redis.exceptions.NoPermissionError) or (
        isinstance(reply, redis.ResponseError)
        and str(reply).lower().startswith(("unknown command", "unknown subcommand"))
    )


_DENIED_COMMAND = re.compile(r"'([\w|-]+)' command")


def denied_command(error: BaseException) -> str | None:
    """The command that our user may not run, if ``error`` or its cause is that; else None."""
    for each in (error, error.__cause__):
        if isinstance(each, redis.exceptions.NoPermissionError):
            named = _DENIED_COMMAND.search(str(each))
            return named[1].lower() if named else "@all"
    return None
