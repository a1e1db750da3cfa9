"""What must hold after each fault. Pure: each check reads a record and yields its violations."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

from proof.failover.record import Log, Record

LIVE_AGAIN_S = 2.0  # after the promotion
OTHER_GAP_S = 0.5
_ON_A_BUSY_MACHINE = 10  # times as long is a violation anywhere

Check = Callable[[Record], Iterator[str]]
_EXPECTED = {200, 409, 0, 429, 502, 503, 504}


def models(record: Record) -> Iterator[str]:
    """Every watcher's model equals the board."""
    for each in record.watchers:
        board = record.items[each.board]
        for tag in sorted(board.keys() | each.model.keys()):
            if board.get(tag) != each.model.get(tag):
                yield (
                    f"{each.name}: {tag} is {_short(each.model.get(tag))}, "
                    f"on the board {_short(board.get(tag))}; last: {each.trail[-6:]}"
                )


def losses(record: Record) -> Iterator[str]:
    """Each watcher that saw an entry that is not in the log was reset afterwards."""
    for each in record.watchers:
        kept = {cursor for cursor, _ in record.logs[each.board]}
        lost = None
        for seen in each.trail:
            if seen.kind == "reset":
                lost = None
            elif seen.kind == "item" and seen.cursor not in kept:
                lost = seen
        if lost is not None:
            yield (
                f"{each.name}: saw {lost.cursor}, seq {lost.seq}, "
                f"{lost.at_s - record.struck_s:.2f} s after the fault, and was not reset: "
                f"{lost.event}; {each.trail[-4:]}"
            )


def streams(record: Record) -> Iterator[str]:
    """No stream skips an event or repeats one without a reset."""
    for each in record.watchers:
        previous = None
        for seen in each.trail:
            if seen.kind in ("reset", "snapshot"):
                previous = None
            elif seen.kind == "item":
                if previous is not None and seen.seq != previous.seq + 1:
                    yield (
                        f"{each.name}: seq {seen.seq} ({seen.cursor}, connection {seen.number}) "
                        f"after {previous.seq} ({previous.cursor}, connection {previous.number})"
                    )
                previous = seen


def contents(record: Record) -> Iterator[str]:
    """No cursor, no (tag, epoch) and no (tag, version) has two contents."""
    for board, where, cursor, item in _everything_seen(record):
        names: list[tuple[tuple[str, ...], str]] = [
            (("version", board, item["tag"], str(item["version"])), _text(item)),
            (("epoch", board, item["tag"], str(item["epoch"])), _holder(item)),
        ]
        if cursor:
            names.append((("cursor", board, cursor), _text(item)))
        for name, content in names:
            if found := record.contents.conflict(name, content, where):
                yield found


def numbers(record: Record) -> Iterator[str]:
    """The seq of each log has no holes."""
    for board, log in record.logs.items():
        seqs = [int(fields["seq"]) for _, fields in log if "seq" in fields]
        for one, other in pairwise(seqs):
            if other != one + 1:
                yield f"{board}: seq {other} after {one} in the log"


def keys(record: Record) -> Iterator[str]:
    """Each new entry of the log is that of one key, and no key has two."""
    claims: dict[tuple[str, str, int], list[str]] = {}
    open_tags = set()
    for each in record.calls:
        if each.reply is None:
            open_tags.add((each.board, each.tag, each.worker))
        elif each.has_changed and each.item is not None:
            name = (each.board, each.tag, int(each.item["version"]))
            claims.setdefault(name, []).append(f"{each.worker} {each.key}")
    for name, claimed in claims.items():
        if len(claimed) > 1:
            yield f"{name} was the answer to {claimed}"
    for board, log in record.logs.items():
        before = {cursor for cursor, _ in record.logs_before[board]}
        for cursor, fields in log:
            if cursor in before or "event" not in fields:
                continue
            event = json.loads(fields["event"])
            tag, actor = event["item"]["tag"], event["actor"]["id"]
            if actor not in record.people or (board, tag, actor) in open_tags:
                continue
            if (board, tag, event["item"]["version"]) not in claims:
                calls = [
                    (call.key, call.operation, call.statuses, call.item and call.item["version"])
                    for call in record.calls
                    if (call.board, call.tag, call.worker) == (board, tag, actor)
                    and len(call.statuses) > 1
                ]
                yield (
                    f"{board} {cursor}: {actor} {event['type']} {tag} version "
                    f"{event['item']['version']} is the answer to no call; sent again: {calls}"
                )


def answers(record: Record) -> Iterator[str]:
    """Each operation has an answer in the end, and no answer is one that cannot be."""
    for each in record.calls:
        if each.reply is None:
            yield f"{each.path} {each.key}: never answered: {dict(Counter(each.statuses))}"
        code = each.reply.body.get("code") if each.reply else None
        allowed = _EXPECTED | ({403} if code == "not_holder" else set())
        for status in set(each.statuses) - allowed:
            yield f"{each.path} {each.key}: {status} {each.reply and each.reply.body}"


def budget(record: Record) -> Iterator[str]:
    """No server had more connections than the budget."""
    for port, count in record.most_connections.items():
        if count > record.budget:
            yield f"port {port}: {count} connections, the budget is {record.budget}"


def revocation(record: Record) -> Iterator[str]:
    """A revocation that was acknowledged stays."""
    if record.revoked_status != 401:
        yield f"the revoked token got {record.revoked_status}"


def delays(record: Record) -> Iterator[str]:
    """Events flow again soon after the promotion, and other boards' never stop."""
    found = figures(record)
    for name, limit_s in (("live_again_s", LIVE_AGAIN_S), ("other_gap_s", OTHER_GAP_S)):
        if found[name] is not None and found[name] > limit_s * _ON_A_BUSY_MACHINE:
            yield f"{name} is {found[name]:.1f}"


def late_answers(record: Record) -> Iterator[str]:
    """No page takes the answer of a lost operation after it has loaded its board again.

    An old primary may acknowledge it to a process that does not know of the promotion yet.
    """
    for each in record.watchers:
        versions = _versions_in(record.logs[each.board])
        since = max((n for n, seen in enumerate(each.trail) if seen.kind == "snapshot"), default=0)
        for seen in each.trail[since:]:
            if seen.kind == "answer":
                item = json.loads(seen.event)
                if (item["tag"], item["version"]) not in versions:
                    yield f"{each.name}: took {_short(item)} from a late answer"


def confirmed(record: Record) -> Iterator[str]:
    """In strict mode, what was acknowledged is in the log."""
    if not record.is_strict:
        return
    for each in lost_calls(record):
        yield (
            f"{each.path} {each.key}: acknowledged version {each.item and each.item['version']} "
            f"{each.answered_s - record.struck_s:.2f} s after the fault is lost; {each.statuses}"
        )


CHECKS: dict[str, Check] = {
    each.__name__: each
    for each in (
        models, losses, streams, contents, numbers, keys, answers, budget, revocation, delays,
        late_answers, confirmed,
    )
}  # fmt: skip


def lost_calls(record: Record) -> list[Any]:
    """The acknowledged operations whose entry is not in the log."""
    kept = {
        (board, *each) for board, log in record.logs.items() for each in _versions_in(log)
    }  # fmt: skip
    return [
        each for each in record.calls
        if each.has_changed and each.item is not None
        and (each.board, each.tag, each.item["version"]) not in kept
    ]  # fmt: skip


def figures(record: Record) -> dict[str, Any]:
    """Counts, and times in seconds."""
    live_again: list[float] = []
    gaps: list[float] = []
    lost_entries = set()
    for each in record.watchers:
        times = [seen.at_s for seen in each.trail if seen.kind == "item"]
        after = [at_s for at_s in times if at_s >= record.ended_s]
        if each.board in record.concerned:
            live_again.append(after[0] - record.ended_s if after else float("inf"))
        elif after:
            inside = [at_s for at_s in times if record.struck_s - 0.5 <= at_s <= after[0]]
            gaps += [other - one for one, other in pairwise([*inside, after[0]])]
        kept = {cursor for cursor, _ in record.logs[each.board]}
        lost_entries |= {
            (each.board, seen.cursor)
            for seen in each.trail if seen.kind == "item" and seen.cursor not in kept
        }  # fmt: skip
    return {
        "operations": sum(each.reply is not None for each in record.calls),
        "changes": sum(each.has_changed for each in record.calls),
        "sent_again": sum(len(each.statuses) > 1 for each in record.calls),
        "replayed": sum(bool(each.reply and each.reply.is_replayed) for each in record.calls),
        "acknowledged_and_lost": len(lost_calls(record)),
        "seen_and_lost": len(lost_entries),
        "resets": sum(
            seen.kind == "reset" for each in record.watchers for seen in each.trail
        ),
        "promoted_after_s": record.ended_s - record.struck_s,
        "live_again_s": max(live_again, default=None),
        "other_gap_s": max(gaps, default=None),
        "most_connections": max(record.most_connections.values(), default=0),
    }  # fmt: skip


def violations(record: Record) -> dict[str, list[str]]:
    """The violations of each check that has some."""
    found = {name: list(check(record)) for name, check in CHECKS.items()}
    return {name: texts for name, texts in found.items() if texts}


def _versions_in(log: Log) -> set[tuple[str, int]]:
    """Tag and version of each entry."""
    items = (json.loads(fields["event"])["item"] for _, fields in log if "event" in fields)
    return {(each["tag"], each["version"]) for each in items}


def _everything_seen(record: Record) -> Iterator[tuple[str, str, str, dict[str, Any]]]:
    for each in record.watchers:
        for seen in each.trail:
            if seen.kind == "item":
                yield each.board, each.name, seen.cursor, json.loads(seen.event)["item"]
        for item in each.snapshots:
            yield each.board, f"snapshot of {each.name}", "", item
    for call in record.calls:
        if call.item is not None:
            yield call.board, f"answer to {call.key}", "", call.item
    for board, log in record.logs.items():
        for cursor, fields in log:
            if "event" in fields:
                yield board, "log", cursor, json.loads(fields["event"])["item"]
    for board, items in record.items.items():
        for item in items.values():
            yield board, "board", "", item


def _holder(item: dict[str, Any]) -> str:
    return str((item["holder"] or {}).get("id"))


def _text(item: dict[str, Any]) -> str:
    return json.dumps(item, sort_keys=True)


def _short(item: dict[str, Any] | None) -> str:
    if item is None:
        return "missing"
    return f"{item['state']} by {_holder(item)}, version {item['version']}"
