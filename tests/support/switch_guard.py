"""A guard of switch points: notes each greenlet switch at a place where the code says none may be.

``greenlet.settrace`` calls back after each switch, with the greenlet that was left. The frames of
that greenlet say where it has stopped. So nothing of the product is wrapped or replaced, and a
greenlet that was left elsewhere, or a generator that is not being read, does not count.

A place is found by its file, the qualified name of its function, and the lines. So it is also found
in a copy of the module that was compiled anew under the same file name.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import importlib.util
import types
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import greenlet

_Function = ast.FunctionDef | ast.AsyncFunctionDef


class Place(NamedTuple):
    """A function in which no greenlet switch may lie, or some lines of it.

    ``first`` is a text of the first guarded line, ``last`` of the last: the first line that has it
    from there on. '' is the function's own first or last line. A switch in what it calls counts,
    unless it lies in one of the functions ``unless``, given by their qualified names.
    """

    module: str
    name: str
    first: str = ""
    last: str = ""
    unless: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = f" from {self.first!r} to {self.last!r}" if self.first or self.last else ""
        return f"{self.module}.{self.name}{lines}"


class Lines(NamedTuple):
    """Where a place is."""

    file: str
    first: int
    last: int


def file_of(module: str) -> Path:
    spec = importlib.util.find_spec(module)
    assert spec is not None and spec.origin is not None, f"there is no module {module}"
    return Path(spec.origin)


@functools.cache
def functions_of(module: str) -> dict[str, _Function]:
    """The functions of a module, by their qualified names."""
    found: dict[str, _Function] = {}

    def walk(node: ast.AST, prefix: str) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, _Function):
                found[prefix + child.name] = child
                walk(child, f"{prefix}{child.name}.<locals>.")
            elif isinstance(child, ast.ClassDef):
                walk(child, f"{prefix}{child.name}.")
            else:
                walk(child, prefix)

    walk(ast.parse(file_of(module).read_text()), "")
    return found


def lines_of(place: Place) -> Lines:
    """Raises AssertionError if there is no such function, or no line has one of the texts."""
    found = functions_of(place.module).get(place.name)
    assert found is not None, f"{place}: there is no such function"
    assert found.end_lineno is not None
    text = file_of(place.module).read_text().splitlines()
    first, last = found.body[0].lineno, found.end_lineno
    if place.first:
        first = _line_with(place.first, text, range(first, last + 1), place)
    if place.last:
        last = _line_with(place.last, text, range(first, last + 1), place)
    return Lines(str(file_of(place.module)), first, last)


def _line_with(wanted: str, text: list[str], among: range, place: Place) -> int:
    found = next((number for number in among if wanted in text[number - 1]), None)
    assert found is not None, f"{place}: no line has {wanted!r}"
    return found


class SwitchGuard:
    """Notes the switches at ``places`` while ``watching``; ``found`` says where each was."""

    def __init__(self, places: Iterable[Place]) -> None:
        self.found: list[str] = []
        self._places: dict[tuple[str, str], list[tuple[Lines, Place]]] = {}
        for each in places:
            lines = lines_of(each)
            self._places.setdefault((lines.file, each.name), []).append((lines, each))
        self._names = frozenset(name for _, name in self._places)
        self._before: Callable[[str, Any], object] | None = None

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Note the switches of this thread while the block runs."""
        self._before = greenlet.settrace(self._on_switch)
        try:
            yield
        finally:
            greenlet.settrace(self._before)

    def check(self) -> None:
        """Raises AssertionError if a switch was found since the last call."""
        found, self.found = self.found, []
        assert not found, "greenlet switches where the code says there is none:\n" + "\n".join(
            dict.fromkeys(found)
        )

    def _on_switch(self, event: str, args: tuple[greenlet.greenlet, greenlet.greenlet]) -> None:
        # An exception here would end the tracing, and be raised in the product.
        left = args[0]
        above: list[str] = []
        frame = left.gr_frame  # None where it has ended
        top = frame
        while frame is not None:
            code = frame.f_code
            name = code.co_qualname
            if name in self._names:
                self._look(frame, above, top)
            above.append(name)
            frame = frame.f_back
        if self._before is not None:
            self._before(event, args)

    def _look(self, frame: types.FrameType, above: list[str], top: types.FrameType | None) -> None:
        code = frame.f_code
        for lines, place in self._places.get((code.co_filename, code.co_qualname), ()):
            if lines.first <= frame.f_lineno <= lines.last and not set(place.unless) & set(above):
                at = f"{top.f_code.co_filename}:{top.f_lineno}" if top is not None else "?"
                self.found.append(f"{place}, at line {frame.f_lineno}, by {at}")
