"""Rows of a file of workers, as a person who keeps a list of the staff writes it.

The names of columns and roles may be Spanish or English. Unlike the command line's import, which
takes a file made for it, other columns are left out, and the preview names them. A row is refused
by the same rules as the body of a PUT; ``code`` says by which, for pages in other languages.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

import msgspec

from occupancy.access.pins import check_pin
from occupancy.access.workers import checked
from occupancy.core.entities import Role, Worker
from occupancy.core.errors import InvalidRequest
from occupancy.core.requests.checks import check_shown
from occupancy.core.texts.formulas import unescape_formula
from occupancy.tables.cells import check_key, parse_pin, shown
from occupancy.tables.columns import simple_name
from occupancy.tables.records import Record, Rejected
from occupancy.tables.table import Columns

# Without accents, spaces and signs, and in the order in which they are believed.
_NAMES = {
    "id": (
        "id", "workerid", "employeeid", "worker", "employee", "number", "no", "badgeno", "codigo",
        "clave", "operario", "empleado", "numero", "noempleado", "numerodeempleado", "nempleado",
        "nomina", "numerodenomina", "matricula", "ficha",
    ),
    "name": (
        "name", "fullname", "nombre", "nombrecompleto", "nombreyapellidos", "nombreyapellido",
        "apellidosynombre",
    ),
    "role": ("role", "rol", "funcion", "papel", "permiso", "perfil"),
    "pin": ("pin", "nip", "clavepin"),
}  # fmt: skip
_NEEDED = ("id", "name", "role")
_ROLES = {
    Role.OBSERVER: ("observer", "observador", "observadora"),
    Role.WORKER: ("worker", "operator", "operario", "operaria", "operador", "operadora",
                  "trabajador", "trabajadora"),
    Role.SUPERVISOR: ("supervisor", "supervisora", "foreman", "encargado", "encargada"),
    Role.ADMIN: ("admin", "administrator", "administrador", "administradora"),
}  # fmt: skip
_ROLE_OF = {name: role for role, names in _ROLES.items() for name in names}

RefusalCode = Literal["row", "id", "duplicate", "name", "role", "pin", "own_pin", "admin"]


class WorkerRow(msgspec.Struct, frozen=True):
    line: int
    id: str
    name: str
    role: Role
    pin: str  # or ''


class RefusedRow(msgspec.Struct, frozen=True):
    """A row that is not imported; ``id`` is what it has for one, perhaps cut."""

    line: int
    id: str
    code: RefusalCode
    why: str


class RowRefused(Exception):
    """A row is refused, by the rule ``code``."""

    def __init__(self, code: RefusalCode, why: str) -> None:
        super().__init__(why)
        self.code = code
        self.why = why.rstrip(".")


class WorkerReader:
    """Makes rows of the records of one file.

    Raises InvalidRequest if a column is missing, with its name as ``missing``, or there twice.
    ``left_out`` has the names of the columns that mean nothing here.
    """

    def __init__(self, header: Sequence[str]) -> None:
        names = _meanings(header)
        for needed in _NEEDED:
            if needed not in names:
                listed = shown(", ".join(header)[:200])
                raise InvalidRequest(
                    f"There is no column '{needed}'; the columns are: {listed}.", missing=needed
                )
        unknown = [n for n, name in enumerate(names) if name not in _NAMES]
        self.left_out = [header[n][:80] for n in unknown if header[n].strip()]
        self._columns = Columns(names, needed=_NEEDED, optional=("pin",), left_out=unknown)
        self._lines: dict[str, int] = {}  # of each id

    def rows(self, records: Iterable[Record]) -> Iterator[WorkerRow | RefusedRow]:
        for record in records:
            row = self._columns.row(record)
            if isinstance(row, Rejected):
                yield RefusedRow(row.line, row.name[:80], "row", row.why[:500])
                continue
            worker_id = row.cells["id"].strip()
            try:
                yield self._read(row.line, worker_id, row.cells)
            except RowRefused as refused:
                yield RefusedRow(row.line, worker_id[:80], refused.code, refused.why[:500])

    def _read(self, line: int, worker_id: str, cells: dict[str, str]) -> WorkerRow:
        is_repeated = worker_id in self._lines
        with _refused_as("duplicate" if is_repeated else "id"):
            check_key("id", "worker", worker_id, self._lines, line)
        name = unescape_formula(cells["name"]).strip()
        with _refused_as("name"):
            check_shown("name", name)
            checked(Worker(worker_id, name, Role.WORKER.label))
        role = _ROLE_OF.get(simple_name(cells["role"]))
        if role is None:
            roles = ", ".join(each.label for each in Role)
            raise RowRefused("role", f"role {cells['role'][:80]!r} is none of {roles}")
        with _refused_as("pin"):
            pin = parse_pin(cells.get("pin", ""))
            if pin:
                check_pin(pin, worker_id)
        return WorkerRow(line, worker_id, name, role, pin)


def _meanings(header: Sequence[str]) -> list[str]:
    """The columns' names as the API calls them; of several that mean the same, one is chosen."""
    plain = [simple_name(name) for name in header]
    names = [name.strip() for name in header]
    for meaning, known in _NAMES.items():
        # A second column of that very name is refused later: nobody can say which one counts.
        exact = [n for n, name in enumerate(plain) if name == known[0]]
        found = exact or [plain.index(each) for each in known if each in plain][:1]
        for position in found:
            names[position] = meaning
    return names


@contextlib.contextmanager
def _refused_as(code: RefusalCode) -> Iterator[None]:
    try:
        yield
    except InvalidRequest as error:
        raise RowRefused(code, error.detail) from error
