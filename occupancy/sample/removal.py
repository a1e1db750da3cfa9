"""Removing the sample, and nothing else.

What is still the sample's goes: an item with its title and attributes, whatever work was tried on
it; the board, if it is empty then and was not changed; a person with the same name and role, whose
PIN nobody has changed and who holds nothing elsewhere. The rest belongs to somebody, and stays; so
does its administrator while others are there and none of them is one.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from occupancy.boards.commands import Command
from occupancy.boards.records import Board
from occupancy.boards.store import Store
from occupancy.core.entities import MAX_BATCH_TAGS, Item, Worker
from occupancy.core.errors import BoardNotEmpty, BoardNotFound, LastAdmin, WorkerNotFound
from occupancy.core.recording import Recording
from occupancy.core.requests.items import ItemBody
from occupancy.core.texts.plurals import counted
from occupancy.core.transitions import REMOVE, TRANSITIONS
from occupancy.sample.content import BOARD, PEOPLE, STEPS, TITLE, WORKERS, items
from occupancy.services import Services

Why = Literal["has_items", "changed", "renamed", "disabled", "holds", "self", "last_admin"]


class Kept(msgspec.Struct, frozen=True, omit_defaults=True):
    """A board or a worker that stays, and why: the other fields say more about some reasons."""

    kind: Literal["board", "worker"]
    id: str
    why: Why
    name: str | None = None
    items: int | None = None  # that are not the sample's
    board: str | None = None  # on which the worker holds something

    def __str__(self) -> str:
        what = f"{self.kind} {self.id}" + (f" ({self.name})" if self.name is not None else "")
        if self.why == "has_items":
            verb = "is" if self.items == 1 else "are"
            why = f"has {counted(self.items or 0, 'item')} that {verb} not the sample's"
        elif self.why == "holds":
            why = f"holds items on the board {self.board}"
        else:
            why = _WHY_TEXTS[self.why]
        return f"{what}: {why}"


_WHY_TEXTS = {
    "changed": "was changed",
    "renamed": "has another name or role",
    "disabled": "was disabled, or has another PIN",
    "self": "cannot remove themselves",
    "last_admin": "is the only active administrator; make somebody else one and remove the sample "
    "again",
}


class Unloaded(msgspec.Struct, frozen=True):
    """The numbers of things removed, and what stays."""

    boards: int
    workers: int
    items: int
    kept: list[Kept]


class Present(msgspec.Struct, frozen=True):
    """The parts of the sample that are there and unchanged; ``workers`` has the workers' ids."""

    board: str | None
    workers: list[str]


def present(services: Services, *, by: str | None = None) -> Present:
    """What :func:`unload` would remove, without the items; a worker's holds do not count here."""
    try:
        has_board = _is_as_loaded(services.store.boards.get(BOARD))
    except BoardNotFound:
        has_board = False
    ours = {worker_id: (name, role.label) for worker_id, name, role in WORKERS}
    people = {
        each.id: each
        for each in services.workers.all()
        if each.id in ours and _reason_to_keep(each, *ours[each.id], by) is None
    }
    going = [
        each.id
        for each in people.values()
        if not services.workers.is_last_admin(each, going=people)
    ]
    return Present(BOARD if has_board else None, going)


def unload(services: Services, *, recording: Recording, by: str | None = None) -> Unloaded:
    """Remove the sample; the worker ``by``, who asks for it, stays.

    ``recording`` records the board, and each token, badge and station; the caller records the
    whole.
    Raises PoolTimeout and StoreUnavailable; unloading again continues.
    """
    boards, removed, kept = _unload_board(services, recording)
    workers = 0
    for worker_id, name, role in WORKERS:
        try:
            stored = services.workers.stored(worker_id)
        except WorkerNotFound:
            continue
        reason = _reason_to_keep(stored.worker, name, role.label, by)
        reason = reason or _hold_of(services.store, stored.worker)
        last_admin = Kept("worker", worker_id, "last_admin", name)
        if reason is None and services.workers.is_last_admin(stored.worker):
            reason = last_admin  # before anything of theirs is revoked
        if reason is not None:
            kept.append(reason)
            continue
        _revoke_credentials(services, worker_id, recording)
        try:
            workers += services.workers.remove(stored)
        except LastAdmin:  # the other one was demoted just now
            kept.append(last_admin)
    return Unloaded(boards, workers, removed, kept)


def _revoke_credentials(services: Services, worker_id: str, recording: Recording) -> None:
    """Revoke what would sign in a later worker with the same id."""
    for each in services.tokens.all():
        if each.token.worker == worker_id:
            with recording("token_revoked", worker=worker_id, token=each.token.id):
                services.tokens.revoke(each.token.id)
    for badge in services.badges.of(worker_id):
        with recording("badge_removed", worker=worker_id, badge=badge.id):
            services.badges.remove(worker_id, badge.id)
    services.links.revoke_of(worker_id)


def _reason_to_keep(worker: Worker, name: str, role: str, by: str | None) -> Kept | None:
    """Why a worker with the id of one of the sample's stays; None if it is still the sample's."""
    if (worker.name, worker.role) != (name, role):
        return Kept("worker", worker.id, "renamed", worker.name)
    if worker.id == by:
        return Kept("worker", worker.id, "self", name)
    if worker.disabled or worker.session_generation > 1:  # the sample's PIN is the first
        return Kept("worker", worker.id, "disabled", name)
    return None


def _hold_of(store: Store, worker: Worker) -> Kept | None:
    """The hold for which a worker stays, or None."""
    for board in store.boards.all():
        if store.queries.held_by(board.board, worker.id):
            return Kept("worker", worker.id, "holds", worker.name, board=board.board)
    return None


def _unload_board(services: Services, recording: Recording) -> tuple[int, int, list[Kept]]:
    """The numbers of boards and items removed, and what stays."""
    store, removal = services.store, services.removal
    try:
        store.boards.get(BOARD)
    except BoardNotFound:
        return 0, 0, []
    snapshot = store.queries.snapshot(BOARD)
    found = [msgspec.json.decode(e, type=Item) for e in (snapshot.items if snapshot else [])]
    removed = _remove_items(store, found)
    if left := len(found) - removed:
        return 0, removed, [Kept("board", BOARD, "has_items", items=left)]
    if not _is_as_loaded(store.boards.get(BOARD)):
        return 0, removed, [Kept("board", BOARD, "changed")]
    try:
        removal.remove(BOARD, with_items=False, recording=recording)
    except BoardNotEmpty:  # somebody has added one just now
        return 0, removed, [Kept("board", BOARD, "has_items", items=1)]
    removal.sweep(BOARD)
    return 1, removed, []


def _remove_items(store: Store, found: list[Item]) -> int:
    """Remove those that are the sample's; returns their number."""
    sample = dict(items())
    ours = [each for each in found if _is_sample(each, sample)]
    actor = PEOPLE["1"]
    for item in ours:
        if item.state == "occupied":
            force = Command(
                BOARD, TRANSITIONS["force-release"], [item.tag], actor=actor, reason="-"
            )
            store.commands.execute(force)
    removed = 0
    for first in range(0, len(ours), MAX_BATCH_TAGS):
        tags = [each.tag for each in ours[first : first + MAX_BATCH_TAGS]]
        answer = store.commands.execute(Command(BOARD, REMOVE, tags, actor=actor))
        removed += sum(each.is_done for each in answer.outcomes)
    return removed


def _is_as_loaded(board: Board) -> bool:
    return (board.title, board.steps) == (TITLE, list(STEPS))


def _is_sample(item: Item, sample: dict[str, ItemBody]) -> bool:
    body = sample.get(item.tag)
    return body is not None and (item.title, item.attributes) == (body.title, body.attributes)
