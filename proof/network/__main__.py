"""``python -m proof.network DESCRIPTOR PORT UPSTREAM SEED``: the proxy's process.

It is controlled over the socket DESCRIPTOR, in lines of JSON, and ends when that is closed.
"""

from __future__ import annotations

import json
import resource
import sys
from typing import Any

from gevent import socket

from proof.network.mode import Mode
from proof.network.relay import Relay


def main() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    descriptor, *rest = map(int, sys.argv[1:])
    control = socket.socket(fileno=descriptor).makefile("rwb")
    relay = Relay(*rest)
    while line := control.readline():
        answer = _carry_out(relay, **json.loads(line))
        control.write(json.dumps(answer).encode() + b"\n")
        control.flush()


def _carry_out(
    relay: Relay, do: str, number: int = 0, modes: list[dict[str, Any]] | None = None, seed: int = 0
) -> Any:
    given = [Mode(**each) for each in modes or ()]
    if do == "begin":
        return relay.begin(number, given, seed)
    if do == "end":
        return relay.end(number)
    if do == "strike":
        return relay.strike(given[0])
    return {**relay.counts, "open": relay.open_count()}


if __name__ == "__main__":
    main()
