"""``flask demo``: sample data for trying the service."""

from __future__ import annotations

import click
import msgspec

from occupancy.cli.command import Commands, connected, json_option
from occupancy.cli.output import print_json, print_table, progress
from occupancy.core.texts.plurals import counted
from occupancy.sample.content import BOARD, ITEM_COUNT, WORKERS
from occupancy.sample.loading import give_pins, load
from occupancy.sample.removal import unload

_TOKEN_DAYS = 30

group = Commands("demo", help="Sample data for trying the service.")


@group.command("load")
@click.option("--pins", "with_pins", is_flag=True,
    help="Give the sample's workers random PINs and print them. Do not use it on a server "
    "that outsiders can reach.")  # fmt: skip
@click.option("--tokens", "with_tokens", is_flag=True,
    help=f"Make and print a token for one worker of each role, valid for {_TOKEN_DAYS} days.",
)  # fmt: skip
@json_option
def load_(with_pins: bool, with_tokens: bool, as_json: bool) -> None:
    """Load a sample board with workers and items. Loading it again changes nothing."""
    with connected() as services:
        with progress(ITEM_COUNT, "Loading") as advance:
            loaded = load(services.store, services.workers, advance)
        pins = give_pins(services.workers) if with_pins else {}
        by_role = {role: worker for worker, _, role in reversed(WORKERS)}
        tokens = {
            worker: services.tokens.create(worker, days=_TOKEN_DAYS)[0]
            for worker in by_role.values()
            if with_tokens
        }
        if pins or tokens:
            services.audit_outbox.leave(
                "sample_loaded", pins=",".join(pins), tokens=",".join(tokens)
            )
    people = [
        {
            "id": worker, "name": name, "role": role.label,
            **({"pin": pins[worker]} if worker in pins else {}),
            **({"token": tokens[worker]} if worker in tokens else {}),
        }
        for worker, name, role in sorted(WORKERS, key=lambda each: each[2])
        if worker in pins or worker in tokens
    ]  # fmt: skip
    if as_json:
        print_json({"board": BOARD, "added": msgspec.to_builtins(loaded), "people": people})
        return
    click.echo(
        f"The board {BOARD} is loaded: {counted(loaded.items, 'item')} and "
        f"{counted(loaded.workers, 'worker')} added, {counted(loaded.operations, 'operation')}."
    )
    if people:
        given = [("pin", pins), ("token", tokens)]
        columns = ["id", "name", "role", *(name for name, made in given if made)]
        print_table(columns, [[person.get(each, "") for each in columns] for person in people])


@group.command("unload")
@json_option
def unload_(as_json: bool) -> None:
    """Remove the sample, and nothing else.

    An item goes if its title and attributes are the sample's, whatever was tried on it; a person,
    if name, role and PIN are. The output says what stays, and why.
    """
    with connected() as services:
        unloaded = unload(services, recording=services.audit_outbox.recording)
        if unloaded.boards or unloaded.workers or unloaded.items:
            services.audit_outbox.leave(
                "sample_unloaded", boards=unloaded.boards, workers=unloaded.workers,
                items=unloaded.items,
            )  # fmt: skip
    if as_json:
        print_json({**msgspec.to_builtins(unloaded), "kept": [str(each) for each in unloaded.kept]})
        return
    numbers = [
        counted(unloaded.items, "item"), counted(unloaded.boards, "board"),
        counted(unloaded.workers, "worker"),
    ]  # fmt: skip
    click.echo(f"Removed {', '.join(numbers)} of the sample.")
    for each in unloaded.kept:
        click.echo(f"Kept: {each}.")
