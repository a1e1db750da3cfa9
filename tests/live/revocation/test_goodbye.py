"""The goodbye to a stream whose credential was revoked."""

from __future__ import annotations

import logging

import pytest

from occupancy.services import Services
from tests.live.revocation.harness import Harness, is_closed
from tests.support.shop import change
from tests.support.waiting import wait_until


def test_a_connection_that_does_not_read_the_bye_is_cut(harness: Harness) -> None:
    stuck, polite = harness.open("93", is_stuck=True), harness.open("93")
    harness.settle()
    harness.revoke("93")
    wait_until(lambda: stuck.is_gone, what="the stuck stream to be hung up on")
    assert not polite.is_gone
    harness.settle()
    assert not harness.revocation._leaving


def test_streams_are_ended_once_and_the_trail_says_how_many(
    harness: Harness, caplog: pytest.LogCaptureFixture
) -> None:
    streams = [harness.open("93", is_stuck=True) for _ in range(3)]
    harness.settle()
    with caplog.at_level(logging.INFO, logger="occupancy.observability.audit_log"):
        harness.revoke("93")
        wait_until(is_closed(*streams), what="the streams' end")
        harness.revocation.on_announcement(None)
        wait_until(lambda: not harness.revocation._watched, what="the streams to be hung up on")
    lines = [
        each.getMessage()
        for each in caplog.records
        if each.name == "occupancy.observability.audit_log"
    ]
    assert len(lines) == 1
    assert '"streams": 3' in lines[0]
    assert "93:" not in lines[0]  # the credential's hash is nobody's business


def test_a_closed_stream_gets_nothing_any_more(valkey_services: Services) -> None:
    """A slow reader of a long log: neither the rest of the log nor what happens meanwhile."""
    change(valkey_services, "main", 450)
    connected(valkey_services)
    subscriber = valkey_services.hub.subscribe("main")
    frames = subscriber.frames("0-0")
    read = [next(frames)]
    subscriber.close()
    change(valkey_services, "main", 5, tag="T-2")
    read += list(frames)
    valkey_services.hub.unsubscribe(subscriber)
    body = b"".join(read)
    assert body.count(b"event: item\n") == 100  # what it had read from the log already
    assert body.endswith(b"event: bye\ndata: {}\n\n")
    assert b"event: ready" not in body


def test_a_live_stream_that_is_closed_gets_what_came_before_and_a_goodbye(
    valkey_services: Services,
) -> None:
    connected(valkey_services)
    subscriber = valkey_services.hub.subscribe("main")
    frames = subscriber.frames(None)
    assert b"event: ready\n" in next(frames)
    change(valkey_services, "main", 0)
    wait_until(lambda: subscriber._pieces, what="the event")
    subscriber.close()
    change(valkey_services, "main", 5, tag="T-2")
    wait_until(lambda: valkey_services.hub._boards["main"].log.seq == 7, what="the events")
    body = b"".join(frames)
    valkey_services.hub.unsubscribe(subscriber)
    assert body.count(b"event: item\n") == 1
    assert body.endswith(b"event: bye\ndata: {}\n\n")


def connected(services: Services) -> None:
    """Wait for the hub, which would else be stopped in the middle of connecting."""
    services.hub.start()
    wait_until(lambda: services.hub.trouble is None, what="live delivery")
