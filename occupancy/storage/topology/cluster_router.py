"""The router of a Cluster: sends to the shards that have the slots, and follows redirections.

A Cluster answers a command for another shard with a redirection and does not run it, so it is sent
again, to the right one: MOVED (the slot has another owner; the map is read again first), ASK (this
key has moved already; with ASKING, once), TRYAGAIN and CLUSTERDOWN (in a moment). All this takes
OCCUPANCY_POOL_WAIT_S at most. A command whose reply was lost may have run: it is never sent again.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import gevent
import redis
from redis.exceptions import AskError, ClusterDownError, MovedError, TryAgainError

from occupancy.core.errors import OccupancyError, StoreUnavailable
from occupancy.core.server_url import Address
from occupancy.storage.commands import Command, Confirming
from occupancy.storage.fair_queue import run_side_by_side
from occupancy.storage.server_errors import unavailable_as_error
from occupancy.storage.topology.shard import Shard

_RETRY_S = 0.05
REDIRECTIONS = (MovedError, AskError, TryAgainError, ClusterDownError, redis.ReadOnlyError)
LOST = (redis.ConnectionError, redis.TimeoutError)  # the connection, not the pool's place


class ShardMap(Protocol):
    """The part of a Cluster's topology that the client and the router need."""

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


class Target(NamedTuple):
    """The shard that a unit is sent to, and whether ASKING precedes it."""

    shard: Shard
    asking: bool = False


class Unit(NamedTuple):
    """Commands of one slot that are sent together: a transaction, or a single one."""

    slot: int
    commands: Sequence[Command]


class Router:
    """Sends units to the shards of ``shard_map``; follows redirections for ``wait_s`` at most."""

    def __init__(self, shard_map: ShardMap, *, wait_s: float) -> None:
        self._map = shard_map
        self._wait_s = wait_s

    def send(
        self, units: Sequence[Unit], *, transaction: bool = False,
        confirmation: Confirming | None,
    ) -> list[list[Any]]:  # fmt: skip
        """The replies to each unit; an error that concerns a whole shard is in place of each."""
        targets: list[Target | OccupancyError] = []
        for unit in units:
            try:
                targets.append(Target(self._map.owner(unit.slot)))
            except StoreUnavailable as error:
                targets.append(error)
        return self._sent(units, targets, transaction=transaction, confirmation=confirmation)

    def follow(
        self, units: Sequence[Unit], redirections: Sequence[tuple[Target, Exception]],
        confirmation: Confirming | None,
    ) -> list[list[Any]]:  # fmt: skip
        """The replies to single commands, each of which was redirected from a target."""
        self._learn_from(redirections)
        targets = [
            self._next_target(unit.slot, *redirection)
            for unit, redirection in zip(units, redirections, strict=True)
        ]
        return self._sent(units, targets, transaction=False, confirmation=confirmation)

    def _sent(
        self, units: Sequence[Unit], targets: Sequence[Target | OccupancyError], *,
        transaction: bool, confirmation: Confirming | None,
    ) -> list[list[Any]]:  # fmt: skip
        """The replies to each unit, sent to its target and wherever the answers lead."""
        until = time.monotonic() + self._wait_s
        replies: list[list[Any]] = [[] for _ in units]
        pending = dict(enumerate(targets))
        while pending:
            groups: dict[Target, list[int]] = {}
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
            redirected: dict[int, tuple[Target, Exception]] = {}
            for (target, numbers), found in zip(
                groups.items(), run_side_by_side(calls), strict=True
            ):
                for number, of_unit in zip(numbers, found, strict=True):
                    replies[number] = of_unit
                    if of_unit and isinstance(of_unit[0], REDIRECTIONS):
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

    def _learn_from(self, redirections: Sequence[tuple[Target, Exception]]) -> None:
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
        self, slot: int, target: Target, redirection: Exception
    ) -> Target | OccupancyError:
        try:
            if type(redirection) is AskError:
                address = self._map.address_of(*redirection.node_addr, sender=target.shard)
                return Target(self._map.at(address), asking=True)
            return Target(self._map.owner(slot))
        except StoreUnavailable as error:
            return error


def commands_sent(
    target: Target, commands: Sequence[Command], confirmation: Confirming | None
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
    target: Target, units: Sequence[Unit], confirmation: Confirming | None, *, transaction: bool
) -> list[list[Any]]:
    """The replies to each unit, as ``commands_sent``."""
    if not transaction:
        commands = [each.commands[0] for each in units]
        return [[reply] for reply in commands_sent(target, commands, confirmation)]
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
    shard.is_suspect = shard.is_suspect or isinstance(error.__cause__, LOST)
    return error


def _moving(error: Exception) -> StoreUnavailable:
    made = StoreUnavailable(
        "The board is being moved to another server. Try again in a moment.", retry_after=2
    )
    made.__cause__ = error
    return made
