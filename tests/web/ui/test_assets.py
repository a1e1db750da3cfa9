"""Assets: addresses that change with the content, and what a browser may keep of them."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from occupancy.web.ui import assets
from occupancy.web.ui.assets import Assets

STATIC = Path(assets.__file__).parent / "static"


@pytest.fixture
def version() -> str:
    return Assets().version


def test_the_version_is_that_of_the_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    assert Assets().version == version
    for path in STATIC.rglob("*.*"):
        copied = tmp_path / path.relative_to(STATIC)
        copied.parent.mkdir(parents=True, exist_ok=True)
        copied.write_bytes(path.read_bytes())
    monkeypatch.setattr(assets, "_STATIC", tmp_path)
    assert Assets().version == version
    (tmp_path / "js" / "board.js").write_text("// changed")
    changed = Assets().version
    assert changed != version
    (tmp_path / "js" / "board.js").rename(tmp_path / "js" / "other.js")
    assert Assets().version not in (version, changed)


def test_every_file_is_served_under_its_type_and_kept_for_good(
    shells: FlaskClient, version: str
) -> None:
    types = {
        "js": "text/javascript; charset=utf-8",
        "css": "text/css; charset=utf-8",
        "json": "application/json",
        "png": "image/png",
        "svg": "image/svg+xml",
    }
    names = [path.relative_to(STATIC).as_posix() for path in STATIC.rglob("*.*")]
    assert names
    for name in names:
        response = shells.get(f"/static/{version}/{name}")
        assert response.status_code == 200, name
        assert response.headers["Content-Type"] == types[name.rpartition(".")[2]]
        assert response.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.data == (STATIC / name).read_bytes()


def test_a_browser_that_takes_gzip_gets_it(shells: FlaskClient, version: str) -> None:
    address = f"/static/{version}/css/app.css"
    plain = shells.get(address)
    zipped = shells.get(address, headers={"Accept-Encoding": "br, gzip"})
    refused = shells.get(address, headers={"Accept-Encoding": "gzip;q=0"})
    assert "Content-Encoding" not in plain.headers
    assert "Content-Encoding" not in refused.headers
    assert zipped.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(zipped.data) == plain.data
    for response in (plain, zipped):
        assert "Accept-Encoding" in response.headers["Vary"]


def test_a_file_of_another_version_is_served_but_not_kept(shells: FlaskClient) -> None:
    response = shells.get("/static/0123456789ab/js/board.js")
    assert response.status_code == 200
    assert response.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "name",
    ["js/none.js", "../assets.py", "js/../../assets.py", "js", "", "%2e%2e/assets.py",
     "../templates/board.html"],
)  # fmt: skip
def test_nothing_else_is_served(shells: FlaskClient, version: str, name: str) -> None:
    """Neither what is not there nor what is: files of the package beside the pages' own."""
    beside = name.replace("%2e", ".")
    assert (STATIC / beside).exists() != (name == "js/none.js")
    assert shells.get(f"/static/{version}/{name}").status_code in (301, 308, 404)


def test_scripts_and_styles_name_nothing_from_elsewhere() -> None:
    imported = set()
    for path in STATIC.rglob("*.*"):
        if path.suffix == ".png":
            continue
        text = path.read_text()
        addresses = set(re.findall(r"""(?:https?:)?//[a-z0-9.-]+\.[a-z]{2,}""", text))
        assert addresses <= {"http://www.w3.org"}, path.name
        for module in re.findall(r"^import .* from '([^']+)'", text, re.MULTILINE):
            assert (path.parent / module).exists(), f"{path.name}: {module}"
            imported.add(module)
    assert "./api.js" in imported


def test_the_address_of_an_unknown_file_is_an_error() -> None:
    with pytest.raises(KeyError):
        Assets().address("js/none.js")


def exports_of(text: str) -> set[str]:
    """The names that a script exports."""
    names = re.findall(
        r"^export (?:async )?(?:function\*?|class|const|let) (\w+)", text, re.MULTILINE
    )
    return set(names)


@pytest.mark.parametrize("path", sorted((STATIC / "js").glob("*.js")), ids=lambda path: path.name)
def test_a_script_imports_only_what_others_export(path: Path) -> None:
    found = re.findall(r"^import \{([^}]*)\} from '\./([\w.]+)';", path.read_text(), re.MULTILINE)
    for names, module in found:
        exported = exports_of((STATIC / "js" / module).read_text())
        wanted = {each.strip().partition(" as ")[0] for each in names.split(",") if each.strip()}
        assert wanted <= exported, f"{module}: {wanted - exported}"
