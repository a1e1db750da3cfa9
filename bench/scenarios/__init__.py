"""The scenarios, one module for each kind; ``SCENARIOS`` has them in the order of a run."""

from __future__ import annotations

from bench.scenario import Scenario
from bench.scenarios.crowd import CROWD
from bench.scenarios.fan_out import BUSY, FAN_OUT, MANY
from bench.scenarios.growth import GROWTH
from bench.scenarios.half_load import HALF_LOAD
from bench.scenarios.latency import LATENCY
from bench.scenarios.operations import OPERATIONS
from bench.scenarios.slow_clients import SLOW_CLIENTS
from bench.scenarios.snapshot import SNAPSHOT
from bench.scenarios.start import START

SCENARIOS: tuple[Scenario, ...] = (
    FAN_OUT, BUSY, MANY, LATENCY, OPERATIONS, HALF_LOAD, CROWD, GROWTH, SNAPSHOT, START,
    SLOW_CLIENTS,
)  # fmt: skip
