"""``python -m proof``: faults on real servers, under load, and what must hold after each.

Without --only: the full run, in parts. Each run goes on where the last has stopped, and adds to the
counts, until all goals are reached or the minutes are over. With --only and --seed: these rounds
again; the counts stay as they are.
"""

# ruff: noqa: E402 - gevent must patch before anything else is imported

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import argparse
import json
import signal
import sys
import time
from pathlib import Path

from proof.campaign.choice import Planned
from proof.campaign.counts import Counts, product_hash
from proof.campaign.kinds import KINDS, chosen
from proof.campaign.run import Campaign, table_of
from proof.report.page import markdown
from tests.support.servers import BINARIES, binary_of

_ROOT = Path(__file__).parents[1]
_COUNTS = _ROOT / "docs" / "reliability.json"
_PLANTED = _ROOT / "docs" / "planted.json"
_EVIDENCE = _ROOT / "var" / "prove"


def main() -> None:
    options = _options()
    if options.report:
        _write_page(options.json)
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("prove: ended"))  # ends its servers too
    deadline_s = time.monotonic() + options.minutes * 60 if options.minutes else None
    product = product_hash(_ROOT)
    counts = Counts(options.json, product, is_fresh=options.fresh)
    if counts.earlier and not counts.entries:
        print(f"The product has changed since {counts.earlier[-1]['product']}: counting anew.")
    campaign = Campaign(counts, _EVIDENCE, deadline_s=deadline_s)
    servers = [each for each in BINARIES if binary_of(each) is not None]
    kinds = options.only or list(KINDS.values())
    if options.only and options.seed is not None:
        campaign.repeat(
            [
                Planned(kind, seed)
                for seed in range(options.seed, options.seed + options.rounds)
                for kind in kinds
            ]
        )
    else:
        campaign.run(kinds, servers, first_seed=options.seed or 1)
        _write_page(options.json)
        print("", *table_of(counts), sep="\n")
    print(
        f"{campaign.round_count} rounds, {len(campaign.violated)} with a violation, "
        f"{campaign.void_count} void. Version of the product: {product}."
    )
    for row in campaign.violated:
        print(f"again: bin/prove --only {row['kind']} --seed {row['seed']}")
    if campaign.violated:
        sys.exit("prove: something did not hold")
    if campaign.round_count == campaign.void_count:
        sys.exit("prove: this run is void: none of its rounds counts")


def _write_page(counts: Path) -> None:
    planted = json.loads(_PLANTED.read_text()) if _PLANTED.exists() else None
    page = markdown(json.loads(counts.read_text()), planted)
    counts.with_suffix(".md").write_text(page)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bin/prove", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--minutes", type=float, default=None, help="at most (default: until the goals are reached)"
    )
    parser.add_argument(
        "--only", type=lambda text: text.split(","), default=None, metavar="KIND[,KIND]",
        help=", ".join(KINDS),
    )  # fmt: skip
    parser.add_argument(
        "--seed", type=int, default=None,
        help="of the rounds to repeat; without --only, the first of all (default: 1)",
    )  # fmt: skip
    parser.add_argument(
        "--rounds", type=int, default=1, help="to repeat, from the seed on (default: 1)"
    )
    parser.add_argument(
        "--fresh", action="store_true", help="forget all counts, also of earlier versions"
    )
    parser.add_argument(
        "--json", type=Path, default=_COUNTS, metavar="FILE",
        help="where the counts are; the page is beside it (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--report", action="store_true", help="make the page; no faults")
    options = parser.parse_args()
    try:
        options.only = chosen(options.only) if options.only else None
    except ValueError as error:
        parser.error(str(error))
    return options


if __name__ == "__main__":
    main()
