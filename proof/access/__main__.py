"""``python -m proof.access``: access under attack; the rows as lines."""

# ruff: noqa: E402 - gevent must patch before anything else is imported

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import argparse
import signal
import sys
import tempfile
from pathlib import Path

from proof.access.run import PARTS, run, run_part
from proof.results import text_of


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m proof.access", description=__doc__)
    parser.add_argument("--minutes", type=float, default=None, help="(default: 200 revocations)")
    parser.add_argument("--only", choices=PARTS, default=None, help="(default: all)")
    parser.add_argument("--seed", type=int, default=1, help="(default: 1)")
    parser.add_argument("--server", choices=("valkey", "redis"), default="valkey")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("access: ended"))  # ends its servers too
    with tempfile.TemporaryDirectory(prefix="occ-access-") as name:
        directory = Path(name)
        if options.only is None:
            rows = run(directory, seed=options.seed, minutes=options.minutes, server=options.server)
        else:
            seconds = options.minutes * 60 if options.minutes is not None else None
            rows = [
                run_part(
                    options.only, options.server, directory, seed=options.seed, seconds=seconds
                )
            ]
    for row in rows:
        print(text_of(row))
    if any(row["void"] or row["violations"] for row in rows):
        sys.exit("access: something did not hold")


if __name__ == "__main__":
    main()
