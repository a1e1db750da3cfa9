"""Commands about workers, their PINs and their sessions."""

from __future__ import annotations

import pytest

from occupancy.access.pins import is_pin
from occupancy.core.principal import Credential, digest_of
from occupancy.services import Services
from tests.cli.command_line import Run, answer, error


def test_a_worker_is_added_disabled_and_enabled(run: Run) -> None:
    added = answer(
        run("workers", "add", "93", "--name", "Marta", "--role", "worker", "--pin", "2580",
            "--json")
    )  # fmt: skip
    assert added == {
        "id": "93", "name": "Marta", "role": "worker", "disabled": False, "has_pin": True,
    }  # fmt: skip
    assert answer(run("workers", "disable", "93", "--json"))["disabled"] is True
    assert run("workers", "list").stdout.splitlines()[1].split() == [
        "93", "Marta", "worker", "yes", "yes",
    ]  # fmt: skip
    run("workers", "enable", "93")
    assert answer(run("workers", "list", "--json"))["workers"] == [added]


def test_the_last_administrator_is_not_disabled(run: Run) -> None:
    run("workers", "add", "1", "--name", "Ana", "--role", "admin")
    assert error(run("workers", "disable", "1")) == (
        "Ana (1) is the only active administrator. Make somebody else an administrator first."
    )
    run("workers", "add", "2", "--name", "Eva", "--role", "admin")
    assert answer(run("workers", "disable", "1", "--json"))["disabled"] is True


@pytest.mark.parametrize(
    "pin", ["", "123", "1234567890123", "short", "abc" * 67, "pass\tphrase", "1234"]
)
def test_a_pin_that_is_easily_guessed_is_refused(run: Run, pin: str) -> None:
    args = ["workers", "add", "93", "--name", "Marta", "--role", "worker", "--pin", pin]
    assert "PIN" in error(run(*args))
    assert answer(run("workers", "list", "--json"))["workers"] == []


def test_a_workers_own_id_is_refused_as_a_pin(run: Run) -> None:
    args = ["workers", "add", "5813", "--name", "Marta", "--role", "worker", "--pin"]
    assert "the worker's id" in error(run(*args, "5813"))
    assert run(*args, "5814").exit_code == 0
    assert "the worker's id" in error(run("workers", "pin", "5813", "--pin", "5813"))


def test_a_pin_without_a_value_is_asked_for(run: Run, valkey_services: Services) -> None:
    args = ["workers", "add", "93", "--name", "Marta", "--role", "worker", "--pin"]
    result = run(*args, stdin="2580\n")
    assert result.exit_code == 0
    assert "2580" not in result.output
    assert valkey_services.workers.get("93").pin_hash is not None


@pytest.fixture
def signed_in(shop: Services) -> Credential:
    """A session of worker 93, opened by a link."""
    secret, _ = shop.sign_in.with_link(shop.links.create("93"), address="192.0.2.1")
    return Credential("session", digest_of(secret))


def is_good(shop: Services, credential: Credential) -> bool:
    return shop.authenticator.revalidate([credential]) != [None]


def test_a_new_pin_ends_the_sessions_of_its_worker(
    run: Run, shop: Services, signed_in: Credential
) -> None:
    assert is_good(shop, signed_in)
    result = run("workers", "pin", "93", "--pin", "2580")
    assert result.stdout == "The worker Marta (93) has a new PIN.\n"
    assert not is_good(shop, signed_in)
    assert is_pin("2580", shop.workers.get("93").pin_hash)
    assert shop.workers.get("94").pin_hash is None


def test_a_new_pin_is_asked_for_twice_and_not_shown(run: Run, shop: Services) -> None:
    result = run("workers", "pin", "93", stdin="2580\n2580\n")
    assert result.exit_code == 0, result.output
    assert "2580" not in result.output
    assert is_pin("2580", shop.workers.get("93").pin_hash)
    run("workers", "pin", "93", stdin="1111\n2222\n2580\n")  # two PINs differ, input ends
    assert is_pin("2580", shop.workers.get("93").pin_hash)


def test_a_refused_pin_or_an_unknown_worker_changes_nothing(run: Run, shop: Services) -> None:
    assert "PIN" in error(run("workers", "pin", "93", "--pin", "123"))
    assert error(run("workers", "pin", "5", "--pin", "2580")) == "There is no worker 5."
    assert [each.pin_hash for each in shop.workers.all()] == [None, None]


def test_signing_out_everywhere_ends_sessions_and_leaves_tokens_good(
    run: Run, shop: Services, signed_in: Credential
) -> None:
    secret, _ = shop.tokens.create("93")
    answer(run("workers", "sign-out", "93", "--json"))
    assert not is_good(shop, signed_in)
    assert is_good(shop, Credential("token", digest_of(secret)))
    assert error(run("workers", "sign-out", "5")) == "There is no worker 5."


def test_no_pin_hash_is_ever_printed(run: Run, valkey_services: Services) -> None:
    added = ["add", "93", "--name", "Marta", "--role", "worker", "--pin", "2580", "--json"]
    printed = [run("workers", *added).output]
    for args in (
        ["list"], ["list", "--json"], ["disable", "93"], ["disable", "93", "--json"],
        ["enable", "93"], ["enable", "93", "--json"], ["sign-out", "93", "--json"],
        ["link", "93"],
    ):  # fmt: skip
        result = run("workers", *args)
        assert result.exit_code == 0, result.output
        printed.append(result.output)
    pin_hash = valkey_services.workers.get("93").pin_hash
    assert pin_hash is not None
    for part in pin_hash.split("$"):  # the method, the salt and the hash
        assert [each for each in printed if part in each] == []


def test_workers_are_imported(run: Run) -> None:
    text = "id,name,role,pin\n93,Marta,worker,2580\n94,Iván,boss,\n"
    result = run("workers", "import", "-", stdin=text)
    assert error(result) == "1 of 2 rows rejected."
    assert result.stdout.splitlines() == [
        "line 3 (94): role 'boss' is none of observer, worker, supervisor, admin",
        "1 added, 0 updated, 0 unchanged, 1 rejected",
    ]
