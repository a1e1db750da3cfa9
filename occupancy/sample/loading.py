"""Loading the sample.

It is made by real operations, so items have a history. Loading it again changes nothing: only
missing parts are added, and operations are carried out on untouched items only.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import msgspec

from occupancy.access.pins import hash_pin, random_pin
from occupancy.access.workers import Workers
from occupancy.boards.commands import Command
from occupancy.boards.refusals import refusal
from occupancy.boards.store import Store
from occupancy.core.entities import Item
from occupancy.core.errors import AlreadyExists
from occupancy.core.transitions import TRANSITIONS
from occupancy.sample.content import BOARD, HISTORIES, PEOPLE, STEPS, TITLE, WORKERS, History, items


class Loaded(msgspec.Struct, frozen=True):
    """The numbers of things added and of operations carried out."""

    boards: int
    workers: int
    items: int
    operations: int


def load(store: Store, workers: Workers, on_progress: Callable[[int], None]) -> Loaded:
    """Add the missing parts of the sample; ``on_progress`` gets the number of items just done.

    Raises PoolTimeout and StoreUnavailable; loading again then continues.
    """
    boards = _count(lambda: store.boards.create(BOARD, title=TITLE, steps=STEPS))
    people = sum(
        _count(functools.partial(workers.add, worker_id, name=name, role=role))
        for worker_id, name, role in WORKERS
    )
    snapshot = store.queries.snapshot(BOARD)
    present = [] if snapshot is None else snapshot.items
    found = {item.tag: item for item in (msgspec.json.decode(e, type=Item) for e in present)}
    missing = [(tag, body.as_json_texts()) for tag, body in items() if tag not in found]
    added = list(store.commands.put_many(BOARD, missing, actor=PEOPLE["1"]))
    # An older item in its first version is from an interrupted loading, or has an empty history.
    fresh = {outcome.tag for outcome in added} | {t for t, i in found.items() if i.version == 1}
    operations = 0
    for number, (tag, _) in enumerate(items()):
        if tag in fresh:
            operations += _replay(store, tag, HISTORIES[number % len(HISTORIES)])
        on_progress(1)
    return Loaded(boards, people, len(added), operations)


def give_pins(workers: Workers) -> dict[str, str]:
    """Give random PINs to the sample's workers without one; returns the PINs by worker id.

    A worker with such an id and another name belongs to the real shop and gets none.
    """
    pins = {}
    for worker_id, name, _ in WORKERS:
        worker = workers.get(worker_id)
        if worker.pin_hash is None and worker.name == name:
            pins[worker_id] = random_pin()
            workers.edit(worker_id, pin_hash=hash_pin(pins[worker_id]))
    return pins


def _replay(store: Store, tag: str, history: History) -> int:
    for operation, worker, more in history:
        transition = TRANSITIONS[operation]
        to = PEOPLE[more] if transition.holder == "to" else None
        reason = more or None if to is None else None
        command = Command(BOARD, transition, [tag], actor=PEOPLE[worker], reason=reason, to=to)
        (outcome,) = store.commands.execute(command).outcomes
        if not outcome.is_done:
            raise refusal(BOARD, transition, outcome)
    return len(history)


def _count(add: Callable[[], object]) -> int:
    try:
        add()
    except AlreadyExists:
        return 0
    return 1
