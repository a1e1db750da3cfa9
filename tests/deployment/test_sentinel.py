"""Live delivery through a failover by Sentinels, with real gunicorn.

Each time: the streams are live again, and everything that they have seen is in the log, or was
followed by a reset.
"""

from __future__ import annotations

import functools
import secrets
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from occupancy.core.entities import Role
from occupancy.core.errors import OccupancyError
from occupancy.services import Services
from tests.support.clusters import RealSentinels, lose_replication
from tests.support.deployment import Deployment
from tests.support.servers import BINARIES, RealServer
from tests.support.shop import change
from tests.support.sse_client import EventStream
from tests.support.waiting import wait_until


@pytest.fixture(params=BINARIES)
def real(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RealSentinels]:
    made = RealSentinels(request.param, tmp_path)
    made.start()
    yield made
    made.stop()


@pytest.fixture
def deployment(real: RealSentinels, tmp_path: Path) -> Iterator[Deployment]:
    running = Deployment(
        tmp_path / "state", real.url,
        OCCUPANCY_REDIS_TIMEOUT_S="1", OCCUPANCY_POOL_WAIT_S="1", OCCUPANCY_CONFIRM_S="0.8",
        WEB_CONCURRENCY="2",
    )  # fmt: skip
    running.start()
    running.sign_in("admin", Role.ADMIN)
    yield running
    running.stop()


def kill(real: RealSentinels, old: RealServer) -> None:
    old.stop(signal.SIGKILL)
    wait_until(lambda: real.primary() is not old, timeout_s=30, what="the promotion")


def stop_and_resume(real: RealSentinels, old: RealServer) -> None:
    old.signal(signal.SIGSTOP)
    wait_until(lambda: real.primary() is not old, timeout_s=30, what="the promotion")
    old.signal(signal.SIGCONT)


def plan(real: RealSentinels, old: RealServer) -> None:
    real.fail_over()


def try_to_change(shop: Services, board: str, tag: str) -> bool:
    try:
        change(shop, board, 1, tag=tag)
    except OccupancyError:
        return False
    return True


def seen_of(stream: EventStream) -> list[tuple[str, str]]:
    """Kind and id of each event that a page acts on, in order."""
    return [(each.kind, each.last_id) for each in stream.events]


def unshown_losses(stream: EventStream, log: set[str]) -> list[str]:
    """Entries that the stream has brought, that are not in the log, with no reset after them."""
    seen = seen_of(stream)
    resets = [number for number, (kind, _) in enumerate(seen) if kind == "reset"]
    last_reset = max(resets, default=-1)
    return [
        cursor for number, (kind, cursor) in enumerate(seen)
        if kind == "item" and cursor not in log and number > last_reset
    ]  # fmt: skip


def knows(shop: Services, real: RealSentinels) -> bool:
    shop.topology.refresh()
    return shop.topology.shards()[0].address.endswith(f":{real.primary().port}")


def has_tag(stream: EventStream, tag: str) -> bool:
    return any(each.kind == "item" and each.data["item"]["tag"] == tag for each in stream.events)


def ids_of(shop: Services, board: str) -> set[str]:
    entries: Any = shop.store.client.xrange(shop.store.keys.board(board).log)
    return {cursor.decode() for cursor, _ in entries}


@pytest.mark.parametrize(
    ("fault", "is_lossy"),
    [(kill, False), (kill, True), (stop_and_resume, False), (stop_and_resume, True), (plan, False)],
)
def test_streams_go_on_after_a_promotion(
    real: RealSentinels, deployment: Deployment,
    fault: Callable[[RealSentinels, RealServer], None], is_lossy: bool,
) -> None:  # fmt: skip
    shop = deployment.services()
    board = shop.store.boards.create(f"b-{secrets.token_hex(4)}").board
    shop.store.client.execute_command("WAIT", 2, 5000)
    streams = [deployment.stream(board, after="0-0") for _ in range(6)]
    for stream in streams:
        stream.wait_for("ready")
    change(shop, board, 3)
    shop.store.client.execute_command("WAIT", 2, 5000)
    old = real.primary()
    kept = ids_of(shop, board)
    if is_lossy:
        lose_replication(old)
        change(shop, board, 3, tag="T-lost")
    for stream in streams:
        wait_until(functools.partial(stream.has, 8 if is_lossy else 4), what="the events")
    lost = ids_of(shop, board) - kept
    assert len(lost) == (4 if is_lossy else 0)
    fault(real, old)
    wait_until(lambda: try_to_change(shop, board, "T-2"), timeout_s=20, what="an operation")
    for stream in streams:
        stream.wait_for("reset", timeout_s=10)
    wait_until(functools.partial(knows, shop, real), what="the test's own services to move")
    wait_until(lambda: try_to_change(shop, board, "T-last"), timeout_s=20, what="an operation")
    for stream in streams:
        wait_until(functools.partial(has_tag, stream, "T-last"), what="the last event")
    log = ids_of(shop, board)
    assert not lost & log, "the new primary must lack what only the old one had"
    for stream in streams:
        assert unshown_losses(stream, log) == []
        assert not stream.has_ended
    wait_until(lambda: deployment.status_of("/readyz") == 200, what="readiness")
