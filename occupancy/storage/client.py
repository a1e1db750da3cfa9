"""The client of one server: redis-py's, with occupancy's errors and own pipelines.

Nothing is retried: a command whose reply was lost may have run, and EVAL must not run twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import redis

from occupancy.core.errors import OccupancyError
from occupancy.storage.commands import INCARNATION, Command, Confirming
from occupancy.storage.server_errors import is_withheld, unavailable_as_error

Fill = Callable[[Any], object]  # puts commands into a pipeline

_MULTI, _EXEC, _ASKING = ("MULTI",), ("EXEC",), ("ASKING",)


class OpsClient(redis.Redis):
    """redis-py's client without redis-py's work around a command.

    Its retries (none here), telemetry and bookkeeping cost as much as the command itself.
    """

    connection_pool: Any  # a FairPool
    is_sharded = False  # whether publications go to the shard of their channel only
    has_failover = False  # whether another server may be promoted
    replicas = 0  # of this server, not down, as far as the topology knows
    on_refused_publications: Callable[[int], None] = staticmethod(lambda count: None)

    def execute_command(self, *args: Any, **options: Any) -> Any:
        with unavailable_as_error():
            return self.execute_once(args, options)

    def execute_once(
        self, args: Sequence[Any], options: dict[str, Any], confirmation: Confirming | None = None
    ) -> Any:
        """One command in one round trip. Raises PoolTimeout and redis's errors."""
        if confirmation is not None:
            command = Command(tuple(args), options)
            return raised(self.exchange([command], confirmation=confirmation)[0])
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

    def exchange(
        self, commands: Sequence[Command], *, asking: bool = False,
        confirmation: Confirming | None = None,
    ) -> list[Any]:  # fmt: skip
        """Send the commands in one write, and read a reply to each; error replies are in place.

        ``asking`` precedes each with ASKING. With a ``confirmation``, its error is in place of the
        other replies if too few replicas have the writes. Raises PoolTimeout and redis's connection
        errors.
        """
        if not commands:
            return []
        sent = [each.args for each in commands]
        if asking:
            sent = [args for each in sent for args in (_ASKING, each)]
        replies, unconfirmed = self._sent_and_read(sent, commands, asking, confirmation)
        if asking:
            replies = replies[1::2]
        return self._results(commands, replies, unconfirmed)

    def exchange_transactions(
        self, blocks: Sequence[Sequence[Command]], *, asking: bool = False,
        confirmation: Confirming | None = None,
    ) -> list[list[Any]]:  # fmt: skip
        """As ``exchange``, with each block of commands in a transaction of its own.

        If the server discards a transaction, its first error stands in place of every reply.
        """
        commands = [each for block in blocks for each in block]
        if not commands:
            return [[] for _ in blocks]
        first = 1 if asking else 0  # where MULTI is; ASKING holds until EXEC
        sent: list[Sequence[Any]] = []
        for block in blocks:
            sent += [_ASKING, _MULTI][1 - first :]
            sent += [each.args for each in block]
            sent.append(_EXEC)
        replies, unconfirmed = self._sent_and_read(sent, commands, asking, confirmation)
        results, end = [], 0
        for block in blocks:
            begin, end = end + first, end + first + len(block) + 2
            results.append(self._results(block, _of_transaction(replies[begin:end]), unconfirmed))
        return results

    def _sent_and_read(
        self, sent: Sequence[Sequence[Any]], commands: Sequence[Command], asking: bool,
        confirmation: Confirming | None,
    ) -> tuple[list[Any], OccupancyError | None]:  # fmt: skip
        """The reply to each line of ``sent``, and the error of the confirmation."""
        pool = self.connection_pool
        connection = pool.get_connection()
        try:
            waiting = None
            if confirmation is not None:
                # Only now the server is known, and with it the number of its replicas.
                waiting = confirmation.after(commands, self.replicas)
            after = [] if waiting is None else waiting.commands(asking=asking)
            filled_in = [self._filled_in(each, connection) for each in (*sent, *after)]
            connection.send_packed_command(connection.pack_commands(filled_in))
            # Every reply is read before any is raised: else the connection would be out of step.
            replies = [_read(connection) for _ in filled_in]
        finally:
            pool.release(connection)
        if waiting is None:
            return replies, None
        return replies[: len(sent)], waiting.verdict(replies[len(sent) :])

    def _results(
        self, commands: Sequence[Command], replies: Sequence[Any],
        unconfirmed: OccupancyError | None,
    ) -> list[Any]:  # fmt: skip
        if unconfirmed is not None:  # what the server has refused did not run: say that
            return [each if isinstance(each, Exception) else unconfirmed for each in replies]
        return [
            self._called_back(each, reply) for each, reply in zip(commands, replies, strict=True)
        ]

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
