"""Promotions: what a change has reset is counted first and told then, in one line."""

from __future__ import annotations

import types
from typing import Any

import pytest

from occupancy.observability import promotions as promotions_module
from occupancy.observability.promotions import Change, Promotions
from occupancy.services import Services


def shard(address: str, incarnation: int, *, is_move: bool = False) -> Any:
    return types.SimpleNamespace(
        address=address, incarnation=incarnation, has_taken_slots=is_move
    )  # fmt: skip


@pytest.fixture
def promotions(valkey_services: Services) -> Promotions:
    made = valkey_services.promotions
    made.begin([shard("a:1", 1), shard("b:1", 2)])
    return made


def told(promotions: Promotions) -> list[tuple[str, int, int]]:
    promotions.record()
    return [(each["kind"], each["boards"], each["streams"]) for each in promotions.of_a_day()]


def test_a_promotion_is_told_once_its_boards_are_counted(
    promotions: Promotions, caplog: pytest.LogCaptureFixture
) -> None:
    promoted = shard("c:1", 3)
    promotions.see([shard("a:1", 1), promoted])
    promotions.tell(["c:1"])
    assert told(promotions) == []
    promotions.count(Change.of(promoted), boards=1, streams=1)
    promotions.tell([])
    assert told(promotions) == [("promotion", 1, 1)]
    assert "promotion of c:1 (failover 3): 1 board watched here, 1 stream reset" in caplog.text
    assert not promotions.has_untold


def test_a_promotion_that_is_counted_before_it_is_seen_is_told_once(
    promotions: Promotions,
) -> None:
    promoted = shard("c:1", 3)
    promotions.count(Change.of(promoted), boards=2, streams=5)
    promotions.tell([])
    promotions.see([promoted])
    promotions.tell([])
    assert told(promotions) == [("promotion", 2, 5)]
    assert len(promotions._client.lrange(promotions._keys.promotions, 0, -1)) == 1


def test_boards_whose_slots_come_later_are_added_to_the_move(
    promotions: Promotions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(promotions_module, "_MOVE_S", 0.0)
    moved = shard("b:1", 4, is_move=True)
    promotions.see([moved])
    promotions.tell([])
    for boards, streams in ((1, 2), (3, 4)):
        promotions.count(Change.of(moved), boards=boards, streams=streams)
        promotions.tell([])
    assert told(promotions) == [("slot_move", 4, 6)]


def test_a_board_that_cannot_be_marked_does_not_keep_a_promotion_secret(
    promotions: Promotions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(promotions_module, "_LONGEST_S", 0.0)
    promotions.see([shard("c:1", 3)])
    promotions.tell(["c:1"])
    assert told(promotions) == [("promotion", 0, 0)]
