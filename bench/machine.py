"""The speed of the machine, in two units of work: a ``send()`` and a million Python bytecodes.

They tell runs on different machines apart. Bounds on a delay that consists of such work scale with
them: the same delay is the same number of sends on a fast and on a slow machine.

Bounds use the CPU time of a unit, multiplied by the slowdown of a CPU quota, and not its wall-clock
time: neighbours that take the processor away must not loosen a bound. The wall-clock time stands
beside it, and the difference shows a machine that is shared, or limited from outside.
"""

from __future__ import annotations

import dis
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.cpu_quota import UNLIMITED, CpuQuota
from bench.figures import known_median

ROUND_SENDS = 1000  # a round writes one event to this many streams
_SHORT = "--short"


@dataclass(frozen=True)
class WorkUnit:
    """Something that takes time in proportion to the machine's slowness."""

    text: str  # after a number
    key: str  # of the machine's figures: CPU time
    scale: float  # from that figure to milliseconds of one unit

    def cost_ms(self, machine: Mapping[str, float]) -> float | None:
        """The cost of one unit on that machine; None where it was not measured."""
        cost = machine.get(self.key)
        return None if cost is None else cost * self.scale * machine.get("slowdown", 1.0)


ROUNDS = WorkUnit(f"rounds of {ROUND_SENDS:,} sends", "send_cpu_us", ROUND_SENDS / 1000)
BYTECODES = WorkUnit("million bytecodes", "million_bytecodes_cpu_ms", 1.0)


def measure(
    programs: Path, quota: CpuQuota = UNLIMITED, *, is_short: bool = False
) -> dict[str, float]:
    """The units' costs under that quota; ``programs`` holds the compiled ``send_cost``."""
    wait_s = "0.02" if is_short else "0.5"
    figures = {"slowdown": quota.slowdown}
    for command in (
        [str(programs / "send_cost"), str(ROUND_SENDS), wait_s],
        [sys.executable, "-m", "bench.machine", *([_SHORT] if is_short else [])],
    ):
        figures |= json.loads(quota.output(command))
    return figures


def medians(rounds: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The machine of a whole run, from what each round found."""
    found = {key: known_median(each.get(key) for each in rounds) for key in _keys(rounds)}
    return {key: value for key, value in found.items() if value is not None}


def text(machine: Mapping[str, float]) -> str:
    """One sentence for the report."""
    if not machine:
        return "The units of work were not measured."
    return (
        f"On this machine a send() of 256 bytes over loopback costs {machine['send_us']:.2f} µs "
        f"(in C; {machine['send_cpu_us']:.2f} µs of CPU), and a million Python bytecodes "
        f"{machine['million_bytecodes_ms']:.1f} ms ({machine['million_bytecodes_cpu_ms']:.1f} ms "
        "of CPU)."
    )


def _keys(rounds: Sequence[Mapping[str, float]]) -> list[str]:
    return list(dict.fromkeys(key for each in rounds for key in each))


def _loop(count: int) -> int:
    total = 0
    for number in range(count):
        total = total + number & 255
    return total


def bytecodes_per_turn(loop: Callable[[int], int] = _loop) -> int:
    """The number of bytecodes in one turn of the loop, as the interpreter compiles it."""
    names = [each.opname for each in dis.get_instructions(loop)]
    return names.index("JUMP_BACKWARD") - names.index("FOR_ITER") + 1


def _bytecodes(duration_s: float) -> dict[str, Any]:
    turns = 1_000_000 // bytecodes_per_turn()
    _loop(turns)  # so that the interpreter has specialised it
    began_s, began_cpu_s, count = time.perf_counter(), time.process_time(), 0
    while count == 0 or time.perf_counter() - began_s < duration_s:  # a busy machine may pause here
        _loop(turns)
        count += 1
    return {
        "million_bytecodes_ms": (time.perf_counter() - began_s) / count * 1000,
        "million_bytecodes_cpu_ms": (time.process_time() - began_cpu_s) / count * 1000,
    }


if __name__ == "__main__":
    print(json.dumps(_bytecodes(0.02 if _SHORT in sys.argv else 0.5)))
