"""``python -m bench``: start the real server, measure it, print a table. See README.md."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench import runs
from bench.cpu import bare_send_us, raise_file_limit
from bench.report import table
from bench.server import Gunicorn, Valkey, make_settings, set_up_data
from bench.watch import ConnectionWatch

_CONNECTIONS = (1, 16, 64)
_RATE_PER_S = 20.0
_HONEST_CONNECTIONS = 8  # beside the slow clients


def main() -> None:
    options = _options()
    raise_file_limit()
    with contextlib.ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="occ-bench-")))
        result = measure(options, directory, stack)
    print(table(result))
    if options.json is not None:
        options.json.write_text(json.dumps(result, indent=2) + "\n")
    if not is_sound(result):
        sys.exit("bench: something failed or was not delivered; the figures do not count.")


def measure(
    options: argparse.Namespace, directory: Path, stack: contextlib.ExitStack
) -> dict[str, Any]:
    """One whole run; ``stack`` ends what it starts."""
    valkey = Valkey(directory)
    stack.callback(valkey.stop)
    settings = make_settings(valkey, directory)
    _say(f"setting up {options.items} items")
    token, tags = set_up_data(settings, options.items)
    watch = ConnectionWatch(valkey)
    stack.callback(watch.stop)
    result: dict[str, Any] = {"workers": options.workers, "items": options.items, "operations": []}
    with _gunicorn(settings, options.workers, directory) as gunicorn:
        for connections in _CONNECTIONS:
            _say(f"operations: {connections} connections, workers {gunicorn.worker_pids}")
            result["operations"].append(
                runs.operations(
                    gunicorn, valkey, token, tags, connections=connections,
                    warm_up_s=options.warm_up, duration_s=options.seconds,
                )
            )  # fmt: skip
    # A fresh process: its memory has not grown yet for any other reason than the streams.
    with _gunicorn(settings, 1, directory) as gunicorn:
        _say(f"fan-out: {options.streams} streams, worker {gunicorn.worker_pids}")
        result["fan_out"] = runs.fan_out(
            gunicorn, valkey, token, tags, streams=options.streams,
            rate_per_s=_RATE_PER_S, duration_s=options.seconds,
        )  # fmt: skip
    with _gunicorn(settings, options.workers, directory) as gunicorn:
        _say(f"slow clients: {options.slow_clients}, workers {gunicorn.worker_pids}")
        result["slow_clients"] = runs.slow_clients(
            gunicorn, valkey, token, tags, clients=options.slow_clients,
            connections=_HONEST_CONNECTIONS, warm_up_s=options.warm_up,
            duration_s=options.seconds, settle_s=options.settle,
        )  # fmt: skip
    result["bare_send_us"] = bare_send_us(result["fan_out"]["event_bytes"])
    result["connections"] = watch.figures(settings.redis_budget)
    return result


def is_sound(result: dict[str, Any]) -> bool:
    """Whether everything succeeded and arrived, within the budget."""
    fan_out, connections = result["fan_out"], result["connections"]
    runs_ = [*result["operations"], fan_out, result["slow_clients"]]
    failures = sum(run["failures"] for run in runs_)
    wrong = fan_out["out_of_order"] + fan_out["troubles"]
    is_whole = fan_out["delivered"] == fan_out["expected"]
    return not failures and not wrong and is_whole and connections["max"] <= connections["budget"]


@contextlib.contextmanager
def _gunicorn(settings: Any, workers: int, directory: Path) -> Any:
    gunicorn = Gunicorn(settings, workers, directory / "gunicorn.log")
    try:
        yield gunicorn
    finally:
        gunicorn.stop()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--workers", type=int, default=2, help="for operations (default: 2)")
    parser.add_argument("--seconds", type=float, default=8, help="of each measurement (default: 8)")
    parser.add_argument("--items", type=int, default=1000, help="default: 1000")
    parser.add_argument("--streams", type=int, default=1000, help="default: 1000")
    parser.add_argument("--slow-clients", type=int, default=2000, help="default: 2000")
    parser.add_argument("--short", action="store_true", help="a few seconds: proves that it works")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the raw results there")
    options = parser.parse_args()
    options.warm_up, options.settle = 2.0, 10.0
    if options.short:
        options.seconds, options.warm_up, options.settle = 0.5, 0.1, 2.0
        options.items, options.streams, options.slow_clients = 200, 50, 100
    return options


def _say(what: str) -> None:
    print(f"bench: {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
