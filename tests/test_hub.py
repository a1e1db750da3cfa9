"""The hub's own turns: what else the process does must not wait for them."""

from __future__ import annotations

import socket

import gevent

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
