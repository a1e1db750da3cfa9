"""How a change is recorded in the audit, for code that does not know who makes it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol


class Recording(Protocol):
    """Records the change that the block makes, as ``observability/audit_log.recording`` does.

    The route or command that is asked for the change passes one that adds by whom.
    """

    def __call__(
        self, event: str, **fields: object
    ) -> AbstractContextManager[dict[str, object]]: ...
