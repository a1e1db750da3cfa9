"""Revocation at each of its switch points: what happens while it asks, and what follows."""

from __future__ import annotations

from typing import Any

import pytest

from occupancy.core.entities import Role
from occupancy.core.principal import Credential, digest_of
from occupancy.services import Services
from tests.live.revocation.harness import Harness, credential_of, is_closed
from tests.support.waiting import wait_until

# While the count is being read


def test_an_announcement_while_the_count_is_read_is_not_lost(harness: Harness) -> None:
    stream, other = harness.open("93"), harness.open("94")
    harness.settle()
    harness.access.counting.shut()
    wait_until(lambda: harness.access.counting.waiting, what="the question")
    harness.revoke("93")  # after the server has counted
    harness.access.counting.open()
    wait_until(is_closed(stream), what="the stream's end")
    harness.settle()
    assert not other.is_closed


def test_a_change_that_is_counted_before_its_announcement_arrives_is_noticed(
    harness: Harness,
) -> None:
    stream, other = harness.open("93"), harness.open("94")
    harness.settle()
    harness.access.counting.shut()
    wait_until(lambda: harness.access.counting.waiting, what="the question")
    harness.access.counting.open()
    late = harness.revoke("93", is_lost=True)
    wait_until(is_closed(stream), what="the stream's end")
    harness.revocation.on_announcement(late)
    harness.settle()
    assert not other.is_closed


def test_a_stream_that_joins_while_the_count_is_read_is_looked_at(harness: Harness) -> None:
    harness.open("94")
    harness.settle()
    harness.access.counting.shut()
    wait_until(lambda: harness.access.counting.waiting, what="the question")
    stream = harness.open("93")  # whose check was before
    del harness.access.ends_in_s[credential_of("93")]
    harness.access.counting.open()
    wait_until(is_closed(stream), what="the stream's end")


# While credentials are being looked at


def look_under_way(harness: Harness) -> None:
    """Have all looked at; the answers are decided and held back."""
    harness.access.looking.shut()
    harness.revocation.on_announcement(None)
    wait_until(lambda: harness.access.looking.waiting, what="the question")


@pytest.mark.parametrize("is_lost", [False, True])
def test_a_revocation_after_the_answer_was_decided_is_noticed(
    harness: Harness, is_lost: bool
) -> None:
    stream, other = harness.open("93"), harness.open("94")
    harness.settle()
    look_under_way(harness)
    harness.revoke("93", is_lost=is_lost)
    harness.access.looking.open()
    wait_until(is_closed(stream), what="the stream's end")
    harness.settle()
    assert not other.is_closed


@pytest.mark.parametrize("is_lost", [False, True])
def test_a_stream_that_joins_while_its_old_answer_is_under_way_is_looked_at_again(
    harness: Harness, is_lost: bool
) -> None:
    first = harness.open("93")
    harness.settle()
    look_under_way(harness)
    harness.revoke("93", is_lost=is_lost)
    joined = harness.open("93")
    del harness.access.ends_in_s[credential_of("93")]
    harness.access.looking.open()
    wait_until(is_closed(first, joined), what="the streams' end")


def test_a_stream_that_joins_while_the_others_of_its_credential_are_told_to_go_goes_too(
    harness: Harness,
) -> None:
    first = harness.open("93", is_stuck=True)
    harness.settle()
    harness.revoke("93")
    wait_until(is_closed(first), what="the stream's end")
    joined = harness.open("93")  # whose check was before the revocation
    del harness.access.ends_in_s[credential_of("93")]
    wait_until(is_closed(joined), what="the stream's end")


def test_streams_that_leave_and_come_back_meanwhile_are_watched_still(harness: Harness) -> None:
    stream, other = harness.open("93"), harness.open("94")
    harness.settle()
    look_under_way(harness)
    stream.leave()
    wait_until(lambda: credential_of("93") not in harness.revocation._watched, what="it to be gone")
    again = harness.open("93")
    harness.access.looking.open()
    harness.settle()
    assert not again.is_closed
    harness.revoke("93")
    wait_until(is_closed(again), what="the stream's end")
    assert not other.is_closed


def test_a_count_that_moves_twice_while_all_are_looked_at_is_noticed(harness: Harness) -> None:
    streams = [harness.open("93"), harness.open("94")]
    harness.settle()
    look_under_way(harness)
    harness.revoke("93", is_lost=True)
    harness.revoke("94")
    harness.access.looking.open()
    wait_until(is_closed(*streams), what="the streams' end")


# Requests


def test_an_answer_that_was_under_way_at_a_change_is_not_remembered(
    valkey_services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = valkey_services
    services.workers.add("93", name="Worker 93", role=Role.WORKER)
    credential = Credential("token", digest_of(services.tokens.create("93")[0]))
    run = services.authenticator._identify.run

    def overtaken(*arguments: Any) -> Any:
        reply = run(*arguments)
        services.authenticator.forget()
        return reply

    with monkeypatch.context() as patched:
        patched.setattr(services.authenticator._identify, "run", overtaken)
        services.authenticator.identify(credential)
    assert services.authenticator.remembered(credential) is None
    principal = services.authenticator.identify(credential)  # nothing has changed meanwhile
    assert services.authenticator.remembered(credential) is principal
