"""The store: boards, items and their log in Redis; the only caller of the scripts.

Items and events travel as the JSON bytes that the scripts have rendered: what the outside sees
is made once, when something changes, and only copied afterwards. Every method is one round trip
unless it says otherwise, and raises PoolTimeout or StoreUnavailable when Redis cannot serve.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec

from occupancy.boards.catalog import DEFAULT_STEPS, Boards
from occupancy.boards.page_tokens import page_start, page_token
from occupancy.boards.records import (
    Answer,
    Outcome,
    Preconditions,
    Rate,
    Snapshot,
    board_not_found,
    item_not_found,
)
from occupancy.boards.search import Search
from occupancy.boards.selection import asked_for, selected
from occupancy.boards.snapshot_cache import SnapshotCache
from occupancy.boards.timeline import SAMPLE_MS, SAMPLES_KEPT, Timelines
from occupancy.core.entities import (
    MAIN_BOARD,
    MAX_BATCH_TAGS,
    MAX_SNAPSHOT_ITEMS,
    STATES,
    TAG_PATTERN,
    AuthMethod,
    Entry,
    Person,
    Replay,
)
from occupancy.core.errors import IdempotencyKeyReused, RateLimited
from occupancy.core.keys import Keys
from occupancy.core.slices import Pause, no_pause, sliced
from occupancy.core.transitions import PUT, Transition
from occupancy.storage.capacity import IDEMPOTENCY_TTL_S
from occupancy.storage.client import OpsClient
from occupancy.storage.permissions import Permissions
from occupancy.storage.scripts import PublishingScript, Script

RATE_BURST_S = 10  # what is not used is kept for so long
REMOVED_HISTORY_TTL_S = 30 * 24 * 3600  # who had it, for a month after an item is removed
_PUT_MANY_CALLS = 200  # per round trip: short enough that others get their turn on the server
_HISTORY_PAGE_PATTERN = r"^[1-9][0-9]{0,18}-[0-9]{1,19}\Z"  # "before 0-0" is an error to Redis


_LARGE_ITEMS = 500  # from here on one more round trip is less than what Lua costs
_NO_PRECONDITIONS = Preconditions()


class Store:
    """Reads and operations on boards; safe to share between greenlets."""

    def __init__(
        self,
        client: OpsClient,
        keys: Keys,
        *,
        log_entries: int,
        log_bytes: int,
        history_entries: int,
        history_bytes: int,
    ) -> None:
        self.client = client
        self.keys = keys
        self.boards = Boards(client, keys)
        self.timelines = Timelines(client, keys)
        self.snapshot_cache = SnapshotCache(self)
        self.permissions = Permissions(client, keys)
        self._bounds = {
            "log_entries": log_entries,
            "log_bytes": log_bytes,
            "history_entries": history_entries,
            "history_bytes": history_bytes,
        }
        self._operate = PublishingScript(client, "board/operate")
        self._snapshot = Script(client, "board/snapshot")
        self._replay = Script(client, "board/replay")
        self._audit = Script(client, "board/audit")

    # Operations

    def operate(
        self,
        board: str,
        row: Transition,
        tags: Sequence[str],
        *,
        actor: Person,
        auth_method: AuthMethod = "cli",
        reason: str | None = None,
        to: Person | None = None,
        step: str | None = None,
        items: Sequence[dict[str, str]] | None = None,
        given: Preconditions = _NO_PRECONDITIONS,
        rates: Sequence[Rate] = (),
        dry_run: bool = False,
    ) -> Answer:
        """Carry out ``row`` on each of ``tags``, in order, each on its own, in one atomic script.

        ``items`` (for put, one for each tag) hold ``title`` and ``attributes`` as JSON text; a
        missing one stays as it is. ``means`` is how the actor was let in; ``rates`` are charged
        one for each tag. Returns an Outcome per tag; raises BoardNotFound, IdempotencyKeyReused
        and RateLimited, which concern all of them.
        """
        self.permissions.require()
        keys, args = self._request(
            board, row, tags, actor, auth_method=auth_method, reason=reason, to=to, step=step,
            items=items, given=given, rates=rates, dry_run=dry_run,
        )  # fmt: skip
        return _answer(board, tags, self._operate.run(keys, args))

    def put_many(
        self,
        board: str,
        rows: Iterable[tuple[str, dict[str, str]]],
        *,
        actor: Person,
        dry_run: bool = False,
    ) -> Iterator[Outcome]:
        """Add or edit many items, some hundred in a round trip; see :meth:`operate` for a row."""
        self.permissions.require()
        pending: list[tuple[str, dict[str, str]]] = []

        def send() -> Iterator[Outcome]:
            calls = [
                self._request(board, PUT, [tag], actor, items=[item], dry_run=dry_run)
                for tag, item in pending
            ]
            for (tag, _), reply in zip(pending, self._operate.run_many(calls), strict=True):
                yield from _answer(board, [tag], reply).outcomes

        for row in rows:
            pending.append(row)
            if len(pending) == _PUT_MANY_CALLS:
                yield from send()
                pending.clear()
        if pending:
            yield from send()

    def _request(
        self,
        board: str,
        row: Transition,
        tags: Sequence[str],
        actor: Person,
        *,
        auth_method: AuthMethod = "cli",
        reason: str | None = None,
        to: Person | None = None,
        step: str | None = None,
        items: Sequence[dict[str, str]] | None = None,
        given: Preconditions = _NO_PRECONDITIONS,
        rates: Sequence[Rate] = (),
        dry_run: bool = False,
        mend_view: bool = False,
    ) -> tuple[list[str], list[Any]]:
        keys = self.keys.board(board)
        request: dict[str, Any] = {
            "row": _script_row(row),
            "board": board,
            "implicit": board == MAIN_BOARD,
            "default_steps": DEFAULT_STEPS,
            "channel": keys.channel,
            "actor_id": actor.id,
            "actor": _json_text(actor),
            "means": auth_method,
            "reason": _json_text(reason),
            **self._bounds,
            "removed_history_ttl_s": REMOVED_HISTORY_TTL_S,
            "dry_run": dry_run,
            "mend_view": mend_view,
            "sample_ms": SAMPLE_MS,
            "samples": SAMPLES_KEPT,
            "states": STATES,
        }
        if to is not None:
            request["to_id"], request["to"] = to.id, _json_text(to)
        if step is not None:
            request["step"] = step
        if items is not None:
            request["items"] = items
        if given.epoch is not None:
            request["epoch"] = str(given.epoch)
        if given.versions is not None:
            request["versions"] = given.versions
        record = keys.board
        if given.idempotency_key is not None:
            request["fingerprint"] = given.fingerprint
            request["idempotency_ttl_s"] = IDEMPOTENCY_TTL_S
            record = keys.idempotency(actor.id, given.idempotency_key)
        script_keys = [keys.board, keys.view, keys.by_tag, keys.by_state, keys.by_holder, keys.log]
        script_keys += [keys.samples, keys.log_marks, record]
        for tag in tags:
            script_keys += (keys.item(tag), keys.history(tag))
        if rates:
            request["rates"] = [
                {
                    "interval_ms": 1000 / rate.per_s,
                    "burst_ms": max(RATE_BURST_S * 1000, MAX_BATCH_TAGS * 1000 / rate.per_s),
                }
                for rate in rates
            ]
            script_keys += [keys.rate(rate.who) for rate in rates]
        return script_keys, [msgspec.json.encode(request), *tags]

    def audit(self, board: str, tags: Sequence[str], *, mend: bool) -> list[tuple[str, str]]:
        """Pairs of tag and what disagrees with it; see audit.lua. Mends it on wish (two trips)."""
        keys = self.keys.board(board)
        script_keys = [keys.board, keys.view, keys.by_tag, keys.by_state, keys.by_holder]
        for tag in (claim.rpartition("|")[2] for claim in tags):
            script_keys += (keys.item(tag), keys.history(tag))
        reply = [
            each.decode()
            for each in self._audit.run(script_keys, [_flag(mend), ",".join(STATES), *tags])
        ]
        found = list(zip(reply[0::2], reply[1::2], strict=True))
        stale = sorted({tag for tag, problem in found if problem == "view"})
        if mend and stale:
            self._operate.run(*self._request(board, PUT, stale, Person("", ""), mend_view=True))
        return found

    # Reads

    def snapshot(
        self,
        board: str,
        *,
        state: str | None = None,
        holder: str | None = None,
        text: str | None = None,
        limit: int = MAX_SNAPSHOT_ITEMS,
        page: str | None = None,
        known_cursor: str = "",
        pause: Pause | None = None,
    ) -> Snapshot | None:
        """A board's items in the order of their tags, all read at one instant.

        ``text`` is a search (search.py) in ``limit`` items at a time: a page may hold fewer
        matches, and ``next`` leads on. With ``pause``, which lets others run and is called in each
        SLICE_S, a large board is read from its image (images.py) instead of the server.

        Returns None if the board has not changed since ``known_cursor``. Raises BoardNotFound,
        and InvalidRequest for an invalid page token.
        """
        keys = self.keys.board(board)
        if pause is not None:
            start = page_start(page, TAG_PATTERN) if page else ""
            if self.snapshot_cache.has(board) or self.is_large(self.client.zcard(keys.by_tag)):
                listing = self.snapshot_cache.find(board, known_cursor)
                if listing is None:
                    return None
                if listing.snapshot.next is None:
                    return selected(
                        listing.snapshot, asked_for(state, holder), text,
                        start=start, limit=limit, pause=pause,
                    )  # fmt: skip
        if holder is not None:
            index, prefix = keys.by_holder, f"{holder}|"
        elif state is not None:
            index, prefix = keys.by_state, f"{state}|"
        else:
            index, prefix = keys.by_tag, ""
        low = (
            f"({prefix}{page_start(page, TAG_PATTERN)}" if page else f"[{prefix}" if prefix else "-"
        )
        high = f"({prefix[:-1]}}}" if prefix else "+"
        is_all = not prefix and not page

        def read(large: int) -> tuple[bool, Snapshot | None]:
            return self._page(
                board, index, low, high,
                limit=limit, skip=len(prefix), known_cursor=known_cursor, large=large,
            )  # fmt: skip

        is_large, snapshot = read(_LARGE_ITEMS if is_all else 0)
        if is_large:
            snapshot = self.whole(board, limit)
            if snapshot is None:  # shrunk, or grown beyond the limit, since it was counted
                _, snapshot = read(0)
        if snapshot is None:
            return None
        items = snapshot.items
        if holder is not None and state is not None:
            items = items if state == "occupied" else []  # whoever holds an item occupies it
        if text:
            finds = Search(text).finds
            items = [item for item in sliced(items, pause or no_pause) if finds(item)]
        return msgspec.structs.replace(snapshot, items=items)

    def look(self, board: str, known_cursor: str = "") -> tuple[bool, Snapshot | None]:
        """Whether the whole board is a large one, which is not read here; else its snapshot.

        The snapshot is None if the board has not changed since ``known_cursor``. Raises
        BoardNotFound.
        """
        return self._page(
            board, self.keys.board(board).by_tag, "-", "+",
            limit=MAX_SNAPSHOT_ITEMS, skip=0, known_cursor=known_cursor, large=_LARGE_ITEMS,
        )  # fmt: skip

    def _page(
        self,
        board: str,
        index: str,
        low: str,
        high: str,
        *,
        limit: int,
        skip: int,
        known_cursor: str,
        large: int,
    ) -> tuple[bool, Snapshot | None]:
        """See :meth:`look`, and snapshot.lua for what is passed."""
        keys = self.keys.board(board)
        is_implicit = _flag(board == MAIN_BOARD)
        reply = self._snapshot.run(
            [keys.board, index, keys.view],
            [is_implicit, low, high, limit, skip, known_cursor, large],
        )
        if reply[0] == b"board_not_found":
            raise board_not_found(board)
        if reply[0] != b"ok":
            return reply[0] == b"whole", None
        tags, items = reply[4::2], reply[5::2]
        following = page_token(tags[-1]) if reply[3] == b"1" and tags else None
        return False, Snapshot(reply[1].decode(), int(reply[2]), items, following)

    def whole(self, board: str, limit: int = MAX_SNAPSHOT_ITEMS) -> Snapshot | None:
        """All of a large board, read at one instant. None where it is not, or beyond ``limit``.

        Without Lua, which takes four times as long to hand ten thousand items on (measured 13 ms
        against 3). Each item's JSON begins with its tag, and the quotation mark after that is
        below every character of a tag: so they sort as the tags do.
        """
        keys = self.keys.board(board)
        (cursor, seq), items = self.client.read_atomically(
            lambda pipeline: (
                pipeline.hmget(keys.board, "cursor", "seq"),
                pipeline.hvals(keys.view),
            )
        )
        if cursor is None or not self.is_large(len(items), limit):
            return None
        items.sort()
        return Snapshot(cursor.decode(), int(seq), items, None)

    @staticmethod
    def is_large(count: int, limit: int = MAX_SNAPSHOT_ITEMS) -> bool:
        """Whether so many items are worth reading by another way, and may be given at once."""
        return _LARGE_ITEMS <= count <= limit

    def item(self, board: str, tag: str) -> bytes:
        """The item's JSON. Raises BoardNotFound (a second round trip) and ItemNotFound."""
        item = self.client.hget(self.keys.board(board).view, tag)
        if not isinstance(item, bytes):
            self.head(board)
            raise item_not_found(board, tag)
        return item

    def held_by(self, board: str, worker_id: str) -> list[str]:
        """The tags of the items that a worker holds."""
        members: Any = self.client.zrangebylex(
            self.keys.board(board).by_holder, f"[{worker_id}|", f"({worker_id}}}"
        )
        return [member.decode().rpartition("|")[2] for member in members]

    def head(self, board: str) -> Replay:
        """Where the board's log ends, without entries. Raises BoardNotFound."""
        return self.replay(board, "", 0)

    def heads(self, boards: Sequence[str]) -> list[tuple[str, int]]:
        """Cursor and seq of each board's last event; ``("0-0", 0)`` where there is none."""
        replies = self.client.run_pipeline(
            lambda pipeline: [
                pipeline.hmget(self.keys.board(each).board, "cursor", "seq") for each in boards
            ]
        )
        return [((cursor or b"0-0").decode(), int(seq or 0)) for cursor, seq in replies]

    def replay(self, board: str, cursor: str, count: int) -> Replay:
        """Up to ``count`` entries of the log after ``cursor``. Raises BoardNotFound."""
        keys = self.keys.board(board)
        reply = self._replay.run(
            [keys.board, keys.log], [_flag(board == MAIN_BOARD), cursor, count]
        )
        if reply[0] == b"board_not_found":
            raise board_not_found(board)
        entries = [
            Entry(reply[i].decode(), int(reply[i + 1]), reply[i + 2])
            for i in range(3, len(reply), 3)
        ]
        return Replay(reply[0] == b"ok", reply[1].decode(), int(reply[2]), entries)

    def follow(self, board: str, cursor: str, *, block_ms: int, count: int) -> list[Entry]:
        """Up to ``count`` entries after ``cursor``, waiting ``block_ms`` for the first of them.

        Holds its connection for the whole wait, which must be shorter than the socket's timeout:
        for the command line, never for a stream. Whether the cursor is in the log, and the board
        there at all, is for :meth:`replay` to say.
        """
        reply: Any = self.client.xread(
            {self.keys.board(board).log: cursor}, count=count, block=max(1, block_ms)
        )
        entries = reply[0][1] if reply else []
        return [
            Entry(cursor.decode(), int(fields[b"seq"]), fields[b"event"])
            for cursor, fields in entries
        ]

    def history(
        self, board: str, tag: str, *, limit: int, page: str | None = None
    ) -> tuple[list[bytes], str | None]:
        """An item's events, newest first, and the token of the next page or None.

        Raises ItemNotFound for an item that is not and was not there lately, and BoardNotFound.
        """
        end = f"({page_start(page, _HISTORY_PAGE_PATTERN)}" if page else "+"
        entries: Any = self.client.xrevrange(
            self.keys.board(board).history(tag), end, "-", count=limit + 1
        )
        if not entries and page is None:
            self.item(board, tag)
        following = page_token(entries[limit - 1][0]) if len(entries) > limit else None
        return [fields[b"event"] for _, fields in entries[:limit]], following


@functools.cache
def _script_row(row: Transition) -> dict[str, Any]:
    """The part of a row that the engine needs."""
    return {
        "operation": row.operation,
        "event": row.event,
        "sources": row.sources,
        "target": row.target,
        "holder": row.holder,
        "holder_only": row.holder_only,
    }


def _answer(board: str, tags: Sequence[str], reply: Any) -> Answer:
    status = reply[0]
    if status == b"board_not_found":
        raise board_not_found(board)
    if status == b"rate_limited":
        wait_s = -(-reply[1] // 1000)
        raise RateLimited(f"Too many operations. Go on in {wait_s} s.", retry_after=wait_s)
    if status == b"idempotency_key_reused":
        raise IdempotencyKeyReused(
            "This Idempotency-Key was used for another request within the last 24 hours. "
            "Use a new key for a new request."
        )
    outcomes = [
        Outcome(tag, code.decode(), changed == b"1", item, of == b"now")
        for tag, code, changed, item, of in zip(
            tags, reply[2::4], reply[3::4], reply[4::4], reply[5::4], strict=True
        )
    ]
    return Answer(reply[1].decode(), outcomes, status == b"replayed")


def _json_text(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _flag(value: bool) -> str:
    return "1" if value else "0"
