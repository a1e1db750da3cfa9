"""Badges of a person: given by a scan, listed, removed, and never shown."""

from __future__ import annotations

import secrets

from playwright.sync_api import expect

from tests.browser.conftest import Visit
from tests.browser.keys import scan
from tests.browser.people_page import PAYLOAD, act, open_person, opened, send
from tests.browser.site import Site


def test_a_scanned_badge_is_given_listed_and_removed_and_never_shown(
    people: str, site: Site, visit: Visit
) -> None:
    code = f"00{secrets.randbelow(10**8):08d}"
    page = opened(visit, people)
    dialog = open_person(page, f"{people}-m")
    form = act(page, "badge")
    expect(form.locator(".scan-here")).to_be_focused()
    scan(page, code)
    expect(form).to_be_hidden()
    expect(dialog.locator(".badges li")).to_contain_text(f"Badge ending in {code[-2:]}")
    expect(dialog.locator(".badges li")).to_contain_text("never used")
    found = site.services.badges.find(code)
    assert found is not None
    assert found.badge.worker == f"{people}-m"
    assert code not in page.content()
    assert code not in page.url
    dialog.locator(".badges button").click()
    send(page.locator("#ask-dialog"))
    expect(dialog.locator(".badges li")).to_have_count(0)
    assert site.services.badges.find(code) is None


def test_anothers_badge_is_refused_with_their_name(people: str, site: Site, visit: Visit) -> None:
    code = f"AB-{secrets.token_hex(4)}"
    site.services.badges.add(f"{people}-n", code, by="admin")
    page = opened(visit, people)
    open_person(page, f"{people}-m")
    form = act(page, "badge")
    scan(page, code)
    expect(form.locator(".said")).to_contain_text(f"Núria {people}'s already")
    assert code not in page.content()
    expect(form.locator('[name="code"]')).to_have_value("")
    site.services.badges.remove(f"{people}-n", site.services.badges.of(f"{people}-n")[0].id)


def test_a_code_can_be_typed_and_an_items_label_is_no_badge(
    people: str, site: Site, visit: Visit
) -> None:
    page = opened(visit, people)
    open_person(page, f"{people}-m")
    form = act(page, "badge")
    scan(page, f"http://{site.url.partition('//')[2]}/boards/main/items/T-1")
    expect(form.locator(".scan-here")).to_contain_text("label of an item")
    form.locator('[name="label"]').fill(PAYLOAD[:60])
    form.locator('[name="code"]').fill("55501234")
    send(form)
    expect(page.locator("#person-dialog .badges li strong")).to_have_text(PAYLOAD[:60])
    badge = site.services.badges.of(f"{people}-m")[0]
    site.services.badges.remove(f"{people}-m", badge.id)


def test_a_badge_that_is_scanned_elsewhere_lands_in_no_pin_and_is_not_shown(
    people: str, site: Site, visit: Visit
) -> None:
    page = opened(visit, people)
    scan(page, "0012345678")
    expect(page.locator("#notices")).to_contain_text("To give somebody this badge")
    open_person(page, f"{people}-m")
    form = act(page, "pin")
    form.locator("input").focus()
    scan(page, "0012345678")
    expect(form.locator("input")).to_have_value("")
    expect(form.locator(".note")).to_contain_text("scan again")
    assert "0012345678" not in page.content()
    assert site.services.workers.get(f"{people}-m").pin_hash is None
