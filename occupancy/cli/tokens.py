"""``flask tokens``: what a worker's browser or program shows to be let in."""

from __future__ import annotations

import datetime
import time
from typing import Any

import click

from ..access import Token
from .command import Commands, check_worker, connected, json_option
from .output import print_json, print_table

_MOST_DAYS = 36_500


def group() -> Commands:
    tokens = Commands("tokens", help="Tokens: how workers are let in.")

    @tokens.command("create")
    @click.argument("worker", callback=check_worker)
    @click.option("--days", type=click.IntRange(1, _MOST_DAYS), help="Expires after N days.")
    @json_option
    def create(worker: str, days: int | None, as_json: bool) -> None:
        """Make a token for WORKER and print it: once, for only its hash is stored."""
        with connected() as services:
            secret, token = services.access.create_token(worker, days=days)
        if as_json:
            print_json({"token": secret, **_as_json(token)})
            return
        click.echo(secret)
        if token.expires_s is None:
            until = "does not expire"
        else:
            until = f"expires on {_moment(token.expires_s)} UTC"
        click.echo(f"Token {token.id} of {worker}; it {until} and is not shown again.", err=True)

    @tokens.command("list")
    @json_option
    def list_(as_json: bool) -> None:
        """List all tokens by their ids, the oldest first."""
        with connected() as services:
            found = services.access.tokens()
        if as_json:
            print_json({"tokens": [_as_json(token) for token in found]})
            return
        print_table(
            ["id", "worker", "created (UTC)", "expires (UTC)", "expired"],
            [
                [each.id, each.worker, _moment(each.created_s), _moment(each.expires_s),
                 _is_expired(each)]
                for each in found
            ],
        )  # fmt: skip

    @tokens.command("revoke")
    @click.argument("token_id", metavar="ID")
    @json_option
    def revoke(token_id: str, as_json: bool) -> None:
        """Let nobody in any more with the token ID (see 'flask tokens list')."""
        with connected() as services:
            token = services.access.revoke_token(token_id)
        if as_json:
            print_json(_as_json(token))
        else:
            click.echo(f"The token {token.id} of {token.worker} is revoked.")

    return tokens


def _as_json(token: Token) -> dict[str, Any]:
    return {
        "id": token.id,
        "worker": token.worker,
        "created": _rfc3339(token.created_s),
        "expires": _rfc3339(token.expires_s),
        "expired": _is_expired(token),
    }


def _is_expired(token: Token) -> bool:
    return token.expires_s is not None and token.expires_s <= time.time()


def _rfc3339(moment_s: int | None) -> str | None:
    if moment_s is None:
        return None
    return f"{datetime.datetime.fromtimestamp(moment_s, datetime.UTC):%Y-%m-%dT%H:%M:%SZ}"


def _moment(moment_s: int | None) -> str | None:
    text = _rfc3339(moment_s)
    return text and text[:19].replace("T", " ")
