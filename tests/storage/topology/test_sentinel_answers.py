"""What real Sentinels say only in rare moments: fake ones say it."""

from __future__ import annotations

import signal
import time
from typing import Any

import gevent
import pytest

from occupancy.core.errors import StoreUnavailable
from occupancy.core.server_url import Address
from occupancy.storage.commands import INCARNATION
from occupancy.storage.topology import sentinel_agreement, sentinel_answers
from occupancy.storage.topology.sentinel import Sentinel
from tests.storage.topology.behind_sentinels import (
    Make,
    follow,
    is_at,
    noticed_at,
    promote,
    set_,
    wait_for_writes,
    wait_to_be_at,
)
from tests.support.fake_sentinel import FakeSentinel, url_of
from tests.support.servers import RealServer
from tests.support.waiting import wait_until


def test_a_sentinel_that_names_the_old_primary_for_ever_is_outvoted_by_the_epoch(
    pair: list[RealServer], fakes: list[FakeSentinel], make: Make
) -> None:
    _old, new = pair
    services = make(url_of(*fakes))
    assert set_(services)
    promote(new)
    for each in fakes[:2]:
        each.primary, each.epoch = new, 1
    wait_to_be_at(services, new)
    times = noticed_at(services)
    asked = fakes[2].asked
    wait_until(lambda: fakes[2].asked > asked + 8, what="more answers of the old one")
    assert is_at(services, new)
    assert not times
    again = make(url_of(fakes[2], *fakes[:2]))  # whose first answer is the old one's
    assert set_(again)
    assert is_at(again, new)


@pytest.mark.parametrize("how", ["command", "pipeline", "transaction", "script"])
def test_a_demoted_primary_refuses_and_the_operation_waits_for_the_new_one(
    pair: list[RealServer], fakes: list[FakeSentinel], make: Make, how: str
) -> None:
    old, new = pair
    services = make(url_of(*fakes))
    assert set_(services)
    promote(new)
    follow(old, new)
    key = f"{services.settings.prefix}:list"
    client = services.store.client

    def push() -> None:
        if how == "command":
            client.rpush(key, "once")
        elif how == "script":
            script = "return redis.call('RPUSH', KEYS[1], ARGV[1])"
            client.execute_command("EVAL", script, 1, key, INCARNATION)
        else:
            client.run_pipeline(
                lambda pipeline: (pipeline.exists(key), pipeline.rpush(key, "once")),
                transaction=how == "transaction",
            )

    pushing = gevent.spawn(push)
    with old.client() as admin:
        wait_until(
            lambda: "errorstat_READONLY" in admin.info("errorstats"), what="it to be refused"
        )
    assert not pushing.ready()
    for each in fakes:
        each.primary, each.epoch = new, 7
    pushing.get(timeout=10)
    with new.client() as admin:
        assert admin.lrange(key, 0, -1) == [b"7" if how == "script" else b"once"]


@pytest.mark.parametrize("is_connected", [True, False])
def test_where_no_primary_comes_the_wait_ends_in_a_503(
    pair: list[RealServer], fakes: list[FakeSentinel], make: Make, is_connected: bool
) -> None:
    old, new = pair
    services = make(url_of(*fakes), pool_wait_s=0.5)
    if is_connected:
        assert set_(services)
    promote(new)
    follow(old, new)
    started = time.monotonic()
    with gevent.Timeout(10):
        assert not set_(services)
        assert time.monotonic() - started >= 0.5
        with pytest.raises(StoreUnavailable):
            services.store.client.run_pipeline(lambda pipeline: pipeline.set("key", "value"))
        with pytest.raises(StoreUnavailable):  # nor does the replica answer a read
            services.store.client.get("key")
    for each in fakes:
        each.primary, each.epoch = new, 1
    wait_for_writes(services)


def test_a_lost_answer_is_not_sent_again(
    pair: list[RealServer], fakes: list[FakeSentinel], make: Make
) -> None:
    old, new = pair
    services = make(url_of(*fakes))
    assert set_(services)
    key = f"{services.settings.prefix}:list"
    old.signal(signal.SIGSTOP)
    pushing = gevent.spawn(services.store.client.rpush, key, "once")
    pool = services.topology.shards()[0].ops_pool
    wait_until(lambda: pool.stats()["in_use"], what="the command to be on its way")
    promote(new)  # so that it would take the command
    for each in fakes:
        each.primary, each.epoch = new, 1
    with pytest.raises(StoreUnavailable):
        pushing.get(timeout=10)
    old.signal(signal.SIGCONT)
    with old.client() as admin, new.client() as primary:
        wait_until(lambda: admin.llen(key) == 1, what="the old primary to run it")
        assert primary.llen(key) == 0


def test_a_reply_that_arrived_before_the_change_counts_as_lost(
    pair: list[RealServer], fakes: list[FakeSentinel], make: Make
) -> None:
    services = make(url_of(*fakes))
    topology = services.topology
    assert isinstance(topology, Sentinel)
    assert set_(services)
    pool = topology.shards()[0].ops_pool
    connection: Any = pool.get_connection()
    connection.send_command("SET", "key", "value")
    with pair[0].client() as admin:
        wait_until(lambda: admin.get("key") == b"value", what="the write")
    assert topology._primary is not None
    topology._move(sentinel_answers.Primary(topology._primary.address, 1))
    with pytest.raises(Exception, match=r"not used any more|closed by server"):
        connection.read_response()
    pool.release(connection)
    assert set_(services)


def test_a_connection_that_was_being_opened_during_a_change_is_not_used(
    pair: list[RealServer], fakes: list[FakeSentinel], make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the change falls into the second attempt of the pool."""
    old, new = pair
    services = make(url_of(*fakes))
    topology = services.topology
    assert isinstance(topology, Sentinel)
    assert set_(services)
    pool = topology.shards()[0].ops_pool
    idle: Any = pool.get_connection()
    pool.release(idle)
    idle._sock.shutdown(2)  # stale: the pool opens it a second time
    promote(new)
    greet = idle.send_command
    seen: list[str] = []

    def send_and_change(*args: Any, **options: Any) -> None:
        greet(*args, **options)
        if args == ("ROLE",) and not seen:
            seen.append("changed")
            # Without ``hang_up``, which finds no socket while TCP connects.
            for each in fakes:
                each.primary, each.epoch = new, 1
            topology._primary = sentinel_answers.Primary(Address("127.0.0.1", new.port), 1)

    monkeypatch.setattr(idle, "send_command", send_and_change)
    assert set_(services)
    assert seen
    key = f"{services.settings.prefix}:key"
    with old.client() as admin, new.client() as primary:
        assert admin.delete(key) == 1  # the write from before
        assert primary.get(key) == b"key"
        monkeypatch.undo()
        assert set_(services)
        assert admin.get(key) is None


def test_after_the_sentinels_were_set_up_anew_a_dead_primary_is_left(
    pair: list[RealServer], fakes: list[FakeSentinel], make: Make,
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    monkeypatch.setattr(sentinel_agreement, "AGREEMENT_S", 0.5)
    old, new = pair
    for each in fakes:
        each.epoch = 5
    services = make(url_of(*fakes))
    assert set_(services)
    promote(new)
    for each in fakes[:2]:
        each.primary, each.epoch = new, 0
    asked = fakes[0].asked
    wait_until(lambda: fakes[0].asked > asked + 6, what="some answers")
    assert is_at(services, old)  # it serves, and has the higher epoch
    assert set_(services)
    # Higher than the known one: only then is the other server followed while this one serves.
    wait_until(lambda: "`sentinel config-epoch board 6`" in caplog.text, what="the advice")
    old.stop(signal.SIGKILL)
    wait_for_writes(services)
    assert is_at(services, new)
    assert services.topology.shards()[0].incarnation == 5  # it never goes back
    asked = fakes[2].asked
    wait_until(lambda: fakes[2].asked > asked + 6, what="more answers of the past")
    assert is_at(services, new)


def test_sentinels_whose_epochs_begin_anew_are_told_of_with_what_to_do(
    fakes: list[FakeSentinel], make: Make,
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    monkeypatch.setattr(sentinel_agreement, "AGREEMENT_S", 0.2)
    for each in fakes:
        each.epoch = 5
    services = make(url_of(*fakes))
    assert set_(services)
    fakes[0].epoch = 0  # one may have missed a failover
    asked = fakes[0].asked
    wait_until(lambda: fakes[0].asked > asked + 6, what="some answers")
    assert "config-epoch" not in caplog.text
    fakes[1].epoch = 0
    wait_until(lambda: "`sentinel config-epoch board 5`" in caplog.text, what="the advice")
    asked = fakes[1].asked
    wait_until(lambda: fakes[1].asked > asked + 6, what="more answers")
    assert caplog.text.count("config-epoch") == 1


def test_a_minority_does_not_lead_back_even_where_the_primary_is_dead(
    pair: list[RealServer], fakes: list[FakeSentinel], make: Make,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(sentinel_agreement, "AGREEMENT_S", 0.2)
    _old, new = pair
    for each in fakes[:2]:
        each.primary, each.epoch = new, 1
    promote(new)
    services = make(url_of(*fakes))
    assert set_(services)
    new.stop(signal.SIGKILL)
    assert not set_(services)
    for each in fakes[:2]:
        each.stop()  # nobody contradicts it
    asked = fakes[2].asked
    wait_until(lambda: fakes[2].asked > asked + 24, what="more answers of the old one")
    assert is_at(services, new)
    assert not set_(services)
