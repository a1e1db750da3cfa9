"""Confirmation: a change is acknowledged only when the replicas have it.

A primary answers before its replicas have the change, so a failover loses what was answered in the
last moments. WAIT asks the server how many replicas have everything so far. It is sent in the same
write as the change, on the same connection, so a change stays one round trip.

WAIT cannot say *which* replicas it counts. So all that are not down must have the change: with two
replicas and WAIT 1, a failover to the other one loses it. For the same reason a replica that can
never be promoted counts as well.

Valkey (9.1) waits for the last write of the *same connection* only; Redis (7.0) for every write
before WAIT. A repeated request finds its effect there and writes nothing: in Valkey, WAIT would
confirm it at once although no replica has it. So a small write precedes each WAIT. The replicas
get all writes in order, so a replica that has this one has all that the answer rests on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from occupancy.core.errors import Unconfirmed
from occupancy.core.settings import Settings
from occupancy.core.texts.plurals import counted
from occupancy.storage.client import OpsClient
from occupancy.storage.commands import Command, Confirming, key_of
from occupancy.storage.topology.shard import Shard

_WRITE_TTL_S = 60  # names of boards come from requests, so a key for each must not stay


class Confirmation(NamedTuple):
    """How many replicas must have a change: ``least``, or all that are not down if that is more."""

    least: int
    wait_ms: int

    def after(self, commands: Sequence[Command], replicas: int) -> _Waiting | None:
        """What to send after ``commands`` to a server with that many replicas; None for nothing."""
        count = max(self.least, replicas)
        if not count:
            return None
        keys = (key_of(each.args) for each in commands)
        first = next((each for each in keys if each is not None), None)
        return _Waiting(_key_beside(first), count, self.wait_ms)


class _Waiting(NamedTuple):
    key: str | None  # of the small write
    replicas: int
    wait_ms: int

    def commands(self, *, asking: bool) -> list[tuple[Any, ...]]:
        wait = ("WAIT", self.replicas, self.wait_ms)
        if self.key is None:
            return [wait]
        write = ("SET", self.key, "", "EX", _WRITE_TTL_S)
        return [("ASKING",), write, wait] if asking else [write, wait]

    def verdict(self, replies: Sequence[Any]) -> Unconfirmed | None:
        """The error, unless enough replicas have the change.

        An error reply is one too: WAIT on a primary that was just demoted is refused. It is never
        handed on as it is, because a redirection would have the change made once more.
        """
        refused = next((each for each in replies if isinstance(each, Exception)), None)
        confirmed = 0 if refused is not None else int(replies[-1])
        if confirmed >= self.replicas:
            return None
        replicas = counted(self.replicas, "replica")
        error = Unconfirmed(
            f"It is stored, but only {confirmed} of {replicas} confirmed it, "
            "so a failover could lose it. Send it again in a moment, with its Idempotency-Key if "
            "it had one.",
            retry_after=1,
        )
        error.__cause__ = refused
        return error


class ConfirmedClient(OpsClient):
    """A client like ``client``, over its connections, whose every round trip is confirmed."""

    def __init__(self, client: OpsClient, confirmation: Confirmation) -> None:
        super().__init__(connection_pool=client.connection_pool)
        self._client = client
        self._confirmation = confirmation
        self.is_sharded, self.has_failover = client.is_sharded, client.has_failover
        self.on_refused_publications = self._hand_on_refused_publications

    def _hand_on_refused_publications(self, count: int) -> None:
        self._client.on_refused_publications(count)  # it may be set later than this client is made

    def client_of(self, key: str) -> OpsClient:
        return ConfirmedClient(self._client.client_of(key), self._confirmation)

    def execute_once(
        self, args: Sequence[Any], options: dict[str, Any],
        confirmation: Confirming | None = None,
    ) -> Any:  # fmt: skip
        return self._client.execute_once(args, options, confirmation or self._confirmation)

    def exchange(
        self, commands: Sequence[Command], *, asking: bool = False,
        confirmation: Confirming | None = None,
    ) -> list[Any]:  # fmt: skip
        confirmation = confirmation or self._confirmation
        return self._client.exchange(commands, asking=asking, confirmation=confirmation)

    def exchange_transactions(
        self, blocks: Sequence[Sequence[Command]], *, asking: bool = False,
        confirmation: Confirming | None = None,
    ) -> list[list[Any]]:  # fmt: skip
        confirmation = confirmation or self._confirmation
        return self._client.exchange_transactions(blocks, asking=asking, confirmation=confirmation)


def for_operations(client: OpsClient, settings: Settings) -> OpsClient:
    """The client for operations: ``client`` itself, but in strict mode."""
    if not settings.confirm_replicas:
        return client
    # A replica that is added later is waited for as well, whatever the setting says.
    return _confirmed(client, settings, least=settings.confirm_replicas)


def for_access(client: OpsClient, settings: Settings) -> OpsClient:
    """The client for changes of access: ``client`` itself where there are no replicas.

    Else they are confirmed, in strict mode or not: a revocation that was acknowledged must not be
    undone by a failover. A replica that is down cannot be promoted, and must not keep
    administrators from revoking, so the others are enough.
    """
    return _confirmed(client, settings, least=0) if client.has_failover else client


def _confirmed(client: OpsClient, settings: Settings, *, least: int) -> OpsClient:
    return ConfirmedClient(client, Confirmation(least, int(settings.confirm_s * 1000)))


def unsound(confirm_replicas: int, shards: Sequence[Shard]) -> str | None:
    """Why that number of replicas confirms nothing, or too little, with these shards; or None."""
    if confirm_replicas and (found := unequal(shards)) is not None:
        return f"OCCUPANCY_CONFIRM_REPLICAS={confirm_replicas} is not sound: {found}"
    for shard in shards:
        where = f"the primary {shard.address}"
        if confirm_replicas > shard.known_replicas:
            return (
                f"OCCUPANCY_CONFIRM_REPLICAS={confirm_replicas} can never be reached: {where} has "
                f"{_replicas(shard.known_replicas)}. Add replicas, or set a lower number."
            )
        if 0 < confirm_replicas < shard.replicas:
            return (
                f"OCCUPANCY_CONFIRM_REPLICAS={confirm_replicas} is too low: {where} has "
                f"{_replicas(shard.replicas)}, and a failover to one without the change loses it. "
                f"Set it to {shard.replicas}."
            )
    return None


def unequal(shards: Sequence[Shard]) -> str | None:
    """Why there is no sound number of replicas with these shards, and what to do; or None.

    One primary has more replicas that may be promoted than another one has at all.
    """
    most = max((each.replicas for each in shards), default=0)
    if most <= min((each.known_replicas for each in shards), default=0):
        return None
    counts = ", ".join(f"{each.address}: {each.known_replicas}" for each in shards)
    return (
        f"no number is, because the primaries have unequal numbers of replicas ({counts}). Start "
        f"those that are down, or move or add some (CLUSTER REPLICATE), until each primary has "
        f"{most}; then set it to {most}."
    )


def _replicas(count: int) -> str:
    return counted(count, "replica") if count else "no replicas"


def _key_beside(key: str | bytes | None) -> str | None:
    """A key with the hash tag of ``key``; None if it has none."""
    if key is None:
        return None
    text = key.decode() if isinstance(key, bytes) else key
    root, bracket, _ = text.partition("}")
    return f"{root}}}:confirmed" if bracket else None
