"""``flask workers``: the people and programs that may act, and their roles."""

from __future__ import annotations

import sys
from typing import Any, BinaryIO

import click

from occupancy.access.links import LINK_TTL_S
from occupancy.access.pins import hash_pin
from occupancy.access.tokens import optional_time
from occupancy.access.workers import worker_as_dict
from occupancy.cli.command import Commands, check_worker, connected, json_option
from occupancy.cli.imports import chosen_encoding, encoding_option, print_report
from occupancy.cli.output import print_json, print_result, print_table, progress, timestamp
from occupancy.core.entities import COMMAND_LINE, Role, Worker
from occupancy.core.requests.checks import check_text
from occupancy.storage import public_url
from occupancy.tables.imports.worker_import import import_workers, read_workers

_ROLES = [role.label for role in Role]

group = Commands("workers", help="Workers: people and programs that may act.")


@group.command("add")
@click.argument("worker_id", metavar="ID", callback=check_worker)
@click.option("--name", required=True, help="The name that others see.")
@click.option("--role", required=True, type=click.Choice(_ROLES), help="What they may do.")
@click.option("--pin", prompt=True, prompt_required=False, hide_input=True, metavar="[PIN]",
    help="For sign-in at a screen: 4 to 12 digits that are hard to guess, or a phrase of 8 "
    "characters or more. "
    "Without a value the command asks for it, which keeps it out of the shell's history.",
)  # fmt: skip
@json_option
def add(worker_id: str, name: str, role: str, pin: str | None, as_json: bool) -> None:
    """Add the worker ID."""
    check_text("The name", name)
    pin_hash = hash_pin(pin, worker_id) if pin is not None else None
    with connected() as services:
        fields = "name,role" if pin is None else "name,role,pin"
        with services.audit_outbox.recording(
            "worker_added", worker=worker_id, role=role, fields=fields, disabled=False
        ):
            worker = services.workers.add(
                worker_id, name=name, role=Role.of(role), pin_hash=pin_hash
            )
    _print_worker(worker, "is added", as_json)


@group.command("import")
@click.argument("file", type=click.File("rb"))
@encoding_option
@json_option
def import_(file: BinaryIO, encoding: str, as_json: bool) -> None:
    """Add or update workers from the CSV file FILE ('-': standard input).

    The columns are id, name, role (observer, worker, supervisor or admin) and optionally pin;
    an empty cell keeps the worker's PIN. Every good row is imported. The exit status is 0 if
    all rows were imported and 1 if some were rejected.
    """
    data = file.read()
    encoding = chosen_encoding(data, encoding)
    rows = read_workers(data, encoding=encoding)
    with connected() as services, progress(len(rows), "Importing") as advance:
        report = import_workers(services.workers, rows, on_progress=advance)
        services.audit_outbox.leave("workers_imported", added=report.added, updated=report.updated)
    print_report(report, as_json, encoding)


@group.command("list")
@json_option
def list_(as_json: bool) -> None:
    """List all workers."""
    with connected() as services:
        found = services.workers.all()
    if as_json:
        print_json({"workers": [worker_as_dict(worker) for worker in found]})
        return
    print_table(
        ["id", "name", "role", "disabled", "pin"],
        [[w.id, w.name, w.role, w.disabled, w.pin_hash is not None] for w in found],
    )


@group.command("disable")
@click.argument("worker_id", metavar="ID", callback=check_worker)
@json_option
def disable(worker_id: str, as_json: bool) -> None:
    """Disable the worker ID: it can no longer sign in. It keeps its holds."""
    _edit(worker_id, "is disabled", as_json, disabled=True)


@group.command("enable")
@click.argument("worker_id", metavar="ID", callback=check_worker)
@json_option
def enable(worker_id: str, as_json: bool) -> None:
    """Enable the worker ID again."""
    _edit(worker_id, "is enabled", as_json, disabled=False)


@group.command("pin")
@click.argument("worker_id", metavar="ID", callback=check_worker)
@click.option("--pin", prompt=True, hide_input=True, confirmation_prompt=True,
    help="The new PIN; without a value the command asks for it.")  # fmt: skip
@json_option
def pin_(worker_id: str, pin: str, as_json: bool) -> None:
    """Give the worker ID a new PIN, and end all its sessions."""
    _edit(worker_id, "has a new PIN", as_json, pin_hash=hash_pin(pin, worker_id))


@group.command("link")
@click.argument("worker_id", metavar="ID", callback=check_worker)
def link(worker_id: str) -> None:
    """Print a link that signs the worker ID in once, within the hour."""
    with connected() as services:
        secret = services.links.create(worker_id)
        services.audit_outbox.leave("link_added", worker=worker_id)
        url = public_url.read(services.settings)
    click.echo(f"{url}/sign-in#{secret}")
    click.echo(f"Good for one sign-in within {LINK_TTL_S // 60} minutes.", err=True)


@group.command("sign-out")
@click.argument("worker_id", metavar="ID", callback=check_worker)
@json_option
def sign_out(worker_id: str, as_json: bool) -> None:
    """End every session of the worker ID on all devices. Tokens stay valid."""
    with (
        connected() as services,
        services.audit_outbox.recording("signed_out_everywhere", worker=worker_id),
    ):
        worker = services.workers.sign_out(worker_id)
    _print_worker(worker, "is signed out everywhere", as_json)


badge_group = Commands("badge", help="Badges: codes that sign a worker in at a paired station.")
group.add_command(badge_group)


@badge_group.command("add")
@click.argument("worker_id", metavar="ID", callback=check_worker)
@click.option("--label", help="What to call the badge, for example its colour.")
@json_option
def badge_add(worker_id: str, label: str | None, as_json: bool) -> None:
    """Give the worker ID a badge. The command asks for its code: scan it, or type it.

    Without a terminal it reads the code from standard input. It is no argument, because others can
    read those. Only a keyed hash of it is stored.
    """
    code = _read_code()
    with (
        connected() as services,
        services.audit_outbox.recording("badge_added", worker=worker_id, badge=None) as told,
    ):
        badge, is_new = services.badges.add(worker_id, code, by=COMMAND_LINE.id, label=label)
        told.update(badge=badge.id)
    result = "is added" if is_new else "was there already"
    print_result(as_json, badge.as_dict(), f"The badge {badge.id} of {worker_id} {result}.")


@badge_group.command("list")
@click.argument("worker_id", metavar="[ID]", required=False, callback=check_worker)
@json_option
def badge_list(worker_id: str | None, as_json: bool) -> None:
    """List the badges of the worker ID, or of all workers. Their codes are not stored."""
    with connected() as services:
        found = services.badges.with_uses(worker_id)
    if as_json:
        print_json({"badges": [each.as_dict(used_s) for each, used_s in found]})
        return
    print_table(
        ["id", "worker", "label", "ending", "added (UTC)", "added by", "last used (UTC)"],
        [
            [each.id, each.worker, each.label, each.ending,
             timestamp(optional_time(each.created_s) or ""), each.by,
             timestamp(optional_time(used_s) or "")]
            for each, used_s in found
        ],
    )  # fmt: skip


@badge_group.command("remove")
@click.argument("worker_id", metavar="ID", callback=check_worker)
@click.argument("badge_id", metavar="BADGE")
@json_option
def badge_remove(worker_id: str, badge_id: str, as_json: bool) -> None:
    """Take the badge BADGE (see 'flask workers badge list') from the worker ID."""
    with connected() as services:
        badge = services.badges.find_by_id(worker_id, badge_id)
        with services.audit_outbox.recording("badge_removed", worker=worker_id, badge=badge.id):
            services.badges.remove(worker_id, badge.id)
    print_result(as_json, badge.as_dict(), f"The badge {badge.id} of {worker_id} is removed.")


def _read_code() -> str:
    if sys.stdin.isatty():
        return str(click.prompt("Code", hide_input=True))
    return sys.stdin.readline(1000).rstrip("\r\n")


def _edit(worker_id: str, result: str, as_json: bool, **changes: Any) -> None:
    with connected() as services:
        fields = ",".join(name.removesuffix("_hash") for name in changes)
        with services.audit_outbox.recording(
            "worker_edited", worker=worker_id, role=None, fields=fields,
            disabled=changes.get("disabled"),
        ) as told:  # fmt: skip
            worker = services.workers.edit(worker_id, **changes)
            told.update(role=worker.role, disabled=worker.disabled)
    _print_worker(worker, result, as_json)


def _print_worker(worker: Worker, result: str, as_json: bool) -> None:
    text = f"The {worker.role} {worker.name} ({worker.id}) {result}."
    print_result(as_json, worker_as_dict(worker), text)
