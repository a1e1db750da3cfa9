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

_WRONG_SERVER = (
    redis.ReadOnlyError,
    redis.exceptions.MasterDownError,
    redis.BusyLoadingError,
    redis.AuthenticationError,
)

# Replies of a server that runs but cannot serve: redis-py's classes (it strips the code from their
# text), and the codes for which it has no class.
_TEMPORARY = (
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
    except redis.TimeoutError as error:
        raise StoreUnavailable(
            "The store did not answer in time. Try again in a moment.",
            retry_after=2,
        ) from error
    except redis.ConnectionError as error:
        if "max number of clients" in str(error):
            raise StoreUnavailable(
                "The store takes no more connections: its maxclients is lower than "
                "OCCUPANCY_REDIS_BUDGET plus other clients. Raise it.",
                retry_after=2,
            ) from error
        raise _unavailable() from error
    except redis.OutOfMemoryError as error:
        raise StoreUnavailable(
            "The store's memory is full: changes are refused until an administrator gives it more. "
            "Earlier changes are safe.",
            retry_after=30,
        ) from error
    except redis.exceptions.NoPermissionError as error:
        raise _not_allowed() from error
    except _TEMPORARY as error:
        raise _unavailable() from error
    except redis.ResponseError as error:
        if any(each in str(error) for each in _DENIED_IN_SCRIPT):
            raise _not_allowed() from error
        if str(error).startswith(_TEMPORARY_CODES):
            raise _unavailable() from error
        raise


def _not_allowed() -> StoreUnavailable:
    return StoreUnavailable(
        "The store's user lacks rights: `flask redis check` names them.",
        retry_after=10,
    )


def _unavailable() -> StoreUnavailable:
    return StoreUnavailable(
        "The store cannot take this right now; nothing is lost. Try again in a moment.",
        retry_after=2,
    )


def is_wrong_server(error: redis.RedisError) -> bool:
    """Whether ``error`` suggests that the connection leads to a server that is not the primary.

    A demoted primary answers LOADING while it copies the new one; an old primary that is cut off
    from the others, NOREPLICAS; a proxy that has reopened its own side, NOAUTH. If the address
    still leads to the same server, the cost is one connect per refused command.
    """
    if isinstance(error, _WRONG_SERVER):
        return True
    text = str(error)
    if isinstance(error, redis.exceptions.ExecAbortError):
        return any(code in text for code in ("READONLY", "MASTERDOWN", "NOREPLICAS"))
    return text.startswith("NOREPLICAS")


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


def denied_command(error: StoreUnavailable) -> str | None:
    """The command that our user may not run, if ``error`` comes from that; else None."""
    if not isinstance(error.__cause__, redis.exceptions.NoPermissionError):
        return None
    named = _DENIED_COMMAND.search(str(error.__cause__))
    return named[1].lower() if named else "@all"
