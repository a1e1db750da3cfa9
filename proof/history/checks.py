"""The judgement: all checks of a history, and counts of what it has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from proof.history import answer_checks, contents, log_checks, stream_checks
from proof.history.answer_checks import PASSING
from proof.history.contents import Contents, everything_seen
from proof.history.history import History
from proof.history.worked_time import worked_time

_MOST_TEXTS = 20  # of one check

Check = Callable[[History], Iterator[str]]


def models(history: History) -> Iterator[str]:
    """Every watcher's model equals the board at the end."""
    yield from stream_checks.models(
        history.watchers, {board: state.items for board, state in history.after.items()}
    )


def late_answers(history: History) -> Iterator[str]:
    """No page shows the answer of a lost operation that it took after its last snapshot."""
    yield from stream_checks.late_answers(history.watchers, history.kept)


def numbers(history: History) -> Iterator[str]:
    """The seq of each log has no holes, and the log goes on from where it was."""
    yield from log_checks.numbers({board: state.log for board, state in history.after.items()})
    yield from log_checks.continuations(history)


def unique(history: History) -> Iterator[str]:
    """No cursor, no version and no epoch of an item has two contents."""
    items = {board: state.items for board, state in history.after.items()}
    # What a loss took away may be counted again, with another content.
    watchers = () if history.losses else history.watchers
    seen = everything_seen(watchers, history.judged_calls, history.events, items)
    yield from contents.conflicts(Contents(), seen)


def keys(history: History) -> Iterator[str]:
    """Each new event is that of one key, and no key has two."""
    calls = history.judged_calls
    yield from log_checks.keys(calls, history.new_events, history.roles)
    yield from log_checks.authors(history)


def budget(history: History) -> Iterator[str]:
    """The server never had more connections than the budget."""
    if history.most_connections > history.budget > 0:
        yield f"{history.most_connections} connections, the budget is {history.budget}"


CHECKS: dict[str, Check] = {
    each.__name__: each
    for each in (
        answer_checks.answers, answer_checks.linearizable, answer_checks.exclusive,
        answer_checks.holder_only, answer_checks.rising, answer_checks.counted, unique, keys,
        numbers, log_checks.table, log_checks.acknowledged, log_checks.board, log_checks.indexes,
        stream_checks.streams, models, late_answers, worked_time, budget,
    )
}  # fmt: skip


def violations(history: History) -> dict[str, list[str]]:
    """The violations of each check that has some; of many the first."""
    found = {}
    for name, check in CHECKS.items():
        texts = list(check(history))
        if len(texts) > _MOST_TEXTS:
            texts[_MOST_TEXTS:] = [f"and {len(texts) - _MOST_TEXTS} more"]
        if texts:
            found[name] = texts
    return found


def counts(history: History) -> dict[str, int]:
    """How much there was to judge."""
    statuses = Counter(status for call in history.calls for status in call.statuses)
    kinds = Counter(seen.kind for each in history.watchers for seen in each.trail)
    return {
        "operations": len(history.calls),
        "answered": sum(call.reply is not None for call in history.calls),
        "unknown": sum(call.reply is None for call in history.calls),
        "changes": sum(call.has_changed for call in history.calls),
        "refused": sum(call.reply is not None and call.item is None for call in history.calls),
        "sent_again": sum(len(call.statuses) > 1 for call in history.calls),
        "replayed": sum(bool(call.reply and call.reply.is_replayed) for call in history.calls),
        "answers_lost": statuses[0],
        "passing_errors": sum(statuses[each] for each in PASSING - {0}),
        "excused_by_a_loss": len(history.calls) - len(history.judged_calls),
        "items": sum(len(state.items) for state in history.after.values()),
        "events": sum(map(len, history.new_events.values())),
        "deliveries": kinds["item"],
        "connections_ended": kinds["end"],
        "resets": kinds["reset"],
        "watchers": len(history.watchers),
        "workers": len({call.worker for call in history.calls}),
        "most_connections": history.most_connections,
    }
