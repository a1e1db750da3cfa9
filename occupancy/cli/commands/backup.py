"""``flask backup`` and ``flask restore``: everything that a deployment keeps, in one file."""

from __future__ import annotations

import time
from pathlib import Path

import click
import msgspec

from occupancy.cli.backup import file
from occupancy.cli.backup.file import Header, Trailer
from occupancy.cli.backup.reader import Reader
from occupancy.cli.backup.restorer import Restorer
from occupancy.cli.command import Command, connected, json_option
from occupancy.cli.output import print_result, progress
from occupancy.core.errors import BackupError
from occupancy.core.texts.plurals import counted
from occupancy.core.timestamps import iso_text

_FILE = click.argument("path", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False))


@click.command("backup", cls=Command)
@_FILE
@json_option
def backup(path: Path, as_json: bool) -> None:
    """Write boards, people, PINs and tokens to FILE, while work goes on.

    PINs and tokens are in it as hashes, sessions are not. Keep the file as secret as the server.
    Each board is of one instant. FILE must not exist; it appears when it is complete and was read
    back.
    """
    with connected() as services:
        client, keys = services.store.client, services.store.keys
        if client.exists(keys.restoring):
            raise BackupError(
                "A restore has not ended, so the data is not whole. Wait for its end, or restore "
                "again."
            )
        reader = Reader(client, keys)
        header = Header(at=iso_text(time.time()), boards=reader.find())
        with file.created(path) as stream:
            writer = file.Writer(stream, header)
            counts = {"workers": 0, "tokens": 0, "events": 0}
            for board in header.boards:
                for record in reader.board(board):
                    writer.add(record)
                    if record.key == f"{{{board}}}:log":
                        counts["events"] += len(record.value)
            for record in reader.access():
                writer.add(record)
                name = record.key.removeprefix("{access}:")
                if name in counts and record.key != name:
                    counts[name] = len(record.value) // 2
            items = sum(len(each.versions) for each in reader.positions.values())
            with progress(items, "Histories") as advance:
                for record in reader.grown(advance):
                    writer.add(record)
            trailer = writer.finish(boards=len(header.boards), items=items, **counts)
        services.audit_outbox.leave("backup_written", file=path.name)
    _print(as_json, header, trailer, f"Wrote and read back {path}: ")


@click.command("restore", cls=Command)
@_FILE
@click.option("--without-tokens", is_flag=True,
    help="Leave out tokens and paired stations, also those revoked since then.")  # fmt: skip
@click.option("--discard-interrupted", is_flag=True,
    help="First remove what a restore has left that was interrupted.")  # fmt: skip
@json_option
def restore(path: Path, without_tokens: bool, discard_interrupted: bool, as_json: bool) -> None:
    """Read a backup from FILE onto an empty server, whose web server is stopped.

    It overwrites nothing, and leaves nothing if it fails. Epochs and versions go on above all that
    were ever counted, and pages load their boards again. PINs and tokens are those of the backup:
    what was changed or revoked since is to be changed or revoked again. Everybody signs in again.
    """
    with connected() as services:
        if processes := services.processes.all():
            raise BackupError(
                f"The web server runs ({counted(len(processes), 'process')}): stop it, restore, "
                "and start it again. A process that was killed is forgotten after some seconds."
            )
        _, trailer = file.verified(path)
        restorer = Restorer(services.store.client, services.store.keys)
        with progress(trailer.records, "Restoring") as advance:
            header, trailer = restorer.restore(
                path, has_tokens=not without_tokens, is_again=discard_interrupted, advance=advance
            )
        services.audit_outbox.leave("backup_restored", file=path.name, of=header.at)
    if without_tokens:
        trailer = msgspec.structs.replace(trailer, tokens=0)
    _print(as_json, header, trailer, f"Restored the backup of {header.at}: ")


def _print(as_json: bool, header: Header, trailer: Trailer, text: str) -> None:
    counts = msgspec.structs.asdict(trailer)
    numbers = [
        counted(counts[f"{noun}s"], noun) for noun in ("board", "item", "event", "worker", "token")
    ]
    result = {"at": header.at, "names": header.boards, **counts}
    print_result(as_json, result, f"{text}{', '.join(numbers)}.")


COMMANDS: list[click.Command] = [backup, restore]
