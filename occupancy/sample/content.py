"""What the sample consists of: a shop where pipe spools are assembled, welded and measured."""

from __future__ import annotations

from collections.abc import Iterator

from occupancy.core.entities import Person, Role
from occupancy.core.requests.items import ItemBody

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
PEOPLE = {worker_id: Person(worker_id, name) for worker_id, name, _ in WORKERS}

_AREAS = ("A1", "A2", "B1", "B2", "C1")
_SYSTEMS = (("CW", "Agua de refrigeración"), ("FW", "Agua de alimentación"), ("ST", "Vapor"))
_DIAMETERS = ('2"', '3"', '4"', '6"', '8"')
_MATERIALS = ("A106 Gr. B", "A312 TP304L", "A335 P11")
ITEM_COUNT = 40

# The operations on an item: operation, actor, and the reason or the new holder.
History = tuple[tuple[str, str, str], ...]
_DONE_ARM: History = (("take", "93", ""), ("complete", "93", ""))
_DONE_SOLD: History = (*_DONE_ARM, ("take", "94", ""), ("complete", "94", ""))
HISTORIES: tuple[History, ...] = (
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


def items() -> Iterator[tuple[str, ItemBody]]:
    """The tag of each item, with its title and attributes."""
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
