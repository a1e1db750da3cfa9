"""The page docs/reliability.md, made from the counts of a run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import median
from typing import Any

from proof.failover.checks import CHECKS
from proof.failover.faults import OF_CLUSTER, OF_SENTINEL, OF_VALKEY_CLUSTER
from proof.history.checks import CHECKS as HISTORY_CHECKS
from proof.results import name_of
from proof.single.run import FAULTS

Rows = Sequence[dict[str, Any]]
Column = tuple[str, Callable[[Rows], str]]

_BEGINNING = """\
# Reliability

What happens to operations, streams and access when something fails: one server, a process, the
network, a clock, a disk, or a server of a Cluster or of a Sentinel set-up. It is measured on real
servers. `bin/prove` makes these counts; `bin/prove --report` makes this
page from [reliability.json](reliability.json).

"""

_SINGLE = """\
## One server

Each round runs one server with an append-only file, and one node of two gunicorn processes, or two
nodes behind nginx. 200 workers send all operations to ten boards of twenty items, each with its own
Idempotency-Key, and send them again until an answer is known. Two watchers follow each board; one
of them ends its connection about once a second and goes on from its cursor. In the midst there are
faults, one or several at once. Afterwards a judge that shares no code with the product reads what
all callers, all watchers and the server have seen. A round is void without one of its faults, or
with fewer than 100 operations a second outside the faults that stop everything.

"""

_FAILOVERS = """\
## A Cluster, and Sentinels

Each round runs two nodes of two gunicorn processes behind nginx, without sticky sessions, on a
Cluster of three primaries and three replicas, or on a primary, two replicas and three Sentinels.
Twelve workers send operations to six boards, each with its own Idempotency-Key, and send them again
until an answer is known; twelve watchers follow the boards. In the midst there is one fault, and a
token is revoked. In *strict mode* (`OCCUPANCY_CONFIRM_REPLICAS`) all replicas of a primary confirm
each operation.

"""

_COLUMNS: list[Column] = [
    ("rounds", lambda rows: str(len(rows))),
    ("operations", lambda rows: _sum(rows, "operations")),
    ("sent again", lambda rows: _sum(rows, "sent_again")),
    ("acknowledged and lost", lambda rows: _sum(rows, "acknowledged_and_lost")),
    ("seen and lost", lambda rows: _sum(rows, "seen_and_lost")),
    ("resets", lambda rows: _sum(rows, "resets")),
    ("promotion, s", lambda rows: _times(rows, "promoted_after_s")),
    ("live again, s", lambda rows: _times(rows, "live_again_s")),
    ("others' gap, s", lambda rows: _times(rows, "other_gap_s")),
    ("connections", lambda rows: str(max(_values(rows, "most_connections"), default="–"))),
    ("violations", lambda rows: str(sum(map(_violations, rows)))),
]

_SINGLE_COLUMNS: list[Column] = [
    ("rounds", lambda rows: str(len(rows))),
    ("operations", lambda rows: _sum(rows, "operations")),
    ("a second", lambda rows: _median(rows, "per_s")),
    ("answers lost", lambda rows: _sum(rows, "answers_lost")),
    ("sent again", lambda rows: _sum(rows, "sent_again")),
    ("acknowledged and lost", lambda rows: _sum(rows, "acknowledged_and_lost")),
    ("deliveries", lambda rows: _sum(rows, "deliveries")),
    ("forced reconnects", lambda rows: _sum(rows, "forced_reconnects")),
    ("resets", lambda rows: _sum(rows, "resets")),
    ("connections", lambda rows: str(max(_values(rows, "most_connections"), default="–"))),
    ("violations", lambda rows: str(sum(map(_violations, rows)))),
]

_SINGLE_MEANING = """\
*A second*: operations, outside the faults that stop everything; the median of the rounds.
*Acknowledged and lost*: operations that were answered 200 and are not in the log afterwards: only
those of the last second before a fault that takes away what the server had not written. Each
watcher that saw them was reset. *Connections*: the most that the server had at once, of a budget of
60.
"""

_MEANING = """\
*Acknowledged and lost*: operations that were answered 200 and are not in the log afterwards.
Without strict mode, replication is asynchronous, and a failover may lose the last of them.
*Seen and lost*: events that a watcher saw and that are not in the log; each such watcher was reset.
*Promotion*: from the fault to the moment when a replica was seen as primary, or when what was to
happen had happened. *Live again*: from then to the next event on the boards concerned.
*Others' gap*: the longest time without an event on a board of another shard. Times are the median
and the longest. *Connections*: the most that a server had at once, of a budget of 50.
"""


def markdown(result: dict[str, Any]) -> str:
    """The page."""
    rounds: Rows = result["rounds"]
    void = [each for each in rounds if each["void"]]
    failed = [each for each in rounds if each["violations"]]
    single = [each for each in rounds if each["topology"] == "single"]
    lines = [
        _BEGINNING + _facts(result["about"]),
        "",
        f"{len(rounds)} rounds; {len(rounds) - len(void) - len(failed)} without a violation, "
        f"{len(failed)} with one, {len(void)} void.",
        "",
    ]
    if single:
        lines += _single(single)
    if others := [each for each in rounds if each not in single]:
        lines += _failovers(others)
    if failed or void:
        lines += ["## What did not hold", ""]
        lines += [f"- {name_of(each)}: void, {each['void']}" for each in void]
        lines += [
            f"- {name_of(each)}: {name}, {len(texts)} times"
            for each in failed for name, texts in each["violations"].items()
        ]  # fmt: skip
        lines.append("")
    return "\n".join(lines)


def _single(rounds: Rows) -> Iterator[str]:
    named = [{**each, "fault": _fault_of(each)} for each in rounds]
    yield _SINGLE + "### What is checked after each round"
    yield ""
    yield from _meanings(HISTORY_CHECKS)
    yield "- The reconciliation finds nothing, and each process says that it is ready."
    yield from ("", "### The faults", "")
    yield from (
        f"- **{name}**: {(each.act.__doc__ or '').strip()}" for name, each in FAULTS.items()
    )
    yield from ("", "### Counts", "", _SINGLE_MEANING)
    yield from _table(named, _SINGLE_COLUMNS)
    yield ""


def _fault_of(row: dict[str, Any]) -> str:
    (first, *others) = row["faults"]
    return "several at once" if others else str(first)


def _failovers(rounds: Rows) -> Iterator[str]:
    yield _FAILOVERS + "### What is checked after each fault"
    yield ""
    yield from _meanings(CHECKS)
    yield from ("", "### The faults", "")
    yield from (
        f"- **{name}**: {(fault.__doc__ or '').strip()}"
        for name, fault in (OF_CLUSTER | OF_VALKEY_CLUSTER | OF_SENTINEL).items()
    )
    yield from ("", "### Counts", "", _MEANING)
    for topology, is_strict in _set_ups(rounds):
        yield f"#### {topology.title()}{', strict mode' if is_strict else ''}"
        yield ""
        own = [
            each for each in rounds
            if (each["topology"], each["is_strict"]) == (topology, is_strict)
        ]  # fmt: skip
        yield from _table(own, _COLUMNS)
        yield ""


def _meanings(checks: Mapping[str, Any]) -> Iterator[str]:
    return (f"- {(check.__doc__ or name).strip()}" for name, check in checks.items())


def _facts(about: dict[str, Any]) -> str:
    return (
        f"{about['at'][:10]}, {about['cores']} cores, Linux {about['kernel']}, "
        f"Python {about['python']}; {about['valkey']}, {about['redis']}."
    )


def _set_ups(rounds: Rows) -> list[tuple[str, bool]]:
    return list(dict.fromkeys((each["topology"], each["is_strict"]) for each in rounds))


def _table(rounds: Rows, columns: Sequence[Column]) -> Iterator[str]:
    yield f"| fault | server | {' | '.join(head for head, _ in columns)} |"
    yield "|---|---|" + "--:|" * len(columns)
    for fault, server in dict.fromkeys((each["fault"], each["server"]) for each in rounds):
        own = [each for each in rounds if (each["fault"], each["server"]) == (fault, server)]
        cells = [cell(own) for _, cell in columns]
        yield f"| {fault} | {server} | {' | '.join(cells)} |"


def _values(rows: Rows, key: str) -> list[Any]:
    return [
        each["figures"][key] for each in rows
        if not each["void"] and each["figures"].get(key) is not None
    ]  # fmt: skip


def _sum(rows: Rows, key: str) -> str:
    return f"{sum(_values(rows, key)):,}"


def _times(rows: Rows, key: str) -> str:
    values = _values(rows, key)
    return f"{median(values):.2f}, {max(values):.2f}" if values else "–"


def _median(rows: Rows, key: str) -> str:
    values = _values(rows, key)
    return f"{median(values):,.0f}" if values else "–"


def _violations(row: dict[str, Any]) -> int:
    return sum(len(texts) for texts in row["violations"].values())
