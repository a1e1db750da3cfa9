"""The permissions (ACL) of this deployment's user on the server.

A script has no rollback: denied a command after its first write, it leaves half of its work behind.
So every command of the scripts is tried before the first operation, and again every few seconds:
without one no operation begins. Without a channel events are late, because they come from the log.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

import redis

from occupancy.core.errors import StoreUnavailable
from occupancy.core.keys import RESERVED_BOARD, Keys
from occupancy.storage.client import OpsClient
from occupancy.storage.pool import FairPool
from occupancy.storage.scripts import Script

_CHECK_INTERVAL_S = 10.0
_NO_BOARD = "-"  # no board has that name, so no subscriber takes a message there for an event


class Permissions:
    """The denied commands and channels, as of the last check.

    Safe to share between greenlets: of two checks at once, each sets its own result.
    """

    def __init__(self, client: OpsClient, keys: Keys) -> None:
        self._keys = keys
        self._is_sharded = client.is_sharded
        self._script = Script(client, "board/check_permissions")
        self._checked_at_s: float | None = None
        self.denied: list[str] = []

    def check(self) -> list[str]:
        """The denied commands and channels ("&occ:access"), read in one round trip."""
        keys = self._keys
        if self._is_sharded:  # in the slot of ``rights``, as a script must; no board has that name
            channels = [keys.board(RESERVED_BOARD).channel, keys.access_channel]
        else:
            live, canary = keys.live_channel + _NO_BOARD, keys.canary_channel(_NO_BOARD)
            channels = [live, keys.access_channel, canary]
        denied = self._script.run(keys.rights, channels)
        self.denied = [each.decode() for each in denied]
        self._checked_at_s = time.monotonic()
        return self.denied

    def refresh(self) -> None:
        """Check again, unless the last check is recent."""
        checked_at_s = self._checked_at_s
        if checked_at_s is None or time.monotonic() - checked_at_s > _CHECK_INTERVAL_S:
            self.check()

    def require(self) -> None:
        """Raises StoreUnavailable if a command is denied. The first call checks."""
        if self._checked_at_s is None:
            self.check()
        if commands := [each for each in self.denied if each[0] != "&"]:
            raise StoreUnavailable(
                f"The store's user lacks rights: {acl_rules(commands)}.", retry_after=10
            )

    @property
    def trouble(self) -> str | None:
        """The reason for readiness to fail, or None."""
        return f"the store's user lacks rights: {acl_rules(self.denied)}" if self.denied else None


def acl_rules(denied: Iterable[str]) -> str:
    """The ACL rules that grant the ``denied`` commands, and channels (which begin with "&")."""
    return " ".join(each if each[0] == "&" else f"+{each}" for each in denied)


def denied_subscriptions(pool: FairPool, keys: Keys) -> list[str]:
    """Live channels that the user may not subscribe to. Raises what ``get_connection`` does."""
    wanted: list[tuple[str, str]] = [
        ("SUBSCRIBE", keys.access_channel),
        ("SUBSCRIBE", keys.canary_channel(_NO_BOARD)),
        ("PSUBSCRIBE", keys.live_channel + "*"),
    ]
    if keys.is_sharded:
        channels = [keys.access_channel, keys.board(RESERVED_BOARD).channel]
        wanted = [("SSUBSCRIBE", each) for each in channels]
    denied = []
    connection: Any = pool.get_connection()
    try:
        for command, channel in wanted:
            try:
                connection.send_command(command, channel)
                connection.read_response()
            except redis.exceptions.NoPermissionError:
                denied.append("&" + channel)
            except redis.exceptions.MovedError:
                pass  # the right is checked first; another shard has the channel
    finally:
        connection.disconnect()  # it may be subscribed
        pool.release(connection)
    return denied
