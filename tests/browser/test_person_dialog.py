"""Changes of a person: added, renamed, disabled, signed out, given a PIN or a link."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import expect

from occupancy.access.pins import is_pin
from occupancy.core.entities import Role
from tests.browser.conftest import Visit
from tests.browser.people_page import act, open_person, opened, send
from tests.browser.site import Site


def test_a_person_is_added_with_the_id_that_the_name_suggests_and_gets_a_pin(
    people: str, site: Site, visit: Visit
) -> None:
    page = opened(visit)
    page.locator("#add").click()
    form = page.locator("#ask-dialog")
    form.locator('[name="name"]').fill(f"José Peña {people}")
    wanted = f"jose.pena.{people}"
    expect(form.locator('[name="id"]')).to_have_value(wanted)
    send(form)
    dialog = page.locator("#person-dialog")
    expect(dialog.locator(".just-added")).to_contain_text("How will they sign in")
    form = act(page, "pin")
    pin = form.locator("input")
    assert pin.get_attribute("inputmode") == "numeric"
    assert pin.get_attribute("type") == "password"
    pin.fill("1234")
    send(form)
    expect(form.locator(".said")).to_contain_text("Others would try this first")
    expect(pin).to_have_value("1234")
    pin.fill("270158")
    send(form)
    expect(form).to_be_hidden()
    expect(dialog.locator(".facts")).to_contain_text("Has a PIN")
    worker = site.services.workers.get(wanted)
    assert (worker.name, worker.role) == (f"José Peña {people}", "worker")
    assert is_pin("270158", worker.pin_hash)


def test_an_id_that_somebody_has_edits_nobody_and_loses_nothing(
    people: str, site: Site, visit: Visit
) -> None:
    page = opened(visit, people)
    expect(page.locator("#people .row")).to_have_count(3)
    site.services.workers.add(f"{people}-new", name=f"New {people}", role=Role.ADMIN)
    page.locator("#add").click()
    form = page.locator("#ask-dialog")
    form.locator('[name="name"]').fill("Somebody")
    for taken in (f"{people}-m", f"{people}-new"):  # the page knows of the first one only
        form.locator('[name="id"]').fill(taken)
        send(form)
        expect(form.locator(".said")).to_contain_text(f"The id {taken} is")
        expect(form.locator('[name="name"]')).to_have_value("Somebody")
    assert site.services.workers.get(f"{people}-new").role == "admin"


def test_a_person_is_renamed_disabled_and_enabled(people: str, site: Site, visit: Visit) -> None:
    page = opened(visit, people)
    worker_id = f"{people}-m"
    dialog = open_person(page, worker_id)
    form = act(page, "edit")
    form.locator('[name="name"]').fill(f"Marta R. {people}")
    form.locator('[name="role"]').select_option("supervisor")
    send(form)
    expect(dialog.locator("h2")).to_have_text(f"Marta R. {people}")
    expect(dialog.locator('[data-action="edit"]')).to_be_focused()
    form = act(page, "disabled")
    expect(form).to_contain_text("signed out everywhere")
    send(form)
    expect(dialog.locator(".facts")).to_contain_text("Disabled")
    expect(dialog.locator('[data-action="link"]')).to_have_count(0)
    worker = site.services.workers.get(worker_id)
    assert (worker.name, worker.role, worker.disabled) == (f"Marta R. {people}", "supervisor", True)
    send(act(page, "disabled"))
    expect(dialog.locator(".facts")).to_contain_text("Active")
    assert not site.services.workers.get(worker_id).disabled


def test_signing_out_everywhere_asks_first(people: str, site: Site, visit: Visit) -> None:
    page = opened(visit, people)
    open_person(page, f"{people}-m")
    before = site.services.workers.get(f"{people}-m").session_generation
    form = act(page, "sign-out")
    form.get_by_role("button", name="Cancel").click()
    expect(form).to_be_hidden()
    assert site.services.workers.get(f"{people}-m").session_generation == before
    form = act(page, "sign-out")
    send(form)
    expect(form).to_be_hidden()
    assert site.services.workers.get(f"{people}-m").session_generation == before + 1


def test_a_link_is_a_qr_code_that_signs_in_and_goes_with_its_dialog(
    people: str, visit: Visit
) -> None:
    page = opened(visit, people)
    open_person(page, f"{people}-m")
    shown = act(page, "link")
    expect(shown.locator("img.qr")).to_be_visible()
    expect(shown).to_contain_text(re.compile(r"Valid for \d+ min"))
    address = shown.locator(".secret").input_value()
    page.keyboard.press("Escape")
    expect(shown).to_be_hidden()
    expect(shown.locator(".secret")).to_have_count(0)  # the event "close" follows a moment later
    assert address.partition("#")[2] not in page.content()
    phone = visit(address, None)
    expect(phone.locator("#who strong")).to_contain_text(people)


@contextlib.contextmanager
def only_administrator(site: Site) -> Iterator[None]:
    """Other tests of the same site may have added more of them."""
    workers = site.services.workers
    others = [each.id for each in workers.all() if each.role == "admin" and each.id != "admin"]
    for each in others:
        workers.edit(each, role="supervisor")
    yield
    for each in others:
        workers.edit(each, role="admin")


@pytest.mark.parametrize(
    ("locale", "text"), [("en-US", "the only active administrator"), ("es-MX", "único admin")]
)
def test_the_last_administrator_stays_one_and_is_told_why(
    site: Site, visit: Visit, locale: str, text: str
) -> None:
    with only_administrator(site):
        page = opened(visit, locale=locale)
        open_person(page, "admin")
        form = act(page, "edit")
        expect(form.locator(".warning")).to_be_hidden()
        form.locator('[name="role"]').select_option("worker")
        for _ in range(2):  # the role, then disabling
            expect(form.locator(".warning")).to_be_visible()
            send(form)
            expect(form.locator(".said")).to_be_empty()  # the box is not ticked
            form.locator('[name="sure"]').check()
            send(form)
            expect(form.locator(".said")).to_contain_text(text)
            form.get_by_role("button", name=re.compile("Cancel")).click()
            expect(form).to_be_hidden()
            form = act(page, "disabled")
    admin = site.services.workers.get("admin")
    assert (admin.role, admin.disabled) == ("admin", False)


def test_a_lost_answer_loses_nothing_and_sending_again_adds_nobody_twice(
    people: str, site: Site, visit: Visit
) -> None:
    page = opened(visit)
    page.locator("#add").click()
    form = page.locator("#ask-dialog")
    form.locator('[name="name"]').fill(f"Lost {people}")

    def lose(route: Any) -> None:
        route.fetch()
        route.abort()

    page.route("**/api/workers/lost.*", lose)
    send(form)
    expect(form.locator(".said")).to_contain_text("may have been done")
    page.unroute("**/api/workers/lost.*")
    send(form)
    expect(page.locator("#person-dialog")).to_contain_text(f"lost.{people}")
    assert len([each for each in site.services.workers.all() if each.name == f"Lost {people}"]) == 1
