"""Plants one bug after another in a copy of the tree, and runs the tests that should notice it.

A bug counts as caught if one of its tests fails with it and passes without it, since a busy machine
may fail a test too. A test that hangs counts as failed if it also hangs when it runs alone.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from proof.planted.bug import ROOT, Bug

_LEFT_OUT = (".venv", "node_modules", "var", ".git", ".mypy_cache", ".ruff_cache", "results")
_LINKED = (".venv", "node_modules")
_TO_CLEAN_UP_S = 20.0  # after an interrupt, the tests stop their servers
_FAILED = re.compile(r"^(?:FAILED|ERROR) (\S+::.+?)(?: - .*)?$", re.MULTILINE)
_BEGAN = re.compile(r"^(tests/\S+::\S.*?) ?$", re.MULTILINE)
_JS_FAILED = re.compile(r"^\s*not ok \d+ - (.+?)(?: #.*)?$", re.MULTILINE)


class Outcome(NamedTuple):
    """The outcome of a bug's tests; ``test`` is the one that failed, or ""."""

    test: str
    is_hanging: bool = False
    text: str = ""  # what the run printed


class Results:
    """The results so far, in a file that is written after each bug."""

    def __init__(self, path: Path) -> None:
        self._path = path
        rows = json.loads(path.read_text())["bugs"] if path.exists() else []
        self._rows: dict[str, dict[str, Any]] = {each["name"]: each for each in rows}

    def is_done(self, bug: Bug) -> bool:
        """Whether this very bug was caught already."""
        row = self._rows.get(bug.name)
        return row is not None and bool(row["caught_by"]) and row["digest"] == bug.digest

    def note(self, bug: Bug, caught_by: str, took_s: float) -> None:
        self._rows[bug.name] = {
            "name": bug.name, "area": bug.area, "what": bug.what, "file": bug.file,
            "caught_by": caught_by, "seconds": round(took_s, 1), "digest": bug.digest,
        }  # fmt: skip
        self._write()

    def keep_only(self, names: set[str]) -> None:
        """Drop the results of bugs that no longer exist."""
        self._rows = {name: row for name, row in self._rows.items() if name in names}
        self._write()

    def _write(self) -> None:
        lines = [json.dumps(self._rows[each], ensure_ascii=False) for each in sorted(self._rows)]
        text = '{"bugs": [\n' + ",\n".join(lines) + "\n]}\n"
        other = self._path.with_suffix(".new")
        other.write_text(text)
        other.replace(self._path)


def caught_by(bug: Bug, *, timeout_s: float) -> tuple[str, str]:
    """The test that notices ``bug``, or "", and what the run printed. Raises BadBug."""
    with copied_tree() as root:
        before = (root / bug.file).read_text()
        bug.apply(root)
        for tests in bug.tests:
            outcome = tests_run(root, tests, timeout_s=timeout_s)
            if not outcome.test:
                continue
            alone = outcome.test if not tests.startswith("js:") else tests
            if outcome.is_hanging and not tests_run(root, alone, timeout_s=timeout_s).test:
                return "", f"{tests} did not end within {timeout_s:g} s\n{outcome.text}"
            (root / bug.file).write_text(before)
            if tests_run(root, alone, timeout_s=timeout_s).test:
                return "", f"{outcome.test} fails without the bug too\n{outcome.text}"
            return outcome.test + " (hangs)" * outcome.is_hanging, outcome.text
        return "", outcome.text


@contextlib.contextmanager
def copied_tree() -> Iterator[Path]:
    """A copy of the tree in a temporary directory."""
    with tempfile.TemporaryDirectory(prefix="occ-plant-", ignore_cleanup_errors=True) as directory:
        root = Path(directory) / "tree"
        shutil.copytree(ROOT, root, ignore=shutil.ignore_patterns(*_LEFT_OUT))
        for name in _LINKED:
            if (ROOT / name).exists():
                (root / name).symlink_to((ROOT / name).resolve())
        yield root


def tests_run(root: Path, tests: str, *, timeout_s: float) -> Outcome:
    """Run tests of the tree at ``root`` up to the first failure."""
    if tests.startswith("js:"):
        path = tests.removeprefix("js:")
        code, text = _ended(["node", "--test", "--test-reporter=tap", path], root, timeout_s)
        failed = _JS_FAILED.findall(text)
        named = [each for each in failed if not each.endswith(path)]
        names = [f"{path}: {each}" for each in named] or [path] * (code != 0)
    else:
        command = [sys.executable, "-m", "pytest", "-v", "-x", "-rfE", "--tb=short", tests]
        code, text = _ended(command, root, timeout_s)
        names = _FAILED.findall(text)
        if code in (2, 3, 4) and not names:  # nothing is collected: imports fail
            names = [tests]
        if code == 5:  # no test is chosen
            raise RuntimeError(f"{tests} has no tests")
    if code is None:
        began = _BEGAN.findall(text)
        return Outcome(names[0] if names else began[-1] if began else tests, True, text)
    return Outcome(names[0] if names else "", False, text)


def _ended(command: Sequence[str], root: Path, timeout_s: float) -> tuple[int | None, str]:
    """The exit code, None after the timeout, and what was printed; nothing goes on running."""
    environment = {**os.environ, "PYTHONPATH": "", "COLUMNS": "500"}
    with (root.parent / "output").open("w+b") as output:
        process = subprocess.Popen(
            command, cwd=root, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            start_new_session=True, env=environment,
        )  # fmt: skip
        code: int | None = None
        try:
            code = process.wait(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=_TO_CLEAN_UP_S)
        finally:
            with contextlib.suppress(ProcessLookupError):  # the group is that of this run alone
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        output.seek(0)
        return code, output.read().decode(errors="replace")


def run(bugs: Sequence[Bug], results: Results, *, timeout_s: float, is_verbose: bool) -> list[Bug]:
    """Plant each bug; returns those that no test has noticed."""
    missed = []
    for bug in bugs:
        began = time.monotonic()
        test, text = caught_by(bug, timeout_s=timeout_s)
        results.note(bug, test, time.monotonic() - began)
        print(f"{bug.name}: {f'caught by {test}' if test else 'NOT CAUGHT'}", flush=True)
        if not test:
            missed.append(bug)
            if is_verbose:
                print(text, flush=True)
    return missed
