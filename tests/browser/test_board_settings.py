"""A board from the pages: created, set up, and removed."""

from __future__ import annotations

import re
import secrets
from typing import Any

import msgspec
import pytest
from playwright.sync_api import Dialog, Locator, Page, Route, expect

from occupancy.boards.records import Board
from occupancy.core.errors import BoardNotFound
from occupancy.core.requests.boards import BoardSettingsBody
from occupancy.core.requests.decoding import decode
from tests.browser.axe import violations
from tests.browser.conftest import Visit
from tests.browser.site import Site

STEPS = ["ARM", "SOLD", "MET"]
PAYLOAD = '"><script>window.hacked=1</script>{what}'
SHORT_PAYLOAD = "<img src=x onerror=hacked=1>"  # a word for an item has 30 characters
SIZES = [{"width": 390, "height": 844}, {"width": 1440, "height": 900}]


def new_id() -> str:
    return f"n-{secrets.token_hex(4)}"


def configure(site: Site, board: str, **given: Any) -> Board:
    body = decode(msgspec.json.encode(given), BoardSettingsBody)
    return site.services.store.boards.configure(board, body).board


def stored(site: Site, board: str) -> dict[str, Any]:
    """The board as the API has it."""
    found = site.services.store.boards.get(board).as_dict()
    return dict(msgspec.to_builtins(found))


def settings_of(page: Page, board: str) -> Page:
    page.goto(f"/boards/{board}/settings")
    expect(page.locator("#managed")).to_be_visible()
    return page


def lines(page: Page, label: str) -> Locator:
    """The lines of a list, by the name of one."""
    return page.locator("#settings-form .line").filter(
        has=page.get_by_label(re.compile(rf"^{label} \d+$"))
    )


def save(page: Page) -> None:
    page.locator("#save").click()
    expect(page.locator("#save-said")).to_have_text("Saved.")


def fill_line(page: Page, label: str, place: int, text: str) -> None:
    page.get_by_label(f"{label} {place}", exact=True).fill(text)


# A new board


def test_an_admin_creates_a_board_with_its_steps_and_sets_it_up(site: Site, visit: Visit) -> None:
    board = new_id()
    page = visit("/boards", "admin")
    page.locator("#new-board").click()
    dialog = page.locator("#ask-dialog")
    dialog.get_by_label("Title").fill("Línea de Ñandú")
    expect(dialog.locator('[name="board"]')).to_have_value(re.compile(r"^linea-de-nandu(-\d+)?$"))
    dialog.locator('[name="board"]').fill(board)
    dialog.get_by_role("button", name="Add a step").click()
    dialog.get_by_label("Step 1").fill("Soldar")
    page.keyboard.press("Enter")
    expect(dialog.get_by_label("Step 2")).to_be_focused()
    dialog.get_by_label("Step 2").fill("Control final")
    dialog.get_by_role("button", name="Create").click()
    expect(page).to_have_url(re.compile(f"/boards/{board}/settings$"))
    expect(page.locator("#managed")).to_be_visible()
    expect(page.locator("#no-items")).to_contain_text("Import a file")
    found = stored(site, board)
    assert found["title"] == "Línea de Ñandú"
    assert found["steps"] == ["SOLDAR", "CONTROL-FINAL"]
    assert found["step_titles"] == {"SOLDAR": "Soldar", "CONTROL-FINAL": "Control final"}


def test_a_board_without_steps_has_the_one_that_every_board_has(site: Site, visit: Visit) -> None:
    board = new_id()
    page = visit("/boards", "admin")
    page.locator("#new-board").click()
    page.locator('[name="title"]').fill("Shop")
    page.locator('[name="board"]').fill(board)
    page.get_by_role("button", name="Create").click()
    expect(page.locator("#managed")).to_be_visible()
    assert stored(site, board)["steps"] == ["work"]


def test_what_is_wrong_in_a_new_board_is_said_before_it_is_sent(site: Site, visit: Visit) -> None:
    existing = site.board()
    page = visit("/boards", "admin")
    expect(page.locator("#boards li").first).to_be_visible()
    page.locator("#new-board").click()
    sent: list[str] = []
    page.on("request", lambda each: sent.append(each.method))
    dialog = page.locator("#ask-dialog")
    create = dialog.get_by_role("button", name="Create")
    create.click()
    expect(dialog).to_contain_text("Write something here.")
    expect(dialog.locator('[name="title"]')).to_be_focused()
    dialog.locator('[name="title"]').fill("Shop")
    dialog.locator('[name="board"]').fill("línea 1")
    expect(dialog).to_contain_text("letters without accents")
    dialog.locator('[name="board"]').fill(existing)
    expect(dialog).to_contain_text(f"There is a board with the id {existing} already.")
    create.click()
    expect(dialog.locator('[name="board"]')).to_be_focused()
    dialog.locator('[name="board"]').fill("access")
    expect(dialog).to_contain_text("No board can have the id access.")
    create.click()
    expect(dialog).to_be_visible()
    assert "POST" not in sent


def test_a_board_whose_answer_was_lost_is_created_once(site: Site, visit: Visit) -> None:
    board = new_id()
    page = visit("/boards", "admin")
    page.locator("#new-board").click()
    page.locator('[name="title"]').fill("Lost")
    page.locator('[name="board"]').fill(board)

    def lose(route: Route) -> None:
        if route.request.method == "POST":
            route.fetch()
            route.abort()
            page.unroute("**/api/boards")
        else:
            route.continue_()

    page.route("**/api/boards", lose)
    page.get_by_role("button", name="Create").click()
    expect(page.locator("#ask-dialog")).to_contain_text("may have been created")
    page.get_by_role("button", name="Create").click()
    expect(page).to_have_url(re.compile(f"/boards/{board}/settings$"))


def test_boards_lead_to_their_items_and_settings_by_role(site: Site, visit: Visit) -> None:
    board = site.board(title="Links")
    here = f'#boards a[href="/boards/{board}'
    for who, items, settings in [("holder", 0, 0), ("supervisor", 1, 0), ("admin", 1, 1)]:
        page = visit("/boards", who)
        expect(page.locator(f'{here}"]')).to_be_visible()
        expect(page.locator(f'{here}/items"]')).to_have_count(items)
        expect(page.locator(f'{here}/settings"]')).to_have_count(settings)
        expect(page.locator("#new-board")).to_be_visible(visible=bool(settings))


def test_the_settings_are_for_admins(site: Site, visit: Visit) -> None:
    page = visit(f"/boards/{site.board()}/settings", "supervisor")
    expect(page.locator("#said")).to_contain_text("admin")
    expect(page.locator("#managed")).to_be_hidden()
    expect(page.locator("#save")).to_be_hidden()


# Settings


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


# Others, and lost answers


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


# Removal


def test_an_empty_board_is_removed_after_a_question(site: Site, visit: Visit) -> None:
    board = site.board(title="Empty one")
    page = settings_of(visit("/boards", "admin"), board)
    page.locator("#remove").click()
    dialog = page.locator("#ask-dialog")
    expect(dialog).to_contain_text("It has no items.")
    expect(dialog.locator("input")).to_be_hidden()
    dialog.get_by_role("button", name="Cancel").click()
    assert stored(site, board)["title"] == "Empty one"
    page.locator("#remove").click()
    dialog.get_by_role("button", name="Remove the board").click()
    expect(page).to_have_url(re.compile(r"/boards$"))
    with pytest.raises(BoardNotFound):
        site.services.store.boards.get(board)


def test_a_board_with_items_is_removed_by_typing_its_id(site: Site, visit: Visit) -> None:
    board = site.board("A", "B")
    page = settings_of(visit("/boards", "admin"), board)
    page.get_by_label("Title").fill("Typed, and of no use any more")
    page.locator("#remove").click()
    dialog = page.locator("#ask-dialog")
    expect(dialog).to_contain_text("On it: 2 pieces.")
    assert violations(page) == []
    yes = dialog.get_by_role("button", name="Remove the board")
    dialog.locator("input").fill(board[:-1])
    yes.click()
    expect(dialog).to_contain_text(f"Type exactly {board}.")
    assert stored(site, board)["counts"]["available"] == 2
    dialog.locator("input").fill(board)
    yes.click()
    expect(page).to_have_url(re.compile(r"/boards$"))
    expect(page.locator("#boards li").first).to_be_visible()
    expect(page.locator(f'#boards a[href="/boards/{board}"]')).to_have_count(0)


def test_items_that_came_during_the_question_are_not_removed_by_it(
    site: Site, visit: Visit
) -> None:
    board = site.board()
    page = settings_of(visit("/boards", "admin"), board)
    page.locator("#remove").click()
    dialog = page.locator("#ask-dialog")
    expect(dialog).to_contain_text("It has no items.")
    site.put(board, {"A": "a"})
    dialog.get_by_role("button", name="Remove the board").click()
    expect(dialog).to_contain_text("Items have been added meanwhile.")
    expect(dialog).to_contain_text("On it: 1 piece.")
    dialog.locator("input").fill(board)
    dialog.get_by_role("button", name="Remove the board").click()
    expect(page).to_have_url(re.compile(r"/boards$"))


# Everywhere


@pytest.mark.parametrize("locale", ["en-GB", "es-MX"])
def test_texts_from_people_stay_text_and_the_pages_are_accessible(
    site: Site, visit: Visit, locale: str
) -> None:
    board = site.board(steps=STEPS, title=PAYLOAD)
    configure(
        site, board, reasons=[PAYLOAD], shown_attributes=[PAYLOAD],
        steps=[{"step": "ARM", "title": PAYLOAD}, "SOLD"],
        item_name={
            each: {"one": SHORT_PAYLOAD, "many": SHORT_PAYLOAD} for each in ("es", "en")
        },
    )  # fmt: skip
    site.put(board, {"A": PAYLOAD}, **{SHORT_PAYLOAD: PAYLOAD})
    for size in SIZES:
        page = settings_of(visit("/boards", "admin", viewport=size, locale=locale), board)
        expect(page.locator(".proposals button").first).to_contain_text(SHORT_PAYLOAD)
        expect(page.locator("#settings-form .line").first).to_contain_text(SHORT_PAYLOAD)
        for each in page.locator(".add-line").all():
            if each.is_enabled():
                each.click()
        assert violations(page) == []
        assert page.evaluate("() => document.documentElement.scrollWidth") <= size["width"]
        text = page.locator("body").inner_text()
        assert not re.search(r"(settings|lines|boards)\.[a-z_]+|undefined", text), text
        page.locator("#remove").click()
        expect(page.locator("#ask-dialog")).to_contain_text(SHORT_PAYLOAD)
        page.keyboard.press("Escape")
        page.on("dialog", lambda dialog: dialog.accept())
        page.goto("/boards")
        expect(page.locator(f'#boards a[href="/boards/{board}"]')).to_have_text(PAYLOAD)
        page.locator("#new-board").click()
        page.locator("#ask-dialog .add-line").click()
        assert violations(page) == []
        assert page.evaluate("() => document.documentElement.scrollWidth") <= size["width"]
        assert page.evaluate("() => window.hacked") is None


def test_a_payload_that_is_typed_into_every_field_is_stored_and_shown_as_text(
    site: Site, visit: Visit
) -> None:
    board = site.board(steps=STEPS)
    page = settings_of(visit("/boards", "admin"), board)
    page.get_by_label("Title").fill(PAYLOAD)
    fill_line(page, "Step", 1, PAYLOAD)
    for each in page.locator(".words input").all():
        each.fill(SHORT_PAYLOAD)
    for label, name in [("Add an attribute", "Attribute"), ("Add a reason", "Reason")]:
        page.get_by_role("button", name=label).click()
        fill_line(page, name, 1, PAYLOAD)
    save(page)
    found = stored(site, board)
    assert [found["title"], *found["settings"]["reasons"]] == [PAYLOAD, PAYLOAD]
    expect(page.locator("#board-title")).to_have_text(PAYLOAD)
    assert page.locator("#managed script, #managed img").count() == 0
    assert page.evaluate("() => window.hacked") is None


def test_everything_is_done_with_the_keyboard_alone(site: Site, visit: Visit) -> None:
    board = new_id()
    page = visit("/boards", "admin")
    expect(page.locator("#new-board")).to_be_visible()
    press = page.keyboard.press

    def reach(selector: str, key: str = "Tab") -> None:
        for _ in range(150):
            if page.evaluate("each => document.activeElement.matches(each)", selector):
                return
            press(key)
        raise AssertionError(f"{selector} is not reached")

    def write(text: str) -> None:
        page.keyboard.insert_text(text)

    reach("#new-board")
    press("Enter")
    reach('[name="title"]')
    write("Keys")
    press("Tab")
    press("ControlOrMeta+a")
    write(board)
    press("Tab")
    press("Space")  # the first step
    write("Uno")
    press("Enter")
    write("Dos")
    reach("#ask-dialog .buttons .primary")
    press("Enter")
    expect(page).to_have_url(re.compile(f"/boards/{board}/settings$"))
    expect(page.locator("#managed")).to_be_visible()
    assert stored(site, board)["steps"] == ["UNO", "DOS"]
    reach('.line:nth-child(2) [data-name="up"]')
    press("Enter")
    expect(page.get_by_role("button", name="Move up: Dos")).to_be_focused()
    reach("#save")
    press("Enter")
    expect(page.locator("#save-said")).to_have_text("Saved.")
    assert stored(site, board)["steps"] == ["DOS", "UNO"]
    expect(page.locator("#save")).to_be_focused()
    reach("#remove", "Shift+Tab")
    press("Enter")
    reach("#ask-dialog .danger")
    press("Enter")
    expect(page).to_have_url(re.compile(r"/boards$"))
