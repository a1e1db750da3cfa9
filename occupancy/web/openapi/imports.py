"""The OpenAPI document: imports of items from files, and exports."""

from __future__ import annotations

from typing import Any

from occupancy.core import errors
from occupancy.core.entities import Role
from occupancy.tables.causes import FILE_CAUSES, ROW_CAUSES
from occupancy.tables.encoding import ENCODINGS
from occupancy.tables.xlsx_file import CONTENT_TYPE
from occupancy.web.openapi.operations import STORE, WRITES, answer, operation, parameter
from occupancy.web.openapi.schemas import BOOLEAN, INTEGER, TEXT, array, nullable, obj, ref

FILE_CONTENT = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
_IMPORT_ID = parameter("path", "import_id", TEXT, "The `id` of the upload.", required=True)
_READS = (errors.BoardNotFound, errors.ImportNotFound, *STORE)
_CHANGES = (errors.BoardNotFound, errors.ImportNotFound, *WRITES)


def schemas() -> dict[str, Any]:
    lines = array({
        "type": "object",
        "description": "`line` and `tag`; of a rejected row `why` and `cause`; of an updated one "
        "`changes`, the names of what changes.",
    })  # fmt: skip
    results = ("added", "updated", "unchanged", "rejected")
    counts = dict.fromkeys(results, INTEGER)
    return {
        "Import": obj(
            id=TEXT, file=TEXT, format={**TEXT, "enum": ["csv", "xlsx", "xls", "ods"]},
            encoding=nullable(TEXT), separator=nullable(TEXT), sheet=nullable(TEXT),
            sheets=array(TEXT), has_header=BOOLEAN, header_line=nullable(INTEGER), rows=INTEGER,
            columns=array(obj(name=TEXT, samples=array(TEXT), unique={"type": "number"})),
            mapping=nullable(obj(
                code=TEXT, title=nullable(TEXT), left_out=array(TEXT), has_header=BOOLEAN,
            )),
            mapping_source=nullable({**TEXT, "enum": ["given", "remembered", "guessed"]}),
            problem=nullable(TEXT), problem_cause=_cause_schema(FILE_CAUSES),
            preview=nullable(obj(**counts, lines=obj(**dict.fromkeys(results, lines)))),
            kept_s=INTEGER,
        ),
        "ImportRun": obj(
            state={**TEXT, "enum": ["none", "running", "done", "stopped"]},
            rows=INTEGER, done=INTEGER, **counts,
            lines=array(obj(line=INTEGER, name=TEXT, why=TEXT, cause=_cause_schema(ROW_CAUSES))),
            at_s={"type": "number"},
        ),
    }  # fmt: skip


def _cause_schema(codes: tuple[str, ...]) -> dict[str, Any]:
    return nullable(obj(code={**TEXT, "enum": list(codes)}, values={"type": "object"}))


def paths() -> dict[str, Any]:
    upload = operation("items", "uploadImport", "Upload a file of items, and see what it would do.",
        Role.SUPERVISOR, answer(ref("schemas", "Import"), status=201, text="The upload."),
        (*WRITES, errors.BoardNotFound, errors.TooLarge),
        parameters=[
            "Board",
            parameter("query", "name", TEXT, "The file's name, for the audit log."),
            parameter("query", "encoding", {**TEXT, "enum": list(ENCODINGS)}, "Of a CSV file."),
            parameter("query", "sheet", TEXT, "The sheet; else the first with content."),
        ],
        description="The body is the file itself: CSV, XLSX, XLS or ODS, up to 20 MiB and 200,000 "
        "rows. Nothing changes yet. `preview` counts what would become of the rows, with the first "
        "50 of each kind, of the rejected ones 1000. The upload is kept for an hour, the last four "
        "of a board. Where the first row is plainly an item, `has_header` is false, and columns "
        "are called A, B, C, and AA after Z.")  # fmt: skip
    upload["requestBody"] = {"required": True, "content": FILE_CONTENT}
    mapping = parameter(
        "query",
        "mapping",
        TEXT,
        "The JSON of an `ImportBody`: see what another mapping of the columns would do.",
    )
    has_header = parameter(
        "query",
        "has_header",
        {**TEXT, "enum": ["false", "true"]},
        "Without `mapping`: what is proposed for a file that has a header, or has none.",
    )
    run = operation("items", "runImport", "Import the rows of an upload.", Role.SUPERVISOR,
        answer(ref("schemas", "ImportRun")), _CHANGES, parameters=["Board", _IMPORT_ID],
        body=ref("schemas", "ImportBody"), must_have_body=True,
        description="Answered when it is done; it goes on when the client leaves. To run it again "
        "is safe: rows that are in change nothing. The board remembers the mapping for files with "
        "the same header, or without one and with as many columns.")  # fmt: skip
    show_run = operation(
        "items",
        "getImportRun",
        "How far an import is.",
        Role.SUPERVISOR,
        answer(ref("schemas", "ImportRun")),
        _READS,
        parameters=["Board", _IMPORT_ID],
    )
    added = operation(
        "items",
        "getImportedItems",
        "The items that an import has added, up to 10,000.",
        Role.SUPERVISOR,
        answer(obj(tags=array(TEXT))),
        _READS,
        parameters=["Board", _IMPORT_ID],
    )
    file = {
        "description": "The file.",
        "content": {each: {"schema": TEXT} for each in ("text/csv", CONTENT_TYPE)},
    }
    choice = {"type": "string"}
    export = operation("items", "exportItems", "Items as a file for a spreadsheet.", Role.OBSERVER,
        {"200": file}, (errors.BoardNotFound, *STORE),
        parameters=[
            "Board", "State", "Holder", "Q",
            parameter("query", "step", TEXT, "Only what stands at this step."),
            parameter("query", "format", {**choice, "enum": ["csv", "xlsx"]}, "Else CSV."),
            parameter("query", "lang", {**choice, "enum": ["en", "es"]},
                "The language of the spreadsheet that opens a CSV file: its separator, and the "
                "sign in decimals."),
            parameter("query", "full", {**choice, "enum": ["false", "true"]},
                "With state, step, holder and times. Such a file cannot be imported."),
        ],
        description="Importing the file again changes nothing.")  # fmt: skip
    return {
        "/api/boards/{board}/imports": {"post": upload},
        "/api/boards/{board}/imports/{import_id}": {
            "get": operation("items", "getImport", "What an import would do now.", Role.SUPERVISOR,
                answer(ref("schemas", "Import")), _READS,
                parameters=["Board", _IMPORT_ID, mapping, has_header]),
            "delete": operation("items", "removeImport", "Remove an upload.", Role.SUPERVISOR,
                {"204": {"description": "Removed."}}, _CHANGES, parameters=["Board", _IMPORT_ID]),
        },
        "/api/boards/{board}/imports/{import_id}/run": {"get": show_run, "post": run},
        "/api/boards/{board}/imports/{import_id}/added": {"get": added},
        "/api/boards/{board}/export": {"get": export},
    }  # fmt: skip
