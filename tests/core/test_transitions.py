"""The model: the transition table against the promised one, roles, names."""

from __future__ import annotations

import re

import msgspec
import pytest

from occupancy.core.entities import (
    BOARD_PATTERN,
    CURSOR_PATTERN,
    STATES,
    STEP_PATTERN,
    TAG_PATTERN,
    WORKER_PATTERN,
    Item,
    Role,
    Worker,
    control_character,
)
from occupancy.core.transitions import PUT, REMOVE, TARGETS, TRANSITIONS

# operation: (least role, from, holder after, for the holder only, reason)
PROMISED = {
    "take": (Role.WORKER, {"available", "paused"}, "caller", False, "none"),
    "pause": (Role.WORKER, {"occupied"}, "nobody", True, "optional"),
    "complete": (Role.WORKER, {"occupied"}, "nobody", True, "none"),
    "undo": (Role.WORKER, {"available", "completed"}, "caller", False, "none"),
    "release": (Role.WORKER, {"occupied"}, "nobody", True, "none"),
    "force-release": (Role.SUPERVISOR, {"occupied"}, "nobody", False, "required"),
    "reassign": (Role.SUPERVISOR, {"occupied", "available", "paused"}, "to", False, "optional"),
    "block": (Role.SUPERVISOR, {"available", "paused", "occupied"}, "nobody", False, "required"),
    "unblock": (Role.SUPERVISOR, {"blocked"}, "nobody", False, "none"),
    "reopen": (Role.SUPERVISOR, {"completed"}, "nobody", False, "none"),
    "send-back": (
        Role.SUPERVISOR,
        {"available", "paused", "completed"},
        "nobody",
        False,
        "required",
    ),
}
EVENTS = {
    "added", "updated", "removed", "taken", "paused", "completed", "released", "force_released",
    "reassigned", "blocked", "unblocked", "reopened", "undone", "sent_back",
}  # fmt: skip


def test_the_table_has_the_promised_operations() -> None:
    assert set(TRANSITIONS) == set(PROMISED)
    assert set(STATES) == {"available", "occupied", "paused", "blocked", "completed"}


@pytest.mark.parametrize("operation", PROMISED)
def test_a_row_is_as_promised(operation: str) -> None:
    row = TRANSITIONS[operation]
    found = (row.role, set(row.sources), row.holder, row.holder_only, row.reason)
    assert found == PROMISED[operation]
    assert row.operation == operation
    assert row.target in {*STATES, *TARGETS}
    assert row.summary.endswith(".")


def test_every_event_has_its_promised_name() -> None:
    events = {row.event for row in (*TRANSITIONS.values(), PUT, REMOVE)} | {"item.added"}
    assert events == {f"item.{name}" for name in EVENTS}


def test_what_takes_an_operation_back_is_an_operation_of_the_same_role() -> None:
    backs = {each.operation: each.undone_by for each in TRANSITIONS.values() if each.undone_by}
    assert backs == {"take": "release", "complete": "undo"}
    for operation, back in backs.items():
        assert TRANSITIONS[back].role == TRANSITIONS[operation].role
    assert TRANSITIONS["undo"].within_s == 60


def test_an_item_that_is_held_cannot_be_removed() -> None:
    assert "occupied" not in REMOVE.sources


def test_each_role_may_do_what_the_lower_ones_may() -> None:
    assert Role.OBSERVER < Role.WORKER < Role.SUPERVISOR < Role.ADMIN
    for role in Role:
        worker = Worker("1", "One", role.label)
        assert Role.of(role.label) is role
        assert [other for other in Role if worker.may(other)] == [r for r in Role if r <= role]


def test_an_unknown_role_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        Role.of("boss")


@pytest.mark.parametrize("pattern", [TAG_PATTERN, BOARD_PATTERN, WORKER_PATTERN, STEP_PATTERN])
@pytest.mark.parametrize(
    "text", ["", "-a", " a", "a\n", "a|b", "a}b", "a{b", 'a"b', "a\\b", "a\0b", "x" * 65, "\ud800"]
)
def test_no_name_can_break_a_key_an_index_or_json(pattern: str, text: str) -> None:
    assert re.match(pattern, text) is None


@pytest.mark.parametrize(
    ("pattern", "texts"),
    [
        (TAG_PATTERN, ["a", "MK-1335-CW-25238-011", "A.b_c:d-e", "x" * 64]),
        (BOARD_PATTERN, ["main", "Line-2_b", "x" * 32]),
        (WORKER_PATTERN, ["93", "a.b@c-d_e", "x" * 64]),
        (STEP_PATTERN, ["ARM", "METROLOGÍA", "Paso 2: a/b.c-d", "x" * 32]),
        (CURSOR_PATTERN, ["0-0", "1763838000123-0"]),
    ],
)
def test_ordinary_names_are_allowed(pattern: str, texts: list[str]) -> None:
    for text in texts:
        assert re.match(pattern, text), text


@pytest.mark.parametrize(
    "text",
    [
        "", "$", "-", "+", "1", "1-", "(1-0", "1-0\n", "-1-0", "a-0",
        "18446744073709551616-0", "0-99999999999999999999",  # more than the server can count
    ],
)  # fmt: skip
def test_what_is_no_cursor_is_refused(text: str) -> None:
    assert re.match(CURSOR_PATTERN, text) is None


@pytest.mark.parametrize("char", ["\0", "\n", "\r", "\x7f", "\x85", "\x1b", "\ud800"])
def test_control_characters_and_lone_surrogates_are_found(char: str) -> None:
    assert control_character(f"a{char}b") == char


def test_ordinary_text_has_no_control_character() -> None:
    assert control_character("Señal — 日本 😀 \u2028") is None


def test_a_stored_worker_names_only_what_is_set() -> None:
    encoded = msgspec.json.encode(Worker("1", "One", "worker"))
    assert msgspec.json.decode(encoded) == {"id": "1", "name": "One", "role": "worker"}
    assert msgspec.json.decode(encoded, type=Worker) == Worker("1", "One", "worker")


def test_an_item_has_the_promised_fields_in_the_promised_order() -> None:
    assert Item.__struct_fields__ == (
        "tag", "title", "state", "step", "holder", "since", "reason", "epoch", "version",
        "worked_s", "attributes",
    )  # fmt: skip
