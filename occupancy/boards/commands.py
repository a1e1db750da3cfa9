"""Commands: changes of a board's items, carried out and recorded by one script (board/operate)."""

from __future__ import annotations

import functools
import itertools
import json
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import msgspec

from occupancy.boards import records
from occupancy.boards.catalog.fields import DEFAULT_STEPS
from occupancy.boards.catalog.index import BoardIndex
from occupancy.boards.history.timeline import SAMPLE_MS, SAMPLES_KEPT
from occupancy.boards.records import Answer, Outcome, Preconditions, Rate
from occupancy.core.entities import MAIN_BOARD, MAX_BATCH_TAGS, STATES, AuthMethod, Person
from occupancy.core.errors import IdempotencyKeyReused, OccupancyError, RateLimited
from occupancy.core.keys import Keys
from occupancy.core.transitions import PUT, Transition
from occupancy.storage.capacity import IDEMPOTENCY_TTL_S
from occupancy.storage.client import OpsClient
from occupancy.storage.commands import INCARNATION
from occupancy.storage.fair_queue import run_side_by_side
from occupancy.storage.permissions import Permissions
from occupancy.storage.scripts import PublishingScript

RATE_BURST_S = 10  # unused operations are kept for so long
REMOVED_HISTORY_TTL_S = 30 * 24 * 3600  # the history of a removed item stays for a month
_PUT_MANY_TAGS = 25  # a call of the script, which keeps the server busy for some 2 ms
_PUT_MANY_CALLS = 8  # a round trip
_COLUMNS = (
    "operation", "event", "sources", "target", "holder", "holder_only", "needs_free",
    "added_event", "counts_time", "completions", "keeps_undo", "within_s", "is_step_earlier",
)  # fmt: skip

_Call = tuple["Command", tuple[list[str], list[Any]]]  # with its keys and arguments
_WRONG_STEPS = ("unknown_step", "not_earlier")  # codes of refusals whose text names the right steps


class Command(msgspec.Struct, frozen=True):
    """One transition of some items, in the order of ``tags``, each on its own.

    ``items`` (for put, one for each tag) hold ``title`` and ``attributes`` as JSON text; a missing
    one stays as it is. Each of ``rates`` is charged once for each tag.
    """

    board: str
    transition: Transition
    tags: Sequence[str]
    actor: Person
    auth_method: AuthMethod = "cli"
    reason: str | None = None
    to: Person | None = None
    step: str | None = None
    items: Sequence[dict[str, str]] | None = None
    preconditions: Preconditions = Preconditions()
    rates: Sequence[Rate] = ()
    dry_run: bool = False


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """How much is kept: of a board's log, and of each item's history."""

    log_entries: int
    log_bytes: int
    history_entries: int
    history_bytes: int


class Commands:
    """Safe to share between greenlets. Methods raise PoolTimeout or StoreUnavailable."""

    def __init__(
        self, client: OpsClient, keys: Keys, permissions: Permissions, bounds: Bounds,
        index: BoardIndex,
    ) -> None:  # fmt: skip
        self.bounds = bounds
        self._client = client
        self._keys = keys
        self._index = index
        self._permissions = permissions
        self._operate = PublishingScript(client, "board/operate")
        self._constants = {
            **msgspec.structs.asdict(bounds),
            "default_steps": DEFAULT_STEPS,
            "removed_history_ttl_s": REMOVED_HISTORY_TTL_S,
            "sample_ms": SAMPLE_MS,
            "samples": SAMPLES_KEPT,
            "states": STATES,
        }

    def execute(self, command: Command) -> Answer:
        """Carry out ``command``: one round trip, an outcome for each tag.

        Raises BoardNotFound, IdempotencyKeyReused and RateLimited, which concern all tags.
        """
        self._permissions.require()
        answer = _answer(command, self._operate.run(*self._request(command)))
        self._index.saw(command.board)
        if any(each.code in _WRONG_STEPS for each in answer.outcomes):
            return self._with_steps(command.board, answer)
        return answer

    def _with_steps(self, board: str, answer: Answer) -> Answer:
        """``answer`` with the board's steps, for the texts of its refusals: a round trip more.

        The operation is decided, so a failure here must not hide its answer.
        """
        try:
            found: Any = self._client.hget(self._keys.board(board).board, "steps")
        except OccupancyError:
            return answer
        steps = tuple(json.loads(found or DEFAULT_STEPS))
        outcomes = [
            msgspec.structs.replace(each, steps=steps) if each.code in _WRONG_STEPS else each
            for each in answer.outcomes
        ]
        return msgspec.structs.replace(answer, outcomes=outcomes)

    def put_many(
        self,
        board: str,
        rows: Iterable[tuple[str, dict[str, str]]],
        *,
        actor: Person,
        auth_method: AuthMethod = "cli",
        dry_run: bool = False,
        calls: int = _PUT_MANY_CALLS,
        is_ahead: bool = False,
    ) -> Iterator[Outcome]:
        """Add or edit items, given as tag and texts (see Command); the outcomes in their order.

        A call of the script has ``_PUT_MANY_TAGS`` of them, and a round trip has ``calls`` calls.
        With ``is_ahead`` the next ones are read of ``rows``, and prepared, during the round trip
        of those before them; for iterators that let others run meanwhile. An error of ``rows`` is
        raised after the outcomes of what was sent before it.
        """
        self._permissions.require()
        left = iter(rows)

        def prepared() -> list[_Call]:
            found: list[_Call] = []
            while len(found) < calls and (some := list(itertools.islice(left, _PUT_MANY_TAGS))):
                tags, items = [tag for tag, _ in some], [texts for _, texts in some]
                command = Command(
                    board, PUT, tags, actor, auth_method, items=items, dry_run=dry_run
                )
                found.append((command, self._request(command)))
            return found

        def prepared_or_error() -> tuple[list[_Call], OccupancyError | None]:
            try:
                return prepared(), None
            except OccupancyError as error:
                return [], error

        pending = prepared()
        while pending:
            requests = [request for _, request in pending]
            following, error = list[_Call](), None
            if is_ahead:
                sending = functools.partial(self._operate.run_many, requests)
                calls_at_once: list[Callable[[], Any]] = [prepared_or_error, sending]
                (following, error), replies = run_side_by_side(calls_at_once)
            else:
                replies = self._operate.run_many(requests)
            for (command, _), reply in zip(pending, replies, strict=True):
                yield from _answer(command, reply).outcomes
            if error is not None:
                raise error
            pending = following if is_ahead else prepared()

    def render_again(self, board: str, tags: Sequence[str]) -> None:
        """Mend the JSON of items from what is stored of them; no change, so no event."""
        command = Command(board, PUT, tags, Person("", ""))
        self._operate.run(*self._request(command, mend_view=True))

    def _request(self, command: Command, *, mend_view: bool = False) -> tuple[list[str], list[Any]]:
        """Keys and arguments for the script; its header describes them."""
        board, actor, given = command.board, command.actor, command.preconditions
        keys = self._keys.board(board)
        request: dict[str, Any] = {
            **self._constants,
            "transition": _columns(command.transition),
            "board": board,
            "implicit": board == MAIN_BOARD,
            "channel": keys.channel,
            "actor_id": actor.id,
            "actor": _json_text(actor),
            "auth_method": command.auth_method,
            "reason": _json_text(command.reason),
            "dry_run": command.dry_run,
            "mend_view": mend_view,
            "nonce": str(random.getrandbits(48)),
        }
        if command.to is not None:
            request["to_id"], request["to"] = command.to.id, _json_text(command.to)
        if command.step is not None:
            request["step"] = command.step
        if command.items is not None:
            request["items"] = command.items
        if given.epoch is not None:
            request["epoch"] = str(given.epoch)
        if given.versions is not None:
            request["versions"] = given.versions
        if given.must_be_new:
            request["must_be_new"] = True
        record = keys.board
        if given.idempotency_key is not None:
            request["fingerprint"] = given.fingerprint
            request["idempotency_ttl_s"] = IDEMPOTENCY_TTL_S
            record = keys.idempotency(actor.id, given.idempotency_key)
        script_keys = [keys.board, keys.view, keys.by_tag, keys.by_state, keys.by_holder, keys.log]
        script_keys += [keys.samples, keys.log_marks, record]
        for tag in command.tags:
            script_keys += (keys.item(tag), keys.history(tag))
        if command.rates:
            request["rates"] = [
                {
                    "interval_ms": 1000 / rate.per_s,
                    "burst_ms": max(RATE_BURST_S * 1000, MAX_BATCH_TAGS * 1000 / rate.per_s),
                }
                for rate in command.rates
            ]
            script_keys += [keys.rate(rate.who) for rate in command.rates]
        return script_keys, [msgspec.json.encode(request), INCARNATION, *command.tags]


@functools.cache
def _columns(transition: Transition) -> msgspec.Raw:
    """The columns that the script needs, without the false ones."""
    values = {name: getattr(transition, name) for name in _COLUMNS}
    return msgspec.Raw(msgspec.json.encode({name: each for name, each in values.items() if each}))


def _answer(command: Command, reply: Any) -> Answer:
    status = reply[0]
    if status == b"board_not_found":
        raise records.board_not_found(command.board)
    if status == b"rate_limited":
        wait_s = -(-reply[1] // 1000)
        raise RateLimited(f"Too many operations. Go on in {wait_s} s.", retry_after=wait_s)
    if status == b"idempotency_key_reused":
        raise IdempotencyKeyReused(
            "This Idempotency-Key was used for another request within the last 24 hours. "
            "Use a new key for a new request."
        )
    outcomes = [
        Outcome(
            tag, code.decode(), changed == b"1", _item(text, kind), int(version or 0),
            item_is_current=kind.startswith(b"newest"),
        )
        for tag, code, changed, version, text, kind in zip(
            command.tags, reply[2::5], reply[3::5], reply[4::5], reply[5::5], reply[6::5],
            strict=True,
        )
    ]  # fmt: skip
    return Answer(reply[1].decode(), outcomes, status == b"replayed")


def _item(text: bytes, kind: bytes) -> bytes:
    """The item's JSON; where ``text`` is an event (see request.lua), it is a part of that."""
    return bytes(records.event_item_of(text).item) if kind.endswith(b"event") else text


def _json_text(value: Any) -> str:
    return msgspec.json.encode(value).decode()
