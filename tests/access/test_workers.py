"""Workers: added, listed, edited and refused."""

from __future__ import annotations

from typing import Any

import pytest

from occupancy.access.tokens import Tokens
from occupancy.access.workers import Workers
from occupancy.core.entities import COMMAND_LINE, Role, Worker
from occupancy.core.errors import AlreadyExists, InvalidRequest, LastAdmin, WorkerNotFound
from occupancy.services import Services
from tests.support.elsewhere import workers_elsewhere


def test_a_worker_that_was_added_is_found(workers: Workers) -> None:
    added = workers.add("93", name="Señal", role=Role.SUPERVISOR, pin_hash="x")
    assert added == Worker("93", "Señal", "supervisor", pin_hash="x")
    assert workers.get("93") == added
    assert workers.all() == [added]


def test_a_second_worker_of_that_id_is_refused_and_changes_nothing(workers: Workers) -> None:
    added = workers.add("93", name="One", role=Role.WORKER)
    with pytest.raises(AlreadyExists):
        workers.add("93", name="Two", role=Role.ADMIN)
    assert workers.get("93") == added


def test_workers_are_listed_in_the_order_of_their_ids(workers: Workers) -> None:
    for worker in ("b", "a", "10", "9"):
        workers.add(worker, name=worker, role=Role.WORKER)
    assert [worker.id for worker in workers.all()] == ["10", "9", "a", "b"]


def test_no_worker_looks_like_the_command_line_in_a_history(workers: Workers) -> None:
    with pytest.raises(InvalidRequest):
        workers.add(COMMAND_LINE.id, name=COMMAND_LINE.name, role=Role.WORKER)
    workers.add(COMMAND_LINE.id, name="Clive", role=Role.WORKER)
    with pytest.raises(InvalidRequest):
        workers.edit(COMMAND_LINE.id, name=COMMAND_LINE.name)
    assert workers.get(COMMAND_LINE.id).name == "Clive"


@pytest.mark.parametrize("worker", ["", "a b", "a|b", "a}b", "-a", "x" * 65, "a\n", "é"])
def test_a_wrong_id_is_refused(workers: Workers, worker: str) -> None:
    with pytest.raises(InvalidRequest):
        workers.add(worker, name="One", role=Role.WORKER)
    assert workers.all() == []


@pytest.mark.parametrize("name", ["", "x" * 101, "a\nb", "a\0b", "\ud800"])
def test_a_wrong_name_is_refused(workers: Workers, name: str) -> None:
    with pytest.raises(InvalidRequest):
        workers.add("93", name=name, role=Role.WORKER)
    assert workers.all() == []


def test_editing_a_worker_changes_what_is_named_and_nothing_else(workers: Workers) -> None:
    workers.add("93", name="One", role=Role.WORKER, pin_hash="hash")
    edited = workers.edit("93", name="Two")
    assert edited == workers.get("93") == Worker("93", "Two", "worker", pin_hash="hash")
    assert workers.edit("93", name="Two") == edited
    with pytest.raises(InvalidRequest):
        workers.edit("93", name="a\nb")
    assert workers.get("93") == edited


def test_an_edit_does_not_undo_what_somebody_else_does_meanwhile(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    workers, elsewhere = services.workers, workers_elsewhere(services)
    workers.add("93", name="One", role=Role.WORKER)
    run = workers._replace_worker.run
    disabled: list[Worker] = []

    def run_after_the_other(keys: Any, args: Any) -> Any:
        if not disabled:  # between our reading and our writing
            disabled.append(elsewhere.edit("93", disabled=True))
        return run(keys, args)

    monkeypatch.setattr(workers._replace_worker, "run", run_after_the_other)
    workers.edit("93", name="Two")
    assert workers.get("93") == Worker("93", "Two", "worker", disabled=True, session_generation=1)


@pytest.mark.parametrize("changes", [{"disabled": True}, {"role": "supervisor"}])
def test_the_last_active_administrator_stays_one(workers: Workers, changes: dict[str, Any]) -> None:
    admin = workers.add("1", name="Ana", role=Role.ADMIN)
    workers.add("2", name="Away", role=Role.ADMIN, disabled=True)
    workers.add("admin", name='"role":"admin"', role=Role.SUPERVISOR)
    with pytest.raises(LastAdmin, match=r"Ana \(1\) is the only active administrator"):
        workers.edit("1", **changes)
    assert workers.get("1") == admin
    assert workers.edit("1", name="Ana María", pin_hash="hash").name == "Ana María"
    workers.edit("2", disabled=False)
    workers.edit("1", **changes)
    with pytest.raises(LastAdmin):
        workers.edit("2", **changes)


def test_of_two_administrators_who_disable_each_other_at_once_one_stays(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    workers, elsewhere = services.workers, workers_elsewhere(services)
    for worker in ("1", "2"):
        workers.add(worker, name=worker, role=Role.ADMIN)
    run = workers._replace_worker.run
    disabled: list[Worker] = []

    def run_after_the_other(keys: Any, args: Any) -> Any:
        if not disabled:  # between our reading and our writing
            disabled.append(elsewhere.edit("1", disabled=True))
        return run(keys, args)

    monkeypatch.setattr(workers._replace_worker, "run", run_after_the_other)
    with pytest.raises(LastAdmin):
        workers.edit("2", disabled=True)
    assert [each.disabled for each in workers.all()] == [True, False]


def test_an_unknown_worker_is_not_found(workers: Workers, tokens: Tokens) -> None:
    for call in (
        lambda: workers.get("93"),
        lambda: workers.edit("93", disabled=True),
        lambda: tokens.create("93"),
    ):
        with pytest.raises(WorkerNotFound):
            call()
