"""Commands about boards and items, and the operations."""

from __future__ import annotations

from occupancy.core.entities import MAX_HOLDS
from occupancy.services import Services
from tests.cli.command_line import Run, answer, error

# Boards


def test_a_board_is_created_listed_and_shown(run: Run) -> None:
    created = answer(
        run("boards", "create", "line", "--title", "Línea 1", "--steps", "ARM, SOLD",
            "--max-holds", "1000", "--json")
    )  # fmt: skip
    assert created["steps"] == ["ARM", "SOLD"]
    assert created["settings"]["max_holds"] == MAX_HOLDS
    listed = answer(run("boards", "list", "--json"))["boards"]
    assert [board["board"] for board in listed] == ["line"]  # nobody uses main
    assert answer(run("boards", "show", "line", "--json")) == created
    assert "Línea 1" in run("boards", "list").stdout
    assert "ARM,SOLD" in run("boards", "show", "line").stdout


def test_a_board_is_created_with_a_limit_that_can_be_set_later_too(run: Run) -> None:
    too_many = str(MAX_HOLDS + 1)
    assert "1<=x<=1000" in run("boards", "create", "line", "--max-holds", too_many).stderr
    assert run("boards", "create", "line").exit_code == 0
    assert "0<=x<=1000" in run("boards", "edit", "line", "--max-holds", too_many).stderr


def test_a_board_is_not_created_twice(run: Run) -> None:
    assert run("boards", "create", "line").exit_code == 0
    assert (
        error(run("boards", "create", "line"))
        == "The board line exists already. Choose another name."
    )


def test_no_board_takes_the_name_that_access_has_for_itself(run: Run) -> None:
    assert error(run("boards", "create", "access")).startswith("No board can be named access")


def test_a_board_is_edited(run: Run) -> None:
    run("boards", "create", "line", "--steps", "ARM,SOLD")
    found = answer(
        run("boards", "edit", "line", "--title", "Línea", "--steps", "ARM, NEW, SOLD=Soldar",
            "--max-holds", "3", "--time-zone", "America/Lima", "--attributes", "area, peso",
            "--reasons", "Falta material; Turno", "--item-name", "en", "spool", "spools", "--json")
    )  # fmt: skip
    assert (found["title"], found["steps"]) == ("Línea", ["ARM", "NEW", "SOLD"])
    assert found["step_titles"]["SOLD"] == "Soldar"
    assert found["item_name"] == {
        "es": {"one": "pieza", "many": "piezas"}, "en": {"one": "spool", "many": "spools"},
    }  # fmt: skip
    assert {**found["settings"], "version": 0} == {
        "max_holds": 3, "time_zone": "America/Lima", "shown_attributes": ["area", "peso"],
        "reasons": ["Falta material", "Turno"], "version": 0,
    }  # fmt: skip
    assert "SOLD=Soldar" in run("boards", "show", "line").stdout
    assert run("boards", "edit", "line", "--title", "Línea").stdout == "It was so already.\n"
    again = answer(run("boards", "edit", "line", "--max-holds", "0", "--title", "", "--json"))
    assert (again["title"], again["settings"]["max_holds"]) == ("line", None)


def test_an_edit_that_is_not_possible_says_why(run: Run, shop: Services) -> None:
    assert error(run("boards", "edit", "main")).startswith("Nothing is to be changed")
    assert error(run("boards", "edit", "main", "--steps", "ARM")) == (
        "2 items stand at the step work. Move them on first, or keep the step."
    )
    assert "time_zone" in error(run("boards", "edit", "main", "--time-zone", "Mars"))
    assert error(run("boards", "edit", "main", "--item-name", "fr", "pièce", "pièces"))


def test_a_board_is_removed_with_its_name_typed(run: Run, shop: Services) -> None:
    run("boards", "create", "line")
    assert run("boards", "remove", "line").stdout == "Removed the board line with 0 items.\n"
    refused = error(run("boards", "remove", "main"))
    assert refused.startswith("The board main has 2 items.")
    assert refused.endswith("--yes-remove main")
    assert error(run("boards", "remove", "main", "--yes-remove", "line"))
    assert shop.store.boards.get("main").counts["available"] == 2
    removed = run("boards", "remove", "main", "--yes-remove", "main")
    assert removed.stdout == "Removed the board main with 2 items.\n"
    assert shop.store.boards.get("main").counts["available"] == 0
    events = [each["event"] for each in shop.audit_outbox.take()]
    assert events == ["board_added", "board_removed", "board_removed"]


# Items


def test_items_are_listed_in_aligned_columns(run: Run, shop: Services) -> None:
    head, first, second = run("items", "list").stdout.splitlines()
    assert head.split("  ")[0] == "tag"
    assert first.index("available") == second.index("available") == head.index("state")


def test_items_are_listed_by_state_holder_and_text(run: Run, shop: Services) -> None:
    run("items", "take", "T-2", "--worker", "93")

    def tags(*args: str) -> list[str]:
        return [item["tag"] for item in answer(run("items", "list", "--json", *args))["items"]]

    assert tags() == ["T-1", "T-2"]
    assert tags("--state", "available") == ["T-1"]
    assert tags("--holder", "93") == ["T-2"]
    assert tags("--holder", "94") == []
    assert tags("--search", "marta") == ["T-2"]


def test_an_item_is_shown(run: Run, shop: Services) -> None:
    assert answer(run("items", "show", "T-1", "--json"))["attributes"] == {"area": "B2"}
    assert "area" in run("items", "show", "T-1").stdout


def test_an_item_is_put_and_removed(run: Run) -> None:
    put = answer(run("items", "put", "T-3", "--title", "Three", "--attribute", "a=b=c", "--json"))
    assert put["changed"] is True
    assert (put["item"]["title"], put["item"]["attributes"]) == ("Three", {"a": "b=c"})
    put = answer(run("items", "put", "T-3", "--title", "Tres", "--json"))
    assert put["item"]["attributes"] == {"a": "b=c"}
    assert run("items", "remove", "T-3").stdout == "T-3 is removed.\n"
    assert "no item T-3" in error(run("items", "show", "T-3"))


def test_a_held_item_is_not_removed(run: Run, shop: Services) -> None:
    run("items", "take", "T-1", "--worker", "93")
    assert "held by Marta" in error(run("items", "remove", "T-1"))


def test_history_is_newest_first(run: Run, shop: Services) -> None:
    run("items", "take", "T-1", "--worker", "93")
    run("items", "pause", "T-1", "--worker", "93", "--reason", "lunch")
    events = answer(run("items", "history", "T-1", "--json"))["history"]
    assert [event["type"] for event in events] == ["item.paused", "item.taken", "item.added"]
    lines = run("items", "history", "T-1", "--limit", "1").stdout.splitlines()
    assert len(lines) == 2
    assert lines[1].endswith("lunch")


# Operations


def test_an_item_goes_through_its_life_on_behalf_of_a_worker(run: Run, shop: Services) -> None:
    def state_after(*args: str) -> str:
        return str(answer(run("items", *args, "--json"))["item"]["state"])

    assert state_after("take", "T-1", "--worker", "93") == "occupied"
    assert state_after("pause", "T-1", "--worker", "93") == "paused"
    assert state_after("take", "T-1", "--worker", "94") == "occupied"
    assert state_after("release", "T-1", "--worker", "94") == "paused"
    assert state_after("block", "T-1", "--reason", "recall") == "blocked"
    assert state_after("unblock", "T-1") == "paused"
    assert state_after("reassign", "T-1", "--to", "93") == "occupied"
    assert state_after("force-release", "T-1", "--reason", "gone home") == "paused"
    assert state_after("reassign", "T-1", "--to", "93", "--reason", "back") == "occupied"
    assert state_after("complete", "T-1", "--worker", "93") == "completed"
    assert state_after("undo", "T-1", "--worker", "93") == "occupied"
    assert state_after("complete", "T-1", "--worker", "93") == "completed"
    assert state_after("reopen", "T-1", "--step", "work") == "available"


def test_take_of_a_held_item_names_the_holder(run: Run, shop: Services) -> None:
    run("items", "take", "T-1", "--worker", "93")
    assert error(run("items", "take", "T-1", "--worker", "94")).startswith("T-1 is held by Marta")


def test_only_the_holder_pauses(run: Run, shop: Services) -> None:
    run("items", "take", "T-1", "--worker", "93")
    assert "only its holder" in error(run("items", "pause", "T-1", "--worker", "94"))


def test_repeating_a_take_says_that_nothing_changed(run: Run, shop: Services) -> None:
    run("items", "take", "T-1", "--worker", "93")
    assert "(nothing changed)" in run("items", "take", "T-1", "--worker", "93").stdout
    assert answer(run("items", "take", "T-1", "--worker", "93", "--json"))["changed"] is False


def test_the_actor_is_the_worker_or_the_command_line(run: Run, shop: Services) -> None:
    run("items", "block", "T-1", "--reason", "x")
    run("items", "unblock", "T-1", "--worker", "94")
    events = answer(run("items", "history", "T-1", "--json", "--limit", "2"))["history"]
    assert [event["actor"]["id"] for event in events] == ["94", "cli"]


def test_a_completion_is_undone_by_who_made_it_only(run: Run, shop: Services) -> None:
    for operation in ("take", "complete"):
        run("items", operation, "T-1", "--worker", "93")
    assert "only they can undo that" in error(run("items", "undo", "T-1", "--worker", "94"))
    assert "held by Marta" not in run("items", "show", "T-1").stdout
    assert "occupied by Marta" in run("items", "undo", "T-1", "--worker", "93").stdout


def test_an_item_is_sent_back_to_an_earlier_step_with_a_reason(run: Run, shop: Services) -> None:
    shop.store.boards.create("line", steps=["ARM", "SOLD"])
    run("items", "put", "S-1", "--board", "line")
    for operation in ("take", "complete"):
        run("items", operation, "S-1", "--board", "line", "--worker", "93")
    back = ["items", "send-back", "S-1", "--board", "line", "--reason", "porous", "--step"]
    said = error(run(*back, "SOLD"))
    assert said == "step must be one of the steps before SOLD: ARM."
    assert "S-1 is available at ARM" in run(*back, "ARM").stdout
    assert "there is none" in error(run(*back, "SOLD"))


def test_an_unknown_step_is_refused(run: Run, shop: Services) -> None:
    for operation in ("take", "complete"):
        run("items", operation, "T-1", "--worker", "93")
    assert "step must be one" in error(run("items", "reopen", "T-1", "--step", "nowhere"))
