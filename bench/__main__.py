"""``python -m bench``: measure the product beside its peers, or beside another version of itself.

Prints tables; see README.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import machine, report
from bench.comparison import Comparison
from bench.cpu import raise_file_limit
from bench.cpu_quota import CpuQuota
from bench.generator import Generator
from bench.runner import Runner
from bench.scenario import Scenario
from bench.scenarios import SCENARIOS
from bench.systems import available, missing

_RESULT = Path(__file__).parent / "results" / "latest.json"


def main() -> None:
    options = _options()
    raise_file_limit()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("bench: ended"))  # ends its processes too
    quota = CpuQuota(options.slowdown)
    try:
        with tempfile.TemporaryDirectory(prefix="occ-bench-") as directory:
            result = _run(options, Path(directory), quota)
    finally:
        quota.remove()
    print(report.text(result))
    losses = report.losses(result)
    if losses:
        sys.exit("bench: the figures do not count:\n" + "\n".join(losses))
    if options.strict and any(each.is_met is False for each in report.verdicts(result)):
        sys.exit("bench: a target is missed")


def _run(options: argparse.Namespace, directory: Path, quota: CpuQuota) -> dict[str, Any]:
    began_s = time.monotonic()
    generator = Generator(directory)
    result: dict[str, Any] = {
        "about": {**_about(), "slowdown": options.slowdown},
        "is_short": options.short,
        "machine": [],
        "scenarios": {scenario.name: [] for scenario in options.only},
    }
    measure: Callable[[Scenario, int], Any]
    if options.against is not None:
        result["about"]["against"] = options.against.resolve().name
        measure = Comparison(
            options.against, generator, directory, quota, is_short=options.short
        ).measure
    else:
        measure = _with_peers(generator, directory, quota, is_short=options.short)
    rounds = {scenario: _rounds(scenario, options) for scenario in options.only}
    for number in range(max(rounds.values())):
        result["machine"].append(machine.measure(directory, quota, is_short=options.short))
        for scenario in options.only:
            if number < rounds[scenario]:
                result["scenarios"][scenario.name].append(measure(scenario, number))
                result["about"]["took_s"] = round(time.monotonic() - began_s)
                _write(options.json, result)  # nothing is lost if a later scenario breaks
    return result


def _with_peers(
    generator: Generator, directory: Path, quota: CpuQuota, *, is_short: bool
) -> Callable[[Scenario, int], Any]:
    for name, what in missing().items():
        if os.environ.get("CI") == "true":
            sys.exit(f"bench: {what}, which CI requires")
        print(f"bench: {name} is left out: {what}", file=sys.stderr)
    runner = Runner(generator, directory, available(quota), is_short=is_short)

    def measure(scenario: Scenario, number: int) -> Any:
        runner.round = number
        runner.label = f"round {number + 1}, {scenario.name}"
        return scenario.measure(runner)

    return measure


def _rounds(scenario: Scenario, options: argparse.Namespace) -> int:
    if options.rounds is not None:
        return int(options.rounds)
    return 1 if options.short else scenario.rounds


def _write(path: Path, result: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=1) + "\n")


def _about() -> dict[str, Any]:
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": os.cpu_count(),
        "kernel": platform.release().partition("-")[0],
        "python": platform.python_version(),
    }


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "--rounds", type=_positive,
        help="of every scenario (default: 3, 5 of half-load; 1 with --short)",
    )  # fmt: skip
    parser.add_argument(
        "--only", type=_scenarios, default=SCENARIOS, metavar="SCENARIO[,SCENARIO]",
        help=f"of {', '.join(scenario.name for scenario in SCENARIOS)}",
    )  # fmt: skip
    parser.add_argument(
        "--against", type=_checkout, metavar="DIRECTORY",
        help="compare with the version of the product in this checkout, without the peers",
    )  # fmt: skip
    parser.add_argument(
        "--slowdown", type=_slowdown, default=1.0, metavar="FACTOR",
        help="a CPU quota for each server (3: as on a machine three times slower)",
    )  # fmt: skip
    parser.add_argument("--short", action="store_true", help="proves that it works, no more")
    parser.add_argument("--strict", action="store_true", help="a missed target is an error")
    parser.add_argument(
        "--json", type=Path, metavar="FILE", default=_RESULT,
        help="where the raw results go (default: %(default)s)",
    )  # fmt: skip
    return parser.parse_args()


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


def _slowdown(text: str) -> float:
    factor = float(text)
    if not 1 <= factor <= 100:
        raise argparse.ArgumentTypeError("from 1 to 100")
    return factor


def _checkout(text: str) -> Path:
    path = Path(text)
    for name in ("wsgi.py", "gunicorn.conf.py"):
        if not (path / name).exists():
            raise argparse.ArgumentTypeError(f"{text} is no checkout of the product: no {name}")
    return path


def _scenarios(names: str) -> tuple[Scenario, ...]:
    known = {scenario.name: scenario for scenario in SCENARIOS}
    wanted = names.split(",")
    if unknown := set(wanted) - known.keys():
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(sorted(unknown))}")
    return tuple(known[name] for name in wanted)


if __name__ == "__main__":
    main()
