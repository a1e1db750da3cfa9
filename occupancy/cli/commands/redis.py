"""``flask redis``: the connections, the fitness of the server, and the repair of its data."""

from __future__ import annotations

import os
from typing import Any

import click
import msgspec

from occupancy.cli.command import Commands, connected, fail, json_option
from occupancy.cli.doctor import Check, examine
from occupancy.cli.output import print_fields, print_json, print_table, timestamp
from occupancy.core.settings import Settings
from occupancy.core.texts.plurals import counted
from occupancy.storage.embedded import append_only_file

group = Commands("redis", help="The server: its connections and its fitness.")


@group.command("stats")
@json_option
def stats(as_json: bool) -> None:
    """Show the connection budget, the server's count, and the pools of every process."""
    with connected() as services:
        found = services.process_report.connection_stats()
    if as_json:
        print_json(found)
        return
    for name in ("budget", "server"):
        click.echo(f"{name}:")
        print_fields({
            f"  {key}": "unknown" if value is None else value
            for key, value in found[name].items()
        })  # fmt: skip
    _print_servers(found)
    click.echo("workers:")
    print_table(
        ["  pid", "ops max", "in use", "idle", "waiting", "timeouts", "wait p50 ms", "p99 ms",
         "pubsub max", "in use", "streams", "slow", "resets"],
        [
            [
                f"  {worker['pid']}",
                *(worker["ops"][name] for name in ("max", "in_use", "idle", "waiting",
                                                   "timeouts")),
                *(worker["ops"]["wait_ms"][name] for name in ("p50", "p99")),
                *(worker["pubsub"][name] for name in ("max", "in_use")),
                *(worker["streams"][name] for name in ("open", "slow", "resets")),
            ]
            for worker in found["workers"]
        ],
    )  # fmt: skip


def _print_servers(found: dict[str, Any]) -> None:
    """The servers, the Sentinels and the promotions, where there are several servers."""
    if "servers" in found:
        click.echo("servers:")
        print_table(
            ["  address", "role", "status", "incarnation", "budget", "limit", "ops", "pubsub",
             "cli", "topology", "other", "maxclients", "boards"],
            [
                [
                    f"  {each['address']}", each["role"], each["status"], each["incarnation"],
                    *(
                        "unknown" if each[name] is None else each[name]
                        for name in ("used", "limit", "ops", "pubsub", "cli", "topology", "other",
                                     "maxclients")
                    ),
                    each["boards"]["count"] if each["boards"] else None,
                ]
                for each in found["servers"]
            ],
        )  # fmt: skip
    if "sentinels" in found:
        click.echo("sentinels:")
        print_table(
            ["  address", "status", "primary", "incarnation"],
            [
                [f"  {each['address']}", each["status"], each["primary"], each["incarnation"]]
                for each in found["sentinels"]
            ],
        )
    if found.get("promotions"):
        click.echo("promotions and slot moves of the last day:")
        print_table(
            ["  at (UTC)", "kind", "server", "epoch", "boards", "streams reset"],
            [
                [
                    f"  {timestamp(each['at'])}",
                    each["kind"].replace("_", " "),
                    each["server"],
                    each["incarnation"],
                    each["boards"],
                    each["streams"],
                ]
                for each in found["promotions"]
            ],
        )


@group.command("check")
@json_option
def check(as_json: bool) -> None:
    """Examine the server, and say what to change. The exit status is 1 if there is an error."""
    with connected() as services:
        checks = examine(services)
    if as_json:
        print_json({"checks": [_told(each) for each in checks]})
    else:
        width = max(len(each.name) for each in checks)
        server = ""
        for each in checks:
            if each.server != server:
                server = each.server
                click.echo(f"\n{server}:")
            click.echo(f"{each.level:<8} {each.name:<{width}}  {each.finding}")
            if each.advice:
                click.echo(f"{'':<8} {'':<{width}}  -> {each.advice}")
    errors = [
        f"{each.name} of {each.server}" if each.server else each.name
        for each in checks if each.level == "error"
    ]  # fmt: skip
    if errors:
        fail(f"{counted(len(errors), 'error')}: {', '.join(errors)}.")


def _told(check: Check) -> dict[str, Any]:
    """A check as JSON, without ``server`` where that is empty."""
    fields = msgspec.structs.asdict(check)
    return {name: value for name, value in fields.items() if name != "server" or value}


@group.command("repair")
@click.option("--yes", "is_confirmed", is_flag=True, help="Cut them off; else only report.")
def repair(is_confirmed: bool) -> None:
    """Cut off the zero bytes that a power failure left at the end of the embedded data.

    For an embedded server that does not start. The operations of the last second before the
    failure may be lost already; the repair loses nothing more.
    """
    settings = Settings.from_environ(os.environ)
    if not settings.is_embedded:
        fail("REDIS_URL is set: repair the data of that server with its own tools.")
    data_dir = settings.state_path / "valkey"
    with append_only_file.exclusive_access(data_dir):
        found = append_only_file.zero_tail(data_dir)
        if found is None:
            click.echo("The append-only file does not end in zero bytes; nothing to cut off.")
        elif is_confirmed:
            found.cut()
            click.echo(f"Cut {counted(found.zero_bytes, 'zero byte')} off {found.path}.")
        else:
            click.echo(f"{found.path} ends in {counted(found.zero_bytes, 'zero byte')}.")
            click.echo("Make a backup, then cut them off: flask redis repair --yes")
