"""Revocation: whose streams end, and how a lost announcement is noticed."""

from __future__ import annotations

import pytest

from occupancy.core.entities import Role
from occupancy.core.principal import Principal
from occupancy.live import revocation as revocation_module
from tests.live.revocation.harness import Harness, credential_of, is_closed
from tests.support.waiting import wait_until


def test_the_streams_of_a_revoked_credential_end_and_no_others(harness: Harness) -> None:
    concerned = [harness.open("93"), harness.open("93")]
    others = [harness.open("93", "another session"), harness.open("94")]
    harness.settle()
    harness.revoke("93")
    wait_until(is_closed(*concerned), what="the streams' end")
    harness.settle()
    assert not any(each.is_closed for each in others)


def test_only_the_credentials_of_the_worker_concerned_are_looked_at(harness: Harness) -> None:
    streams = [harness.open(str(number)) for number in range(10)]
    harness.settle()
    harness.access.asked.clear()
    harness.revoke("3")
    wait_until(is_closed(streams[3]), what="the stream's end")
    harness.settle()
    assert harness.access.asked == [[credential_of("3")]]


def test_a_lost_announcement_is_noticed_by_the_count(harness: Harness) -> None:
    stream, other = harness.open("93"), harness.open("94")
    harness.settle()
    harness.revoke("93", is_lost=True)
    wait_until(is_closed(stream), what="the stream's end")
    harness.settle()
    assert not other.is_closed


def test_a_lost_announcement_is_noticed_by_the_number_of_the_next(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(revocation_module, "TURN_S", 60)  # the next turn is the announcement's
    harness.revocation.on_announcement(None)
    stream, other = harness.open("93"), harness.open("94")
    harness.revocation.on_announcement(None)
    harness.settle()
    harness.revoke("93", is_lost=True)
    harness.revoke("95")
    wait_until(is_closed(stream), what="the stream's end")
    assert not other.is_closed


@pytest.mark.parametrize(
    "payload", [None, b"", b"7", b"x 93", b" 93", b"1.5 93", b"99 \xff", b"-1 93", b"\xff 93"]
)
def test_after_an_announcement_that_says_nothing_all_are_looked_at(
    harness: Harness, payload: bytes | None
) -> None:
    streams = [harness.open("93"), harness.open("94")]
    harness.settle()
    harness.access.asked.clear()
    harness.revocation.on_announcement(payload)
    wait_until(lambda: harness.asked >= len(streams), what="all to be looked at")
    harness.settle()
    assert harness.access.forgotten == [None]
    assert not any(each.is_closed for each in streams)


def test_a_count_that_goes_back_is_noticed(harness: Harness) -> None:
    harness.access.counted = 5
    stream, other = harness.open("93"), harness.open("94")
    harness.settle()
    del harness.access.ends_in_s[credential_of("93")]
    harness.access.counted = 0  # the server was emptied, or restored from a backup
    wait_until(is_closed(stream), what="the stream's end")
    harness.settle()
    assert not other.is_closed


def test_a_count_that_has_gone_back_and_come_up_again_is_noticed_after_the_reconnect(
    harness: Harness,
) -> None:
    harness.access.counted = 5
    stream = harness.open("93")
    harness.settle()
    del harness.access.ends_in_s[credential_of("93")]
    harness.revocation.on_announcement(None)  # a server that has lost its last second was restarted
    wait_until(is_closed(stream), what="the stream's end")


def test_who_ends_without_any_announcement_is_noticed_within_the_minute(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(revocation_module, "_CHECK_S", 0.1)
    stream, other = harness.open("93"), harness.open("94")
    harness.settle()
    del harness.access.ends_in_s[credential_of("93")]  # a clock was set, a backup restored
    wait_until(is_closed(stream), what="the stream's end")
    assert not other.is_closed


@pytest.mark.thorough
def test_a_credential_that_ends_by_itself_is_looked_at_when_it_ends(harness: Harness) -> None:
    ending = credential_of("93")
    harness.access.ends_in_s[ending] = 0.05
    stream, other = harness.open("93"), harness.open("94")
    wait_until(lambda: harness.access.asked and harness.access.asked[-1] == [ending], what="a look")
    assert not stream.is_closed  # it was used meanwhile, and is good again
    del harness.access.ends_in_s[ending]
    wait_until(is_closed(stream), what="the stream's end")
    assert not other.is_closed


def test_a_token_that_is_for_another_board_now_may_not_watch_this_one(harness: Harness) -> None:
    stream = harness.open("93")
    harness.settle()
    watched = harness.revocation._watched[credential_of("93")]
    watched.principal = Principal(
        worker=watched.principal.worker, role=Role.WORKER, credential=watched.principal.credential,
        id="id", board="north",
    )  # fmt: skip
    harness.revocation.on_announcement(None)
    wait_until(is_closed(stream), what="the stream's end")
