"""Reconciliation: checks whether items, indexes, counts and log agree; mends indexes and counts.

They agree unless somebody edited the keys by hand, an older version had a bug, or a restore brought
back half of them. Indexes and view are mended from the item's own hash; a log or a history cannot
be mended. One atomic script for each hundred items sees each item at one instant, while operations
go on, and reports no change that is under way.
"""

from __future__ import annotations

import itertools
import logging
import math
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import msgspec

from occupancy.boards.store import Store
from occupancy.core.entities import BOARD_PATTERN, MAIN_BOARD, STATES
from occupancy.core.errors import PoolTimeout, StoreUnavailable
from occupancy.core.texts.plurals import counted
from occupancy.storage.client import OpsClient
from occupancy.storage.scripts import Script

log = logging.getLogger(__name__)

START_LIMIT_S = 10.0
_ITEMS_PER_AUDIT = 100
_ELECTION_TTL_S = 60  # one process is elected of those that start within this time
_START_RETRY_S = 2.0
_ENTRIES_PER_PAGE = 1000  # of a log
_MAX_COUNTED_AT_START = 20_000  # items; one script reads them all, which takes 20 ms


class Problem(msgspec.Struct, frozen=True):
    """``kind`` is by_tag, by_state, by_holder, view, history, log, steps or boards (their index).

    ``tag`` is '' for the last three.
    """

    tag: str
    kind: str
    text: str


class Report(msgspec.Struct):
    """The result; ``is_complete`` is false if the time was up before the end."""

    board: str
    items: int = 0
    problems: list[Problem] = []
    is_complete: bool = True


_TEXTS = {
    "by_tag": "missing in, or superfluous in, the index of items",
    "by_state": "missing in, or superfluous in, the index by state",
    "by_holder": "missing in, or superfluous in, the index by holder",
    "view": "what the outside sees is not what the item is",
    "history": "the newest event in its history is not its newest version",
}


class Reconciler:
    """Methods raise BoardNotFound, PoolTimeout and StoreUnavailable."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._audit = Script(store.client, "board/audit")

    def run(self, board: str, *, repair: bool, limit_s: float | None = None) -> Report:
        """Check one board, for at most ``limit_s`` seconds; mend its indexes with ``repair``."""
        self._store.log.head(board)
        report = Report(board)
        until = math.inf if limit_s is None else time.monotonic() + limit_s
        keys, client = self._store.keys.board(board), self._store.client
        report.problems += self._check_log(board, until)

        report.items = self._check_items(report, self._tags(board, until), repair, until)

        # Every item has its entries now, so more entries than items means that some belong to no
        # item. (Operations that go on may also make the counts differ; then the search finds none.)
        sizes = client.run_pipeline(
            lambda pipeline: (
                pipeline.zcard(keys.by_tag),
                pipeline.zcard(keys.by_state),
                pipeline.hlen(keys.view),
            )
        )
        claims: Iterator[Any] = client.zscan_iter(keys.by_holder)
        members = [(member for member, _ in claims)]
        if any(size != report.items for size in sizes):
            members.append(member for member, _ in client.zscan_iter(keys.by_tag))
            states: Iterator[Any] = client.zscan_iter(keys.by_state)
            members.append(member.rpartition(b"|")[2] for member, _ in states)
            members.append(tag for tag, _ in client.hscan_iter(keys.view))
        dangling = (member.decode() for member in itertools.chain(*members))
        self._check_items(report, dangling, repair, until)
        if report.items <= (_MAX_COUNTED_AT_START if limit_s is not None else math.inf):
            for step, count, right in self._store.boards.check_step_counts(board, mend=repair):
                text = f"{count} items are counted at the step {step}, where {right} stand"
                report.problems.append(Problem("", "steps", text))
        report.is_complete = time.monotonic() <= until
        return report

    def check_index(self, *, repair: bool, limit_s: float | None = None) -> list[Problem]:
        """Boards that the index of boards lacks; lists them again with ``repair``.

        Looks at every key on every server, for at most ``limit_s`` seconds.
        """
        until = math.inf if limit_s is None else time.monotonic() + limit_s
        boards, keys = self._store.boards, self._store.keys
        before, after = keys.board("*").board.split("*")
        found = set()
        for client in self._store.client.every_server():
            for key in _scan(client, f"{before}*{after}", until):
                name = key.removeprefix(before).removesuffix(after)
                if re.match(BOARD_PATTERN, name):
                    found.add(name)
        self._find_removals(found)
        lost = boards.named(found - {MAIN_BOARD} - boards.index.listed())
        if lost and repair:
            boards.index.add(*(each.board for each in lost))
        text = "the board {} is missing in the index of boards"
        return [Problem("", "boards", text.format(each.board)) for each in lost]

    def _find_removals(self, boards: Iterable[str]) -> None:
        """List again the boards whose removal has not ended: a failover may lose the list."""
        client, removing = self._store.client, self._store.keys.removing
        names = list(boards)
        hashes = [self._store.keys.board(each).board for each in names]
        marks = client.run_pipeline(
            lambda pipeline: [pipeline.hexists(each, "removing") for each in hashes]
        )
        if marked := [each for each, is_marked in zip(names, marks, strict=True) if is_marked]:
            client.sadd(removing, *marked)

    def _check_items(self, report: Report, tags: Iterable[str], repair: bool, until: float) -> int:
        """Audit the tags chunk by chunk; returns how many there were."""
        count = 0
        known = {(problem.tag, problem.kind) for problem in report.problems}
        iterator = iter(tags)
        while chunk := list(itertools.islice(iterator, _ITEMS_PER_AUDIT)):
            if time.monotonic() > until:
                break
            count += len(chunk)
            for tag, kind in self.audit(report.board, chunk, mend=repair):
                if (tag, kind) not in known:
                    known.add((tag, kind))
                    report.problems.append(Problem(tag, kind, _TEXTS[kind]))
        return count

    def audit(self, board: str, tags: Sequence[str], *, mend: bool) -> list[tuple[str, str]]:
        """Pairs of tag and kind of problem; see audit.lua. Mending may take a second round trip."""
        keys = self._store.keys.board(board)
        script_keys = [keys.board, keys.view, keys.by_tag, keys.by_state, keys.by_holder]
        for tag in (claim.rpartition("|")[2] for claim in tags):
            script_keys += (keys.item(tag), keys.history(tag))
        arguments = ["1" if mend else "0", ",".join(STATES), *tags]
        reply = [each.decode() for each in self._audit.run(script_keys, arguments)]
        found = list(zip(reply[0::2], reply[1::2], strict=True))
        stale = sorted({tag for tag, problem in found if problem == "view"})
        if mend and stale:
            self._store.commands.render_again(board, stale)
        return found

    def _tags(self, board: str, until: float) -> Iterator[str]:
        """The tags of all item keys; stops after ``until``: a page may have none of this board."""
        prefix = self._store.keys.board(board).item("")
        found = _scan(self._store.client.client_of(prefix), f"{prefix}*", until)
        return (key.removeprefix(prefix) for key in found)

    def _check_log(self, board: str, until: float) -> list[Problem]:
        keys = self._store.keys.board(board)
        position, first, last, length = self._store.client.read_atomically(
            lambda pipeline: (
                pipeline.hmget(keys.board, "seq", "cursor", "incarnation"),
                pipeline.xrange(keys.log, count=1),
                pipeline.xrevrange(keys.log, count=1),
                pipeline.xlen(keys.log),
            )
        )
        seq, cursor, incarnation = position
        if not last:
            is_new = seq in (None, b"0")
            text = f"the log is empty, but {(seq or b'').decode()} was given"
            return [] if is_new else [Problem("", "log", text)]
        ends = [fields.get(b"seq") for _, fields in (*first, *last)]
        if incarnation is not None or None in ends:
            texts, last_seq = self._holes(keys.log, last[0][0], until)
            if last_seq is None:  # only marks of promotions are left, or the time was up
                last_seq = seq
        else:
            first_seq, last_seq = ends
            is_whole = length == int(last_seq) - int(first_seq) + 1
            text = f"{counted(length, 'entry', 'entries')} from {int(first_seq)} to {int(last_seq)}"
            texts = [] if is_whole else [text]
        if (seq, cursor) != (last_seq, last[0][0]):
            texts.insert(0, "it ends elsewhere than the board's position")
        return [Problem("", "log", each) for each in texts]

    def _holes(self, log: str, end: bytes, until: float) -> tuple[list[str], bytes | None]:
        """The missing events of a log with marks of promotions, as texts, and its last ``seq``.

        A mark is an entry without ``seq``, so counting the entries finds no hole: each is read, up
        to ``end``. The last ``seq`` is None if there is no event, or the time is up.
        """
        texts = []
        before, last_seq, begin = b"", b"", b"-"
        while time.monotonic() <= until:
            page: Any = self._store.client.xrange(log, min=begin, max=end, count=_ENTRIES_PER_PAGE)
            for cursor, fields in page:
                if (seq := fields.get(b"seq")) is None:
                    continue
                missing = range(int(last_seq) + 1, int(seq)) if last_seq else range(0)
                # Not a hole if the log was trimmed meanwhile: then the entry before is gone too.
                if missing and self._store.client.xrange(log, min=before, max=before):
                    texts.append(f"events {missing[0]} to {missing[-1]} are missing")
                before, last_seq = cursor, seq
            if len(page) < _ENTRIES_PER_PAGE:
                return texts, last_seq or None
            begin = b"(" + page[-1][0]
        return texts, None


def _scan(client: OpsClient, pattern: str, until: float) -> Iterator[str]:
    cursor = None
    while cursor != 0 and time.monotonic() <= until:
        scanned: Any = client.scan(cursor or 0, match=pattern, count=1000)
        cursor, found = scanned
        yield from (key.decode() for key in found)


def reconcile_at_start(store: Store, sleep: Callable[[float], object]) -> None:
    """Check every board once, 10 s at most, in one process; wait for Redis. Logs the result."""
    is_elected = False
    while True:
        try:
            is_elected = is_elected or bool(
                store.client.set(store.keys.reconciling, "1", nx=True, ex=_ELECTION_TTL_S)
            )
            if is_elected:
                _check_all(store)
        except (PoolTimeout, StoreUnavailable) as error:
            log.info("reconciliation waits for the store: %s", error.__cause__ or error)
            sleep(_START_RETRY_S)
        else:
            return


def _check_all(store: Store) -> None:
    until = time.monotonic() + START_LIMIT_S
    if store.client.exists(store.keys.restoring):
        log.error(
            "a restore was interrupted, so the data is not whole: stop the server and run "
            "'flask restore --discard-interrupted'"
        )
    for problem in Reconciler(store).check_index(repair=True, limit_s=START_LIMIT_S / 4):
        log.warning("reconciliation: %s; it is listed again", problem.text)
    for board in store.boards.all():
        left_s = until - time.monotonic()
        if left_s <= 0:
            log.warning("reconciliation: time was up before the board %s", board.board)
            return
        report = Reconciler(store).run(board.board, repair=False, limit_s=left_s)
        for problem in report.problems[:20]:
            log.warning("reconciliation of %s: %s %s", report.board, problem.tag, problem.text)
        write, hint = log.info, ""
        if report.problems:
            write, hint = log.warning, "; 'flask items reconcile --repair' mends indexes"
        write(
            "reconciliation of %s: %s checked%s, %s%s",
            report.board, counted(report.items, "item"),
            "" if report.is_complete else " (time was up)",
            counted(len(report.problems), "problem"), hint,
        )  # fmt: skip
