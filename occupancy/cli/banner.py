"""What bin/run shows before the server starts: its addresses, and the boards and people there are.

Run it with ``python -m occupancy.cli.banner``. The examples name what is there. At the first start
nothing is there, and the one thing to do is to open the link that the server prints. Where the
server of the data cannot be asked, only the addresses are shown: the web server waits for it, too.
"""

from __future__ import annotations

import collections
import contextlib
import os
from collections.abc import Iterator, Sequence

import click
import msgspec

from occupancy.boards.records import Board
from occupancy.cli.command import connected
from occupancy.core.entities import MAIN_BOARD, Item, Role, Worker
from occupancy.core.errors import OccupancyError, SettingError
from occupancy.core.settings import COMMAND, Settings
from occupancy.core.texts.plurals import counted
from occupancy.sample.content import BOARD as SAMPLE_BOARD
from occupancy.services import Services
from occupancy.storage.server_errors import ServerError

_BOARDS_SHOWN = 5


def lines(services: Services | None, url: str) -> Iterator[tuple[str, str]]:
    """Names and texts; without ``services``, only the addresses."""
    boards = [] if services is None else _used(services)
    if services is not None and not boards and not services.workers.is_any():
        yield (
            "first start",
            "open the link that the server prints below: it leads through the rest",
        )
        return
    yield "sign in", f"{url}/sign-in"
    yield "the API", f"{url}/docs"
    if services is None:
        return
    workers = [each for each in services.workers.all() if not each.disabled]
    yield "boards", _boards(boards)
    yield "people", _people(workers)
    if not workers:
        yield "", "nobody can sign in yet: open the link that the server prints below"
    elif not any(each.pin_hash for each in workers):
        yield "a first PIN", f"{COMMAND} workers pin {workers[0].id}"
    else:
        yield "a forgotten PIN", f"{COMMAND} workers pin ID"
    yield from _examples(services, boards, workers, url)


def _used(services: Services) -> list[Board]:
    """The boards; without ``main`` while nobody uses it."""
    found = services.store.boards.all()
    return [each for each in found if each.board != MAIN_BOARD or _items(each) or each.seq]


def _items(board: Board) -> int:
    return sum(board.counts.values())


def _boards(boards: Sequence[Board]) -> str:
    shown = [f"{each.board} ({counted(_items(each), 'item')})" for each in boards]
    more = len(shown) - _BOARDS_SHOWN
    named = ", ".join(shown[:_BOARDS_SHOWN]) or "none yet"
    return f"{named} and {counted(more, 'other')}" if more > 0 else named


def _people(workers: Sequence[Worker]) -> str:
    if not workers:
        return "none yet"
    by_role = collections.Counter(each.role for each in workers)
    labels = [role.label for role in reversed(Role) if by_role[role.label]]
    return ", ".join(counted(by_role[label], label) for label in labels)


def _examples(
    services: Services, boards: Sequence[Board], workers: Sequence[Worker], url: str
) -> Iterator[tuple[str, str]]:
    filled = next((each for each in boards if _items(each)), None)
    if filled is None:
        yield "set it up", f"{url}/setup"
        yield "your items", f"{COMMAND} items import FILE.csv"
        yield "a sample to try", f"{COMMAND} demo load --pins --tokens"
        return
    if any(each.board == SAMPLE_BOARD for each in boards):
        yield "no sample", f"{COMMAND} demo unload"
    actor = next((each for each in workers if each.role == Role.WORKER.label), None)
    if actor is None:
        return
    api, header = f"{url}/api/boards/{filled.board}", '-H "Authorization: Bearer $TOKEN"'
    yield "a token", f"TOKEN=$({COMMAND} tokens create {actor.id})"
    yield "look at a board", f"curl {header} {api}/items"
    yield "watch it", f"curl -N {header} {api}/events"
    free = services.store.queries.snapshot(filled.board, state="available", limit=1)
    tag = msgspec.json.decode(free.items[0], type=Item).tag if free and free.items else "TAG"
    yield "take an item", f"curl -X POST {header} {api}/items/{tag}/take"


def main() -> None:
    """Print the banner; ends with status 1 if a setting is wrong."""
    try:
        url = Settings.from_environ(os.environ).public_url
    except SettingError as error:
        raise SystemExit(f"occupancy: {error.detail}") from error
    with contextlib.ExitStack() as stack:
        services: Services | None = None
        with contextlib.suppress(OccupancyError):
            services = stack.enter_context(connected())
        try:
            shown = list(lines(services, url))
        except (OccupancyError, ServerError):
            shown = list(lines(None, url))
    click.echo(f"occupancy on {url}")
    for name, text in shown:
        click.echo(f"  {name:<18}{text}")


if __name__ == "__main__":
    main()
