"""Live delivery without its periodic looks, which would hide what the rest fails to do.

Every two seconds a process compares its positions with the logs, and the count of changes of access
with the last one that it heard. Here neither comes again by itself for an hour.
"""

from __future__ import annotations

import pytest

from occupancy.boards.commands import Command
from occupancy.core.entities import Role
from occupancy.core.principal import Credential, Principal, digest_of
from occupancy.core.transitions import PUT
from occupancy.live import feed as feed_module
from occupancy.live import reader as reader_module
from occupancy.live import revocation as revocation_module
from occupancy.live.board_log import PAGE_ENTRIES
from occupancy.services import Services
from tests.live.test_hub import feed_of
from tests.support.shop import SUPERVISOR, change
from tests.support.waiting import wait_until
from tests.support.watching import Watching

HOUR_S = 3600.0


@pytest.fixture
def services(valkey_services: Services, monkeypatch: pytest.MonkeyPatch) -> Services:
    """Services that deliver, and have looked for the last time."""
    monkeypatch.setattr(feed_module, "PROBE_S", HOUR_S)
    for module in (feed_module, reader_module):
        monkeypatch.setattr(module, "SILENCE_S", 3 * HOUR_S)  # no canaries come either
    monkeypatch.setattr(revocation_module, "TURN_S", HOUR_S)
    valkey_services.hub.start()
    wait_until(lambda: valkey_services.hub.trouble is None, what="live delivery")
    return valkey_services


def cut(services: Services) -> None:
    """Cut the live connection."""
    assert feed_of(services).reader.subscription_of("main")
    services.store.client.client_kill_filter(_type="pubsub", skipme=False)


def lose_many(services: Services, count: int, *, first: int = 0) -> None:
    """Events of which the publications are lost."""
    keys = services.store.keys.board("main")
    channel, keys.channel = keys.channel, "nowhere"
    tags = [f"LOST-{number}" for number in range(first, first + count)]
    services.store.commands.execute(
        Command("main", PUT, tags, actor=SUPERVISOR, items=[{}] * count)
    )
    keys.channel = channel


@pytest.mark.parametrize("missed", [1, PAGE_ENTRIES, PAGE_ENTRIES + 1, 2 * PAGE_ENTRIES + 30])
def test_what_was_missed_without_the_live_connection_is_read_when_it_is_back(
    services: Services, missed: int
) -> None:
    stream = Watching(services, "main")
    change(services, "main", 0, tag="BEFORE")
    stream.until(b"BEFORE")
    lose_many(services, missed)
    cut(services)
    stream.until_seq(missed + 1)
    assert stream.end() == ["ready"] + ["item"] * (missed + 1)
    stream.assert_gapless()


def test_every_page_is_read_where_one_publication_shows_that_many_are_missing(
    services: Services,
) -> None:
    stream = Watching(services, "main")
    lose_many(services, 2 * PAGE_ENTRIES + 30)
    change(services, "main", 0, tag="HEARD")
    stream.until(b"HEARD")
    assert stream.end() == ["ready"] + ["item"] * (2 * PAGE_ENTRIES + 31)
    stream.assert_gapless()


def test_a_stream_that_joins_reads_every_page(services: Services) -> None:
    cursor = change(services, "main", 0, tag="FIRST")
    lose_many(services, 2 * PAGE_ENTRIES + 30)
    stream = Watching(services, "main", cursor)
    assert stream.end() == ["item"] * (2 * PAGE_ENTRIES + 30) + ["ready"]
    stream.assert_gapless()


def test_access_that_ended_without_the_live_connection_is_looked_at_when_it_is_back(
    services: Services,
) -> None:
    services.workers.add("93", name="Worker 93", role=Role.WORKER)
    secret, token = services.tokens.create("93")
    stream = Watching(services, "main")
    credential = Credential("token", digest_of(secret))
    principal: Principal = services.authenticator.identify(credential)
    services.revocation.watch(principal, stream.subscriber)
    wait_until(
        lambda: (
            services.revocation._watched[credential].check_at > 0
            and services.revocation._changes is not None
        ),
        what="the first look",
    )
    keys = services.store.keys
    channel, keys.access_channel = keys.access_channel, "nowhere"
    services.tokens.revoke(token.id)
    keys.access_channel = channel
    assert not stream.subscriber.is_ending
    cut(services)
    stream.until(b"event: bye")
    services.revocation.unwatch(principal, stream.subscriber)
    assert stream.end() == ["ready"]


# The periodic looks alone


def test_with_the_looks_alone_many_pages_come_though_nothing_is_ever_heard(
    valkey_services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = valkey_services
    monkeypatch.setattr(feed_module, "PROBE_S", 0.3)
    monkeypatch.setattr(feed_module.Feed, "on_entry", lambda self, board, payload: None)
    services.hub.start()
    wait_until(lambda: services.hub.trouble is None, what="live delivery")
    stream = Watching(services, "main")
    count = 0
    for more in (1, PAGE_ENTRIES - 1, PAGE_ENTRIES, 2 * PAGE_ENTRIES + 30):
        lose_many(services, more, first=count)
        count += more
        stream.until_seq(count)
    assert stream.end() == ["ready"] + ["item"] * count
    stream.assert_gapless()
