"""The sample board, its people and their credentials."""

from __future__ import annotations

from occupancy.access.pins import is_pin
from occupancy.core.principal import Credential, digest_of
from occupancy.services import Services
from tests.cli.command_line import Run, answer


def test_the_sample_has_a_history_and_loading_it_again_changes_nothing(
    run: Run, valkey_services: Services
) -> None:
    first = answer(run("demo", "load", "--json"))["added"]
    assert (first["boards"], first["workers"], first["items"]) == (1, 6, 40)
    board = answer(run("boards", "show", "taller", "--json"))
    assert all(board["counts"].values())
    assert board["seq"] == first["items"] + first["operations"]
    assert board["steps"] == ["ARM", "SOLD", "METROLOGIA"]
    again = answer(run("demo", "load", "--json"))["added"]
    assert again == {"boards": 0, "workers": 0, "items": 0, "operations": 0}
    assert answer(run("boards", "show", "taller", "--json")) == board
    assert run("items", "reconcile", "--board", "taller").exit_code == 0


def test_the_sample_does_not_touch_items_that_people_have_changed(run: Run, shop: Services) -> None:
    run("demo", "load")
    tag = "MK-1335-CW-25238-011"
    run("items", "put", tag, "--board", "taller", "--title", "Mine")
    run("demo", "load")
    assert answer(run("items", "show", tag, "--board", "taller", "--json"))["title"] == "Mine"
    assert shop.workers.get("93").name == "Marta"


def test_the_sample_gives_a_token_for_each_role(run: Run, valkey_services: Services) -> None:
    tokens = answer(run("demo", "load", "--tokens", "--json"))["people"]
    assert [each["role"] for each in tokens] == ["observer", "worker", "supervisor", "admin"]
    for each in tokens:
        worker = valkey_services.authenticator.identify(
            Credential("token", digest_of(each["token"]))
        ).worker
        assert (worker.id, worker.role) == (each["id"], each["role"])
    assert "93" in [each["id"] for each in tokens]


def test_the_sample_gives_random_pins_once_and_to_its_own_people_only(
    run: Run, shop: Services
) -> None:
    """Worker 93 of this shop has another name, and worker 94 as well."""
    people = answer(run("demo", "load", "--pins", "--json"))["people"]
    assert [each["id"] for each in people] == ["7", "95", "12", "1"]
    for each in people:
        assert len(each["pin"]) == 4
        assert is_pin(each["pin"], shop.workers.get(each["id"]).pin_hash)
    assert len({each["pin"] for each in people}) > 1
    assert shop.workers.get("93").pin_hash is None
    assert answer(run("demo", "load", "--pins", "--json"))["people"] == []
    table = run("demo", "load").stdout
    assert not any(each["pin"] in table for each in people)


def test_without_options_the_sample_has_no_credentials(run: Run, shop: Services) -> None:
    assert answer(run("demo", "load", "--json"))["people"] == []
    assert all(each.pin_hash is None for each in shop.workers.all())
    assert shop.tokens.all() == []
