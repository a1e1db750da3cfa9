"""``flask demo``: a sample to try things with."""

from __future__ import annotations

import click
import msgspec

from ..demo import BOARD, WORKERS, load, size
from .command import Commands, connected, json_option
from .output import counted, print_json, print_table, progress

_TOKEN_DAYS = 30


def group() -> Commands:
    demo = Commands("demo", help="A sample to try things with.")

    @demo.command("load")
    @click.option(
        "--tokens", "with_tokens", is_flag=True,
        help=f"Make and print a token for one worker of each role, good for {_TOKEN_DAYS} days.",
    )  # fmt: skip
    @json_option
    def load_(with_tokens: bool, as_json: bool) -> None:
        """Load a sample board with workers and items. Loading it again changes nothing."""
        with connected() as services:
            with progress(size(), "Loading") as advance:
                loaded = load(services.store, services.access, advance)
            by_role = {role: (worker, name) for worker, name, role in reversed(WORKERS)}
            people = [
                {
                    "id": worker, "name": name, "role": role.label,
                    "token": services.access.create_token(worker, days=_TOKEN_DAYS)[0],
                }
                for role, (worker, name) in sorted(by_role.items())
                if with_tokens
            ]  # fmt: skip
        if as_json:
            print_json({"board": BOARD, "added": msgspec.to_builtins(loaded), "tokens": people})
            return
        click.echo(
            f"The board {BOARD} is loaded: {counted(loaded.items, 'item')} and "
            f"{counted(loaded.workers, 'worker')} added, {counted(loaded.operations, 'operation')}."
        )
        if people:
            columns = ["id", "name", "role", "token"]
            print_table(columns, [[person[each] for each in columns] for person in people])

    return demo
