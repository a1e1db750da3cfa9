"""What all rounds have shown so far: an entry for each kind on each set-up, kept in a file.

The counts are those of one version of the product. Those of earlier versions stay in brief.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from proof.results import about

_KEPT_ROUNDS = 20  # whole
_KEPT_DAYS = 4  # whole
_KEPT_VALUES = 50  # of a figure whose median is of interest
_KEPT_TEXTS = 20  # of violations of an entry
_KEPT_TEXT_LENGTH = 400
_MEDIANS = ("per_s", "promoted_after_s", "live_again_s", "other_gap_s")
_MOST = ("most_connections", "last_let_in_s", "streams_ended_s", "tries_of_a_day", "with_rests")
_PRODUCT = ("occupancy", "wsgi.py", "gunicorn.conf.py")

Row = Mapping[str, Any]
Entry = dict[str, Any]


class Counts:
    """The counts of a version of the product; :meth:`save` writes them to ``path``."""

    def __init__(self, path: Path, product: str, *, is_fresh: bool = False) -> None:
        self.path = path
        content: dict[str, Any] = {}
        if path.exists() and not is_fresh:
            content = json.loads(path.read_text())
        self.content = _begun(content, product)

    @property
    def entries(self) -> list[Entry]:
        found: list[Entry] = list(self.content["kinds"].values())
        return found

    @property
    def earlier(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.content["earlier"]
        return found

    def entry(self, kind: str, server: str, nodes: int) -> Entry | None:
        found: Entry | None = self.content["kinds"].get(_key(kind, server, nodes))
        return found

    def attempts(self, kind: str, server: str, nodes: int) -> int:
        """Rounds of it, with those that were void."""
        found = self.entry(kind, server, nodes)
        return found["rounds"] + found["void"] if found else 0

    def last_seed(self, kind: str, server: str, nodes: int) -> int | None:
        """The seed of its last round, of whatever version."""
        found: int | None = self.content["seeds"].get(_key(kind, server, nodes))
        return found

    def add(self, row: Row) -> None:
        """Add a round. A void one counts as such, and for nothing else."""
        key = _key(row["kind"], row["server"], row["nodes"])
        entry = self.content["kinds"].setdefault(key, _new_entry(row))
        self.content["seeds"][key] = max(row["seed"], self.content["seeds"].get(key, row["seed"]))
        self.content["about"] = about()
        entry["took_s"] += row["took_s"]
        if row["void"]:
            entry["void"] += 1
            entry["voids"] = [
                *entry["voids"], {"seed": row["seed"], "why": row["void"][:_KEPT_TEXT_LENGTH]}
            ][-_KEPT_TEXTS:]  # fmt: skip
        else:
            _add_figures(entry, row)
            _add_violations(entry, row)
        name, most = ("days", _KEPT_DAYS) if row["topology"] == "day" else ("recent", _KEPT_ROUNDS)
        self.content[name] = [*self.content[name], _brief(row)][-most:]

    def save(self) -> None:
        """Write them, whole or not at all."""
        beside = self.path.with_suffix(".new")
        beside.write_text(json.dumps(self.content, indent=1) + "\n")
        beside.replace(self.path)


def product_hash(root: Path) -> str:
    """Of the files of the product, whatever else has changed."""
    digest = hashlib.sha256()
    for path in _product_files(root):
        digest.update(f"{path.relative_to(root)}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:12]


def _product_files(root: Path) -> Iterator[Path]:
    for name in _PRODUCT:
        path = root / name
        if path.is_dir():
            for directory, names, files in os.walk(path):
                names[:] = sorted(each for each in names if each != "__pycache__")
                yield from (Path(directory) / each for each in sorted(files))
        elif path.exists():
            yield path


def _begun(content: dict[str, Any], product: str) -> dict[str, Any]:
    """The counts to go on with; those of another version become earlier ones."""
    earlier = list(content.get("earlier", []))
    if content.get("kinds") and content["product"] != product:
        entries = content["kinds"].values()
        earlier.append(
            {"product": content["product"], "at": content["about"]["at"],
             "rounds": sum(each["rounds"] for each in entries),
             "operations": sum(each["sums"].get("operations", 0) for each in entries),
             "faults": sum(sum(each["faults"].values()) for each in entries),
             "violations": sum(each["violation_count"] for each in entries)}
        )  # fmt: skip
        content = {"seeds": content["seeds"]}
    return {
        "about": content.get("about") or about(),
        "product": product,
        "kinds": content.get("kinds", {}),
        "days": content.get("days", []),
        "recent": content.get("recent", []),
        "seeds": content.get("seeds", {}),
        "earlier": earlier,
    }


def _key(kind: str, server: str, nodes: int) -> str:
    return f"{kind} {server} {nodes}"


def _new_entry(row: Row) -> Entry:
    return {
        "kind": row["kind"], "topology": row["topology"], "server": row["server"],
        "nodes": row["nodes"], "is_strict": row["is_strict"],
        "rounds": 0, "void": 0, "failed": 0, "took_s": 0.0,
        "faults": {}, "sums": {}, "most": {}, "values": {},
        "violation_count": 0, "violations": [], "voids": [],
    }  # fmt: skip


def _add_figures(entry: Entry, row: Row) -> None:
    entry["rounds"] += 1
    for name in row["faults"]:
        entry["faults"][name] = entry["faults"].get(name, 0) + 1
    for name, value in row["figures"].items():
        if value is None:
            continue
        if name in _MEDIANS:
            values = [*entry["values"].get(name, []), round(value, 3)]
            entry["values"][name] = values[-_KEPT_VALUES:]
        elif name in _MOST:
            entry["most"][name] = max(value, entry["most"].get(name, value))
        else:
            entry["sums"][name] = entry["sums"].get(name, 0) + value


def _add_violations(entry: Entry, row: Row) -> None:
    if row["violations"]:
        entry["failed"] += 1
    for check, texts in row["violations"].items():
        entry["violation_count"] += len(texts)
        found = {
            "seed": row["seed"], "check": check, "count": len(texts),
            "text": (texts or [""])[0][:_KEPT_TEXT_LENGTH],
        }  # fmt: skip
        entry["violations"] = [*entry["violations"], found][-_KEPT_TEXTS:]


def _brief(row: Row) -> dict[str, Any]:
    """A row, with the first texts of its violations."""
    violations = {
        check: [each[:_KEPT_TEXT_LENGTH] for each in texts[:3]]
        for check, texts in row["violations"].items()
    }
    return {**row, "violations": violations}
