"""Boards: created, listed and set up, with counts."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from occupancy.boards.catalog import fields as board_fields
from occupancy.boards.catalog.index import BoardIndex
from occupancy.boards.records import Board, BoardSettings, board_not_found
from occupancy.core.entities import DEFAULT_STEP, MAIN_BOARD, STATES
from occupancy.core.errors import (
    AlreadyExists,
    InvalidRequest,
    SettingsChanged,
    StepInUse,
    StoreUnavailable,
)
from occupancy.core.keys import RESERVED_BOARD, Keys
from occupancy.core.requests.boards import BoardSettingsBody, StepBody
from occupancy.core.texts.plurals import counted
from occupancy.storage.client import OpsClient
from occupancy.storage.commands import INCARNATION
from occupancy.storage.scripts import PublishingScript, Script

_MAX_TRIES = 10  # of a change of settings, while others change them too


class Configured(msgspec.Struct, frozen=True):
    """A board after a change of its settings, and the names of those that have changed."""

    board: Board
    changed: list[str]


class Boards:
    """The boards of a deployment. Methods raise PoolTimeout or StoreUnavailable."""

    def __init__(
        self, client: OpsClient, keys: Keys, index: BoardIndex, *, writes: OpsClient
    ) -> None:
        self._client = client
        self._keys = keys
        self.index = index
        self._create = Script(writes, "board/create")
        self._configure = PublishingScript(writes, "board/settings/configure")
        self._count_steps = Script(client, "board/settings/count_steps")

    def all(self) -> list[Board]:
        """Every board, in the order of their names (two round trips)."""
        listed = self.index.listed()
        boards = self.named(listed | self.index.seen | {MAIN_BOARD})
        for each in boards:
            self.index.saw(each.board, is_listed=each.board in listed)
        return boards

    def visible(self, *, only: str | None = None) -> list[Board]:
        """The boards that a list shows: not ``main`` if nobody uses it and there are others.

        ``only`` is the board that the caller may see, if it is one.
        """
        found = self.all() if only is None else self.named([only])
        used = [each for each in found if not each.is_unused]
        return used or found

    def named(self, names: Iterable[str]) -> list[Board]:
        """Those of ``names`` that are boards, in the order of their names."""
        return self._read(sorted(names))

    def get(self, name: str) -> Board:
        """One board. Raises BoardNotFound.

        The steps of a board of an earlier version are counted first, once (two round trips more).
        Where the server refuses to keep the counts (full, read-only), they are counted each time.
        """
        board = self._get(name)
        if board.step_counts is None and any(board.counts.values()):
            try:
                self.check_step_counts(name, mend=True)
            except StoreUnavailable:
                return msgspec.structs.replace(board, step_counts=self._counted_steps(name))
            board = self._get(name)
        return board

    def _get(self, name: str) -> Board:
        found = self._read([name])
        if not found:
            raise board_not_found(name)
        self.index.saw(name)
        return found[0]

    def create(
        self,
        name: str,
        *,
        title: str | None = None,
        steps: Sequence[str | StepBody] = (),
        max_holds: int = 0,
    ) -> Board:
        """Create a board (several round trips). Raises AlreadyExists and InvalidRequest.

        ``main`` may be created, to give it steps, while it has no items. If two callers create a
        board at once, one of them wins. The name goes into the index before the board exists, so
        that every board is listed, and again after it, because the end of a removal may take the
        name out in between. A board that is being removed cannot be created: AlreadyExists says so.
        """
        if name == RESERVED_BOARD:
            raise InvalidRequest(f"No board can be named {name}: choose another name.")
        ids, titles = board_fields.steps_of(steps, {})
        keys = self._keys.board(name)
        # The name is not confirmed: reconciliation restores a name that is lost.
        self.index.add(name)
        fields = board_fields.encoded({
            "steps": ids or [DEFAULT_STEP], "step_titles": titles, "title": title or name,
            "max_holds": max_holds,
        })  # fmt: skip
        # A restore may have lost a board of this name, whose versions somebody has seen.
        version_base = self._client.get(self._keys.version_base) or b""
        status = self._create.run([keys.board, keys.by_tag], [INCARNATION, version_base, *fields])
        if status == b"removing":
            raise AlreadyExists(
                f"The board {name} is still being removed. Create it again in a moment."
            )
        if status != b"created":
            raise AlreadyExists(f"The board {name} exists already. Choose another name.")
        self.index.add(name)
        return self.get(name)

    def configure(
        self, name: str, body: BoardSettingsBody, *, versions: list[str] | None = None
    ) -> Configured:
        """Change the given settings; all of them, or none.

        ``versions``: the settings must have one of these (``*``: any). Raises
        BoardNotFound, InvalidRequest, StepInUse and SettingsChanged.
        """
        for _ in range(_MAX_TRIES):
            before = self._get(name).settings
            if versions is not None and not {"*", str(before.version)} & set(versions):
                raise _settings_changed(name, before.version)
            after = board_fields.changed(before, name, body)
            names = board_fields.differing(before, after)
            if not names:
                return Configured(self.get(name), [])
            if self._store_settings(name, before, after):
                return Configured(self.get(name), names)
        raise _settings_changed(name, before.version)  # others change them all the time

    def _store_settings(self, name: str, before: BoardSettings, after: BoardSettings) -> bool:
        """Store the settings that were made from ``before``; False if there are others by now."""
        keys = self._keys.board(name)
        request = {
            "expected": str(before.version),
            "implicit": name == MAIN_BOARD,
            "channel": keys.channel,
            "removed": [each for each in before.steps if each not in after.steps],
        }
        # All settings, so that the field of the steps shows that somebody has set the board up.
        values = msgspec.structs.asdict(after)
        del values["version"]
        status, *rest = self._configure.run(
            [keys.board, keys.view],
            [INCARNATION, msgspec.json.encode(request), *board_fields.encoded(values)],
        )
        if status == b"board_not_found":
            raise board_not_found(name)
        if status == b"step_in_use":
            step, count = rest[0].decode(), int(rest[1])
            verb = "stands" if count == 1 else "stand"
            raise StepInUse(
                f"{counted(count, 'item')} {verb} at the step {step}. Move them on first, or keep "
                "the step.",
                step=step, items=count,
            )  # fmt: skip
        return bool(status == b"ok")

    def check_step_counts(self, name: str, *, mend: bool) -> list[tuple[str, int, int]]:
        """Steps whose count is wrong, with this count and the right one; see count_steps.lua."""
        return self._compare_steps(name, str(int(mend)))

    def _counted_steps(self, name: str) -> dict[str, int]:
        return {step: count for step, _, count in self._compare_steps(name, "count")}

    def _compare_steps(self, name: str, how: str) -> list[tuple[str, int, int]]:
        keys = self._keys.board(name)
        reply = self._count_steps.run([keys.board, keys.view], [how])
        triples = zip(reply[0::3], reply[1::3], reply[2::3], strict=True)
        return [(step.decode(), int(now), int(right)) for step, now, right in triples]

    def _read(self, names: Sequence[str]) -> list[Board]:
        def fill(name: str, pipeline: Any) -> None:
            keys = self._keys.board(name)
            pipeline.hgetall(keys.board)
            for state in STATES:
                pipeline.zlexcount(keys.by_state, f"[{state}|", f"({state}}}")

        found = self._client.read_each_atomically([functools.partial(fill, name) for name in names])
        boards = []
        for name, (fields, *by_state) in zip(names, found, strict=True):
            if b"removing" in fields or (b"steps" not in fields and name != MAIN_BOARD):
                continue
            counts = dict(zip(STATES, by_state, strict=True))
            seq = int(fields.get(b"seq", 0))
            # A removed board's number of events stays.
            has_history = seq > int(fields.get(b"seq_before", 0))
            boards.append(
                Board(
                    board=name,
                    settings=board_fields.settings_of(name, fields),
                    cursor=fields.get(b"cursor", b"0-0").decode(),
                    seq=seq,
                    counts=counts,
                    step_counts=board_fields.step_counts_of(fields),
                    is_unused=b"steps" not in fields and not has_history and not any(by_state),
                )
            )
        return boards


def _settings_changed(board: str, version: int) -> SettingsChanged:
    return SettingsChanged(
        f"Somebody else has changed the settings of {board} since; their version is {version} now. "
        "Load them again.",
        version=version,
    )
