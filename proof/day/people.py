"""What people and pages do on a day: shifts, walls, tablets that nobody uses, polls, imports."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from proof.day.clock import SHIFT_H, Clock
from proof.day.site import BOARDS, ITEMS_PER_BOARD, DaySite
from proof.day.tablet import Tablet
from tests.support.deployment import ROOT

_ARRIVE_H = 0.5  # within so long after a shift's beginning, and leave as long before its end
_LEAVE_H = 7.4
_BETWEEN_S = 300.0  # two operations of a person
_RELOAD = 0.05  # of the operations: the page is loaded again
_WALL_S, _POLL_S, _REPORT_S = 300.0, 60.0, 3600.0
_TIMEOUT_S = 60.0
_TRIES = 20


class Day:
    """What is going on; ``done`` counts it."""

    def __init__(self, site: DaySite, clock: Clock, seed: str, *, hours: float) -> None:
        self.done: Counter[str] = Counter()
        self.site, self.clock, self.hours = site, clock, hours
        self._seed = seed
        self._tablets: list[Tablet] = []

    def work_a_shift(self, shift: int, place: int) -> None:
        """A person on one tablet, from sign-in to sign-out."""
        chance = random.Random(f"{self._seed} {shift} {place}")
        begin_h = shift * SHIFT_H
        self.clock.sleep_until(begin_h + chance.uniform(0.0, _ARRIVE_H))
        board = BOARDS[place % len(BOARDS)]
        worker = self.site.person(shift, place)
        tablet = self._tablet(f"127.0.2.{place + 1}")
        for _ in range(_TRIES):  # a busy queue of PINs says when to come again
            if tablet.sign_in(worker, self.site.pins[worker]):
                self.done["sign-ins"] += 1
                break
            self.done["sign-ins refused"] += 1
            self.clock.sleep(chance.uniform(60.0, 300.0))
        else:
            return
        tablet.follow(board)
        while self.clock.now_h < begin_h + _LEAVE_H:
            self.clock.wait_out_a_break()
            self._operate(tablet, board, worker, chance)
            if chance.random() < _RELOAD:
                tablet.follow(board)
            self.clock.sleep(_BETWEEN_S * chance.uniform(0.5, 1.5))
        self._pause_all(tablet, board, worker, chance)
        tablet.leave()
        self.done["sign-outs" if tablet.sign_out() else "sign-outs refused"] += 1
        self._drop(tablet)

    def stand_idle(self, place: int) -> None:
        """A tablet that nobody uses: its stream stays open."""
        self._with_token(f"127.0.3.{place + 1}").follow(BOARDS[place % len(BOARDS)])

    def hang_on_the_wall(self, board: str) -> None:
        """A wall: a stream, and the timeline now and then."""
        tablet = self._with_token("127.0.4.1")
        tablet.follow(board)
        while True:
            self._get(tablet, f"/api/boards/{board}/timeline", "timelines")
            self.clock.sleep(_WALL_S)

    def poll(self, board: str) -> None:
        """A program that polls the snapshot, with the tag of the one before."""
        tablet, tag = self._with_token("127.0.5.1"), ""
        while True:
            given = {"If_None_Match": tag} if tag else {}
            _, _, headers = tablet.send("GET", f"/api/boards/{board}/items", **given)
            tag = headers.get("ETag", "")
            self.done["snapshots"] += 1
            self.clock.sleep(_POLL_S)

    def report(self) -> None:
        """Each hour: the state of each board, some histories, the metrics."""
        tablet = self._with_token("127.0.5.2")
        while True:
            self._get(tablet, "/metrics", "reports")
            self._get(tablet, "/api/redis-connection-stats", "reports")
            for board in BOARDS:
                self._get(tablet, f"/api/boards/{board}/timeline?hours=24", "reports")
                for number in range(5):
                    self._get(tablet, f"/api/boards/{board}/items/T-{number}/history", "reports")
            self.clock.sleep(_REPORT_S)

    def import_files(self, directory: Path) -> None:
        """A file with all items, of which some are new titles, at the beginning of each shift."""
        for shift in range(int(self.hours / SHIFT_H + 0.999)):
            self.clock.sleep_until(shift * SHIFT_H)
            for board in BOARDS:
                file = directory / f"{board}.csv"
                rows = (
                    f"T-{number},Spool {number} of shift {shift},B{number % 4}"
                    for number in range(ITEMS_PER_BOARD)
                )
                file.write_text("\n".join(["tag,title,area", *rows, ""]))
                done = subprocess.run(
                    [sys.executable, "-m", "flask", "items", "import", str(file), "--board", board],
                    cwd=ROOT, env={**os.environ, **self.site.environ}, capture_output=True,
                    timeout=_TIMEOUT_S, check=False,
                )  # fmt: skip
                self.done["imports" if done.returncode == 0 else "imports refused"] += 1

    def close(self) -> None:
        while self._tablets:
            self._drop(self._tablets[-1])

    def _operate(self, tablet: Tablet, board: str, worker: str, chance: random.Random) -> None:
        """The next thing to do with what the person holds, or take something."""
        _, body, _ = tablet.send("GET", f"/api/boards/{board}/items?holder={worker}")
        own = body.get("items", [])
        if own:
            operation = chance.choice(("pause", "complete", "complete"))
            self._send(tablet, board, own[0]["tag"], operation, chance)
            return
        for state in ("paused", "available"):
            _, body, _ = tablet.send("GET", f"/api/boards/{board}/items?state={state}&limit=20")
            if items := body.get("items"):
                self._send(tablet, board, chance.choice(items)["tag"], "take", chance)
                return
        self._reopen(board, chance)

    def _reopen(self, board: str, chance: random.Random) -> None:
        """Everything is completed: the supervisor begins anew with some."""
        tablet = self._with_token("127.0.5.3")
        for number in chance.sample(range(ITEMS_PER_BOARD), ITEMS_PER_BOARD // 2):
            self._send(tablet, board, f"T-{number}", "reopen", chance, step=self.site.first_step)
        self._drop(tablet)

    def _send(
        self, tablet: Tablet, board: str, tag: str, operation: str, chance: random.Random,
        **body: Any,
    ) -> None:  # fmt: skip
        key = f"{chance.getrandbits(96):024x}"
        path = f"/api/boards/{board}/items/{tag}/{operation}"
        status, _, _ = tablet.send("POST", path, body, Idempotency_Key=key)
        self.done["operations" if status == 200 else f"operations answered {status}"] += 1

    def _pause_all(self, tablet: Tablet, board: str, worker: str, chance: random.Random) -> None:
        _, body, _ = tablet.send("GET", f"/api/boards/{board}/items?holder={worker}")
        for each in body.get("items", []):
            self._send(tablet, board, each["tag"], "pause", chance)

    def _get(self, tablet: Tablet, path: str, name: str) -> None:
        status, _, _ = tablet.send("GET", path)
        self.done[name if status == 200 else f"{name} answered {status}"] += 1

    def _with_token(self, address: str) -> Tablet:
        return self._tablet(address, {"Authorization": f"Bearer {self.site.token}"})

    def _tablet(self, address: str, headers: dict[str, str] | None = None) -> Tablet:
        self._tablets.append(Tablet(self.site.port, address, headers))
        return self._tablets[-1]

    def _drop(self, tablet: Tablet) -> None:
        self._tablets.remove(tablet)
        tablet.close()
        self.done["deliveries"] += tablet.deliveries
        self.done["streams"] += tablet.streams
