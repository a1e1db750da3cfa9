"""The client of a Cluster: sends each command to the shard that has its keys.

A Cluster answers a command for another shard with a redirection and does not run it, so it is sent
again, to the right one: MOVED (the slot has another owner; the map is read again first), ASK (this
key has moved already; with ASKING, once), TRYAGAIN and CLUSTERDOWN (in a moment). All this takes
OCCUPANCY_POOL_WAIT_S at most. A command whose reply was lost may have run: it is never sent again.

redis-py's RedisCluster does not do: it ignores a blocking pool, counts an exhausted one as a failed
node, sends scripts again, and costs 1.65 to 2.06 times as much for each (8.1.0).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

import gevent
import redis
from redis.exceptions import AskError, ClusterDownError, MovedError, TryAgainError

from occupancy.core.errors import OccupancyError, StoreUnavailable
from occupancy.core.server_url import Address
from occupancy.storage.client import Command, Confirming, OpsClient, key_of, raised
from occupancy.storage.server_errors import unavailable_as_error
from occupancy.storage.topology.shard import Shard, slot_of

_RETRY_S = 0.05
_REDIRECTIONS = (MovedError, AskError, TryAgainError, ClusterDownError, redis.ReadOnlyError)
T = TypeVar("T")


class ShardMap(Protocol):
    """The part of a Cluster's topology that the client needs."""

    def owner(self, slot: int) -> Shard:
        """The shard that has ``slot``; reads the map if none is known. Raises StoreUnavailable."""

    def at(self, address: Address) -> Shard:
        """The shard at an address that a redirection names."""

    def refresh(self, told_by: Address | None = None) -> None:
        """Read the map again, first from ``told_by``, which knows best. May wait; never raises."""


class ClusterClient(OpsClient):
    """See :class:`OpsClient`; ``default_key`` decides where a command without a key is sent."""

    is_sharded = True
    has_failover = True

    def __init__(self, shard_map: ShardMap, *, wait_s: float, default_key: str) -> None:
        super().__init__(connection_pool=redis.ConnectionPool())  # never used
        self._map = shard_map
        self._wait_s = wait_s
        self._default_slot = slot_of(default_key)

    def client_of(self, key: str) -> OpsClient:
        return self._map.owner(slot_of(key)).client

    def execute_once(
        self, args: Sequence[Any], options: dict[str, Any],
        confirmation: Confirming | None = None,
    ) -> Any:  # fmt: skip
        slot = self._slot(args)

        def send(shard: Shard, *, asking: bool) -> Any:
            if not asking:
                return shard.client.execute_once(args, options, confirmation)
            command = Command(tuple(args), options)
            (reply,) = shard.client.exchange([command], asking=True, confirmation=confirmation)
            return raised(reply)

        return self._redirected(slot, send)

    def exchange(
        self, commands: Sequence[Command], *, transaction: bool = False, asking: bool = False,
        confirmation: Confirming | None = None,
    ) -> list[Any]:  # fmt: skip
        """As in OpsClient; the commands of different shards are sent side by side.

        The keys of a transaction have one slot. An error that concerns all commands of a shard
        stands in place of their replies.
        """
        slots = self._slots(commands)
        replies: list[Any] = [None] * len(commands)
        if transaction:
            blocks = [list(range(len(commands)))] if commands else []
        else:
            blocks = self._by_shard(slots)

        def run(positions: list[int]) -> None:
            block = [commands[each] for each in positions]
            found = self._run_block(
                slots[positions[0]], block, transaction=transaction, confirmation=confirmation
            )
            for position, reply in zip(positions, found, strict=True):
                replies[position] = reply

        others = [gevent.spawn(run, each) for each in blocks[1:]]
        for each in blocks[:1]:
            run(each)
        gevent.joinall(others, raise_error=True)
        if not transaction:
            for position, reply in enumerate(replies):
                if isinstance(reply, _REDIRECTIONS):  # it has not run
                    replies[position] = self._again(commands[position], confirmation)
        return replies

    def _read_each(self, fills: Sequence[Any], *, transaction: bool) -> list[list[Any]]:
        # Each is a transaction of its own: they are about different boards.
        blocks = [self.recorded(each) for each in fills]
        running = [gevent.spawn(self.exchange, block, transaction=transaction) for block in blocks]
        gevent.joinall(running, raise_error=True)
        return [each.get() for each in running]

    def _run_block(
        self, slot: int, block: Sequence[Command], *, transaction: bool,
        confirmation: Confirming | None,
    ) -> list[Any]:  # fmt: skip
        def send(shard: Shard, *, asking: bool) -> list[Any]:
            replies = shard.client.exchange(
                block, transaction=transaction, asking=asking, confirmation=confirmation
            )
            if transaction:
                raised(replies[0] if isinstance(replies[0], _REDIRECTIONS) else None)
            return replies

        try:
            with unavailable_as_error():
                return (
                    self._redirected(slot, send)
                    if transaction
                    else send(self._map.owner(slot), asking=False)
                )
        except OccupancyError as error:  # this shard's alone
            return [error] * len(block)

    def _again(self, command: Command, confirmation: Confirming | None) -> Any:
        try:
            with unavailable_as_error():
                return self.execute_once(command.args, command.options, confirmation)
        except (OccupancyError, redis.ResponseError) as error:
            return error

    def _redirected(self, slot: int, send: Callable[..., T]) -> T:
        """Send to the slot's owner, and wherever its answers lead, for the wait at most."""
        until = time.monotonic() + self._wait_s
        shard, asking = self._map.owner(slot), False
        while True:
            try:
                return send(shard, asking=asking)
            except MovedError as error:
                if time.monotonic() > until:
                    raise StoreUnavailable(_MOVING, retry_after=2) from error
                told_by = Address(error.host, error.port)
                self._map.refresh(told_by)
                shard, asking = self._map.owner(slot), False
            except AskError as error:
                if time.monotonic() > until:
                    raise StoreUnavailable(_MOVING, retry_after=2) from error
                shard, asking = self._map.at(Address(error.host, error.port)), True
            except (TryAgainError, ClusterDownError, redis.ReadOnlyError):
                if time.monotonic() > until:
                    raise
                gevent.sleep(_RETRY_S)
                self._map.refresh()
                shard, asking = self._map.owner(slot), False

    def _slot(self, args: Sequence[Any]) -> int:
        key = key_of(args)
        return self._default_slot if key is None else slot_of(key)

    def _slots(self, commands: Sequence[Command]) -> list[int]:
        """A slot for each: a command without a key goes with the first that has one."""
        keys = [key_of(each.args) for each in commands]
        known = next((slot_of(key) for key in keys if key is not None), self._default_slot)
        return [known if key is None else slot_of(key) for key in keys]

    def _by_shard(self, slots: Sequence[int]) -> list[list[int]]:
        """The positions of the commands, by the shard that has their slots."""
        blocks: dict[Any, list[int]] = {}
        for position, slot in enumerate(slots):
            try:
                shard: Any = self._map.owner(slot)
            except StoreUnavailable:
                shard = slot  # its block gets the error again
            blocks.setdefault(shard, []).append(position)
        return list(blocks.values())


_MOVING = "The board is being moved to another server. Try again in a moment."
