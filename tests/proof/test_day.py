"""A day's work in accelerated time: its clock, its slopes, and that a leak is found."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import redis

from proof.day import memory
from proof.day.clock import Clock
from proof.day.run import run_days
from proof.day.slope import least_of_each, slope_of
from proof.day.verdict import judge
from tests.conftest import require_binary
from tests.support.servers import RealServer
from tests.support.waiting import wait_until

HOURS = 24.0


def series(*, per_hour: float, seed: int, steps: float = 0.0) -> list[tuple[float, float]]:
    """KiB of a process over a day: noise, and steps up and down as an allocator makes them."""
    chance = random.Random(seed)
    level, found = 70_000.0, []
    for number in range(400):
        hour = number * HOURS / 400
        if chance.random() < 0.05:
            level = 70_000.0 + chance.uniform(-steps, steps)
        found.append((hour, level + per_hour * hour + chance.gauss(0, 100)))
    return found


def verdict(*days: list[tuple[float, float]], name: str = "process 1, USS") -> dict[str, Any]:
    row: dict[str, Any] = {"violations": {}}
    judge(row, [{name: each} for each in days])
    return row


def test_a_leak_is_found_in_noise() -> None:
    for seed in range(20):
        days = [series(per_hour=100, seed=seed + more) for more in (0, 100)]
        (text,) = verdict(*days)["violations"]["memory"]
        assert text.startswith("process 1, USS grows by ")


def test_what_goes_up_and_down_is_flat() -> None:
    found = [bool(verdict(series(per_hour=0, seed=seed, steps=500))["violations"])
             for seed in range(100)]  # fmt: skip
    assert sum(found) <= 5  # 0.5 of 100 are above the interval of one day by chance


def test_what_fills_up_on_one_day_and_not_on_the_other_is_flat() -> None:
    filling, full = series(per_hour=100, seed=1), series(per_hour=0, seed=2)
    for days in ((filling, full), (full, filling)):
        row = verdict(*days)
        assert row["violations"] == {}
        (entry,) = row["memory"]
        assert sorted(each["low"] > 0 for each in entry["days"]) == [False, True]


def test_what_grows_by_design_is_no_violation() -> None:
    row = verdict(series(per_hour=100, seed=1), name="server, kept by design")
    assert row["violations"] == {}
    (entry,) = row["memory"]
    assert entry["grows"]


def test_a_slope_has_the_bounds_of_its_noise() -> None:
    chance = random.Random(1)
    inside = 0
    for _ in range(200):
        found = slope_of([(float(hour), 3.0 * hour + chance.gauss(0, 5)) for hour in range(16)])
        inside += found.low <= 3.0 <= found.high
    assert 175 <= inside <= 199


def test_too_few_points_have_no_slope() -> None:
    with pytest.raises(ValueError, match="too few"):
        slope_of([(1.0, 1.0)] * 5)


def test_peaks_are_left_out_of_the_points() -> None:
    assert least_of_each([(0.1, 5.0), (0.2, 99.0), (0.3, 6.0), (0.6, 7.0)], 0.5) == [
        (pytest.approx(0.2), 5.0), (0.6, 7.0),
    ]  # fmt: skip


def test_in_a_break_nobody_goes_on_before_its_end() -> None:
    clock = Clock(7_200)  # an hour in half a second
    clock.wait_out_a_break()
    assert clock.now_h < 2.0
    clock.sleep_until(12.01)
    clock.wait_out_a_break()
    assert clock.now_h >= 12.5


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_process_that_leaks_grows() -> None:
    code = (
        "import time\nkept = []\n"
        "while True:\n    kept.append(bytearray(40_000))\n    time.sleep(0.005)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code])
    try:
        wait_until(lambda: memory.of_process(process.pid)["RSS"] > 5_000)
        began_s = time.monotonic()
        found: list[tuple[float, float]] = []
        while len(found) < 40:
            found.append((time.monotonic() - began_s, memory.of_process(process.pid)["USS"]))
            time.sleep(0.1)
    finally:
        process.kill()
        process.wait()
    assert slope_of(found).grows


def test_memory_of_the_server_is_told_apart_by_what_its_keys_are_for(tmp_path: Path) -> None:
    binary = require_binary("valkey")
    server = RealServer(binary, tmp_path)
    server.start()
    try:
        with server.client() as client:
            before = memory.of_server(client, "day:*")
            client.set("day:{b}:idem:w:1", "x" * 500_000)
            client.set("day:{b}:item:idem", "y" * 100_000)
            after = memory.of_server(client, "day:*")
            grown = {name: after[name] - before[name] for name in before}
    finally:
        server.stop()
    assert 480 < grown["kept by design"] < 700
    assert 90 < grown["other keys"] < 180
    assert grown["all"] > 580


def test_what_keys_take_is_not_counted_as_the_servers_own_memory(tmp_path: Path) -> None:
    """The server's tables grow with its keys, and the heads of their parts with them."""
    # Without its file, whose buffer counts as well while the disk is slow.
    server = RealServer(require_binary("valkey"), tmp_path, appendonly="no")
    server.start()
    found = []
    try:
        with server.client() as client:
            for number in range(15):
                pipe = client.pipeline(transaction=False)
                for each in range(1500):
                    pipe.set(f"day:{{b}}:idem:{number}:{each:05}", "x" * 120, ex=86400)
                pipe.execute()
                found.append(memory.of_server(client, "day:*")["no key"])
    finally:
        server.stop()
    rests = found[-4:]  # no table is being enlarged there
    assert max(rests) - min(rests) < 3, found


@pytest.mark.alone
@pytest.mark.thorough
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_short_days_have_all_of_a_day_and_a_planted_leak_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_binary("valkey")
    real = memory.of_server
    leaked = 0

    def leaking(client: redis.Redis, pattern: str) -> dict[str, float]:
        nonlocal leaked
        client.set(f"day:{{line-1}}:item:leak-{leaked}", "x" * 100_000)
        leaked += 1
        return real(client, pattern)

    monkeypatch.setattr(memory, "of_server", leaking)

    row = run_days(
        "valkey", tmp_path, seed=1, log=[], hours=8.0, warm_up_days=0, acceleration=1440.0
    )

    assert not row["void"], row
    done = row["figures"]
    for name in ("operations", "sign-ins", "sign-outs", "imports", "reports", "timelines",
                 "snapshots", "streams", "deliveries"):  # fmt: skip
        assert done[name] > 0, (name, done)
    assert any(each.startswith("server, other keys grows") for each in row["violations"]["memory"])
