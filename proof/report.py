"""The page docs/reliability.md, made from the counts of a run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from statistics import median
from typing import Any

from proof.failover.checks import CHECKS
from proof.failover.faults import OF_CLUSTER, OF_SENTINEL, OF_VALKEY_CLUSTER

Rows = Sequence[dict[str, Any]]

_BEGINNING = """\
# Reliability

What happens to operations, streams and access when a server of a Cluster or of a Sentinel set-up
fails, measured on real servers. `bin/prove` makes these counts; `bin/prove --report` makes this
page from [reliability.json](reliability.json).

Each round runs two nodes of two gunicorn processes behind nginx, without sticky sessions, on a
Cluster of three primaries and three replicas, or on a primary, two replicas and three Sentinels.
Twelve workers send operations to six boards, each with its own Idempotency-Key, and send them again
until an answer is known; twelve watchers follow the boards. In the midst there is one fault, and a
token is revoked. In *strict mode* (`OCCUPANCY_CONFIRM_REPLICAS`) all replicas of a primary confirm
each operation.

"""

_COLUMNS: list[tuple[str, Callable[[Rows], str]]] = [
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
    about = result["about"]
    void = [each for each in rounds if each["void"]]
    failed = [each for each in rounds if each["violations"]]
    lines = [
        _BEGINNING + _facts(about),
        "",
        f"{len(rounds)} faults; {len(rounds) - len(void) - len(failed)} without a violation, "
        f"{len(failed)} with one, {len(void)} void.",
        "",
        "## What is checked after each fault",
        "",
        *(f"- {(check.__doc__ or name).strip()}" for name, check in CHECKS.items()),
        "",
        "## The faults",
        "",
        *(
            f"- **{name}**: {(fault.__doc__ or '').strip()}"
            for name, fault in (OF_CLUSTER | OF_VALKEY_CLUSTER | OF_SENTINEL).items()
        ),
        "",
        "## Counts",
        "",
        _MEANING,
    ]
    for topology, is_strict in _set_ups(rounds):
        strict = ", strict mode" if is_strict else ""
        lines += [f"### {topology.title()}{strict}", ""]
        own = [
            each for each in rounds
            if (each["topology"], each["is_strict"]) == (topology, is_strict)
        ]  # fmt: skip
        lines += [*_table(own), ""]
    if failed or void:
        lines += ["## What did not hold", ""]
        lines += [f"- {_where(each)}: void, {each['void']}" for each in void]
        lines += [
            f"- {_where(each)}: {name}, {len(texts)} times"
            for each in failed for name, texts in each["violations"].items()
        ]  # fmt: skip
        lines.append("")
    return "\n".join(lines)


def _facts(about: dict[str, Any]) -> str:
    return (
        f"{about['at'][:10]}, {about['cores']} cores, Linux {about['kernel']}, "
        f"Python {about['python']}; {about['valkey']}, {about['redis']}."
    )


def _set_ups(rounds: Rows) -> list[tuple[str, bool]]:
    return list(dict.fromkeys((each["topology"], each["is_strict"]) for each in rounds))


def _table(rounds: Rows) -> Iterator[str]:
    yield f"| fault | server | {' | '.join(head for head, _ in _COLUMNS)} |"
    yield "|---|---|" + "--:|" * len(_COLUMNS)
    for fault, server in dict.fromkeys((each["fault"], each["server"]) for each in rounds):
        own = [each for each in rounds if (each["fault"], each["server"]) == (fault, server)]
        cells = [cell(own) for _, cell in _COLUMNS]
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


def _violations(row: dict[str, Any]) -> int:
    return sum(len(texts) for texts in row["violations"].values())


def _where(row: dict[str, Any]) -> str:
    strict = ", strict mode" if row["is_strict"] else ""
    return f"{row['topology']} of {row['server']}{strict}, {row['fault']}, seed {row['seed']}"
