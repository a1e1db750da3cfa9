"""``python -m bench``: measure the product beside its peers, print tables. See README.md."""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import report
from bench.cpu import raise_file_limit
from bench.lineup import lineup, missing
from bench.stage import Stage
from bench.work import Work
from bench.works import WORKS

_RESULT = Path(__file__).parent / "results" / "latest.json"


def main() -> None:
    options = _options()
    raise_file_limit()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("bench: ended"))  # and so what it has started
    for name, what in missing().items():
        if os.environ.get("CI") == "true":
            sys.exit(f"bench: {what}, and CI must not do without")
        print(f"bench: {name} is left out: {what}", file=sys.stderr)
    result: dict[str, Any] = {
        "about": _about(),
        "is_short": options.short,
        "rounds": options.rounds,
        "works": {work.name: [] for work in options.only},
    }
    with tempfile.TemporaryDirectory(prefix="occ-bench-") as directory:
        stage = Stage(Path(directory), lineup(), is_short=options.short)
        for stage.round in range(options.rounds):
            for work in options.only:
                stage.label = f"round {stage.round + 1}, {work.name}"
                result["works"][work.name].append(work.measure(stage))
                _write(options.json, result)  # so that nothing is lost when a later one breaks
    print(report.text(result))
    losses = [each for work, rounds in report.measured(result) for each in work.losses(rounds)]
    if losses:
        sys.exit("bench: the figures do not count:\n" + "\n".join(losses))
    if options.strict and any(each.is_met is False for each in report.verdicts(result)):
        sys.exit("bench: a target is missed")


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
    parser.add_argument("--rounds", type=int, help="default: 3; 1 with --short")
    parser.add_argument(
        "--only", type=_works, default=WORKS, metavar="WORK[,WORK]",
        help=f"of {', '.join(work.name for work in WORKS)}",
    )  # fmt: skip
    parser.add_argument("--short", action="store_true", help="proves that it works, no more")
    parser.add_argument("--strict", action="store_true", help="a missed target is an error")
    parser.add_argument(
        "--json", type=Path, metavar="FILE", default=_RESULT,
        help="where the raw results go (default: %(default)s)",
    )  # fmt: skip
    options = parser.parse_args()
    if options.rounds is None:
        options.rounds = 1 if options.short else 3
    return options


def _works(names: str) -> tuple[Work, ...]:
    known = {work.name: work for work in WORKS}
    wanted = names.split(",")
    if unknown := set(wanted) - known.keys():
        raise argparse.ArgumentTypeError(f"there is no {', '.join(sorted(unknown))}")
    return tuple(known[name] for name in wanted)


if __name__ == "__main__":
    main()
