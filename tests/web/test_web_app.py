"""The pages as an app: the manifest, the service worker, and how an operator switches it off."""

from __future__ import annotations

import json
import re
import struct
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from occupancy import create_app
from occupancy.core.settings import Settings
from occupancy.services import Services
from tests.support.deployment import ROOT

STATIC = ROOT / "occupancy" / "web" / "ui" / "static"
WORKER = re.compile(r'<meta name="service-worker" content="/sw.js">')


@pytest.fixture
def without_worker(tmp_path: Path) -> FlaskClient:
    """A server on which the operator has switched the service worker off."""
    settings = Settings.from_environ({
        "REDIS_URL": "redis://127.0.0.1:1/0", "OCCUPANCY_STATE_DIR": str(tmp_path),
        "OCCUPANCY_SERVICE_WORKER": "0",
    })  # fmt: skip
    return create_app(Services.for_web(settings)).test_client()


def test_the_manifest_makes_the_boards_an_app(shells: FlaskClient) -> None:
    response = shells.get("/manifest.webmanifest")
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/manifest+json"
    manifest = json.loads(response.data)
    assert manifest["start_url"] == "/boards"
    assert manifest["scope"] == "/"
    assert manifest["display"] == "standalone"
    assert {each["sizes"] for each in manifest["icons"]} >= {"192x192", "512x512"}
    assert "maskable" in {each["purpose"] for each in manifest["icons"]}


def test_the_manifest_has_the_browsers_language_or_the_chosen_one(shells: FlaskClient) -> None:
    spanish = shells.get("/manifest.webmanifest", headers={"Accept-Language": "es-MX"})
    assert spanish.json is not None
    assert spanish.json["lang"] == "es"
    assert {"Accept-Language", "Cookie"} <= set(spanish.headers["Vary"].split(", "))
    shells.set_cookie("lang", "en")
    english = shells.get("/manifest.webmanifest", headers={"Accept-Language": "es-MX"}).json
    assert english is not None
    assert english["lang"] == "en"
    assert english["name"] != spanish.json["name"]
    assert english["id"] == spanish.json["id"]  # it is one app


def test_each_icon_is_there_in_its_size(shells: FlaskClient) -> None:
    manifest = shells.get("/manifest.webmanifest").json
    assert manifest is not None
    for icon in manifest["icons"]:
        response = shells.get(icon["src"])
        assert response.headers["Content-Type"] == icon["type"]
        if icon["type"] == "image/png":
            width, height = struct.unpack(">II", response.data[16:24])
            assert icon["sizes"] == f"{width}x{height}"


@pytest.mark.parametrize("path", ["/manifest.webmanifest", "/sw.js"])
def test_what_has_not_changed_is_not_sent_again(shells: FlaskClient, path: str) -> None:
    first = shells.get(path)
    assert first.headers["Cache-Control"] == "no-cache"
    again = shells.get(path, headers={"If-None-Match": first.headers["ETag"]})
    assert again.status_code == 304


def test_the_worker_names_every_file_of_its_version(shells: FlaskClient) -> None:
    response = shells.get("/sw.js")
    assert response.headers["Content-Type"] == "text/javascript; charset=utf-8"
    version, files = re.findall(r"^const (?:VERSION|FILES) = (.*);$", response.text, re.M)
    named = {each.removeprefix(f"/static/{json.loads(version)}/") for each in json.loads(files)}
    there = {each.relative_to(STATIC).as_posix() for each in STATIC.rglob("*.*")}
    assert named == {each for each in there if not each.startswith("worker/")}


def test_the_worker_may_load_from_the_server_and_run_nothing_else(shells: FlaskClient) -> None:
    policy = shells.get("/sw.js").headers["Content-Security-Policy"]
    assert policy == "default-src 'none'; connect-src 'self'; frame-ancestors 'none'"


def test_another_version_of_the_files_is_another_worker(
    shells: FlaskClient,
    monkeypatch: pytest.MonkeyPatch,
    without_worker: FlaskClient,
) -> None:
    before = shells.get("/sw.js").headers["ETag"]
    pages = shells.application.extensions["occupancy.pages"]
    monkeypatch.setattr(pages.assets, "version", "0123456789ab")
    after = shells.get("/sw.js")
    assert after.headers["ETag"] != before
    assert '/static/0123456789ab/js/board.js"' in after.text


def test_pages_name_the_worker(shells: FlaskClient) -> None:
    assert WORKER.search(shells.get("/boards").text)


def test_a_worker_that_is_switched_off_removes_itself_and_pages_name_none(
    without_worker: FlaskClient,
) -> None:
    script = without_worker.get("/sw.js").text
    assert "registration.unregister()" in script
    assert "fetch" not in script
    assert not WORKER.search(without_worker.get("/boards").text)
