"""The CPU quota that makes a slow machine of a fast one."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.cpu_quota import UNLIMITED, CpuQuota

_PRINT_GROUPS = "print(open('/proc/self/cgroup').read())"


@pytest.fixture
def quota() -> Iterator[CpuQuota]:
    try:
        made = CpuQuota(3.0)
    except RuntimeError as error:
        pytest.skip(str(error))
    yield made
    made.remove()


def test_without_slowdown_a_command_stays_as_it_is() -> None:
    assert UNLIMITED.command(["true"]) == ["true"]


def test_a_command_runs_in_a_group_of_its_own(quota: CpuQuota) -> None:
    first, second = (quota.output([sys.executable, "-c", _PRINT_GROUPS]) for _ in range(2))

    assert "occupancy-bench-" in first
    assert first != second


def test_each_busy_process_has_a_share_of_its_own(quota: CpuQuota) -> None:
    shares = []
    for processes in (1, 2):
        group = Path(quota.command(["true"], processes=processes)[3])
        v1, v2 = group / "cpu.cfs_quota_us", group / "cpu.max"
        shares.append(int((v1 if v1.exists() else v2).read_text().split()[0]))

    assert shares[1] == 2 * shares[0]


def test_a_command_that_fails_is_an_error(quota: CpuQuota) -> None:
    with pytest.raises(RuntimeError, match="has failed"):
        quota.output(["false"])
