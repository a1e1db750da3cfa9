"""What must hold after each fault. Pure: each check reads a record and yields its violations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

from proof.failover.record import Record
from proof.history import log_checks, stream_checks
from proof.history.call import Call
from proof.history.contents import conflicts, everything_seen
from proof.history.history import kept_in, new_events

LIVE_AGAIN_S = 2.0  # after the promotion
OTHER_GAP_S = 0.5
_ON_A_BUSY_MACHINE = 10  # times as long is a violation anywhere

Check = Callable[[Record], Iterator[str]]
_EXPECTED = {200, 409, 0, 429, 502, 503, 504}


def models(record: Record) -> Iterator[str]:
    """Every watcher's model equals the board."""
    yield from stream_checks.models(record.watchers, record.items)


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
    seen = everything_seen(record.watchers, record.calls, record.events, record.items)
    yield from conflicts(record.contents, seen)


def numbers(record: Record) -> Iterator[str]:
    """The seq of each log has no holes."""
    yield from log_checks.numbers(record.logs)


def keys(record: Record) -> Iterator[str]:
    """Each new entry of the log is that of one key, and no key has two."""
    events = {
        board: new_events(found, record.logs_before[board])
        for board, found in record.events.items()
    }
    yield from log_checks.keys(record.calls, events, record.people)


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
    """No page shows the answer of a lost operation that it took after its last snapshot."""
    yield from stream_checks.late_answers(record.watchers, kept_in(record.events))


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


def lost_calls(record: Record) -> list[Call]:
    """The acknowledged operations whose entry is not in the log."""
    return log_checks.unkept(record.calls, kept_in(record.events))


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
