"""The hub's own turns: what else the process does must not wait for them."""

from __future__ import annotations

import socket

import gevent
import pytest

from occupancy.hub import HEARTBEAT_S
from occupancy.services import Services


def test_what_arrives_is_read_while_heartbeats_are_sent(valkey_services: Services) -> None:
    hub = valkey_services.hub
    subscribers = [hub.subscribe("main") for _ in range(1000)]
    here, there = socket.socketpair()
    with here, there:
        reply = gevent.spawn(here.recv, 1)
        gevent.sleep(0)  # it waits for it
        there.sendall(b"x")
        hub._beat(HEARTBEAT_S)
        assert reply.ready()
    for each in subscribers:
        hub.unsubscribe(each)


def test_a_beat_that_takes_long_does_not_delay_the_next(
    valkey_services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub, slept_s, beats = valkey_services.hub, list[float](), list[int]()

    def sleep(seconds: float) -> None:
        slept_s.append(seconds)
        if len(slept_s) == 4:
            raise gevent.GreenletExit

    monkeypatch.setattr(hub, "_beat", beats.append)
    clock = iter([10.0, 10.25, 11.0, 12.5, 12.5, 12.5])  # before and after each beat
    with monkeypatch.context() as patched:
        patched.setattr("occupancy.hub.gevent.sleep", sleep)
        patched.setattr("occupancy.hub.time.monotonic", lambda: next(clock))
        with pytest.raises(gevent.GreenletExit):
            hub._pulse()
    assert slept_s == [1.0, 0.75, 0.0, 1.0]
    assert beats == [1, 2, 3]
