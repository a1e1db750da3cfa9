"""Rights: what the server's access control lets this deployment's user do.

A script that is denied something in its midst leaves half of its work behind, because it has no
rollback. So what the scripts need is tried before the first of them writes, and again every few
seconds: where a command is missing nothing is operated, and where a channel is, events are late
(the feeds read them from the log) and readiness and `flask redis check` say which.
"""

from __future__ import annotations

import time
from typing import Any

import redis

from .connections import OpsClient
from .errors import StoreUnavailable
from .keys import Keys
from .pools import TurnPool
from .scripts import Script

_AGAIN_S = 10.0
_NO_BOARD = "-"  # no board has that name, so nobody takes what is published there for an event


class Rights:
    """What the user may not do, as of the last look. Safe to share between greenlets.

    Two that look at once do no harm: each sets what it has found.
    """

    def __init__(self, client: OpsClient, keys: Keys) -> None:
        self._keys = keys
        self._script = Script(client, "rights")
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
        if self.denied and (commands := [each for each in self.denied if each[0] != "&"]):
            raise StoreUnavailable(
                f"The store's user lacks rights that are needed: +{' +'.join(commands)}.",
                retry_after=10,
            )

    @property
    def trouble(self) -> str | None:
        """What readiness says of it; None where nothing is missing."""
        return told(self.denied)


def told(denied: list[str]) -> str | None:
    """What is missing, as the rules of an ACL."""
    if not denied:
        return None
    rules = " ".join(each if each[0] == "&" else f"+{each}" for each in denied)
    return f"the store's user lacks rights: {rules}"


def denied_subscriptions(pool: TurnPool, keys: Keys) -> list[str]:
    """The channels that live delivery listens on and the user may not, each tried once."""
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
