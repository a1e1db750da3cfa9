"""``python -m proof.planted``: plants bugs in a copy of the tree and runs the tests on it."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from pathlib import Path

from proof.planted.bug import ROOT, read
from proof.planted.report import table
from proof.planted.run import Results, run

_RESULTS = ROOT / "docs" / "planted.json"


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("plant: ended"))  # ends its tests too
    options = _options()
    bugs = read()
    results = Results(options.json)
    results.keep_only({each.name for each in bugs})
    if unknown := (options.only or set()) - {each.name for each in bugs}:
        sys.exit(f"plant: no bug is named {', '.join(sorted(unknown))}")
    chosen = [
        each for each in bugs
        if (options.only is None or each.name in options.only)
        and (options.area is None or each.area in options.area)
    ]  # fmt: skip
    due = [each for each in chosen if options.again or not results.is_done(each)]
    missed = run(due, results, timeout_s=options.timeout, is_verbose=options.verbose)
    print("\n".join(table(json.loads(options.json.read_text()))[:1]))
    if missed:
        sys.exit(f"plant: not caught: {', '.join(each.name for each in missed)}")


def _names(text: str) -> set[str]:
    return set(text.split(","))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bin/plant", description=__doc__)
    parser.add_argument("--only", type=_names, metavar="NAME[,NAME]", help="only these bugs")
    parser.add_argument("--area", type=_names, metavar="AREA[,AREA]", help="only these areas")
    parser.add_argument("--again", action="store_true", help="also what was caught already")
    parser.add_argument(
        "--timeout", type=float, default=180.0, metavar="SECONDS",
        help="for one run of tests (default: %(default)g)",
    )  # fmt: skip
    parser.add_argument(
        "--json", type=Path, default=_RESULTS, metavar="FILE",
        help="where the results go, after each bug (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--verbose", action="store_true", help="print the tests that miss a bug")
    return parser.parse_args()


if __name__ == "__main__":
    main()
