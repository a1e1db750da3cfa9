"""Who is measured: the product and its peers, and what this machine lacks of them."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bench.peers import Peer
from bench.product import Product
from bench.work import PRODUCT

NCHAN, STARLETTE, INCIDENT, FLOOR = "nchan", "starlette", "incident", "floor"
NAMES = {
    PRODUCT: "the product",
    NCHAN: "Nchan (nginx)",
    STARLETTE: "FastAPI, sse-starlette",
    INCIDENT: "the incident's design",
    FLOOR: "C floor",
}
_NGINX = (Path("/usr/sbin/nginx"), Path("/usr/lib/nginx/modules/ngx_nchan_module.so"))
_PACKAGES = ("fastapi", "sse_starlette", "uvicorn", "uvloop", "orjson")


def lineup() -> Mapping[str, Callable[[Path], Any]]:
    """How each that can be had here is started, by name."""
    from bench.peers.floor import Floor  # noqa: PLC0415 - only what can be had is imported
    from bench.peers.incident import Incident  # noqa: PLC0415
    from bench.peers.nchan import Nchan  # noqa: PLC0415
    from bench.peers.starlette_peer import Starlette  # noqa: PLC0415

    kinds: dict[str, Callable[[Path], Peer]] = {
        PRODUCT: Product, NCHAN: Nchan, STARLETTE: Starlette, INCIDENT: Incident, FLOOR: Floor,
    }  # fmt: skip
    lacking = missing()
    return {name: kind for name, kind in kinds.items() if name not in lacking}


def missing() -> dict[str, str]:
    """What this machine lacks, by the name of the peer that needs it."""
    found = {}
    if not all(path.exists() for path in _NGINX):
        found[NCHAN] = "nginx and libnginx-mod-nchan are not installed"
    packages = [name for name in _PACKAGES if importlib.util.find_spec(name) is None]
    if packages:
        found[STARLETTE] = f"not installed: {', '.join(packages)} (requirements-bench.txt)"
    return found
