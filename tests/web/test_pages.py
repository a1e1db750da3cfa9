"""Screens: the shells of the pages, their policy, their size and what browsers keep of them."""

from __future__ import annotations

import gzip
import re
from html.parser import HTMLParser

import pytest
from flask.testing import FlaskClient

from tests.support.deployment import ROOT

STATIC = ROOT / "occupancy" / "web" / "ui" / "static"
PAGES = ["/sign-in", "/boards", "/boards/main", "/boards/main/items/T-1", "/boards/main/wall",
         "/boards/main/settings", "/boards/main/items", "/boards/main/import",
         "/boards/main/labels", "/people", "/people/cards", "/programs", "/account", "/day",
         "/setup", "/status", "/audit"]  # fmt: skip
FIRST_LOAD_BYTES = 106_500  # of everything that the board needs, compressed


class Page(HTMLParser):
    """What a page consists of, as far as these tests look."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, str] = {}
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))
        self._inside = tag

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        self.texts[self._inside] = self.texts.get(self._inside, "") + data.strip()

    def addresses(self) -> list[str]:
        """Whatever the browser loads because of the page."""
        loaded = [(tag, found) for tag, found in self.tags if tag in ("link", "script", "img")]
        return [found.get("src") or found.get("href") or "" for _, found in loaded]


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_a_shell_without_anything_inline_or_from_elsewhere(
    shells: FlaskClient, path: str
) -> None:
    response = shells.get(path)
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    page = Page(response.text)
    assert page.texts.get("script", "") == ""
    assert "style" not in {tag for tag, _ in page.tags}
    for tag, attributes in page.tags:
        names = attributes.keys()
        assert not [name for name in names if name.startswith("on") or name == "style"], tag
        assert not (attributes.get("href") or "").startswith(("javascript:", "data:")), tag
    assert {"link", "script"} <= {tag for tag, _ in page.tags}
    for address in page.addresses():
        if address == "/manifest.webmanifest":
            continue  # a page has it at the same address in each version
        assert re.fullmatch(r"/static/[0-9a-f]{12}/[\w/.-]+", address), address
        assert shells.get(address).status_code == 200, address


@pytest.mark.parametrize("path", PAGES)
def test_a_page_runs_no_script_but_ours_and_stands_in_no_frame(
    shells: FlaskClient, path: str
) -> None:
    headers = shells.get(path).headers
    policy = dict(
        directive.strip().partition(" ")[::2]
        for directive in headers["Content-Security-Policy"].split(";")
    )
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("path", PAGES)
def test_a_page_that_has_not_changed_is_not_sent_again(shells: FlaskClient, path: str) -> None:
    first = shells.get(path)
    assert first.headers["Cache-Control"] == "no-cache"
    assert {"Accept-Language", "Cookie"} <= set(first.headers["Vary"].split(", "))
    again = shells.get(path, headers={"If-None-Match": first.headers["ETag"]})
    assert again.status_code == 304
    assert again.data == b""


@pytest.mark.parametrize("path", PAGES)
def test_a_page_has_the_browsers_language_or_the_chosen_one(shells: FlaskClient, path: str) -> None:
    spanish = shells.get(path, headers={"Accept-Language": "es-MX,es;q=0.9"})
    assert Page(spanish.text).tags[0] == ("html", {"lang": "es"})
    assert "/i18n/es.json" in spanish.text
    shells.set_cookie("lang", "en")
    english = shells.get(path, headers={"Accept-Language": "es"})
    assert Page(english.text).tags[0] == ("html", {"lang": "en"})
    assert english.headers["ETag"] != spanish.headers["ETag"]


@pytest.mark.parametrize("path", [*PAGES, "/docs"])
def test_a_page_has_the_theme_that_was_chosen_on_the_device(shells: FlaskClient, path: str) -> None:
    of_the_browser = shells.get(path)
    assert "Cookie" in of_the_browser.headers["Vary"]
    assert "data-theme" not in Page(of_the_browser.text).tags[0][1]
    for theme in ("dark", "light"):
        shells.set_cookie("theme", theme)
        chosen = shells.get(path, headers={"If-None-Match": of_the_browser.headers["ETag"]})
        assert chosen.status_code == 200
        assert Page(chosen.text).tags[0][1]["data-theme"] == theme
        assert f'name="color-scheme" content="{theme}"' in chosen.text
    shells.set_cookie("theme", '"><script>')
    assert shells.get(path).headers["ETag"] == of_the_browser.headers["ETag"]


@pytest.mark.parametrize("path", PAGES)
def test_a_page_has_one_heading_one_main_and_a_way_past_the_header(
    shells: FlaskClient, path: str
) -> None:
    tags = Page(shells.get(path).text).tags
    names = [tag for tag, _ in tags]
    assert names.count("h1") == names.count("main") == names.count("title") == 1
    ids = [attributes["id"] for _, attributes in tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = [attributes.get("href") for tag, attributes in tags if tag == "a"]
    assert links[0] == "#main"


@pytest.mark.parametrize(
    "path", ["/boards/a%20b", "/boards/main/items/%3Cb%3E", "/boards/%22%3E/wall"]
)
def test_an_address_that_can_be_no_boards_or_items_is_refused(
    shells: FlaskClient, path: str
) -> None:
    assert shells.get(path).status_code == 400


def test_the_start_leads_to_the_boards(shells: FlaskClient) -> None:
    response = shells.get("/")
    assert response.status_code == 302
    assert response.headers["Location"] == "/boards"


def needed_by(script: str) -> set[str]:
    """A script and all modules that it imports, directly or not."""
    found: set[str] = set()
    pending = [script]
    while pending:
        name = pending.pop()
        if name not in found:
            found.add(name)
            text = (STATIC / "js" / name).read_text()
            pending += re.findall(r"from '\./([\w.]+)'", text)
    return found


@pytest.mark.parametrize("path", PAGES)
def test_the_first_load_of_a_page_is_small(shells: FlaskClient, path: str) -> None:
    page = shells.get(path)
    addresses = set(Page(page.text).addresses())
    (script,) = (each for each in addresses if each.endswith(".js"))
    folder, _, name = script.rpartition("/")
    addresses |= {f"{folder}/{module}" for module in needed_by(name)}
    addresses.discard("/manifest.webmanifest")  # browsers read it when they install the pages
    loaded = [shells.get(each, headers={"Accept-Encoding": "gzip"}) for each in addresses]
    assert all(each.headers["Content-Encoding"] == "gzip" for each in loaded)
    total = len(gzip.compress(page.data)) + sum(len(each.data) for each in loaded)
    assert total < FIRST_LOAD_BYTES, f"{total} bytes"


@pytest.mark.parametrize("path", ["/boards", "/api/openapi.json"])
def test_a_page_that_if_match_does_not_allow_is_a_problem(shells: FlaskClient, path: str) -> None:
    response = shells.get(path, headers={"If-Match": '"1"'})
    assert response.status_code == 412
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.get_json()["code"] == "version_mismatch"
    known = shells.get(path).headers["ETag"]
    assert shells.get(path, headers={"If-Match": known}).status_code == 200
