"""The settings of a board: every one is saved, and what is wrong is said at its field."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser.axe import violations
from tests.browser.conftest import Visit
from tests.browser.settings_page import (
    STEPS,
    fill_line,
    lines,
    save,
    settings_of,
    stored,
)
from tests.browser.site import Site


def test_every_setting_is_saved_by_one_button(site: Site, visit: Visit) -> None:
    board = site.board("A", steps=STEPS)
    site.put(board, {"A": "a", "B": "b"}, area="N2", kg="12")
    page = settings_of(visit("/boards", "admin"), board)
    expect(page.locator("#save")).to_have_attribute("aria-disabled", "true")
    page.get_by_label("Title").fill("Taller")
    fill_line(page, "Step", 2, "Soldar")
    for lang, form, word in [
        ("es", "one", "carrete"), ("es", "many", "carretes"),
        ("en", "one", "spool"), ("en", "many", "spools"),
    ]:  # fmt: skip
        page.locator(f'[id="item_name.{lang}.{form}"]').fill(word)
    page.locator('.proposals [data-attribute="kg"]').click()
    page.locator('.proposals [data-attribute="area"]').click()
    page.get_by_role("button", name="Add a reason").click()
    fill_line(page, "Reason", 1, "Falta material")
    page.keyboard.press("Enter")
    fill_line(page, "Reason", 2, "Avería")
    page.locator("#max_holds").fill("3")
    page.locator("#time_zone").fill("America/Lima")
    expect(page.locator("#save-said")).to_contain_text("Not saved yet: Title, Steps")
    save(page)
    found = stored(site, board)
    assert found["title"] == "Taller"
    assert found["step_titles"] == {"ARM": "ARM", "SOLD": "Soldar", "MET": "MET"}
    assert found["item_name"] == {
        "es": {"one": "carrete", "many": "carretes"}, "en": {"one": "spool", "many": "spools"},
    }  # fmt: skip
    version = found["settings"].pop("version")
    assert found["settings"] == {
        "max_holds": 3, "time_zone": "America/Lima", "shown_attributes": ["kg", "area"],
        "reasons": ["Falta material", "Avería"],
    }  # fmt: skip
    settings_of(page, board)
    expect(page.get_by_label("Step 2", exact=True)).to_have_value("Soldar")
    expect(page.get_by_label("Reason 2", exact=True)).to_have_value("Avería")
    page.locator("#max_holds").fill("")
    for each in page.locator(".words input").all():
        each.fill("")
    save(page)
    found = stored(site, board)
    assert found["settings"]["max_holds"] is None
    assert found["item_name"]["en"]["many"] == "pieces"
    assert found["settings"]["version"] != version
    expect(page.locator('[id="item_name.en.many"]')).to_have_value("pieces")


def test_steps_are_renamed_put_in_between_moved_and_taken_out(site: Site, visit: Visit) -> None:
    board = site.board("A", steps=STEPS)
    page = settings_of(visit("/boards", "admin"), board)
    expect(lines(page, "Step")).to_have_count(3)
    page.get_by_role("button", name="Insert before MET").click()
    expect(page.get_by_label("Step 3", exact=True)).to_be_focused()
    fill_line(page, "Step", 3, "Prueba de presión")
    expect(lines(page, "Step").nth(2).get_by_label("Id")).to_have_value("PRUEBA-DE-PRESION")
    page.get_by_role("button", name="Move up: Prueba de presión").click()
    page.get_by_role("button", name="Remove: MET").click()
    fill_line(page, "Step", 1, "Armado")
    save(page)
    found = stored(site, board)
    assert found["steps"] == ["ARM", "PRUEBA-DE-PRESION", "SOLD"]
    assert found["step_titles"]["ARM"] == "Armado"
    assert found["step_titles"]["PRUEBA-DE-PRESION"] == "Prueba de presión"
    assert found["step_counts"]["ARM"] == 1


def test_a_step_at_which_items_stand_shows_them_and_is_not_taken_out(
    site: Site, visit: Visit
) -> None:
    board = site.board("A", "B", steps=STEPS)
    page = settings_of(visit("/boards", "admin"), board)
    expect(lines(page, "Step").nth(0)).to_contain_text("2 pieces")
    page.get_by_role("button", name="Remove: ARM").click()
    expect(lines(page, "Step")).to_have_count(3)
    expect(lines(page, "Step").nth(0)).to_contain_text("At this step: 2 pieces.")
    page.get_by_role("button", name="Remove: SOLD").click()
    site.do("take", board, "A")
    site.do("complete", board, "A")  # an item comes to the step meanwhile
    page.locator("#save").click()
    expect(page.locator("#save-said")).to_contain_text("the step SOLD cannot be removed")
    expect(lines(page, "Step")).to_have_count(3)
    expect(lines(page, "Step").nth(1)).to_contain_text("At this step: 1 piece.")
    assert stored(site, board)["steps"] == STEPS


def test_the_last_step_stays(site: Site, visit: Visit) -> None:
    page = settings_of(visit("/boards", "admin"), site.board())
    page.get_by_role("button", name="Remove: work").click()
    expect(lines(page, "Step")).to_contain_text("There must be at least one.")


def test_what_is_wrong_is_said_at_its_field_and_nothing_is_sent(site: Site, visit: Visit) -> None:
    board = site.board(steps=STEPS)
    page = settings_of(visit("/boards", "admin"), board)
    sent: list[str] = []
    page.on("request", lambda each: sent.append(each.method))
    page.get_by_label("Title").fill(" ")
    fill_line(page, "Step", 2, "ARM")
    page.locator('[id="item_name.en.one"]').fill("")
    page.get_by_role("button", name="Add a reason").click()
    fill_line(page, "Reason", 1, "turned\u202eround")
    page.locator("#max_holds").fill("1001")
    page.locator("#time_zone").fill("America/Nowhere")
    page.locator("#save").click()
    expect(page.locator("#save-said")).to_contain_text("Not saved")
    expect(page.get_by_label("Title")).to_be_focused()
    for text in [
        "Another step has this name.", "Write something here.", "invisible character",
        "from 1 to 1000", "no such time zone",
    ]:  # fmt: skip
        expect(page.locator("#settings-form")).to_contain_text(text)
    assert page.locator('#settings-form [aria-invalid="true"]').count() == 6
    assert violations(page) == []
    assert "PATCH" not in sent


def test_the_time_zone_of_the_device_is_proposed(site: Site, visit: Visit) -> None:
    board = site.board()
    page = settings_of(visit("/boards", "admin", timezone_id="America/Mexico_City"), board)
    assert page.locator('#zones option[value="Europe/Madrid"]').count() == 1
    page.locator("#use-zone").click()
    expect(page.locator("#time_zone")).to_have_value("America/Mexico_City")
    expect(page.locator("#use-zone")).to_have_count(0)
    save(page)
    assert stored(site, board)["settings"]["time_zone"] == "America/Mexico_City"
