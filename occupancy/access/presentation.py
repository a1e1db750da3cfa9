"""Workers and tokens as the API and the command line present them: without their secrets."""

from __future__ import annotations

import time
from typing import Any

from occupancy.access.tokens import Token
from occupancy.core.entities import Worker
from occupancy.core.timestamps import iso_text


def worker_as_dict(worker: Worker) -> dict[str, Any]:
    """A worker as a JSON object."""
    return {
        "id": worker.id,
        "name": worker.name,
        "role": worker.role,
        "disabled": worker.disabled,
        "has_pin": worker.pin_hash is not None,
    }


def token_as_dict(token: Token, used_s: int | None = None) -> dict[str, Any]:
    """A token, and when it was last used (seconds since the epoch), as a JSON object."""
    return {
        "id": token.id,
        "worker": token.worker,
        "role": token.role,
        "board": token.board,
        "created": optional_time(token.created_s),
        "expires": optional_time(token.expires_s),
        "expired": token.expires_s is not None and token.expires_s <= time.time(),
        "last_used": optional_time(used_s),
    }


def optional_time(at_s: int | None) -> str | None:
    """A time (seconds since the epoch) as text, to the second."""
    return None if at_s is None else iso_text(at_s, "seconds")
