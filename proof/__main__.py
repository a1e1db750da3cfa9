"""``python -m proof``: faults on real servers, under load, and what must hold after each."""

# ruff: noqa: E402 - gevent must patch before anything else is imported

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import argparse
import json
import signal
import sys
import tempfile
from pathlib import Path

from proof.failover.faults import OF_CLUSTER, OF_SENTINEL, OF_VALKEY_CLUSTER
from proof.failover.run import Run
from proof.report import markdown
from proof.results import Results
from proof.single.run import FAULTS, SEVERAL, SingleRun

_COUNTS = Path(__file__).parents[1] / "docs" / "reliability.json"
_TOPOLOGIES = ("cluster", "sentinel", "single")


def main() -> None:
    options = _options()
    if options.report:
        page = options.json.with_suffix(".md")
        page.write_text(markdown(json.loads(options.json.read_text())))
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("prove: ended"))  # ends its servers too
    with tempfile.TemporaryDirectory(prefix="occ-prove-") as directory:
        results = Results(options.json)
        begin = {"seed": options.seed, "rounds": options.rounds}
        failovers = Run(Path(directory), results, **begin)
        single = SingleRun(Path(directory), results, **begin)
        for server in options.server:
            for topology in options.topology:
                if topology == "single":
                    for nodes in (1, 2):
                        single.measure(server, nodes=nodes, only=options.only)
                    continue
                for is_strict in options.strict:
                    failovers.measure(topology, server, is_strict=is_strict, only=options.only)
    print(results.summary())
    if results.failures:
        sys.exit("prove: something did not hold")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m proof", description=__doc__)
    parser.add_argument(
        "--only", type=lambda text: text.split(","), default=None, metavar="FAULT[,FAULT]",
        help=", ".join([*OF_CLUSTER, *OF_VALKEY_CLUSTER, *OF_SENTINEL, *FAULTS, SEVERAL]),
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=1, help="of the first round (default: 1)")
    parser.add_argument("--rounds", type=int, default=5, help="of each fault (default: 5)")
    for name, values in (
        ("server", ["valkey", "redis"]), ("topology", [*_TOPOLOGIES]),
    ):  # fmt: skip
        parser.add_argument(f"--{name}", action="append", choices=values, default=None)
    parser.add_argument(
        "--strict", choices=["yes", "no"], default=None, help="only with, or without strict mode"
    )
    parser.add_argument(
        "--json", type=Path, default=_COUNTS, metavar="FILE",
        help="where the counts go, after each round (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--report", action="store_true", help="make the page beside FILE from it; no faults"
    )
    options = parser.parse_args()
    options.server = options.server or ["valkey", "redis"]
    options.topology = options.topology or [*_TOPOLOGIES]
    options.strict = {"yes": [True], "no": [False], None: [False, True]}[options.strict]
    return options


if __name__ == "__main__":
    main()
