"""PINs: which are taken, and which somebody would try first."""

from __future__ import annotations

import json
import secrets
from typing import Any

import pytest
from werkzeug.security import generate_password_hash

from occupancy.access import pins
from occupancy.access.pins import hash_pin, is_pin, random_pin
from occupancy.core.errors import InvalidRequest
from tests.support.deployment import ROOT
from tests.support.tablets import cheap_hash

CASES = json.loads((ROOT / "tests/js/pins.json").read_text())


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
    is_example = pin in ("1111", "1212", "1234", "9876")  # in the advice, whoever is refused
    assert refused.value.detail.count(pin) == is_example


@pytest.mark.parametrize("pin", ["1223", "1122", "1235", "2580", "1213", "abcdefgh"])
def test_a_pin_that_only_looks_like_one_of_those_is_none(pin: str) -> None:
    assert hash_pin(pin)


@pytest.mark.parametrize("case", CASES, ids=lambda case: ascii(case["pin"]))
def test_the_pages_have_the_same_rule(case: dict[str, Any]) -> None:
    if case["allowed"]:
        assert hash_pin(case["pin"], case.get("worker", ""))
    else:
        with pytest.raises(InvalidRequest):
            hash_pin(case["pin"], case.get("worker", ""))


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


COMPOSED, DECOMPOSED = "contrase\u00f1a m\u00ed", "contrasen\u0303a mi\u0301"


@pytest.mark.parametrize("pin", [COMPOSED, DECOMPOSED, "contrase\u00f1a\u00a0m\u00ed"])
@pytest.mark.parametrize("typed", [COMPOSED, DECOMPOSED, "contrasen\u0303a\u202fm\u00ed"])
def test_a_phrase_lets_in_whichever_form_a_keyboard_gives_its_accents_and_spaces(
    monkeypatch: pytest.MonkeyPatch, pin: str, typed: str
) -> None:
    monkeypatch.setattr(pins, "generate_password_hash", cheap_hash)
    pin_hash = hash_pin(pin)
    assert is_pin(typed, pin_hash)
    assert not is_pin("contrasena mi", pin_hash)
    assert not is_pin(typed.upper(), pin_hash)


@pytest.mark.parametrize("stored", [COMPOSED, DECOMPOSED])
@pytest.mark.parametrize("typed", [COMPOSED, DECOMPOSED])
def test_a_phrase_that_was_hashed_as_it_was_typed_still_lets_in(stored: str, typed: str) -> None:
    assert is_pin(typed, cheap_hash(stored))


def test_the_rules_for_a_pin_are_those_of_the_form_that_is_hashed() -> None:
    with pytest.raises(InvalidRequest, match="8 to 200"):
        hash_pin("e\u0301" * 3 + "abcd")  # 7 characters
    with pytest.raises(InvalidRequest, match="Take one that"):
        hash_pin("\u00e9e\u0301" * 4)  # the same one, in two forms
    assert hash_pin("pru\u0301ebalo bien") == "hash of pr\u00faebalo bien"


def test_digits_cost_one_hash_and_what_has_no_accent_too(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def is_right(_: str, pin: str) -> bool:
        asked.append(pin)
        return False

    monkeypatch.setattr(pins, "check_password_hash", is_right)
    for pin in ("2580", "a phrase of mine"):
        assert not is_pin(pin, "hash")
    assert asked == ["2580", "a phrase of mine"]
