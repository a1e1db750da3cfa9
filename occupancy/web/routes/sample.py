"""The sample over HTTP, for administrators; ``flask demo`` does the same."""

from __future__ import annotations

import msgspec
from flask import Blueprint, Response

from occupancy.core.entities import Role
from occupancy.sample.loading import load
from occupancy.sample.removal import present, unload
from occupancy.web.auth import current_services, principal, recording, requires
from occupancy.web.io import json_answer, read_query

bp = Blueprint("sample", __name__, url_prefix="/api")


@bp.get("/sample")
@requires(Role.ADMIN)
def show_sample() -> Response:
    """The parts of the sample that are there and could be removed."""
    read_query()
    found = present(current_services(), by=principal().worker.id)
    return json_answer(msgspec.to_builtins(found))


@bp.post("/sample")
@requires(Role.ADMIN)
def load_sample() -> Response:
    """Load the sample, without PINs or tokens. Loading it again changes nothing."""
    read_query()
    services = current_services()
    with recording("sample_loaded") as fields:
        loaded = load(services.store, services.workers, lambda _: None)
        fields.update(boards=loaded.boards, workers=loaded.workers, items=loaded.items)
        if not (loaded.boards or loaded.workers or loaded.items):
            fields.clear()
    return json_answer({"added": msgspec.to_builtins(loaded)})


@bp.delete("/sample")
@requires(Role.ADMIN)
def remove_sample() -> Response:
    """Remove what is still the sample's; the answer says what stays, and why."""
    read_query()
    with recording("sample_unloaded") as fields:
        unloaded = unload(current_services(), recording=recording, by=principal().worker.id)
        fields.update(boards=unloaded.boards, workers=unloaded.workers, items=unloaded.items)
        if not (unloaded.boards or unloaded.workers or unloaded.items):
            fields.clear()
    return json_answer(msgspec.to_builtins(unloaded))
