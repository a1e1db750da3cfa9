"""The sample board, its people and their credentials."""

from __future__ import annotations

import pytest

from occupancy.access.pins import is_pin
from occupancy.core.errors import Unauthenticated
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


def test_unloading_removes_the_sample_and_nothing_else(run: Run, valkey_services: Services) -> None:
    services = valkey_services
    run("boards", "create", "hall")
    run("items", "put", "T-1", "--board", "hall")
    run("workers", "add", "55", "--name", "Eva", "--role", "admin")
    before = [each.as_dict() for each in services.store.boards.all()]
    loaded = answer(run("demo", "load", "--pins", "--tokens", "--json"))
    tokens = [each["token"] for each in loaded["people"] if "token" in each]
    tag = "MK-1335-CW-25238-012"
    run("items", "take", tag, "--board", "taller", "--worker", "93")  # it was tried
    unloaded = answer(run("demo", "unload", "--json"))
    assert unloaded == {"boards": 1, "workers": 6, "items": 40, "kept": []}
    assert [each.as_dict() for each in services.store.boards.all()] == before
    assert [each.id for each in services.workers.all()] == ["55"]
    assert services.tokens.all() == []
    for each in tokens:
        with pytest.raises(Unauthenticated):
            services.authenticator.identify(Credential("token", digest_of(each)))
    assert run("items", "reconcile", "--board", "hall").exit_code == 0
    again = answer(run("demo", "unload", "--json"))
    assert again == {"boards": 0, "workers": 0, "items": 0, "kept": []}


def test_unloading_leaves_an_entry_for_its_board_and_for_each_token(
    run: Run, valkey_services: Services
) -> None:
    run("workers", "add", "55", "--name", "Eva", "--role", "admin")
    answer(run("demo", "load", "--tokens", "--json"))
    bound = answer(run("tokens", "create", "55", "--board", "taller", "--json"))["id"]
    others = {each.token.id for each in valkey_services.tokens.all()} - {bound}
    valkey_services.audit_outbox.take()
    run("demo", "unload")
    entries = valkey_services.audit_outbox.take()
    assert {each["means"] for each in entries} == {"cli"}
    told = [(each["event"], each.get("board"), each.get("token")) for each in entries]
    assert told[:2] == [("board_removed", "taller", None), ("token_revoked", "taller", bound)]
    assert set(told[2:-1]) == {("token_revoked", None, each) for each in others}
    assert len(told) == 3 + len(others)
    assert told[-1] == ("sample_unloaded", None, None)


def test_unloading_keeps_what_belongs_to_somebody(run: Run, shop: Services) -> None:
    """Worker 93 of this shop has another name; worker 95 has another PIN; 12 holds an item."""
    run("workers", "add", "55", "--name", "Eva", "--role", "admin")
    run("demo", "load", "--pins")
    run("items", "put", "MK-1335-CW-25238-011", "--board", "taller", "--title", "Mine")
    run("items", "put", "OWN", "--board", "taller")
    run("workers", "pin", "95", "--pin", "864213")
    run("items", "take", "T-1", "--worker", "12")
    unloaded = answer(run("demo", "unload", "--json"))
    assert (unloaded["boards"], unloaded["items"]) == (0, 39)
    assert [each.split(":")[0] for each in unloaded["kept"]] == [
        "board taller", "worker 93 (Marta)", "worker 94 (Iván)", "worker 95 (Lucía Vega)",
        "worker 12 (Carlos Medina)",
    ]  # fmt: skip
    assert "Kept: board taller: has 2 items" in run("demo", "unload").stdout
    left = answer(run("items", "list", "--board", "taller", "--json"))["items"]
    assert sorted(each["tag"] for each in left) == ["MK-1335-CW-25238-011", "OWN"]
    assert sorted(each.id for each in shop.workers.all()) == ["12", "55", "93", "94", "95"]


def test_unloading_keeps_the_last_administrator_while_others_are_there(
    run: Run, shop: Services
) -> None:
    run("demo", "load", "--tokens")
    unloaded = answer(run("demo", "unload", "--json"))
    assert unloaded["kept"][-1].startswith("worker 1 (Elena Prieto): is the only active admin")
    assert "1" in [each.token.worker for each in shop.tokens.all()]
    run("workers", "add", "55", "--name", "Eva", "--role", "admin")
    assert answer(run("demo", "unload", "--json"))["workers"] == 1
    assert sorted(each.id for each in shop.workers.all()) == ["55", "93", "94"]


def test_a_sample_that_is_loaded_again_counts_on(run: Run, valkey_services: Services) -> None:
    def versions() -> tuple[int, int]:
        tag = "MK-1335-CW-25238-011"
        item = answer(run("items", "show", tag, "--board", "taller", "--json"))
        return item["epoch"], item["version"]

    run("demo", "load")
    first = versions()
    cursor = valkey_services.store.log.head("taller").head_cursor
    run("demo", "unload")
    run("demo", "load")
    assert versions() > first
    # The board was removed: a stream from before begins anew.
    assert not valkey_services.store.log.replay("taller", cursor, 1000).is_known
    assert run("items", "reconcile", "--board", "taller").exit_code == 0


def test_a_session_of_the_sample_is_not_one_of_a_later_worker_with_the_same_id(
    run: Run, valkey_services: Services
) -> None:
    services = valkey_services
    people = answer(run("demo", "load", "--pins", "--json"))["people"]
    pins = {each["id"]: each["pin"] for each in people}
    secret, _ = services.sign_in.with_pin("93", pins["93"], address="10.0.0.1")
    run("demo", "unload")
    run("workers", "add", "93", "--name", "Another", "--role", "worker")
    run("workers", "pin", "93", "--pin", "864213")  # as often as the sample's was set
    with pytest.raises(Unauthenticated):
        services.authenticator.identify(Credential("session", digest_of(secret)))


def test_a_badge_and_a_link_of_the_sample_are_not_those_of_a_later_worker_with_the_same_id(
    run: Run, valkey_services: Services
) -> None:
    services = valkey_services
    run("demo", "load")
    services.badges.add("93", "0012345678", by="1")
    link = services.links.create("93")
    run("demo", "unload")
    assert services.badges.all() == []
    run("workers", "add", "93", "--name", "Another", "--role", "admin")
    assert services.links.redeem(link) is None
