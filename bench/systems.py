"""The systems that are measured: the product, its peers, and what this machine lacks for them."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from bench.cpu_quota import UNLIMITED, CpuQuota
from bench.figures import PRODUCT
from bench.peers import BASELINE, INCIDENT, NCHAN, STARLETTE
from bench.product import Product

NAMES = {
    PRODUCT: "the product",
    NCHAN: "Nchan (nginx)",
    STARLETTE: "FastAPI, sse-starlette",
    INCIDENT: "the incident's design",
    BASELINE: "C baseline",
}
_NGINX = (Path("/usr/sbin/nginx"), Path("/usr/lib/nginx/modules/ngx_nchan_module.so"))
_PACKAGES = ("fastapi", "sse_starlette", "uvicorn", "uvloop", "orjson")


def available(quota: CpuQuota = UNLIMITED) -> Mapping[str, Callable[..., Any]]:
    """How each system that this machine can run is started, by name."""
    from bench.peers.baseline import Baseline  # noqa: PLC0415 - not every machine can import each
    from bench.peers.incident import Incident  # noqa: PLC0415
    from bench.peers.nchan import Nchan  # noqa: PLC0415
    from bench.peers.starlette_peer import Starlette  # noqa: PLC0415

    kinds: dict[str, Callable[..., Any]] = {
        PRODUCT: Product, NCHAN: Nchan, STARLETTE: Starlette, INCIDENT: Incident,
        BASELINE: Baseline,
    }  # fmt: skip
    lacking = missing()
    return {name: partial(kind, quota=quota) for name, kind in kinds.items() if name not in lacking}


def product_of(root: Path, quota: CpuQuota = UNLIMITED) -> Mapping[str, Callable[..., Any]]:
    """The product alone, as the checkout in ``root`` serves it."""
    return {PRODUCT: partial(Product, root=root.resolve(), quota=quota)}


def missing() -> dict[str, str]:
    """What this machine lacks, by the name of the peer that needs it."""
    found = {}
    if not all(path.exists() for path in _NGINX):
        found[NCHAN] = "nginx and libnginx-mod-nchan are not installed"
    packages = [name for name in _PACKAGES if importlib.util.find_spec(name) is None]
    if packages:
        found[STARLETTE] = f"not installed: {', '.join(packages)} (requirements-bench.txt)"
    return found
