"""A planted bug: a piece of a file, and the mistake in its place."""

from __future__ import annotations

import hashlib
import tomllib
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
_DIRECTORY = Path(__file__).parent / "bugs"
_FIELDS = {"name", "what", "file", "old", "new", "tests"}


class BadBug(Exception):
    """A bug that cannot be planted as it is written."""


class Bug(NamedTuple):
    """One ``[[bug]]`` of a file of ``bugs/``, whose name is the area."""

    name: str  # begins with the area
    area: str
    what: str  # the effect on a user, in one sentence
    file: str  # below the root
    old: str  # occurs once in the file
    new: str
    tests: tuple[str, ...]  # files or ids for pytest; "js:" before a file for Node

    @property
    def digest(self) -> str:
        """Changes with the mistake."""
        text = "\0".join((self.file, self.old, self.new))
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def applied(self, text: str) -> str:
        """The file's text with the mistake. Raises BadBug if its place is not clear."""
        count = text.count(self.old)
        if count != 1:
            raise BadBug(f"{self.name}: `old` occurs {count} times in {self.file}, not once")
        if self.old == self.new:
            raise BadBug(f"{self.name}: `new` changes nothing")
        return text.replace(self.old, self.new)

    def apply(self, root: Path) -> None:
        """Plant it in the tree at ``root``. Raises BadBug."""
        path = root / self.file
        path.write_text(self.applied(path.read_text()))


def read(directory: Path = _DIRECTORY) -> list[Bug]:
    """Every bug, area by area. Raises BadBug."""
    found: list[Bug] = []
    for path in sorted(directory.glob("*.toml")):
        for given in tomllib.loads(path.read_text())["bug"]:
            found.append(_bug(path.stem, given))
    names = [each.name for each in found]
    if twice := {each for each in names if names.count(each) > 1}:
        raise BadBug(f"more than one bug is named {', '.join(sorted(twice))}")
    return found


def _bug(area: str, given: dict[str, object]) -> Bug:
    name = str(given.get("name", f"a bug of {area}"))
    if set(given) != _FIELDS:
        raise BadBug(f"{name}: its fields are {sorted(given)}, not {sorted(_FIELDS)}")
    tests = given["tests"]
    if not name.startswith(f"{area}-"):
        raise BadBug(f"{name}: the name does not begin with {area}-")
    if not isinstance(tests, list) or not tests:
        raise BadBug(f"{name}: it names no test")
    what, file, old, new = (str(given[each]) for each in ("what", "file", "old", "new"))
    return Bug(name, area, what, file, old, new, tuple(map(str, tests)))
