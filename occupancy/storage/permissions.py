"""Rights: what the server's access control lets this deployment's user do.

A script has no rollback: one that is denied a command after its first write leaves half of its work
behind. So every command that the scripts need is tried before the first operation, and again every
few seconds. Without a command nothing is operated; without a channel events are late, because the
feeds read them from the log. Readiness and `flask redis check` name what is missing.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

import redis

from occupancy.core.errors import StoreUnavailable
from occupancy.core.keys import Keys
from occupancy.storage.client import OpsClient
from occupancy.storage.pool import FairPool
from occupancy.storage.scripts import Script

_AGAIN_S = 10.0  # between two looks
_NO_BOARD = "-"  # no board has that name, so nobody takes what is published there for an event


class Permissions:
    """What the user may not do, as of the last look.

    Safe to share between greenlets: two that look at once each set what they have found.
    """

    def __init__(self, client: OpsClient, keys: Keys) -> None:
        self._keys = keys
        self._script = Script(client, "board/check_permissions")
        self._looked_at_s: float | None = None
        self.denied: list[str] = []

    def look(self) -> list[str]:
        """Commands and channels ("&occ:access") that are denied; one round trip."""
        keys = self._keys
        channels = [
            keys.live_channel + _NO_BOARD, keys.access_channel, keys.canary_channel(_NO_BOARD),
        ]  # fmt: skip
        self.denied = [each.decode() for each in self._script.run(keys.rights, channels)]
        self._looked_at_s = time.monotonic()
        return self.denied

    def refresh(self) -> None:
        """Look again, if that was some time ago."""
        looked_at_s = self._looked_at_s
        if looked_at_s is None or time.monotonic() - looked_at_s > _AGAIN_S:
            self.look()

    def require(self) -> None:
        """Raises StoreUnavailable where a command is denied. The first call looks."""
        if self._looked_at_s is None:
            self.look()
        if commands := [each for each in self.denied if each[0] != "&"]:
            raise StoreUnavailable(
                f"The store's user lacks rights that are needed: {acl_rules(commands)}.",
                retry_after=10,
            )

    @property
    def trouble(self) -> str | None:
        """What readiness says of it; None where nothing is missing."""
        return f"the store's user lacks rights: {acl_rules(self.denied)}" if self.denied else None


def acl_rules(denied: Iterable[str]) -> str:
    """The ACL rules that grant what is ``denied``: commands, and channels that begin with "&"."""
    return " ".join(each if each[0] == "&" else f"+{each}" for each in denied)


def denied_subscriptions(pool: FairPool, keys: Keys) -> list[str]:
    """The channels that live delivery needs and the user may not subscribe to, tried one by one.

    Raises PoolTimeout, and redis's errors if the server cannot be reached.
    """
    wanted: list[tuple[str, str]] = [
        ("SUBSCRIBE", keys.access_channel),
        ("SUBSCRIBE", keys.canary_channel(_NO_BOARD)),
        ("PSUBSCRIBE", keys.live_channel + "*"),
    ]
    denied = []
    connection: Any = pool.get_connection()
    try:
        for command, channel in wanted:
            try:
                connection.send_command(command, channel)
                connection.read_response()
            except redis.exceptions.NoPermissionError:
                denied.append("&" + channel)
    finally:
        connection.disconnect()  # it may be subscribed
        pool.release(connection)
    return denied
