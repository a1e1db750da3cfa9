"""Simulated servers, each with a classic bug."""

from __future__ import annotations

from proof.history.call import Call, Reply
from proof.history.history import Seen
from proof.history.model.operations import Outcome, Request
from proof.history.model.state import State
from tests.proof.simulation import Server, Stored, Watched


class DoubleTake(Server):
    """Gives away what is held."""

    def decide(self, state: State, request: Request) -> Outcome:
        if request.operation == "take" and state.state == "occupied":
            state = state._replace(state="available", holder="")
        return super().decide(state, request)


class LostUpdate(Server):
    """Acknowledges some changes and does not keep them."""

    def write(self, tag: str, written: Stored) -> None:
        if written.state.version % 7:
            super().write(tag, written)


class AppliedTwice(Server):
    """Carries a repeated request out again."""

    def record_of(self, call: Call) -> Reply | None:
        return None


class EpochReused(Server):
    """Does not raise the epoch when an item becomes free."""

    def counted(self, before: State, after: State) -> State:
        return after if after.holder else after._replace(epoch=before.epoch)


class VersionReused(Server):
    """Some changes keep the version."""

    def counted(self, before: State, after: State) -> State:
        return after._replace(version=before.version) if after.state == "blocked" else after


class StaleRead(Server):
    """Sometimes decides by what the item was before."""

    def load(self, tag: str) -> Stored:
        earlier = self.earlier.get(tag, [])[1:]
        is_stale = len(earlier) > 1 and self.random.random() < 0.05
        return earlier[-1] if is_stale else super().load(tag)


class HolderNotChecked(Server):
    """Anybody pauses and completes."""

    def decide(self, state: State, request: Request) -> Outcome:
        if state.holder and request.operation in ("pause", "complete"):
            request = request._replace(caller=state.holder)
        return super().decide(state, request)


class RoleNotChecked(Server):
    """Workers supervise."""

    def decide(self, state: State, request: Request) -> Outcome:
        if request.operation in ("block", "unblock"):
            request = request._replace(caller="boss")
        return super().decide(state, request)


class PreconditionIgnored(Server):
    """Does not look at If-Match and epoch."""

    def decide(self, state: State, request: Request) -> Outcome:
        arguments = {name: each for name, each in request.arguments.items() if name != "epoch"}
        return super().decide(state, request._replace(if_match=None, arguments=arguments))


class TimeNotCounted(Server):
    """Forgets the time of a hold that a supervisor ends."""

    def timed(self, operation: str, stored: Stored, after: State) -> Stored:
        found = super().timed(operation, stored, after)
        if operation == "force-release":
            found.worked_s = stored.worked_s
        return found


class IndexForgotten(Server):
    """Leaves a holder in the index."""

    def write(self, tag: str, written: Stored) -> None:
        holder = self.by_holder.get(tag)
        super().write(tag, written)
        if written.state.state == "blocked" and holder:
            self.by_holder[tag] = holder


class EventNotPublished(Server):
    """A stream misses some events, and goes on."""

    def publish(self, watcher: Watched, seen: Seen) -> None:
        if watcher.name == "one" or seen.seq % 20:
            super().publish(watcher, seen)


class NumberSkipped(Server):
    """Counts an event that is not there."""

    def next_seq(self) -> int:
        return len(self.log) + 1 + (len(self.log) > 40)


class StepSkipped(Server):
    """Completes an item before its last step."""

    def decide(self, state: State, request: Request) -> Outcome:
        outcome = super().decide(state, request)
        if request.operation == "complete" and outcome.is_change:
            return outcome._replace(state=outcome.state._replace(state="completed"))
        return outcome


class ReasonLost(Server):
    """Forgets the reason of a pause after a release."""

    def decide(self, state: State, request: Request) -> Outcome:
        outcome = super().decide(state, request)
        if request.operation == "release" and outcome.is_change:
            return outcome._replace(state=outcome.state._replace(reason=None))
        return outcome


class UndoByAnybody(Server):
    """Gives a completed item to whoever undoes it."""

    def decide(self, state: State, request: Request) -> Outcome:
        if request.operation == "undo" and state.last is not None and state.last[0] == "complete":
            state = state._replace(last=("complete", request.caller))
        return super().decide(state, request)


class UndoOfAnything(Server):
    """Gives an item that nobody completed, or that changed since, to whoever undoes it."""

    def decide(self, state: State, request: Request) -> Outcome:
        if request.operation == "undo" and state.state in ("available", "completed"):
            last = ("complete", request.caller)
            state = state._replace(last=last, undo=(state.step, state.reason))
        return super().decide(state, request)


class UndoBeginsAnew(Server):
    """Counts no time from before the completion after an undo."""

    def timed(self, operation: str, stored: Stored, after: State) -> Stored:
        found = super().timed(operation, stored, after)
        if operation == "undo":
            found.since_s = self.now_s
        return found
