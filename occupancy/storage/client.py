"""The client of one server: redis-py's, with occupancy's errors and own pipelines.

Nothing is retried: a command whose reply was lost may have run, and EVAL must not run twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import redis

from occupancy.core.errors import OccupancyError
from occupancy.storage.server_errors import is_withheld, unavailable_as_error

Fill = Callable[[Any], object]  # puts commands into a pipeline

_MULTI, _EXEC, _ASKING = ("MULTI",), ("EXEC",), ("ASKING",)


class Command(NamedTuple):
    """A command as redis-py's pipeline records it."""

    args: tuple[Any, ...]
    options: dict[str, Any]


class _Incarnation:
    """Its only instance, INCARNATION, stands for a number in the arguments of a script."""


INCARNATION = _Incarnation()
"""In a script's arguments: the failover epoch of the server that the script is sent to.

The client puts it in as it sends the command, when the connection, and so the server, is known.
"""


class OpsClient(redis.Redis):
    """redis-py's client without redis-py's work around a command.

    Its retries (none here), telemetry and bookkeeping cost as much as the command itself.
    """

    connection_pool: Any  # a FairPool
    is_sharded = False  # whether publications go to the shard of their channel only
    has_failover = False  # whether another server may be promoted
    on_refused_publications: Callable[[int], None] = staticmethod(lambda count: None)

    def execute_command(self, *args: Any, **options: Any) -> Any:
        with unavailable_as_error():
            return self.execute_once(args, options)

    def execute_once(self, args: Sequence[Any], options: dict[str, Any]) -> Any:
        """One command in one round trip. Raises PoolTimeout and redis's errors."""
        pool = self.connection_pool
        connection = pool.get_connection()
        try:
            # Both close the connection on any exception, GreenletExit included.
            connection.send_command(*self._filled_in(args, connection))
            return self.parse_response(connection, args[0], **options)  # type: ignore[no-untyped-call] # untyped in redis-py
        finally:
            pool.release(connection)

    def run_pipeline(self, fill: Fill, *, transaction: bool = False) -> list[Any]:
        """The replies to ``fill``'s commands, in one round trip. Raises the first error in them."""
        with unavailable_as_error():
            return _checked(self._replies(fill, transaction=transaction))

    def read_atomically(self, fill: Fill) -> list[Any]:
        """Like ``run_pipeline``, for reads of one state: nothing changes between them.

        A full server refuses everything in a transaction, reads included. The reads are then sent
        without a transaction: while the server is full, no operation takes effect either. If
        memory becomes free just then, an operation may fall between two reads. So ``fill`` reads
        a board's position first: the events after that position include the operation.
        """
        return self.read_each_atomically([fill])[0]

    def read_each_atomically(self, fills: Sequence[Fill]) -> list[list[Any]]:
        """The replies to each of ``fills``, each read by itself as by ``read_atomically``."""
        blocks = [self.recorded(each) for each in fills]
        with unavailable_as_error():
            try:
                return [_checked(each) for each in self.exchange_transactions(blocks)]
            except redis.exceptions.OutOfMemoryError:
                replies = iter(self.exchange([each for block in blocks for each in block]))
                return [_checked([next(replies) for _ in block]) for block in blocks]

    def run_optional(self, fill: Fill) -> list[Any]:
        """Like ``run_pipeline``, with None in place of each reply that the server withholds.

        Managed servers withhold INFO, CONFIG and CLIENT LIST, by ACL or by disabling them.
        """
        with unavailable_as_error():
            replies = self._replies(fill, transaction=False)
            return _checked([None if is_withheld(reply) else reply for reply in replies])

    def run_separately(self, fill: Fill) -> list[Any]:
        """Like ``run_pipeline``, with each error in its place, as an exception of ours.

        Where there are several servers, one that cannot serve spoils only its own replies.
        """
        with unavailable_as_error():
            return [_meaning(each) for each in self._replies(fill, transaction=False)]

    def _replies(self, fill: Fill, *, transaction: bool) -> list[Any]:
        commands = self.recorded(fill)
        if transaction:
            return self.exchange_transactions([commands])[0]
        return self.exchange(commands)

    def client_of(self, key: str) -> OpsClient:
        """The client of the server that has ``key``, for commands without one, such as SCAN."""
        return self

    def every_server(self) -> Sequence[OpsClient]:
        """The client of each server that has keys, to look for keys whose slots are unknown."""
        return (self,)

    def recorded(self, fill: Fill) -> list[Command]:
        """The commands that ``fill`` puts into a pipeline."""
        with self.pipeline() as pipeline:
            fill(pipeline)
            return [Command(args, options) for args, options in pipeline.command_stack]

    def exchange(self, commands: Sequence[Command], *, asking: bool = False) -> list[Any]:
        """Send the commands in one write, and read a reply to each; error replies are in place.

        ``asking`` precedes each with ASKING. Raises PoolTimeout and redis's connection errors.
        """
        if not commands:
            return []
        sent = [each.args for each in commands]
        if asking:
            replies = self._sent_and_read([args for each in sent for args in (_ASKING, each)])[1::2]
        else:
            replies = self._sent_and_read(sent)
        return [
            self._called_back(each, reply) for each, reply in zip(commands, replies, strict=True)
        ]

    def exchange_transactions(
        self, blocks: Sequence[Sequence[Command]], *, asking: bool = False
    ) -> list[list[Any]]:
        """As ``exchange``, with each block of commands in a transaction of its own.

        If the server discards a transaction, its first error stands in place of every reply.
        """
        first = 1 if asking else 0  # where MULTI is; ASKING holds until EXEC
        sent: list[Sequence[Any]] = []
        for block in blocks:
            sent += [_ASKING, _MULTI][1 - first :]
            sent += [each.args for each in block]
            sent.append(_EXEC)
        replies = self._sent_and_read(sent) if sent else []
        results, end = [], 0
        for block in blocks:
            begin, end = end + first, end + first + len(block) + 2
            found = _of_transaction(replies[begin:end])
            results.append([self._called_back(*each) for each in zip(block, found, strict=True)])
        return results

    def _sent_and_read(self, sent: Sequence[Sequence[Any]]) -> list[Any]:
        pool = self.connection_pool
        connection = pool.get_connection()
        try:
            filled_in = [self._filled_in(each, connection) for each in sent]
            connection.send_packed_command(connection.pack_commands(filled_in))
            return [_read(connection) for _ in sent]
        finally:
            pool.release(connection)

    def _filled_in(self, args: Sequence[Any], connection: Any) -> Sequence[Any]:
        if INCARNATION not in args:
            return args
        # A connection may be older than a promotion of its server: it was a primary before, too.
        known = max(connection.incarnation, self.connection_pool.incarnation)
        return [known if each is INCARNATION else each for each in args]

    def _called_back(self, command: Command, reply: Any) -> Any:
        callback = self.response_callbacks.get(command.args[0])
        if callback is None or isinstance(reply, Exception):
            return reply
        command.options.pop("keys", None)  # for redis-py's cache only
        return callback(reply, **command.options)


def _read(connection: Any) -> Any:
    """The next reply; an error reply as its exception."""
    try:
        return connection.read_response()
    except redis.ResponseError as error:
        return error


def _of_transaction(replies: Sequence[Any]) -> list[Any]:
    """The replies to the commands of a transaction, from all its replies, MULTI's first."""
    *queued, executed = replies
    refused = next((each for each in queued if isinstance(each, Exception)), None)
    if refused is not None or isinstance(executed, Exception):
        return [refused or executed] * (len(queued) - 1)
    return list(executed)


def raised(reply: Any) -> Any:
    """``reply``; raises it if it is an error."""
    if isinstance(reply, redis.RedisError | OccupancyError):
        raise reply
    return reply


def _meaning(reply: Any) -> Any:
    try:
        with unavailable_as_error():
            return raised(reply)
    except (redis.RedisError, OccupancyError) as error:
        return error


def _checked(replies: Iterable[Any]) -> list[Any]:
    """``replies``; raises the first error among them."""
    return [raised(reply) for reply in replies]
