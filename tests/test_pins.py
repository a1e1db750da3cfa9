"""PINs: which are taken, and which somebody would try first."""

from __future__ import annotations

import secrets

import pytest
from werkzeug.security import generate_password_hash

from occupancy import pins
from occupancy.errors import InvalidRequest
from occupancy.pins import hash_pin, is_pin, random_pin


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No hash is computed: what it costs is not the question here."""
    monkeypatch.setattr(pins, "generate_password_hash", lambda pin: f"hash of {pin}")


@pytest.mark.parametrize(
    "pin",
    [
        "0000", "1111", "99999999", "1212", "4747", "123123", "482482482", "aaaaaaaa", "abcdabcd",
        "1234", "0123", "456789", "7890", "123456789012", "4321", "3210", "9876", "10987",
    ],
)  # fmt: skip
def test_a_pin_that_others_would_try_first_is_refused_with_what_to_do(pin: str) -> None:
    with pytest.raises(InvalidRequest, match="Take one that") as refused:
        hash_pin(pin)
    assert f" {pin} " not in refused.value.detail


@pytest.mark.parametrize("pin", ["1223", "1122", "1235", "2580", "1213", "abcdefgh"])
def test_a_pin_that_only_looks_like_one_of_those_is_none(pin: str) -> None:
    assert hash_pin(pin)


def test_the_workers_own_id_is_no_pin() -> None:
    with pytest.raises(InvalidRequest, match="the worker's id"):
        hash_pin("5813", "5813")
    assert hash_pin("5813", "5814")


def test_a_pin_from_before_there_was_this_rule_still_lets_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.undo()
    assert is_pin("1234", generate_password_hash("1234"))


def test_a_random_pin_is_never_one_of_those(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = iter([1111, 123, 7])
    monkeypatch.setattr(secrets, "randbelow", lambda _: next(drawn))
    assert random_pin() == "0007"
