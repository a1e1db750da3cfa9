"""The sample data: a shop where pipe spools are assembled, welded and measured.

It is made by real operations, so items have a history. Loading it again changes nothing: only
missing parts are added, and operations are carried out on untouched items only.

Unloading removes what is still the sample's: an item with its title and attributes, whatever work
was tried on it; the board, if it is empty then and was not changed; a person with the same name and
role, whose PIN nobody has changed and who holds nothing elsewhere. The rest belongs to somebody,
and stays.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator

import msgspec

from occupancy.access.pins import hash_pin, random_pin
from occupancy.access.workers import Workers
from occupancy.boards.commands import Command
from occupancy.boards.records import Board
from occupancy.boards.refusals import refusal
from occupancy.boards.removal import Removal
from occupancy.boards.store import Store
from occupancy.core.entities import MAX_BATCH_TAGS, Item, Person, Role
from occupancy.core.errors import AlreadyExists, BoardNotEmpty, BoardNotFound, WorkerNotFound
from occupancy.core.requests import ItemBody
from occupancy.core.transitions import REMOVE, TRANSITIONS
from occupancy.services import Services

BOARD = "taller"
TITLE = "Taller de spools"
STEPS = ("ARM", "SOLD", "METROLOGIA")

# id, name, role
WORKERS = (
    ("93", "Marta Ruiz", Role.WORKER),
    ("94", "Iván Soto", Role.WORKER),
    ("95", "Lucía Vega", Role.WORKER),
    ("12", "Carlos Medina", Role.SUPERVISOR),
    ("7", "Ana Torres", Role.OBSERVER),
    ("1", "Elena Prieto", Role.ADMIN),
)
_PEOPLE = {worker_id: Person(worker_id, name) for worker_id, name, _ in WORKERS}

_AREAS = ("A1", "A2", "B1", "B2", "C1")
_SYSTEMS = (("CW", "Agua de refrigeración"), ("FW", "Agua de alimentación"), ("ST", "Vapor"))
_DIAMETERS = ('2"', '3"', '4"', '6"', '8"')
_MATERIALS = ("A106 Gr. B", "A312 TP304L", "A335 P11")
ITEM_COUNT = 40

# The operations on an item: operation, actor, and the reason or the new holder.
_History = tuple[tuple[str, str, str], ...]
_DONE_ARM: _History = (("take", "93", ""), ("complete", "93", ""))
_DONE_SOLD: _History = (*_DONE_ARM, ("take", "94", ""), ("complete", "94", ""))
_HISTORIES: tuple[_History, ...] = (
    (("take", "93", ""),),
    (),
    (*_DONE_ARM, ("take", "94", "")),
    (("take", "95", ""), ("pause", "95", "Falta material")),
    (),
    (*_DONE_SOLD, ("take", "95", ""), ("complete", "95", "")),
    (("block", "12", "Plano en revisión"),),
    _DONE_ARM,
    (*_DONE_ARM, ("reassign", "12", "95")),
    (*_DONE_SOLD, ("take", "95", "")),
    (("take", "94", ""), ("release", "94", "")),
    (*_DONE_ARM, ("take", "94", ""), ("force-release", "12", "Fin de turno")),
    (*_DONE_SOLD, ("take", "95", ""), ("complete", "95", "")),
)


class Loaded(msgspec.Struct, frozen=True):
    """The numbers of things added and of operations carried out."""

    boards: int
    workers: int
    items: int
    operations: int


class Unloaded(msgspec.Struct, frozen=True):
    """The numbers of things removed; ``kept`` says what stays, and why."""

    boards: int
    workers: int
    items: int
    kept: list[str]


def unload(services: Services) -> Unloaded:
    """Remove the sample. Raises PoolTimeout and StoreUnavailable; unloading again continues."""
    boards, items, kept = _unload_board(services.store, services.removal)
    workers = 0
    for worker_id, name, role in WORKERS:
        try:
            stored = services.workers.stored(worker_id)
        except WorkerNotFound:
            continue
        worker = stored.worker
        if (worker.name, worker.role) != (name, role.label):
            kept.append(f"worker {worker_id} ({worker.name}): has another name or role")
        elif worker.disabled or worker.session_generation > 1:  # the sample's PIN is the first
            kept.append(f"worker {worker_id} ({name}): was disabled, or has another PIN")
        elif board := _holds_on(services.store, worker_id):
            kept.append(f"worker {worker_id} ({name}): holds items on the board {board}")
        else:
            for each in services.tokens.all():
                if each.token.worker == worker_id:
                    services.tokens.revoke(each.token.id)
            workers += services.workers.remove(stored)
    return Unloaded(boards, workers, items, kept)


def _unload_board(store: Store, removal: Removal) -> tuple[int, int, list[str]]:
    """The numbers of boards and items removed, and what stays."""
    try:
        store.boards.get(BOARD)
    except BoardNotFound:
        return 0, 0, []
    snapshot = store.queries.snapshot(BOARD)
    present = [msgspec.json.decode(e, type=Item) for e in (snapshot.items if snapshot else [])]
    sample = dict(_sample())
    ours = [each for each in present if _is_sample(each, sample)]
    actor = _PEOPLE["1"]
    for item in ours:
        if item.state == "occupied":
            force = Command(
                BOARD, TRANSITIONS["force-release"], [item.tag], actor=actor, reason="-"
            )
            store.commands.execute(force)
    removed = 0
    for first in range(0, len(ours), MAX_BATCH_TAGS):
        tags = [each.tag for each in ours[first : first + MAX_BATCH_TAGS]]
        removed += sum(
            each.is_done
            for each in store.commands.execute(Command(BOARD, REMOVE, tags, actor=actor)).outcomes
        )
    kept = []
    if left := len(present) - removed:
        noun = "1 item that is" if left == 1 else f"{left} items that are"
        kept.append(f"board {BOARD}: has {noun} not the sample's")
    elif not _is_as_loaded(store.boards.get(BOARD)):
        kept.append(f"board {BOARD}: was changed")
    else:
        try:
            removal.remove(BOARD, with_items=False)
        except BoardNotEmpty:  # somebody has added one just now
            kept.append(f"board {BOARD}: has items that are not the sample's")
        else:
            removal.sweep(BOARD)
    return int(not kept), removed, kept


def _is_as_loaded(board: Board) -> bool:
    return (board.title, board.steps) == (TITLE, list(STEPS))


def _is_sample(item: Item, sample: dict[str, ItemBody]) -> bool:
    body = sample.get(item.tag)
    return body is not None and (item.title, item.attributes) == (body.title, body.attributes)


def _holds_on(store: Store, worker_id: str) -> str | None:
    """A board on which the worker holds something, or None."""
    boards = (each.board for each in store.boards.all())
    return next((each for each in boards if store.queries.held_by(each, worker_id)), None)


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
    items = {item.tag: item for item in (msgspec.json.decode(e, type=Item) for e in present)}
    missing = [(tag, body.as_json_texts()) for tag, body in _sample() if tag not in items]
    added = list(store.commands.put_many(BOARD, missing, actor=_PEOPLE["1"]))
    # An older item in its first version is from an interrupted loading, or has an empty history.
    fresh = {outcome.tag for outcome in added} | {t for t, i in items.items() if i.version == 1}
    operations = 0
    for number, (tag, _) in enumerate(_sample()):
        if tag in fresh:
            operations += _replay(store, tag, _HISTORIES[number % len(_HISTORIES)])
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


def _sample() -> Iterator[tuple[str, ItemBody]]:
    for number in range(ITEM_COUNT):
        system, fluid = _SYSTEMS[number // 5 % len(_SYSTEMS)]
        line, spool = 25238 + number // 10, number % 10 + 11
        attributes = {
            "area": _AREAS[number * 3 % len(_AREAS)],
            "diametro": _DIAMETERS[number * 7 % len(_DIAMETERS)],
            "material": _MATERIALS[number // 4 % len(_MATERIALS)],
            "plano": f"ISO-{line}-{number % 3 + 1}",
            "servicio": fluid,
        }
        title = f"Spool {spool:03d}, línea {line}"
        body = ItemBody(title=title, attributes=dict(attributes))
        yield f"MK-1335-{system}-{line}-{spool:03d}", body


def _replay(store: Store, tag: str, history: _History) -> int:
    for operation, worker, more in history:
        transition = TRANSITIONS[operation]
        to = _PEOPLE[more] if transition.holder == "to" else None
        reason = more or None if to is None else None
        command = Command(BOARD, transition, [tag], actor=_PEOPLE[worker], reason=reason, to=to)
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
