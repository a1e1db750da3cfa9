"""The client of a Cluster: takes commands as redis-py does, and finds the slots of their keys.

redis-py's RedisCluster does not do: it ignores a blocking pool, counts an exhausted one as a failed
node, sends scripts again, and costs 1.65 to 2.06 times as much for each (8.1.0).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import redis

from occupancy.core.errors import StoreUnavailable
from occupancy.storage.client import OpsClient, raised
from occupancy.storage.commands import Command, Confirming, key_of
from occupancy.storage.topology.cluster_router import (
    LOST,
    REDIRECTIONS,
    Router,
    ShardMap,
    Target,
    Unit,
    commands_sent,
)  # fmt: skip
from occupancy.storage.topology.shard import slot_of


class ClusterClient(OpsClient):
    """See :class:`OpsClient`; ``default_key`` decides where a command without a key is sent."""

    is_sharded = True
    has_failover = True

    def __init__(self, shard_map: ShardMap, *, wait_s: float, default_key: str) -> None:
        super().__init__(connection_pool=redis.ConnectionPool())  # never used
        self._map = shard_map
        self._router = Router(shard_map, wait_s=wait_s)
        self._default_slot = slot_of(default_key)

    def client_of(self, key: str) -> OpsClient:
        return self._map.owner(slot_of(key)).client

    def every_server(self) -> Sequence[OpsClient]:
        if not self._map.shards():
            self._map.refresh()
        return [each.client for each in self._map.shards()]

    def execute_once(
        self, args: Sequence[Any], options: dict[str, Any], confirmation: Confirming | None = None
    ) -> Any:
        key = key_of(args)
        slot = self._default_slot if key is None else slot_of(key)
        shard = self._map.owner(slot)
        try:
            return shard.client.execute_once(args, options, confirmation)
        except REDIRECTIONS as error:
            redirection = error
        except LOST:
            shard.is_suspect = True
            raise
        unit = Unit(slot, [Command(tuple(args), options)])
        ((reply,),) = self._router.follow([unit], [(Target(shard), redirection)], confirmation)
        return raised(reply)

    def exchange(
        self, commands: Sequence[Command], *, asking: bool = False,
        confirmation: Confirming | None = None,
    ) -> list[Any]:  # fmt: skip
        """As in OpsClient; the commands of different shards are sent side by side.

        An error that concerns all commands of a shard stands in place of their replies. A command
        without a key, such as SCRIPT LOAD, is sent to each of these shards before what follows it;
        the first error or else the last reply is its reply. A redirected command may run after
        others that follow it.
        """
        keys = [key_of(each.args) for each in commands]
        slots = [None if key is None else slot_of(key) for key in keys]
        one_of_each = self._one_of_each_shard(dict.fromkeys(slots))
        if len(one_of_each) == 1:
            return self._exchanged_with_one(one_of_each[0], slots, commands, confirmation)
        units, positions = [], []
        for position, (slot, command) in enumerate(zip(slots, commands, strict=True)):
            for each in one_of_each if slot is None else [slot]:
                units.append(Unit(each, [command]))
                positions.append(position)
        replies: list[Any] = [None] * len(commands)
        for position, (reply,) in zip(
            positions, self._router.send(units, confirmation=confirmation), strict=True
        ):
            if not isinstance(replies[position], Exception):
                replies[position] = reply
        return replies

    def _exchanged_with_one(
        self, default: int, slots: Sequence[int | None], commands: Sequence[Command],
        confirmation: Confirming | None,
    ) -> list[Any]:  # fmt: skip
        """As ``exchange``, where one shard has all keys; those without one go with ``default``."""
        try:
            target = Target(self._map.owner(default))
        except StoreUnavailable as error:
            return [error] * len(commands)
        replies = commands_sent(target, commands, confirmation)
        redirected = [
            position for position, reply in enumerate(replies) if isinstance(reply, REDIRECTIONS)
        ]
        if redirected:
            units = []
            for each in redirected:
                slot = slots[each]
                units.append(Unit(default if slot is None else slot, [commands[each]]))
            redirections = [(target, replies[each]) for each in redirected]
            again = self._router.follow(units, redirections, confirmation)
            for position, (reply,) in zip(redirected, again, strict=True):
                replies[position] = reply
        return replies

    def exchange_transactions(
        self, blocks: Sequence[Sequence[Command]], *, asking: bool = False,
        confirmation: Confirming | None = None,
    ) -> list[list[Any]]:  # fmt: skip
        """As in OpsClient, side by side as in ``exchange``; each block's keys have one slot."""
        units = []
        for block in blocks:
            key = next(filter(None, (key_of(each.args) for each in block)), None)
            units.append(Unit(self._default_slot if key is None else slot_of(key), block))
        return self._router.send(units, transaction=True, confirmation=confirmation)

    def _one_of_each_shard(self, slots: Iterable[int | None]) -> list[int]:
        """A slot of each shard that has some of ``slots``; the default one if there are none."""
        found: dict[Any, int] = {}
        for slot in slots:
            if slot is not None:
                try:
                    found.setdefault(self._map.owner(slot), slot)
                except StoreUnavailable:
                    found[slot] = slot  # it gets the error in the place of its replies
        return list(found.values()) or [self._default_slot]
