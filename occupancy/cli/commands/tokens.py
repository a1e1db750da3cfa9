"""``flask tokens``: the credentials of programs and wallboards."""

from __future__ import annotations

import click

from occupancy.access.tokens import optional_time
from occupancy.cli.command import Commands, check_board, check_worker, connected, json_option
from occupancy.cli.output import print_json, print_result, print_table, timestamp
from occupancy.core.entities import Role
from occupancy.core.requests.access import MAX_TOKEN_DAYS
from occupancy.storage import public_url

group = Commands("tokens", help="Tokens: credentials for programs and wallboards.")


@group.command("create")
@click.argument("worker", callback=check_worker)
@click.option("--days", type=click.IntRange(1, MAX_TOKEN_DAYS), help="Expires after N days.")
@click.option("--role", type=click.Choice([role.label for role in Role]),
    help="Less than the worker's own role.")  # fmt: skip
@click.option("--board", callback=check_board, help="For this board only.")
@click.option("--link", "as_link", is_flag=True,
    help="Print a link to open on a wallboard: it signs in with the token and keeps it out of "
    "the logs of proxies.")  # fmt: skip
@json_option
def create(
    *, worker: str, days: int | None, role: str | None, board: str | None, as_link: bool,
    as_json: bool,
) -> None:  # fmt: skip
    """Make a token for WORKER and print it once; only its hash is stored."""
    with connected() as services:
        if board is not None:
            services.store.boards.get(board)
        secret, token = services.tokens.create(
            worker, days=days, board=board, role=Role.of(role) if role is not None else None
        )
        services.audit_outbox.leave(
            "token_added", worker=worker, token=token.id, role=token.role, board=token.board
        )
        link = f"{public_url.read(services.settings)}/sign-in#{secret}"
    if as_json:
        print_json({"token": secret, "link": link, **token.as_dict()})
        return
    click.echo(link if as_link else secret)
    if token.expires_s is None:
        until = "does not expire"
    else:
        until = f"expires on {_timestamp(token.expires_s)} UTC"
    click.echo(f"Token {token.id} of {worker}; it {until} and is not shown again.", err=True)


@group.command("list")
@json_option
def list_(as_json: bool) -> None:
    """List all tokens by id, oldest first."""
    with connected() as services:
        found = services.tokens.all()
    if as_json:
        print_json({"tokens": [each.token.as_dict(each.used_s) for each in found]})
        return
    print_table(
        ["id", "worker", "role", "board", "created (UTC)", "expires (UTC)", "last used (UTC)"],
        [
            [token.id, token.worker, token.role, token.board, _timestamp(token.created_s),
             _timestamp(token.expires_s), _timestamp(used_s)]
            for token, used_s in ((each.token, each.used_s) for each in found)
        ],
    )  # fmt: skip


@group.command("revoke")
@click.argument("token_id", metavar="ID")
@json_option
def revoke(token_id: str, as_json: bool) -> None:
    """Revoke the token ID (see 'flask tokens list')."""
    with connected() as services:
        token = services.tokens.find(token_id)
        with services.audit_outbox.recording("token_revoked", worker=token.worker, token=token.id):
            services.tokens.revoke(token.id)
    print_result(as_json, token.as_dict(), f"The token {token.id} of {token.worker} is revoked.")


def _timestamp(time_s: int | None) -> str | None:
    text = optional_time(time_s)
    return text and timestamp(text)
