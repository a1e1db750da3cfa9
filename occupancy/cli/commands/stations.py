"""``flask stations``: shared tablets where a badge signs in."""

from __future__ import annotations

import click

from occupancy.access.stations.station import PAIRING_TTL_S
from occupancy.access.tokens import optional_time
from occupancy.cli.command import Commands, check_board, connected, json_option
from occupancy.cli.output import print_json, print_result, print_table, timestamp
from occupancy.core.entities import COMMAND_LINE
from occupancy.storage import public_url

group = Commands("stations", help="Stations: shared tablets where a badge signs in.")


@group.command("add")
@click.argument("name")
@click.option("--board", callback=check_board, help="For this board only.")
@json_option
def add(name: str, board: str | None, as_json: bool) -> None:
    """Make the station NAME, and print the link that pairs a tablet, once, within the hour."""
    with connected() as services:
        if board is not None:
            services.store.boards.get(board)
        with services.audit_outbox.recording(
            "station_added", name=name, board=board, station=None
        ) as told:
            secret, station = services.stations.create(name, by=COMMAND_LINE.id, board=board)
            told.update(station=station.id)
        link = f"{public_url.read(services.settings)}/sign-in#{secret}"
    if as_json:
        print_json({"station": station.as_dict(), "link": link, "expires_in_s": PAIRING_TTL_S})
        return
    click.echo(link)
    minutes = PAIRING_TTL_S // 60
    click.echo(f"Open it on the tablet within {minutes} minutes: it pairs one browser.", err=True)


@group.command("list")
@json_option
def list_(as_json: bool) -> None:
    """List all stations by id, oldest first."""
    with connected() as services:
        found = services.stations.all()
    if as_json:
        print_json({"stations": [each.station.as_dict(each.used_s) for each in found]})
        return
    print_table(
        ["id", "name", "board", "paired (UTC)", "last used (UTC)"],
        [
            [station.id, station.name, station.board, _timestamp(station.paired_s),
             _timestamp(used_s)]
            for station, used_s in found
        ],
    )  # fmt: skip


@group.command("revoke")
@click.argument("station_id", metavar="ID")
@json_option
def revoke(station_id: str, as_json: bool) -> None:
    """Revoke the station ID, or the link that would pair it; sessions by badge there end too."""
    with connected() as services:
        station = services.stations.find(station_id)
        with services.audit_outbox.recording(
            "station_revoked", station=station.id, name=station.name
        ):
            services.stations.revoke(station.id)
    text = f"The station {station.name} ({station.id}) is revoked."
    print_result(as_json, station.as_dict(), text)


def _timestamp(time_s: int | None) -> str | None:
    text = optional_time(time_s)
    return text and timestamp(text)
