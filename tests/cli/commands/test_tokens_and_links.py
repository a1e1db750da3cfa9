"""Commands about tokens and links."""

from __future__ import annotations

import dataclasses

import pytest

from occupancy.core.entities import Role
from occupancy.core.errors import Unauthenticated
from occupancy.core.principal import Credential, digest_of
from occupancy.services import Services
from tests.cli.command_line import Run, answer, error


def test_a_workers_link_signs_in_once(
    run: Run, shop: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OCCUPANCY_URL", "https://board.example.com/")
    result = run("workers", "link", "93")
    assert result.exit_code == 0
    url, _, secret = result.stdout.strip().partition("#")
    assert url == "https://board.example.com/sign-in"
    assert "once" in result.stderr or "one sign-in" in result.stderr
    _, session = shop.sign_in.with_link(secret, address="192.0.2.1")
    assert session.worker == "93"
    with pytest.raises(Unauthenticated):
        shop.sign_in.with_link(secret, address="192.0.2.1")


def test_unknown_and_disabled_workers_get_no_link(run: Run, shop: Services) -> None:
    assert error(run("workers", "link", "5")) == "There is no worker 5."
    run("workers", "disable", "93")
    assert error(run("workers", "link", "93")) == "Worker 93 is disabled; enable them first."


def test_a_token_is_printed_once_alone_on_a_line_and_lets_in(run: Run, shop: Services) -> None:
    result = run("tokens", "create", "93", "--days", "3")
    secret = result.stdout.strip()
    assert shop.authenticator.identify(Credential("token", digest_of(secret))).worker.id == "93"
    for args in (["list"], ["list", "--json"]):
        assert secret not in run("tokens", *args).output


def test_a_revoked_token_is_gone(run: Run, shop: Services) -> None:
    made = answer(run("tokens", "create", "93", "--json"))
    assert made["expires"] is None
    listed = answer(run("tokens", "list", "--json"))["tokens"]
    assert [each["id"] for each in listed] == [made["id"]]
    assert made["id"] in run("tokens", "revoke", made["id"]).stdout
    assert answer(run("tokens", "list", "--json"))["tokens"] == []


def test_an_unknown_worker_gets_no_token(run: Run) -> None:
    assert error(run("tokens", "create", "5")) == "There is no worker 5."


def test_a_token_is_narrowed_to_role_and_board(run: Run, shop: Services) -> None:
    run("boards", "create", "hall")
    args = ["93", "--role", "observer", "--board", "hall", "--json"]
    made = answer(run("tokens", "create", *args))
    assert (made["role"], made["board"]) == ("observer", "hall")
    principal = shop.authenticator.identify(Credential("token", digest_of(made["token"])))
    assert (principal.role, principal.board) == (Role.OBSERVER, "hall")


def test_a_token_is_given_no_more_than_there_is(run: Run, shop: Services) -> None:
    create = ["tokens", "create", "93"]
    assert "Worker 93 is worker" in error(run(*create, "--role", "supervisor"))
    assert error(run(*create, "--board", "nowhere")) == "There is no board nowhere."
    for wrong in (["--days", "0"], ["--days", "36501"], ["--role", "boss"], ["--board", "a b"]):
        assert run(*create, *wrong).exit_code != 0
    assert shop.tokens.all() == []


def test_a_wallboards_link_signs_in_with_the_token(run: Run, shop: Services) -> None:
    result = run("tokens", "create", "93", "--role", "observer", "--board", "main", "--link")
    url, _, secret = result.stdout.strip().partition("#")
    assert url == "http://127.0.0.1:8000/sign-in"
    assert secret not in result.stderr
    principal = shop.authenticator.identify(Credential("token", digest_of(secret)))
    opened, _ = shop.sign_in.with_token(principal, address="192.0.2.1")
    wall = shop.authenticator.identify(Credential("session", digest_of(opened)))
    assert (wall.role, wall.board, wall.idle_s) == (Role.OBSERVER, "main", None)


def test_the_list_of_tokens_has_their_limits_and_last_use(run: Run, shop: Services) -> None:
    unused = answer(run("tokens", "create", "93", "--json"))
    used = answer(run("tokens", "create", "94", "--role", "observer", "--board", "main", "--json"))
    shop.authenticator.identify(Credential("token", digest_of(used["token"])))
    listed = {each["id"]: each for each in answer(run("tokens", "list", "--json"))["tokens"]}
    assert listed[unused["id"]]["last_used"] is None
    last_used = listed[used["id"]]["last_used"]
    table = run("tokens", "list").stdout.splitlines()
    assert table[0].split("  ")[-1].strip() == "last used (UTC)"
    row = next(line for line in table if used["id"] in line)
    for part in ("94", "observer", "main", last_used[:19].replace("T", " ")):
        assert part in row


def test_a_link_names_the_address_of_the_server_that_runs(
    run: Run, shop: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    def link(*args: str) -> str:
        return str(run(*args).stdout.partition("/sign-in#")[0])

    shown = ("workers", "link", "93"), ("tokens", "create", "93", "--link")
    assert [link(*each) for each in shown] == ["http://127.0.0.1:8000"] * 2
    shop.settings.state_path.mkdir(exist_ok=True)
    settings = dataclasses.replace(shop.settings, port=8471)
    server = Services(settings, shop.topology)
    server.start()
    server.drain()
    assert [link(*each) for each in shown] == ["http://127.0.0.1:8471"] * 2
    monkeypatch.setenv("OCCUPANCY_URL", "https://board.example.com/")
    assert [link(*each) for each in shown] == ["https://board.example.com"] * 2
