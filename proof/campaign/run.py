"""Carries out rounds, batch by batch, as long as there is time; keeps what was violated."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from proof.campaign.choice import Batch, Planned, next_batch
from proof.campaign.counts import Counts
from proof.campaign.goals import standings
from proof.campaign.kinds import Kind, Part, SetUp
from proof.campaign.rounds import NO_START, Row, Runner, row_of, runner_on
from proof.day.run import DAYS_S
from proof.results import text_of

_START_S = 10.0  # of a set-up, about
_ROUND_S = 30.0  # about, as long as nobody has seen one
_MOST_FRUITLESS = 3  # batches of a part, one after the other: then it is left out
RunnerOn = Callable[[SetUp], AbstractContextManager[Runner]]


class Campaign:
    """A run: as many rounds as fit, each added to the counts and saved at once."""

    def __init__(
        self, counts: Counts, evidence: Path, *, deadline_s: float | None = None,
        runner_on: RunnerOn = runner_on, say: Callable[[str], None] = print,
    ) -> None:  # fmt: skip
        self.violated: list[Row] = []
        self.round_count = 0
        self.void_count = 0
        self._counts, self._evidence = counts, evidence
        self._deadline_s = deadline_s  # of time.monotonic; None: until all goals are reached
        self._runner_on, self._say = runner_on, say

    def run(self, kinds: Sequence[Kind], servers: Collection[str], *, first_seed: int = 1) -> None:
        """What the goals lack most, until the time or the goals are over."""
        fruitless: dict[Part, int] = {}
        without: set[Part] = set()
        while not self._is_over(kinds):
            batch = next_batch(self._counts, kinds, servers, first_seed=first_seed, without=without)
            if batch is None:
                break
            begun, sound = self._run_batch(batch)
            fruitless[batch.part] = 0 if sound else fruitless.get(batch.part, 0) + 1
            if not begun or fruitless[batch.part] == _MOST_FRUITLESS:
                without.add(batch.part)  # no time for it, or it does not work here

    def repeat(self, rounds: Sequence[Planned]) -> None:
        """Carry out these rounds, and add nothing to the counts."""
        for kind, seed in rounds:
            planned = Planned(kind, seed)
            self._run_batch(Batch(kind.part, kind.set_up(seed), [planned]), is_counted=False)

    def _is_over(self, kinds: Sequence[Kind]) -> bool:
        if self._deadline_s is not None:
            return time.monotonic() >= self._deadline_s
        parts = {each.part for each in kinds}
        return all(
            each.is_reached
            for each in standings(self._counts.entries) if each.goal.part in parts
        )  # fmt: skip

    def _run_batch(self, batch: Batch, *, is_counted: bool = True) -> tuple[int, int]:
        """Returns how many rounds were begun, and how many were not void."""
        first = batch.rounds[0]
        if is_counted and not self._has_time(first, _START_S):
            return 0, 0
        begun = sound = 0
        try:
            with self._runner_on(batch.set_up) as runner:
                for planned in batch.rounds:
                    if is_counted and not self._has_time(planned):
                        break
                    begun += 1
                    row = runner.run(planned.kind, planned.seed)
                    sound += not row["void"]
                    self._take(row, runner.log_text, is_counted=is_counted)
                    if runner.is_worn_out:
                        break
        except NO_START as error:
            why, _, log_text = str(error).partition("\n")
            void = f"the set-up failed: {type(error).__name__}: {why}"
            row = row_of(first.kind, batch.set_up, {
                "seed": first.seed, "void": void, "violations": {}, "figures": {}, "took_s": 0.0,
            })  # fmt: skip
            self._take(row, lambda: log_text, is_counted=is_counted)
            begun += 1
        return begun, sound

    def _take(self, row: Row, log_text: Callable[[], str], *, is_counted: bool) -> None:
        self.round_count += 1
        self.void_count += bool(row["void"])
        self._say(text_of(row))
        if row["violations"] and not row["void"]:
            self.violated.append(row)
        if row["violations"] or row["void"]:
            self._say(f"  kept: {self._keep(row, log_text())}")
        if is_counted:
            self._counts.add(row)
            self._counts.save()

    def _keep(self, row: Row, log: str) -> Path:
        """Keep all texts and the logs of a round that is void or violated."""
        name = "-".join(str(row[each]) for each in ("kind", "seed", "server", "nodes"))
        directory = self._evidence / f"{name.replace(':', '-')}-{time.time_ns() // 1_000_000}"
        directory.mkdir(parents=True)
        (directory / "round.json").write_text(json.dumps(row, indent=1) + "\n")
        (directory / "nodes.log").write_text(log)
        return directory

    def _has_time(self, planned: Planned, more_s: float = 0.0) -> bool:
        if self._deadline_s is None:
            return True
        return time.monotonic() + more_s + self._expected_s(planned) < self._deadline_s

    def _expected_s(self, planned: Planned) -> float:
        entry = self._counts.entry(planned.kind.name, *planned.kind.cell_of(planned.seed))
        if entry and (rounds := entry["rounds"] + entry["void"]):
            return float(entry["took_s"] / rounds)
        return DAYS_S if planned.kind.part == "day" else _ROUND_S


def table_of(counts: Counts) -> Iterator[str]:
    """The goals as lines of a table for the terminal."""
    rows = [("goal", "reached", "of", "violations")] + [
        (each.goal.name, f"{each.reached:,}", f"{each.goal.target:,}", f"{each.violations:,}")
        for each in standings(counts.entries)
    ]
    widths = [max(len(row[place]) for row in rows) for place in range(4)]
    for name, *numbers in rows:
        cells = (text.rjust(width) for text, width in zip(numbers, widths[1:], strict=True))
        yield "  ".join([name.ljust(widths[0]), *cells])
