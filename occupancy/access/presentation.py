"""Shown: workers and tokens as the API and the command line show them, without their secrets."""

from __future__ import annotations

import datetime
import time
from typing import Any

from occupancy.access.tokens import Token
from occupancy.core.entities import Worker


def shown_worker(worker: Worker) -> dict[str, Any]:
    """A worker as a JSON object."""
    return {
        "id": worker.id,
        "name": worker.name,
        "role": worker.role,
        "disabled": worker.disabled,
        "has_pin": worker.pin_hash is not None,
    }


def shown_token(token: Token, used_s: int | None = None) -> dict[str, Any]:
    """A token, and when it was last used (s since the epoch), as a JSON object."""
    return {
        "id": token.id,
        "worker": token.worker,
        "role": token.role,
        "board": token.board,
        "created": rfc3339(token.created_s),
        "expires": rfc3339(token.expires_s),
        "expired": token.expires_s is not None and token.expires_s <= time.time(),
        "last_used": rfc3339(used_s),
    }


def rfc3339(moment_s: int | None) -> str | None:
    """A moment (s since the epoch) in UTC."""
    if moment_s is None:
        return None
    return f"{datetime.datetime.fromtimestamp(moment_s, datetime.UTC):%Y-%m-%dT%H:%M:%SZ}"
