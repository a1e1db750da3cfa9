"""The invitation of the first administrator: a sign-in link, printed where there is no worker yet.

One of the server's processes prints it, once per start of the server.
"""

from __future__ import annotations

import logging
import os
import socket
import sys

import gevent

from occupancy.access.links import Links
from occupancy.access.workers import Workers
from occupancy.core.errors import OccupancyError
from occupancy.core.keys import Keys
from occupancy.core.settings import COMMAND
from occupancy.storage.client import OpsClient

log = logging.getLogger(__name__)

_STORE_RETRY_S = 2.0  # while Redis cannot be reached
_CLAIM_TTL_S = 60


class Invitation:
    """One per process. ``url`` is the address at which browsers reach the service."""

    def __init__(
        self, client: OpsClient, keys: Keys, workers: Workers, links: Links, url: str
    ) -> None:
        self._client = client
        self._workers = workers
        self._links = links
        self._url = url
        # The processes of one start have the same parent.
        self._claim_key = keys.invitation(f"{socket.gethostname()}-{os.getppid()}")
        self._has_claimed = False

    def print_if_needed(self) -> None:
        """Print the link, unless there is a worker or another process does. Waits for Redis."""
        secret = None
        while secret is None:
            try:
                if self._workers.is_any():
                    return
                if not self._has_claimed:  # by the first process of this start that asks
                    self._has_claimed = bool(
                        self._client.set(self._claim_key, "1", nx=True, ex=_CLAIM_TTL_S)
                    )
                    if not self._has_claimed:
                        return
                secret = self._links.create(None)
            except OccupancyError as error:
                log.info("unknown whether there is any worker: %s", error.__cause__ or error)
                gevent.sleep(_STORE_RETRY_S)
        # To the terminal and not to the log, which may be kept and read by others.
        print(  # noqa: T201 - for the person at the terminal
            "occupancy: nobody can sign in yet. Open this link, once, within the hour:\n"
            f"    {self._url}/sign-in#{secret}\n"
            "It makes you the administrator, and leads through the rest. Or add a worker:\n"
            f"    {COMMAND} workers add ID --name NAME --role admin --pin",
            file=sys.stderr, flush=True,
        )  # fmt: skip

    def withdraw(self) -> None:
        """Give up the claim, so that the next start of the server prints another link."""
        if self._has_claimed:
            self._client.delete(self._claim_key)
