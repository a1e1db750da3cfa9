"""Revocation while the store fails: who could not be looked at is due again."""

from __future__ import annotations

import collections

import pytest

from occupancy.core.errors import StoreUnavailable
from tests.live.revocation.harness import Gate, Harness, credential_of, is_closed
from tests.support.waiting import wait_until


@pytest.mark.parametrize("where", ["counting", "looking"])
def test_what_could_not_be_looked_at_is_due_again(harness: Harness, where: str) -> None:
    stream, other = harness.open("93"), harness.open("94")
    harness.settle()
    gate: Gate = getattr(harness.access, where)
    gate.shut()
    harness.revoke("93")
    wait_until(lambda: gate.waiting, what="the question")
    harness.access.failure = StoreUnavailable("The store cannot be reached.")
    gate.open()
    wait_until(lambda: gate.waiting == 0, what="the failure")
    assert not stream.is_closed
    harness.access.failure = None
    wait_until(is_closed(stream), what="the stream's end")
    harness.settle()
    assert not other.is_closed


def test_an_outage_is_logged_once(harness: Harness, caplog: pytest.LogCaptureFixture) -> None:
    harness.open("93")
    harness.settle()
    calls = harness.access.counting
    harness.access.failure = StoreUnavailable("The store cannot be reached.")
    seen = collections.Counter[str]()
    harness.access.switch = lambda: seen.update(["asked"])
    wait_until(lambda: seen["asked"] > 5, what="some attempts")
    harness.access.failure = None
    harness.settle()
    assert calls.waiting == 0
    assert [each.levelname for each in caplog.records] == ["WARNING"]


def test_a_failure_of_its_own_does_not_end_it(
    harness: Harness, caplog: pytest.LogCaptureFixture
) -> None:
    stream = harness.open("93")
    harness.settle()
    harness.access.failure = RuntimeError("a mistake of ours")
    harness.revoke("93")
    wait_until(lambda: caplog.records, what="the failure")
    harness.access.failure = None
    wait_until(is_closed(stream), what="the stream's end")


def test_a_credential_that_cannot_be_read_lets_nobody_in_and_shields_no_others(
    harness: Harness,
) -> None:
    streams = [harness.open(str(number)) for number in range(5)]
    harness.settle()
    harness.access.unreadable = {credential_of("3")}
    harness.revoke("4", is_lost=True)
    wait_until(is_closed(streams[3], streams[4]), what="the streams' end")
    harness.access.unreadable = set()
    harness.settle()
    assert [each.is_closed for each in streams] == [False, False, False, True, True]
