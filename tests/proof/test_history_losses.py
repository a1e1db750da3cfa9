"""The judge: what a loss or a later item in an answer excuses, and what it does not."""

from __future__ import annotations

import copy
import json

from proof.history.checks import counts, violations
from proof.history.history import Loss, Seen
from tests.proof.histories import changes_of, items_of, log_of, sound, trail_of
from tests.proof.simulation import BOARD


def test_what_was_acknowledged_in_the_time_of_a_loss_may_be_lost() -> None:
    history = sound()
    log = log_of(history)
    cursor, fields = log.pop()
    lost = json.loads(fields["event"])["item"]
    call = next(each for each in changes_of(history) if each.item == lost)
    items = [json.loads(fields["event"])["item"] for _, fields in log]
    items_of(history)[call.tag] = next(each for each in items[::-1] if each["tag"] == call.tag)
    for each in history.watchers:
        assert any(seen.cursor == cursor for seen in each.trail)
        each.trail.append(Seen(999.0, "reset", log[-1][0], int(log[-1][1]["seq"])))
        each.model = copy.deepcopy(items_of(history))
    history.after[BOARD].indexes.clear()  # not read
    without = copy.deepcopy(history)
    history.losses = [Loss(call.sent_s, 999.0)]
    assert violations(history) == {}
    assert counts(history)["excused_by_a_loss"] >= 1
    assert {"acknowledged", "streams", "linearizable"} <= violations(without).keys()


def test_a_stream_that_goes_on_after_a_loss_without_a_reset_is_found() -> None:
    history = sound()
    history.losses = [Loss(0.0, 999.0)]
    position = max(n for n, each in enumerate(trail_of(history)) if each.seq == 9)
    trail_of(history)[position] = trail_of(history)[position]._replace(cursor="95-9")
    assert violations(history).keys() == {"streams"}


def test_a_repeated_answer_may_show_a_later_item_if_it_says_so() -> None:
    history = sound()
    call, later = next(
        (one, other.item) for one in changes_of(history) for other in changes_of(history)
        if one.tag == other.tag and one.worker != other.worker and one.item and other.item
        and other.item["version"] == one.item["version"] + 1
    )  # fmt: skip
    assert call.reply is not None
    call.statuses = [0, 200]
    body = call.reply.body | {"item": later}
    call.reply = call.reply._replace(body=body)
    assert "keys" in violations(history)
    call.reply = call.reply._replace(body=body | {"item_is_current": True})
    assert violations(history) == {}
