"""The client of a Cluster: sends each command to the shard that has its keys.

A Cluster answers a command for another shard with a redirection and does not run it, so it is sent
again, to the right one: MOVED (the slot has another owner; the map is read again first), ASK (this
key has moved already; with ASKING, once), TRYAGAIN and CLUSTERDOWN (in a moment). All this takes
OCCUPANCY_POOL_WAIT_S at most. A command whose reply was lost may have run: it is never sent again.

redis-py's RedisCluster does not do: it ignores a blocking pool, counts an exhausted one as a failed
node, sends scripts again, and costs 1.65 to 2.06 times as much for each (8.1.0).
"""

from __future__ import annotations

import functools
import time
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Protocol

import gevent
import redis
from redis.exceptions import AskError, ClusterDownError, MovedError, TryAgainError

from occupancy.core.errors import OccupancyError, StoreUnavailable
from occupancy.core.server_url import Address
from occupancy.storage.client import Command, Confirming, OpsClient, key_of, raised
from occupancy.storage.fair_queue import run_side_by_side
from occupancy.storage.server_errors import unavailable_as_error
from occupancy.storage.topology.shard import Shard, slot_of

_RETRY_S = 0.05
_REDIRECTIONS = (MovedError, AskError, TryAgainError, ClusterDownError, redis.ReadOnlyError)
_LOST = (redis.ConnectionError, redis.TimeoutError)  # the connection, not the pool's place


class ShardMap(Protocol):
    """The part of a Cluster's topology that the client needs."""

    def owner(self, slot: int) -> Shard:
        """The shard that has ``slot``; reads the map if none is known. Raises StoreUnavailable."""

    def address_of(self, host: str, port: int, *, sender: Shard) -> Address:
        """Where to find the server that a redirection from ``sender`` names."""

    def shards(self) -> Sequence[Shard]:
        """Every shard that is known; none before the map is read."""

    def at(self, address: Address) -> Shard:
        """The shard at an address."""

    def refresh(self, told_by: Address | None = None) -> None:
        """Read the map again, first from ``told_by``, which knows best. May wait; never raises."""


class _Target(NamedTuple):
    """Where something is sent, and whether after ASKING."""

    shard: Shard
    asking: bool = False


class _Unit(NamedTuple):
    """Commands of one slot that are sent together: a transaction, or a single one."""

    slot: int
    commands: Sequence[Command]


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
        except _REDIRECTIONS as error:
            redirection = _Target(shard), error
        except _LOST:
            shard.is_suspect = True
            raise
        self._learn_from([redirection])
        unit = _Unit(slot, [Command(tuple(args), options)])
        target = self._next_target(slot, *redirection)
        ((reply,),) = self._sent([unit], [target], transaction=False, confirmation=confirmation)
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
                units.append(_Unit(each, [command]))
                positions.append(position)
        replies: list[Any] = [None] * len(commands)
        for position, (reply,) in zip(
            positions, self._all_sent(units, confirmation=confirmation), strict=True
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
            target = _Target(self._map.owner(default))
        except StoreUnavailable as error:
            return [error] * len(commands)
        replies = _commands_sent(target, commands, confirmation)
        redirected = [
            position for position, reply in enumerate(replies) if isinstance(reply, _REDIRECTIONS)
        ]
        if redirected:
            self._learn_from([(target, replies[each]) for each in redirected])
            units, targets = [], []
            for each in redirected:
                slot = slots[each]
                units.append(_Unit(default if slot is None else slot, [commands[each]]))
                targets.append(self._next_target(units[-1].slot, target, replies[each]))
            again = self._sent(units, targets, transaction=False, confirmation=confirmation)
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
            units.append(_Unit(self._default_slot if key is None else slot_of(key), block))
        return self._all_sent(units, transaction=True, confirmation=confirmation)

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

    def _all_sent(
        self, units: Sequence[_Unit], *, transaction: bool = False,
        confirmation: Confirming | None,
    ) -> list[list[Any]]:  # fmt: skip
        targets: list[_Target | OccupancyError] = []
        for unit in units:
            try:
                targets.append(_Target(self._map.owner(unit.slot)))
            except StoreUnavailable as error:
                targets.append(error)
        return self._sent(units, targets, transaction=transaction, confirmation=confirmation)

    def _sent(
        self, units: Sequence[_Unit], targets: Sequence[_Target | OccupancyError], *,
        transaction: bool, confirmation: Confirming | None,
    ) -> list[list[Any]]:  # fmt: skip
        """The replies to each unit, sent to its target and wherever the answers lead."""
        until = time.monotonic() + self._wait_s
        replies: list[list[Any]] = [[] for _ in units]
        pending = dict(enumerate(targets))
        while pending:
            groups: dict[_Target, list[int]] = {}
            for number, target in pending.items():
                if isinstance(target, OccupancyError):
                    replies[number] = [target] * len(units[number].commands)
                else:
                    groups.setdefault(target, []).append(number)
            calls = [
                functools.partial(
                    _group_sent,
                    target,
                    [units[each] for each in numbers],
                    confirmation,
                    transaction=transaction,
                )
                for target, numbers in groups.items()
            ]
            redirected: dict[int, tuple[_Target, Exception]] = {}
            for (target, numbers), found in zip(
                groups.items(), run_side_by_side(calls), strict=True
            ):
                for number, of_unit in zip(numbers, found, strict=True):
                    replies[number] = of_unit
                    if of_unit and isinstance(of_unit[0], _REDIRECTIONS):
                        redirected[number] = target, of_unit[0]
            if redirected and time.monotonic() <= until:
                self._learn_from(list(redirected.values()))
                pending = {
                    number: self._next_target(units[number].slot, *redirection)
                    for number, redirection in redirected.items()
                }
            else:
                pending = {number: _moving(error) for number, (_, error) in redirected.items()}
        return replies

    def _learn_from(self, redirections: Sequence[tuple[_Target, Exception]]) -> None:
        """Read the map again, or wait a moment, as the redirections demand."""
        if not all(isinstance(error, AskError) for _, error in redirections):
            gevent.sleep(_RETRY_S)  # TRYAGAIN, CLUSTERDOWN
        for target, error in redirections:
            if isinstance(error, MovedError):
                if self._map.owner(error.slot_id) is target.shard:  # else it is known by now
                    told_by = self._map.address_of(*error.node_addr, sender=target.shard)
                    self._map.refresh(told_by)
            elif not isinstance(error, AskError | TryAgainError):
                self._map.refresh()
            else:
                continue
            return  # once: the next answers tell of the rest

    def _next_target(
        self, slot: int, target: _Target, redirection: Exception
    ) -> _Target | OccupancyError:
        try:
            if type(redirection) is AskError:
                address = self._map.address_of(*redirection.node_addr, sender=target.shard)
                return _Target(self._map.at(address), asking=True)
            return _Target(self._map.owner(slot))
        except StoreUnavailable as error:
            return error


def _commands_sent(
    target: _Target, commands: Sequence[Command], confirmation: Confirming | None
) -> list[Any]:
    """The replies to the commands; an error that concerns the shard is in place of all of them."""
    try:
        with unavailable_as_error():
            return target.shard.client.exchange(
                commands, asking=target.asking, confirmation=confirmation
            )
    except OccupancyError as error:
        return [_noted(error, target.shard)] * len(commands)


def _group_sent(
    target: _Target, units: Sequence[_Unit], confirmation: Confirming | None, *, transaction: bool
) -> list[list[Any]]:
    """The replies to each unit, as ``_commands_sent``."""
    if not transaction:
        commands = [each.commands[0] for each in units]
        return [[reply] for reply in _commands_sent(target, commands, confirmation)]
    try:
        with unavailable_as_error():
            blocks = [each.commands for each in units]
            return target.shard.client.exchange_transactions(
                blocks, asking=target.asking, confirmation=confirmation
            )
    except OccupancyError as error:
        return [[_noted(error, target.shard)] * len(each.commands) for each in units]


def _noted(error: OccupancyError, shard: Shard) -> OccupancyError:
    """``error``; a lost connection makes its shard a suspect."""
    shard.is_suspect = shard.is_suspect or isinstance(error.__cause__, _LOST)
    return error


def _moving(error: Exception) -> StoreUnavailable:
    made = StoreUnavailable(
        "The board is being moved to another server. Try again in a moment.", retry_after=2
    )
    made.__cause__ = error
    return made
