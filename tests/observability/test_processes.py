"""What the processes report: each is there once, and what the server does not tell is unknown."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from occupancy.core.settings import Settings
from occupancy.server.master import prepare_metrics
from occupancy.services import Services
from tests.support.servers import RealServer
from tests.support.waiting import wait_until


@pytest.fixture
def twins(tmp_path: Path, server_of: Callable[[str], RealServer]) -> Iterator[list[Services]]:
    """Two processes of a deployment whose host name and process id are the same."""
    prefix = f"t-{secrets.token_hex(6)}"
    made = [
        Services.for_web(
            Settings(
                redis_url=server_of("valkey").url, prefix=prefix, state_dir=str(tmp_path / name)
            )
        )
        for name in ("a", "b")
    ]
    for each in made:
        each.hub.start()
    yield made
    for each in made:
        each.hub.drain(timeout_s=1.0)
        each.revocation.stop()
        each.process_report.withdraw()
        each.close()


def test_processes_of_equal_host_name_and_id_are_both_reported(twins: list[Services]) -> None:
    one, other = twins
    wait_until(lambda: len(one.processes.all()) == 2, what="both reports")
    assert {each["process"] for each in one.process_report.connection_stats()["workers"]} == {
        one.process_name,
        other.process_name,
    }


def test_a_canary_is_of_one_process_only(twins: list[Services]) -> None:
    one, other = twins
    for each in twins:
        wait_until(lambda each=each: each.hub.trouble is None, what="live delivery")  # type: ignore[misc] # bound now
    heard = one.store.client.pubsub_numsub(
        *(each.store.keys.canary_channel(each.process_name) for each in (one, other))
    )
    assert [count for _, count in heard] == [1, 1]


def test_figures_of_a_killed_master_with_the_same_process_id_are_not_taken_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a container that was killed and starts again, where every id comes back."""
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", "")  # so that it is put back after
    left = tmp_path / str(os.getpid()) / "gauge_livesum_7.db"
    left.parent.mkdir()
    left.touch()
    prepare_metrics(tmp_path)
    assert not left.exists()
    assert Path(os.environ["PROMETHEUS_MULTIPROC_DIR"]).is_dir()


def test_the_report_of_a_killed_process_expires_and_its_name_goes(
    valkey_services: Services,
) -> None:
    processes, client = valkey_services.processes, valkey_services.store.client
    keys = valkey_services.store.keys
    for name in ("killed", "alive"):
        processes.report(name, {"process": name})
    for name in ("killed", "alive"):
        assert 0 < client.ttl(keys.process(name)) <= 10
    client.delete(keys.process("killed"))  # as when it has expired
    assert processes.all() == [{"process": "alive"}]
    assert client.smembers(keys.processes) == {b"alive"}
