"""What commands change of access is in the audit log."""

from __future__ import annotations

import logging

import gevent
import pytest

from occupancy.observability import audit_outbox
from occupancy.services import Services
from tests.cli.command_line import Run, answer
from tests.support.tablets import audit_lines_of


def test_changes_of_access_are_recorded_for_the_audit_log(
    run: Run, shop: Services, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("LOGNAME", "root")
    run("workers", "add", "55", "--name", "Ana", "--role", "worker", "--pin", "2580")
    run("workers", "disable", "55")
    run("workers", "enable", "55")
    run("workers", "pin", "55", "--pin", "864213")
    link = run("workers", "link", "55").stdout
    run("workers", "sign-out", "55")
    run("workers", "import", "-", stdin="id,name,role\n93,Marta R.,worker\n56,Eva,worker\n")
    made = answer(run("tokens", "create", "55", "--role", "observer", "--json"))
    run("tokens", "revoke", made["id"])
    run("boards", "create", "hall")
    run("tokens", "revoke", "0000")  # there is none
    run("workers", "list")
    with caplog.at_level(logging.INFO, "occupancy.observability.audit_log"):
        shop.periodic_tasks.run()
        shop.periodic_tasks.run()
    lines = audit_lines_of(caplog)
    assert all(each.pop("at").endswith("Z") for each in lines)
    assert [(each.pop("means"), each.pop("by")) for each in lines] == [("cli", "root")] * 10
    ana = {"worker": "55", "role": "worker"}
    assert lines == [
        {"event": "worker_added", **ana, "fields": "name,role,pin", "disabled": False},
        {"event": "worker_edited", **ana, "fields": "disabled", "disabled": True},
        {"event": "worker_edited", **ana, "fields": "disabled", "disabled": False},
        {"event": "worker_edited", **ana, "fields": "pin", "disabled": False},
        {"event": "link_added", "worker": "55"},
        {"event": "signed_out_everywhere", "worker": "55"},
        {"event": "workers_imported", "added": 1, "updated": 1},
        {"event": "token_added", "worker": "55", "token": made["id"], "role": "observer",
         "board": None},
        {"event": "token_revoked", "worker": "55", "token": made["id"]},
        {"event": "board_added", "board": "hall"},
    ]  # fmt: skip
    secret = link.partition("#")[2].strip()
    assert not any(each in caplog.text for each in ("2580", "864213", secret, made["token"]))


def test_the_samples_pins_and_tokens_are_recorded_without_their_secrets(
    run: Run, valkey_services: Services
) -> None:
    given = answer(run("demo", "load", "--pins", "--tokens", "--json"))["people"]
    run("demo", "load")
    [note] = valkey_services.audit_outbox.take()
    assert (note["event"], note["means"]) == ("sample_loaded", "cli")
    assert note["pins"].split(",") == ["93", "94", "95", "12", "7", "1"]
    assert len(note["tokens"].split(",")) == 4
    assert not any(person.get("token", "-no-") in str(note) for person in given)
    assert not any(f"'{person['pin']}'" in str(note) for person in given)


def test_audit_records_are_written_once_whichever_process_comes_first_and_are_bounded(
    shop: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_outbox, "_MAX_ENTRIES", 150)
    for number in range(200):
        shop.audit_outbox.leave("worker_edited", worker=str(number))
    taken = [gevent.spawn(shop.audit_outbox.take) for _ in range(4)]
    gevent.joinall(taken, raise_error=True)
    workers = sorted(int(note["worker"]) for each in taken for note in each.value)
    assert workers == list(range(50, 200))
