"""``flask events``: follow a board's log.

It reads the log itself (XREAD, over its one connection), not the live channel: nothing is lost
while Redis is unreachable, and events that were trimmed from the log show as a gap in ``seq``.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import sys
import time
from collections.abc import Iterator

import click
import msgspec

from occupancy.boards.log import Log
from occupancy.cli.command import Commands, board_option, connected, json_option
from occupancy.cli.output import timestamp
from occupancy.core.entities import CURSOR_PATTERN, Entry, Event
from occupancy.core.errors import (
    BoardNotFound,
    BoardRemoved,
    InvalidRequest,
    PoolTimeout,
    StoreUnavailable,
)
from occupancy.core.texts.plurals import counted

_START = "0-0"  # before the first event
_ENTRIES = 500  # in one round trip
_MAX_BLOCK_MS = 1000  # the delay until a closed stdout is noticed
_RECONNECT_S = 1.0

group = Commands("events", help="Events: the changes on a board.")


@group.command("tail")
@board_option
@click.option(
    "--after", metavar="CURSOR", help="Begin after this event; 0-0: with the oldest kept."
)
@json_option
def tail(board: str, after: str | None, as_json: bool) -> None:
    """Follow the events of a board, one line each, until Ctrl-C.

    A line has the time (UTC), the number, the type, the tag, the actor, and the new state and
    step. With --json it is the event as JSON. While the server is unreachable the command
    waits, and then continues; missing events are reported on stderr.
    """
    if after is not None and not re.match(CURSOR_PATTERN, after):
        raise InvalidRequest("--after takes a cursor, such as 1763838000123-81985529216486.")
    with _ends_quietly(), connected(may_start_server=False) as services:
        block_ms = min(_MAX_BLOCK_MS, int(services.settings.redis_timeout_s * 500))
        for entry in _follow(services.store.log, board, after, block_ms):
            click.echo(entry.event.decode() if as_json else _line(entry))


def _follow(log: Log, board: str, after: str | None, block_ms: int) -> Iterator[Entry]:
    """Every entry after ``after`` (None: from now on); ends when stdout is closed.

    It waits while the server is unreachable. Raises BoardNotFound, InvalidRequest for a cursor
    that is not in the log, and StoreUnavailable if the server is unreachable at the start.
    """
    cursor, seq = _start(log, board, after)
    is_away = False
    while not _is_closed():
        try:
            if is_away:
                cursor, seq = _resume(log, board, cursor, seq)
            entries = log.follow(board, cursor, block_ms=block_ms, count=_ENTRIES)
            if not entries:
                _check_board(log, board)
        except (PoolTimeout, StoreUnavailable) as error:
            if not is_away:
                reason = error.__cause__ or error.detail
                _warn(f"The server is unreachable ({reason}); waiting for it.")
            is_away = True
            time.sleep(_RECONNECT_S)
            continue
        if is_away:
            _warn("The server is back.")
            is_away = False
        for entry in entries:
            cursor = entry.cursor
            if not entry.event:
                if seq:  # else there was none before
                    _warn(
                        "Another server was promoted, and the last events before that may be lost; "
                        "or the board was removed and created again."
                    )
                continue
            if entry.seq > seq + 1:
                _warn(f"{counted(entry.seq - seq - 1, 'event')} missing: trimmed from the log.")
            yield entry
            seq = entry.seq


def _start(log: Log, board: str, after: str | None) -> tuple[str, int]:
    """Cursor and number of the last event that is not wanted."""
    replay = log.replay(board, after or "", 1)
    if after is None:
        return replay.head_cursor, replay.head_seq
    if after == _START:
        return _START, 0
    if not replay.is_known:
        if (seq := log.seq_at(board, after)) is not None:  # from before a promotion
            return after, seq
        raise InvalidRequest(
            f"The cursor {after} is not in the log of the board {board}: it was trimmed "
            f"or never there. --after {_START} begins with the oldest event that is kept."
        )
    return after, replay.entries[0].seq - 1 if replay.entries else replay.head_seq


def _check_board(log: Log, board: str) -> None:
    """Raises BoardRemoved. A server that was emptied may get its data back."""
    try:
        log.head(board)
    except BoardRemoved:
        raise
    except BoardNotFound:
        pass


def _resume(log: Log, board: str, cursor: str, seq: int) -> tuple[str, int]:
    """Where to go on after an absence: a log that was restored may end before ``cursor``."""
    replay = log.replay(board, cursor, 1)
    if replay.is_known or cursor == _START or log.seq_at(board, cursor) is not None:
        return cursor, seq
    _warn("The log no longer has the last event; going on from its present end.")
    return replay.head_cursor, replay.head_seq


@contextlib.contextmanager
def _ends_quietly() -> Iterator[None]:
    """Ctrl-C and a closed stdout end this command normally."""
    try:
        yield
    except KeyboardInterrupt:
        pass
    except BrokenPipeError:
        # Otherwise Python reports an error when it flushes stdout at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _is_closed() -> bool:
    """Whether the reader of stdout is gone; a write would notice that only at the next event."""
    try:
        fd = sys.stdout.fileno()
    except OSError:  # a test's buffer
        return False
    poll = select.poll()
    poll.register(fd, 0)
    return any(found & (select.POLLERR | select.POLLHUP) for _, found in poll.poll(0))


def _line(entry: Entry) -> str:
    event = msgspec.json.decode(entry.event, type=Event)
    item = event.item
    parts = [
        timestamp(event.at), f"{event.seq:>6}", event.type.ljust(19), item.tag.ljust(24),
        f"{event.actor.name} ({event.actor.id})".ljust(24), f"{item.state} at {item.step}",
    ]  # fmt: skip
    if item.reason:
        parts.append(f"({item.reason})")
    return "  ".join(parts)


def _warn(message: str) -> None:
    click.echo(" ".join(message.split()), err=True)
