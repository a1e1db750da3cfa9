"""The page docs/reliability.md, made from the counts of a run."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from proof.campaign.goals import standings
from proof.failover.checks import CHECKS
from proof.failover.faults import OF_CLUSTER, OF_SENTINEL, OF_VALKEY_CLUSTER
from proof.history.checks import CHECKS as HISTORY_CHECKS
from proof.planted import report as planted_bugs
from proof.report import texts
from proof.report.days import days
from proof.report.tables import OF_ACCESS, OF_FAILOVERS, OF_ONE_SERVER, Entries, Entry, table, total
from proof.single.run import FAULTS

_MOST_TEXT = 300


def markdown(content: dict[str, Any], planted: dict[str, Any] | None = None) -> str:
    """The page, of the counts and of what became of the planted bugs."""
    entries = list(content["kinds"].values())
    single = [each for each in entries if each["topology"] == "single"]
    failovers = [each for each in entries if each["topology"] in ("cluster", "sentinel")]
    lines = [texts.BEGINNING + _facts(content), ""]
    lines += _goals(entries)
    lines += _what_did_not_hold(entries)
    if single:
        lines += _single(single)
    if failovers:
        lines += _failovers(failovers)
    if access := [each for each in entries if each["topology"] == "access"]:
        lines += [texts.ACCESS, *table(access, OF_ACCESS), ""]
    if content["days"]:
        lines += days(content["days"])
    if planted is not None:
        lines += [texts.PLANTED, *planted_bugs.table(planted), ""]
    lines += [texts.REPEAT, *_earlier(content["earlier"])]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).rstrip() + "\n"


def _goals(entries: Entries) -> Iterator[str]:
    yield texts.GOALS + "| goal | reached | of | violations |"
    yield "|---|--:|--:|--:|"
    for each in standings(entries):
        yield (
            f"| {each.goal.name} | {each.reached:,} | {each.goal.target:,} | {each.violations:,} |"
        )
    rounds, void, failed = (total(entries, name) for name in ("rounds", "void", "failed"))
    yield ""
    yield f"{rounds} rounds, {failed} of them with a violation; besides, {void} void."
    yield ""


def _what_did_not_hold(entries: Entries) -> Iterator[str]:
    violated = [(each, found) for each in entries for found in each["violations"]]
    void = [(each, found) for each in entries for found in each["voids"]]
    if violated:
        yield from ("## What did not hold", "")
        for entry, found in violated:
            times = f", {found['count']} times" if found["count"] > 1 else ""
            yield f"- {_name_of(entry, found)}: {found['check']}{times}, {_code(found['text'])}"
        yield ""
    if void:
        yield from ("## Void rounds", "")
        yield from (f"- {_name_of(entry, found)}: {_code(found['why'])}" for entry, found in void)
        yield ""


def _name_of(entry: Entry, found: dict[str, Any]) -> str:
    return f"`--only {entry['kind']} --seed {found['seed']}` ({entry['server']})"


def _code(text: str) -> str:
    """As code on one line."""
    line = " ".join(text.replace("`", "'").split())
    return f"`{line[:_MOST_TEXT]}`"


def _single(entries: Entries) -> Iterator[str]:
    yield texts.SINGLE + "### What is checked after each round"
    yield ""
    yield from _meanings(HISTORY_CHECKS)
    yield "- The reconciliation finds nothing, and each process says that it is ready."
    yield from ("", "### The faults", "")
    yield from (
        f"- **{name}**: {(each.act.__doc__ or '').strip()}" for name, each in FAULTS.items()
    )
    yield from ("", "### Counts", "", texts.SINGLE_MEANING)
    yield from table(entries, OF_ONE_SERVER)
    yield ""


def _failovers(entries: Entries) -> Iterator[str]:
    yield texts.FAILOVERS + "### What is checked after each fault"
    yield ""
    yield from _meanings(CHECKS)
    yield from ("", "### The faults", "")
    yield from (
        f"- **{name}**: {(fault.__doc__ or '').strip()}"
        for name, fault in (OF_CLUSTER | OF_VALKEY_CLUSTER | OF_SENTINEL).items()
    )
    yield from ("", "### Counts", "", texts.MEANING)
    set_ups = [(topology, strict) for topology in ("cluster", "sentinel") for strict in (0, 1)]
    for topology, is_strict in set_ups:
        own = [
            each for each in entries
            if (each["topology"], each["is_strict"]) == (topology, bool(is_strict))
        ]  # fmt: skip
        if own:
            yield f"#### {topology.title()}{', strict mode' if is_strict else ''}"
            yield ""
            yield from table(own, OF_FAILOVERS)
            yield ""


def _earlier(versions: Sequence[dict[str, Any]]) -> Iterator[str]:
    if not versions:
        return
    yield from ("", "### Earlier versions", "")
    yield "| version | until | rounds | operations | faults | violations |"
    yield "|---|---|--:|--:|--:|--:|"
    for each in versions:
        yield (
            f"| {each['product']} | {each['at'][:10]} | {each['rounds']:,} | "
            f"{each['operations']:,} | {each['faults']:,} | {each['violations']:,} |"
        )


def _meanings(checks: Mapping[str, Any]) -> Iterator[str]:
    return (f"- {(check.__doc__ or name).strip()}" for name, check in checks.items())


def _facts(content: dict[str, Any]) -> str:
    about = content["about"]
    return (
        f"{about['at'][:10]}, version {content['product']} of the product; {about['cores']} cores, "
        f"Linux {about['kernel']}, Python {about['python']}; {about['valkey']}, {about['redis']}."
    )
