"""The works: what is measured, one module for each kind. ``WORKS`` has them in their order."""

from __future__ import annotations

from bench.work import Work
from bench.works.crowd import CROWD
from bench.works.fan_out import BUSY, FAN_OUT, MANY
from bench.works.growth import GROWTH
from bench.works.half_load import HALF_LOAD
from bench.works.lone import LONE
from bench.works.operations import OPERATIONS
from bench.works.slow_clients import SLOW_CLIENTS
from bench.works.snapshot import SNAPSHOT
from bench.works.start import START

WORKS: tuple[Work, ...] = (
    FAN_OUT, BUSY, MANY, LONE, OPERATIONS, HALF_LOAD, CROWD, GROWTH, SNAPSHOT, START, SLOW_CLIENTS,
)  # fmt: skip
