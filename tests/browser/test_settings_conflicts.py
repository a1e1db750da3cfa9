"""Settings that others have changed, lost answers, and what was typed and not saved."""

from __future__ import annotations

import re

from playwright.sync_api import Dialog, Route, expect

from tests.browser.axe import violations
from tests.browser.conftest import Visit
from tests.browser.settings_page import (
    STEPS,
    configure,
    fill_line,
    save,
    settings_of,
    stored,
)
from tests.browser.site import Site


def test_what_somebody_else_changed_is_said_and_what_was_typed_stays(
    site: Site, visit: Visit
) -> None:
    board = site.board(steps=STEPS)
    first = settings_of(visit("/boards", "admin"), board)
    second = settings_of(visit("/boards", "admin"), board)
    first.get_by_label("Title").fill("Theirs")
    first.locator("#max_holds").fill("5")
    save(first)
    second.get_by_label("Title").fill("Mine")
    fill_line(second, "Step", 1, "Armado")
    second.locator("#save").click()
    conflict = second.locator("#conflict")
    expect(conflict).to_be_focused()
    expect(conflict).to_contain_text("Somebody else has changed these settings")
    expect(conflict).to_contain_text("Theirs")
    expect(second.get_by_label("Title")).to_have_value("Mine")
    assert violations(second) == []
    assert stored(site, board)["title"] == "Theirs"
    second.locator("#keep-mine").click()
    expect(second.locator("#max_holds")).to_have_value("5")
    save(second)
    found = stored(site, board)
    assert (found["title"], found["settings"]["max_holds"]) == ("Mine", 5)
    assert found["step_titles"]["ARM"] == "Armado"
    first.get_by_label("Title").fill("Again")
    first.locator("#save").click()
    first.locator("#load-theirs").click()
    expect(first.get_by_label("Title")).to_have_value("Mine")
    expect(first.locator("#save")).to_have_attribute("aria-disabled", "true")


def test_a_save_whose_answer_was_lost_is_repeated_and_is_no_conflict(
    site: Site, visit: Visit
) -> None:
    board = site.board(steps=STEPS)
    page = settings_of(visit("/boards", "admin"), board)

    def lose(route: Route) -> None:
        if route.request.method == "PATCH":
            route.fetch()
            route.abort()
            page.unroute(f"**/api/boards/{board}")
        else:
            route.continue_()

    page.route(f"**/api/boards/{board}", lose)
    page.get_by_label("Title").fill("Saved in fact")
    page.locator("#save").click()
    expect(page.locator("#save-said")).to_contain_text("it may be saved or not")
    expect(page.get_by_label("Title")).to_have_value("Saved in fact")
    save(page)
    expect(page.locator("#conflict")).to_be_hidden()


def test_a_session_that_ends_loses_nothing_that_was_typed(site: Site, visit: Visit) -> None:
    board = site.board(steps=STEPS)
    page = visit("/boards", None)
    site.sign_in(page.context, "admin")  # a session of its own
    settings_of(page, board)
    page.get_by_label("Title").fill("Typed before")
    page.locator("#who button").click()
    page.locator("#session-dialog").get_by_role("button", name=re.compile("Sign out")).click()
    expect(page.locator("#managed")).to_be_hidden()
    page.locator("#who button").click()
    page.locator('#session-dialog [name="worker"]').fill("admin")
    page.locator('#session-dialog [name="pin"]').fill("2580")
    page.locator("#session-dialog").get_by_role("button", name="Sign in").click()
    expect(page.locator("#managed")).to_be_visible()
    expect(page.get_by_label("Title")).to_have_value("Typed before")
    save(page)
    assert stored(site, board)["title"] == "Typed before"


def test_unsaved_changes_are_asked_about_before_they_are_lost(site: Site, visit: Visit) -> None:
    board = site.board(steps=STEPS)
    page = settings_of(visit("/boards", "admin"), board)
    asked: list[str] = []

    def stay(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.dismiss()

    page.on("dialog", stay)
    page.get_by_label("Title").click()
    page.get_by_label("Title").fill("Unsaved")
    page.locator(f'#managed a[href="/boards/{board}"]').click()
    expect(page.get_by_label("Title")).to_have_value("Unsaved")
    assert asked == ["beforeunload"]
    page.locator("#discard").click()
    page.locator("#ask-dialog").get_by_role("button", name="Discard changes").click()
    expect(page.get_by_label("Title")).to_have_value("Shop")
    page.locator(f'#managed a[href="/boards/{board}"]').click()
    expect(page).to_have_url(re.compile(f"/boards/{board}$"))
    assert asked == ["beforeunload"]


def test_whoever_comes_back_to_the_page_sees_the_settings_of_now(site: Site, visit: Visit) -> None:
    board = site.board(steps=STEPS)
    page = settings_of(visit("/boards", "admin"), board)
    configure(site, board, title="Renamed elsewhere")
    page.evaluate("() => document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.get_by_label("Title")).to_have_value("Renamed elsewhere")
