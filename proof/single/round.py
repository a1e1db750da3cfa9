"""One round: load, faults at moments of the seed's choice, quiet, and the judge."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import gevent
import redis
from gevent.lock import BoundedSemaphore

from occupancy.boards.reconcile import Reconciler
from proof.deployment.contents import read_log
from proof.history.checks import violations
from proof.history.history import BoardState, History, Items
from proof.network.proxy import FaultProxy
from proof.single.load import SingleLoad
from proof.single.network_faults import lost_answers
from proof.single.site import BUDGET, STEPS, Site
from proof.single.stage import Fault, Stage

LEAST_PER_S = 100.0  # operations; a round with fewer is void
_BEFORE_S = 0.5  # load before the first fault
_AFTER_S = 1.5  # and after the last
_BETWEEN_S = 1.5  # two faults, about
_MOST_S = 180.0  # of all faults of a round
_READY_S = 60.0
_SAMPLE_S = 0.1


@dataclass
class Result:
    """What a round has shown."""

    faults: list[str]
    seed: int
    void: str = ""  # why it proves nothing
    violations: dict[str, list[str]] = field(default_factory=dict)
    figures: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    took_s: float = 0.0
    ended_early: bool = False  # by an error, so the state of the site is unknown


class Round:
    """Some faults on a running site, with at least ``operations`` operations.

    Where the site has links, each ``lose_every``-th acknowledgement is lost all the time.
    Faults at once can keep each other from having an effect: the round is void unless a share of
    ``least_share`` of them happens, and only those count.
    """

    def __init__(
        self, site: Site, faults: Sequence[tuple[str, Fault]], seed: int, *, operations: int = 0,
        lose_every: int = 0, reconnect_every_s: float = 1.0, least_share: float = 1.0,
    ) -> None:  # fmt: skip
        self._site, self._faults, self._operations = site, faults, operations
        self._reconnect_every_s = reconnect_every_s  # of the restless watchers
        self._lose_every, self._least_share = lose_every, least_share
        self._names = [name for name, _ in faults]
        self._seed = seed
        self._random = random.Random(f"{self._names} {seed}")
        self._boards: list[str] = []
        self._most_connections = 0
        self._turns = {each.subject: BoundedSemaphore() for _, each in faults}

    def run(self) -> Result:
        began_s = time.monotonic()
        result = Result(self._names, self._seed)
        self._boards = self._site.new_boards()
        load = SingleLoad(
            self._site, self._boards, self._random, reconnect_every_s=self._reconnect_every_s
        )
        sampling = gevent.spawn(self._sample_connections)
        try:
            before = self._states(load)
            load.begin()
            loaded_s = time.monotonic()
            with self._lost_answers():
                stages = self._strike()
                is_ready = stages[0].wait_for(self._site.is_ready, _READY_S)
                gevent.sleep(_AFTER_S)
                while load.call_count < self._operations:
                    gevent.sleep(0.05)
            span = loaded_s, time.monotonic()
            load.end()
            items = load.settle()
            history = self._history(load, before, self._states(load, items), stages)
            result.figures = self._figures(history, load, stages, span)
            result.violations = violations(history)
            if not is_ready:
                result.violations["readiness"] = [f"no 200 from /readyz within {_READY_S:.0f} s"]
            if problems := self._problems():
                result.violations["reconciliation"] = problems
            result.notes = [
                f"{name}: {each.note}" for name, each in zip(self._names, stages, strict=True)
                if each.note
            ]  # fmt: skip
            result.void = self._why_void(stages, result.figures)
            result.faults = self._named(stages, has_happened=True)
        finally:
            sampling.kill()
            load.stop()
            result.took_s = time.monotonic() - began_s
        return result

    def _strike(self) -> list[Stage]:
        """Carry out all faults at random times; returns when the last is over."""
        stages = [
            Stage(self._site, random.Random(self._random.random()), boards=self._boards)
            for _ in self._faults
        ]
        span_s = _BETWEEN_S * len(stages)
        greenlets = [
            gevent.spawn_later(
                _BEFORE_S + self._random.uniform(0.0, span_s), self._act, fault, stage
            )
            for (_, fault), stage in zip(self._faults, stages, strict=True)
        ]
        try:
            gevent.joinall(greenlets, timeout=_MOST_S, raise_error=True)
        finally:
            gevent.killall(greenlets)  # each undoes its fault
        return stages

    @contextlib.contextmanager
    def _lost_answers(self) -> Iterator[None]:
        link = self._site.client_link
        if self._lose_every and isinstance(link, FaultProxy):
            with link.during(lost_answers(self._lose_every)):
                yield
        else:
            yield

    def _act(self, fault: Fault, stage: Stage) -> None:
        with self._turns[fault.subject]:
            fault.act(stage)

    def _states(
        self, load: SingleLoad, items: Mapping[str, Items] | None = None
    ) -> dict[str, BoardState]:
        found = {}
        with self._site.admin() as admin:
            for board in self._boards:
                keys = self._site.keys.board(board)
                indexes: dict[str, Any] = {
                    "by_tag": admin.zrange(keys.by_tag, 0, -1),
                    "by_state": admin.zrange(keys.by_state, 0, -1),
                    "by_holder": admin.zrange(keys.by_holder, 0, -1),
                }
                found[board] = BoardState(
                    load.items_of(board) if items is None else items[board],
                    read_log(admin, self._site.keys, board),
                    {name: {each.decode() for each in all_} for name, all_ in indexes.items()},
                )
        return found

    def _history(
        self, load: SingleLoad, before: dict[str, BoardState], after: dict[str, BoardState],
        stages: Sequence[Stage],
    ) -> History:  # fmt: skip
        return History(
            roles={name: role.label for name, role in self._site.roles.items()},
            steps=dict.fromkeys(self._boards, STEPS),
            before=before, after=after, calls=load.calls, watchers=load.watchers,
            budget=BUDGET, most_connections=self._most_connections,
            clock_faults_s=sum(each.clock_fault_s for each in stages),
            losses=[loss for each in stages for loss in each.losses],
        )  # fmt: skip

    def _problems(self) -> list[str]:
        """The problems that the product's own reconciliation finds."""
        services = self._site.services()
        try:
            return [
                str(problem)
                for board in self._boards
                for problem in Reconciler(services.store).run(board, repair=False).problems
            ]
        finally:
            services.close()

    def _sample_connections(self) -> None:
        with self._site.admin(timeout_s=0.5) as admin:
            while True:
                with contextlib.suppress(redis.RedisError, OSError):
                    listed: Any = admin.client_list()
                    count = sum(each["name"].startswith("occupancy-") for each in listed)
                    self._most_connections = max(self._most_connections, count)
                gevent.sleep(_SAMPLE_S)

    def _figures(
        self, history: History, load: SingleLoad, stages: Sequence[Stage], span: tuple[float, float]
    ) -> dict[str, Any]:
        calls = history.calls
        stops = [
            (stage.struck_s, stage.ended_s)
            for (_, fault), stage in zip(self._faults, stages, strict=True)
            if fault.stops_everything
        ]
        working = list(_outside(span, stops))
        working_s = sum(until - since for since, until in working)
        answered = [each.answered_s for each in calls if each.reply is not None]
        inside = sum(any(since <= at <= until for since, until in working) for at in answered)
        trails = [seen for each in load.watchers for seen in each.trail]
        return {
            "operations": len(answered),
            "changes": sum(each.has_changed for each in calls),
            "per_s": inside / working_s if working_s else 0.0,
            "stopped_s": span[1] - span[0] - working_s,
            "sent_again": sum(len(each.statuses) > 1 for each in calls),
            "answers_lost": sum(each.statuses.count(0) for each in calls),
            "replayed": sum(bool(each.reply and each.reply.is_replayed) for each in calls),
            "acknowledged_and_lost": sum(
                each.has_changed and each.item is not None
                and history.kept.get((each.board, each.tag, each.item["version"])) != each.item
                for each in calls
            ),
            "deliveries": sum(seen.kind == "item" for seen in trails),
            "forced_reconnects": load.forced_reconnects,
            "resets": sum(seen.kind == "reset" for seen in trails),
            "rolling_restarts": sum(each.rolling_restarts for each in stages),
            "most_connections": self._most_connections,
        }  # fmt: skip

    def _named(self, stages: Sequence[Stage], *, has_happened: bool) -> list[str]:
        return [
            name for name, each in zip(self._names, stages, strict=True)
            if each.has_happened == has_happened
        ]  # fmt: skip

    def _why_void(self, stages: Sequence[Stage], figures: Mapping[str, Any]) -> str:
        missing = self._named(stages, has_happened=False)
        if len(missing) > (1.0 - self._least_share) * len(stages):
            return f"{', '.join(missing)} did not happen"
        if figures["per_s"] < LEAST_PER_S:
            return f"only {figures['per_s']:.0f} operations/s"
        return ""


def _outside(
    span: tuple[float, float], stops: Sequence[tuple[float, float]]
) -> list[tuple[float, float]]:
    """The parts of ``span`` outside all ``stops``."""
    edges = [span[0]]
    for since, until in sorted(stops):
        if since > edges[-1]:
            edges += [since, until]
        else:
            edges[-1] = max(edges[-1], until)
    edges.append(max(span[1], edges[-1]))
    return list(pairwise(edges))[::2]
