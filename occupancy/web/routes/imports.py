"""The routes of importing items from a file, and of exporting them to one.

An import is a file that was uploaded: sent, looked at, run, and removed.
"""

from __future__ import annotations

import functools
import tempfile
from typing import Any, Literal, cast

import msgspec
from flask import Blueprint, Response

from occupancy.core.entities import MAX_SNAPSHOT_ITEMS, STATES, Item, Role
from occupancy.core.errors import InvalidRequest
from occupancy.core.requests.checks import check_choice, check_name
from occupancy.core.requests.decoding import decode
from occupancy.core.requests.items import ImportBody
from occupancy.core.slices import sliced
from occupancy.tables.causes import Cause, cause_of
from occupancy.tables.columns import Mapping, headerless_mapping
from occupancy.tables.encoding import AUTO, ENCODINGS
from occupancy.tables.exporter import Language, export_csv, export_xlsx, read_all
from occupancy.tables.uploads import UPLOAD_TTL_S, Upload
from occupancy.tables.xlsx_file import CONTENT_TYPE
from occupancy.web import item_imports
from occupancy.web.auth import current_services, principal, requires, yield_turn
from occupancy.web.io import json_answer, read_body, read_query

bp = Blueprint("imports", __name__, url_prefix="/api/boards/<board>")


# Import


@bp.post("/imports")
@requires(Role.SUPERVISOR)
def upload(board: str) -> Response:
    """The body is the file itself, whatever its type says: its first bytes tell."""
    check_name("board", board)
    query = read_query("name", "encoding", "sheet")
    encoding = check_choice("encoding", query.get("encoding", AUTO), ENCODINGS)
    services = current_services()
    services.store.log.head(board)  # raises BoardNotFound, before the file is read
    with tempfile.TemporaryFile() as file:
        item_imports.receive(file)
        found = services.uploads.add(
            board, file, name=query.get("name", "")[:item_imports.MAX_NAME_CHARS],
            encoding=encoding, sheet=query.get("sheet"),
        )  # fmt: skip
    return json_answer(_described(board, found), 201)


@bp.get("/imports/<import_id>")
@requires(Role.SUPERVISOR)
def show(board: str, import_id: str) -> Response:
    """What an import would do now, also by another mapping than the proposed one.

    With ``has_header``, the mapping that is proposed for a file that has one, or has none.
    """
    query = read_query("mapping", "has_header")
    found = current_services().uploads.get(check_name("board", board), import_id)
    if "mapping" in query:
        if "has_header" in query:
            raise InvalidRequest("Send has_header within the mapping, or without a mapping.")
        mapping = _mapping(found, decode(query["mapping"].encode(), ImportBody))
        return json_answer(_described(board, found, mapping))
    has_header = None
    if "has_header" in query:
        has_header = check_choice("has_header", query["has_header"], ("false", "true")) == "true"
    return json_answer(_described(board, found, has_header=has_header))


@bp.delete("/imports/<import_id>")
@requires(Role.SUPERVISOR)
def remove(board: str, import_id: str) -> Response:
    read_query()
    current_services().uploads.remove(check_name("board", board), import_id)
    return Response(status=204)


@bp.post("/imports/<import_id>/run")
@requires(Role.SUPERVISOR)
def run(board: str, import_id: str) -> Response:
    """Answered when it is done; meanwhile GET says how far it is."""
    read_query()
    body = read_body(ImportBody)
    services = current_services()
    found = services.uploads.get(check_name("board", board), import_id)
    return json_answer(item_imports.run(services, board, found, _mapping(found, body), principal()))


@bp.get("/imports/<import_id>/run")
@requires(Role.SUPERVISOR, is_use=False)
def show_run(board: str, import_id: str) -> Response:
    """Polled while an import runs; does not extend the session."""
    read_query()
    uploads = current_services().uploads
    return json_answer(uploads.run(board, uploads.get(check_name("board", board), import_id)))


@bp.get("/imports/<import_id>/added")
@requires(Role.SUPERVISOR)
def show_added(board: str, import_id: str) -> Response:
    """For the labels of what an import has added."""
    read_query()
    uploads = current_services().uploads
    found = uploads.get(check_name("board", board), import_id)
    return json_answer({"tags": uploads.added(board, found.id)})


def _mapping(found: Upload, body: ImportBody) -> Mapping:
    if not body.has_header:
        letters = found.read_with(has_header=False).parsed.header
        return headerless_mapping(letters, body.code, body.title, body.left_out)
    return Mapping(body.code, body.title, body.left_out or [])


def _proposed(
    board: str, found: Upload, has_header: bool | None
) -> tuple[bool, Mapping | None, Literal["remembered", "guessed"]]:
    """Whether the file has a header, where that is not given, and a mapping if one is known."""
    uploads = current_services().uploads
    remembered = uploads.remembered(board, found.parsed)
    if remembered is not None and has_header in (None, remembered.has_header):
        return remembered.has_header, remembered, "remembered"
    if has_header is None:
        has_header = not found.parsed.headerless.is_plain
    parsed = found.read_with(has_header=has_header).parsed
    if not has_header and (remembered := uploads.remembered(board, parsed)) is not None:
        return False, remembered, "remembered"
    return has_header, parsed.guess, "guessed"


def _described(
    board: str, found: Upload, given: Mapping | None = None, *, has_header: bool | None = None
) -> dict[str, Any]:
    """The file, and a preview by the given mapping, or the remembered or guessed one.

    A given mapping that is not of this file is refused; of a proposed one the answer says why.
    """
    services = current_services()
    mapping = given
    source: Literal["given", "remembered", "guessed"] = "given"
    if given is not None:
        has_header = given.has_header
    else:
        has_header, mapping, source = _proposed(board, found, has_header)
    parsed = found.read_with(has_header=has_header).parsed
    made, problem, cause = None, None, None
    if mapping is None:
        problem = "No column has a different code in each row: choose the column of the codes."
        cause = Cause("no_code_column")
    else:
        try:
            made = item_imports.preview(services, board, found, mapping)
        except InvalidRequest as error:
            if given is not None:
                raise
            problem, cause = error.detail, cause_of(error)
    return {
        "id": found.id, "file": found.file, "format": parsed.format, "encoding": parsed.encoding,
        "separator": parsed.separator, "sheet": parsed.sheet, "sheets": parsed.sheets,
        "has_header": has_header, "header_line": parsed.header_line, "rows": parsed.rows,
        "columns": parsed.columns, "mapping": None if mapping is None else {
            "code": mapping.code, "title": mapping.title, "left_out": mapping.left_out,
            "has_header": mapping.has_header,
        },
        "mapping_source": None if mapping is None else source,
        "problem": problem, "problem_cause": cause, "preview": made, "kept_s": UPLOAD_TTL_S,
    }  # fmt: skip


# Export


@bp.get("/export")
@requires(Role.OBSERVER)
def export(board: str) -> Response:
    """All items, or those of the same filters as the list, as a file for a spreadsheet."""
    check_name("board", board)
    query = read_query("format", "lang", "full", "state", "step", "holder", "q")
    file_format, language = query.get("format", "csv"), query.get("lang", "en")
    for name, value, known in (
        ("format", file_format, ("csv", "xlsx")),
        ("lang", language, ("en", "es")),
        ("full", query.get("full", "false"), ("false", "true")),
        ("state", query.get("state", STATES[0]), STATES),
    ):
        check_choice(name, value, known)
    if "holder" in query:
        check_name("worker", query["holder"])
    cache = current_services().store.snapshot_cache
    select = functools.partial(
        cache.select, board, state=query.get("state"), holder=query.get("holder"),
        text=query.get("q"), limit=MAX_SNAPSHOT_ITEMS, pause=yield_turn,
    )  # fmt: skip
    _, found = read_all(lambda page: select(page=page))
    listed = [msgspec.json.decode(each, type=Item) for each in sliced(found, yield_turn)]
    if "step" in query:
        listed = [each for each in listed if each.step == query["step"]]
    is_full = query.get("full") == "true"
    if file_format == "xlsx":
        body = export_xlsx(listed, board=board, is_full=is_full, pause=yield_turn)
        content_type = CONTENT_TYPE
    else:
        spoken = cast(Language, language)
        body = export_csv(listed, language=spoken, is_full=is_full, pause=yield_turn)
        content_type = "text/csv; charset=utf-8"
    response = Response(body, content_type=content_type)
    # A board's name has letters, digits, - and _ only.
    response.headers["Content-Disposition"] = f'attachment; filename="{board}.{file_format}"'
    response.headers["Cache-Control"] = "no-store"
    return response
