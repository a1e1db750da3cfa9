"""The page of people: the list, changes of a person, badges by scanner, and the import."""

from __future__ import annotations

import contextlib
import re
import secrets
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from occupancy.access.pins import is_pin
from occupancy.core.entities import Role
from tests.browser.axe import violations
from tests.browser.conftest import Visit
from tests.browser.keys import scan
from tests.browser.site import Site, sign_in_by_hand

PAYLOAD = '"><img src=x onerror="window.hacked=1"><script>window.hacked=1</script>{name}'


@pytest.fixture
def people(site: Site) -> Iterator[str]:
    """A word that the names of these people have, and no others."""
    word = f"w{secrets.token_hex(3)}"
    for name, role in (("Marta", Role.WORKER), ("Núria", Role.SUPERVISOR), (PAYLOAD, Role.WORKER)):
        worker_id = f"{word}-{name[0].lower() if name.isalpha() else 'x'}"
        site.services.workers.add(worker_id, name=f"{name} {word}", role=role)
    yield word
    for each in site.services.workers.all():
        if word in each.id or word in each.name:
            stored = site.services.workers.stored(each.id)
            site.services.workers.remove(stored)


def opened(visit: Visit, word: str = "", **options: Any) -> Page:
    page = visit("/people", "admin", **options)
    expect(page.locator("#people .row").first).to_be_visible()
    if word:
        page.locator("#search").fill(word)
    return page


def ids(page: Page) -> list[str]:
    found = page.locator("#people .row").all()
    return sorted(each.get_attribute("data-key") or "" for each in found)


def open_person(page: Page, worker_id: str) -> Locator:
    page.locator(f'.row[data-key="{worker_id}"] .open').click()
    dialog = page.locator("#person-dialog")
    expect(dialog).to_be_visible()
    return dialog


def act(page: Page, name: str) -> Locator:
    """Open one of a person's forms."""
    page.locator(f'#person-dialog [data-action="{name}"]').click()
    dialog = page.locator("#ask-dialog")
    expect(dialog).to_be_visible()
    return dialog


def send(dialog: Locator) -> None:
    dialog.locator("form .primary").click()


# The list


@pytest.mark.parametrize("locale", ["en-US", "es-MX"])
def test_no_text_of_the_filters_is_cut_on_a_phone(visit: Visit, locale: str) -> None:
    page = opened(visit, viewport={"width": 390, "height": 844}, locale=locale)
    lacking = page.locator(".toolbar select").evaluate_all("""(all) => all.map((each) => {
      const free = each.cloneNode(true);
      free.style.flex = 'none';
      each.after(free);
      const lacking = free.offsetWidth - each.offsetWidth;
      free.remove();
      return lacking;
    })""")
    assert len(lacking) == 2
    assert max(lacking) <= 0


def test_the_search_finds_people_at_once_without_case_and_accents(
    people: str, visit: Visit
) -> None:
    page = opened(visit, f"NURIA {people}")
    expect(page.locator("#people .row")).to_have_count(1)
    assert ids(page) == [f"{people}-n"]
    page.locator("#search").fill(people)
    expect(page.locator("#people .row")).to_have_count(3)
    page.locator("#role").select_option("supervisor")
    expect(page.locator("#people .row")).to_have_count(1)
    expect(page.locator("#people .row .step")).to_have_text("supervisor")
    page.locator("#state").select_option("disabled")
    expect(page.locator("#none")).to_be_visible()
    page.locator("#role").select_option("")
    expect(page.locator("#none")).to_be_visible()


def test_ten_thousand_people_are_searched_without_a_long_wait(visit: Visit) -> None:
    many = [
        {"id": f"p{n}", "name": f"Person {n}", "role": "worker", "disabled": False,
         "has_pin": n % 2 == 0, "badges": n % 3, "badge_last_used": None}
        for n in range(10_000)
    ]  # fmt: skip
    page = visit("/people", None)
    page.route("**/api/workers*", lambda route: route.fulfill(json={"workers": many, "next": None}))
    sign_in_by_hand(page, "admin")
    expect(page.locator("#found")).to_have_text("10,000 people")
    assert page.locator("#people .row").count() < 60
    took_ms = page.evaluate("""() => {
      const began = performance.now();
      const search = document.getElementById('search');
      search.value = 'person 9999';
      search.dispatchEvent(new Event('input', {bubbles: true}));
      return performance.now() - began;
    }""")
    assert took_ms < 500  # some ms on a free machine
    expect(page.locator("#people .row")).to_have_count(1)


def test_only_administrators_see_people(visit: Visit) -> None:
    page = visit("/people", "supervisor")
    expect(page.locator("#said")).to_contain_text("administrator")
    expect(page.locator("#managed")).to_be_hidden()


# Changes


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


# Badges


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


# The import


def test_a_file_is_previewed_imported_and_leads_to_cards(
    people: str, site: Site, visit: Visit
) -> None:
    text = (
        f"id;nombre;rol;pin\n{people}-a;Ana {people};operaria;270158\n{people}-b;{people};jefe;\n"
        f"admin;Admin;worker;\n{people}-m;Marta {people};worker;\n"
    )
    page = opened(visit)
    page.locator("#to-import").click()
    page.locator("#import input[type=file]").set_input_files(
        {"name": f"{PAYLOAD.replace('/', '')}.csv", "mimeType": "text/csv", "buffer": text.encode()}
    )
    rows = page.locator(".import-lines tbody tr")
    expect(rows).to_have_count(4)
    expect(page.locator("#import")).to_contain_text("To add: 1 · to change: 0 · unchanged: 1")
    expect(rows.nth(0)).to_contain_text("Unknown role")
    expect(rows.nth(1)).to_contain_text("takes that role from nobody")
    assert page.evaluate("() => window.hacked") is None
    assert all(each.id != f"{people}-a" for each in site.services.workers.all())
    page.get_by_role("button", name="Import 2 people").click()
    expect(page.locator("#import h3")).to_have_text("Imported")
    assert is_pin("270158", site.services.workers.get(f"{people}-a").pin_hash)
    assert site.services.workers.get("admin").role == "admin"
    page.get_by_role("link", name="Print cards for these people").click()
    expect(page).to_have_url(re.compile(r"/people/cards$"))
    chosen = page.locator("#people input:checked")
    expect(chosen).to_have_count(2)
    ids = chosen.evaluate_all("all => all.map((each) => each.value)")
    assert ids == [f"{people}-a", f"{people}-m"]


def test_rows_are_pasted_and_a_missing_column_is_named(
    people: str, site: Site, visit: Visit
) -> None:
    page = opened(visit)
    page.locator("#to-import").click()
    pasted = page.locator("#import textarea")
    pasted.fill(f"id\tnombre\n{people}-p\tPaula\n")
    page.get_by_role("button", name="Check").click()
    expect(page.locator("#import .said")).to_contain_text("The column role is missing")
    expect(pasted).to_have_value(f"id\tnombre\n{people}-p\tPaula\n")
    pasted.fill(f"id\tnombre\trol\n{people}-p\tPaula {PAYLOAD[:40]}\toperaria\n")
    page.get_by_role("button", name="Check").click()
    page.get_by_role("button", name="Import 1 person").click()
    expect(page.locator("#import h3")).to_have_text("Imported")
    assert site.services.workers.get(f"{people}-p").role == "worker"
    page.locator(".leave-import").click()
    page.locator("#search").fill(f"{people}-p")
    expect(page.locator("#people .row .open")).to_have_text(f"Paula {PAYLOAD[:40]}")
    assert page.evaluate("() => window.hacked") is None


# Everybody


@pytest.mark.parametrize("locale", ["en-GB", "es-ES"])
@pytest.mark.parametrize("width", [390, 1440])
def test_the_page_is_accessible_and_in_one_language(
    people: str, site: Site, visit: Visit, locale: str, width: int
) -> None:
    site.services.badges.add(f"{people}-x", f"axe-{people}", by="admin", label=PAYLOAD[:60])
    page = opened(visit, people, locale=locale, viewport={"width": width, "height": 844})
    expect(page.locator("#people .row")).to_have_count(3)
    seen = []

    def look() -> None:
        assert violations(page) == []
        assert page.evaluate("() => document.documentElement.scrollWidth") <= width
        seen.append(page.locator("body").inner_text())

    look()
    dialog = open_person(page, f"{people}-x")
    expect(dialog.locator(".badges li")).to_have_count(1)
    look()
    for name in ("edit", "pin", "disabled", "badge", "link"):
        act(page, name)
        look()
        page.keyboard.press("Escape")
        expect(page.locator("#ask-dialog")).to_be_hidden()
    page.keyboard.press("Escape")
    page.locator("#to-import").click()
    page.locator("#import textarea").fill(
        f"id,name,role,pin\n{people}-q,Q,worker,270158\n{people}-m,M,worker,12\nadmin,A,worker,\n"
    )
    page.locator("#import .choose-file button").click()
    expect(page.locator(".import-lines tbody tr")).to_have_count(3)
    look()
    texts = "\n".join(seen)
    assert not re.search(r"people\.[a-z]|undefined|\{(?!name\})", texts)
    assert ("Desactivar" in texts) == (locale == "es-ES")
    assert ("Disable" in texts) == (locale == "en-GB")
    assert page.evaluate("() => window.hacked") is None
    site.services.badges.remove(f"{people}-x", site.services.badges.of(f"{people}-x")[0].id)


def test_everything_is_done_by_keyboard_alone(people: str, site: Site, visit: Visit) -> None:
    page = opened(visit)
    page.locator("#search").focus()
    page.keyboard.type(f"{people}-m", delay=210)
    expect(page.locator("#people .row")).to_have_count(1)
    for _ in range(12):
        page.keyboard.press("Tab")
        if page.evaluate("() => document.activeElement.classList.contains('open')"):
            break
    page.keyboard.press("Enter")
    dialog = page.locator("#person-dialog")
    expect(dialog.locator('[data-action="link"]')).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#ask-dialog input")).to_be_focused()
    page.keyboard.type("2580", delay=210)
    page.keyboard.press("Enter")
    expect(page.locator("#ask-dialog")).to_be_hidden()
    expect(dialog.locator('[data-action="pin"]')).to_be_focused()
    assert site.services.workers.get(f"{people}-m").pin_hash is not None
    page.keyboard.press("Escape")
    expect(page.locator(f'.row[data-key="{people}-m"] .open')).to_be_focused()
