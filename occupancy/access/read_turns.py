"""Turns: reads begin one after the other, fairly, and operations go before them.

Reads have no rate limit: a hall full of walls and tablets behind one address may load the board at
once, and a limit would stop either them or nobody. But a process has one core. Three hundred
readers who asked again as soon as they were answered kept an operation waiting for seconds, since
each of its steps stood behind all of theirs. So one read begins each time that the event loop is
idle, or after PATIENCE_S if it never is. Operations do not wait here: each of their steps stands
behind one read at most. That costs nothing: where nobody operates, the loop is idle after each
read, and the next begins at once.

Whose turn it is:

* Each known worker has an equal share, at any address, and so has each address of strangers (nobody
  signed in, tokens that may be invented). So a flood slows its own sender down, and a plant behind
  one address has as many shares as people. Walls that use the token of one worker share its turns,
  and mostly ask whether the board has changed.
* Known senders and strangers alternate, so that no number of addresses outweighs people.
* Strangers rest after each turn for as long as it took, so they never have more than half of a
  process, whatever they ask for and from wherever.
* Within a share it is first come, first served. Long work (a search) is cut into slices, and each
  slice is a turn; it goes on before its own sender's next request.

A request gets 429, with a time to come back, after LONGEST_S; or at once where MOST_OF_ONE of its
share wait, or, from a stranger, where MOST wait. That is a flood, as so many are served in some
seconds. Strangers at an address where somebody is known (seen.py) are not refused for MOST, and
their sign-ins have turns as known senders: a flood from elsewhere must not keep them out.

A turn is only the moment to begin. Nothing is held during it, so nothing is lost when a greenlet is
killed in it. What has begun takes its further steps as others do; how many do so at once is bounded
by how fast they begin.

Concurrency. All changes of state here happen without a switch point; ``wait`` is one itself. The
turns are those of one event loop, that of the first who comes: who comes in another thread, as
under ``flask run``, has a loop of their own, and no turns to wait for.
"""

from __future__ import annotations

import collections
import time
from collections.abc import Hashable
from typing import Any

import gevent
from gevent.event import AsyncResult

from occupancy.core.errors import RateLimited

PATIENCE_S = 0.002  # in a process that is never idle, 500 reads begin in a second
LONGEST_S = 30.0  # a page that comes late is better than one without one of its files
_LONGEST_TURN_S = 0.01  # no turn counts for more: operations may have had most of it
_AHEAD_S = 0.005  # strangers may begin so much early: a timer cannot wait for less than 1 ms
MOST_OF_ONE = 4_000  # requests of a share that wait
MOST = 8_000  # requests that wait in all

_Line = collections.deque[AsyncResult]


class Share:
    """Whose turn it is: a worker by id if ``is_known``, else strangers by address."""

    __slots__ = ("is_known", "name")

    def __init__(self, name: Hashable, *, is_known: bool) -> None:
        self.name = name
        self.is_known = is_known


class ReadTurns:
    """The turns of one worker process."""

    def __init__(self) -> None:
        # The lines that are not empty, by whether they are known and by share; the next is first.
        self._lines: dict[bool, collections.OrderedDict[Hashable, _Line]] = {
            True: collections.OrderedDict(), False: collections.OrderedDict(),
        }  # fmt: skip
        self._is_knowns_turn = True
        self._hub: Any = None  # of the loop that the turns belong to
        self._watchers: tuple[Any, Any] | None = None  # idle and timer, while a turn may last
        self._began_s = 0.0  # the last turn, monotonic
        self._is_strangers = False  # whether that turn was a stranger's
        self._rested_s = 0.0  # when strangers may have their next turn, monotonic
        self.waiting = 0

    def wait(self, share: Share, *, is_neighbour: bool = False) -> None:
        """Wait for a turn. Raises RateLimited.

        ``is_neighbour``: a stranger at an address where somebody is known.
        """
        if self._may_begin(share):
            return
        line = self._lines[share.is_known].get(share.name, ())
        is_kept = share.is_known or is_neighbour
        if len(line) >= MOST_OF_ONE or (self.waiting >= MOST and not is_kept):
            raise _too_many()
        self._wait(share, is_next=False)

    def go_on(self, share: Share) -> None:
        """Wait for another turn in the middle of long work, before others of the same share.

        Raises RateLimited.
        """
        if not self._may_begin(share):
            self._wait(share, is_next=True)

    def _may_begin(self, share: Share) -> bool:
        """Begin at once, if nobody else has begun since the loop was idle; whether it did."""
        now_s, hub = time.monotonic(), gevent.get_hub()
        if self._hub is None:
            self._hub = hub
        elif self._hub is not hub:
            return True
        if self._watchers is not None:
            return False
        self._watch()
        if not share.is_known and self._must_rest(now_s):
            return False
        self._begin(now_s, is_strangers=not share.is_known)
        return True

    def _begin(self, now_s: float, *, is_strangers: bool) -> None:
        self._began_s, self._is_strangers = now_s, is_strangers

    def _wait(self, share: Share, *, is_next: bool) -> None:
        lines = self._lines[share.is_known]
        line = lines.setdefault(share.name, collections.deque())
        turn = AsyncResult()
        if is_next:
            line.appendleft(turn)
        else:
            line.append(turn)
        self.waiting += 1
        if share.is_known and self._watchers is not None:
            self._watchers[0].start(self._give)  # only the timer runs while strangers rest
        try:
            turn.wait(timeout=LONGEST_S)
        finally:
            if not turn.ready():  # waited too long, or killed: it is still in its line
                line.remove(turn)
                self.waiting -= 1
                if not line:
                    del lines[share.name]
        if not turn.ready():
            raise _too_many()

    def _watch(self) -> None:
        """Give turns from now on until nobody waits: when the loop is idle, or after PATIENCE_S."""
        self._watchers = self._made(PATIENCE_S)
        for each in self._watchers:
            each.start(self._give)

    def _made(self, late_s: float) -> tuple[Any, Any]:
        loop = gevent.get_hub().loop
        return loop.idle(), loop.timer(late_s, PATIENCE_S)

    def _unwatch(self) -> None:
        watchers, self._watchers = self._watchers, None
        for each in watchers or ():
            each.stop()
            each.close()

    def _give(self) -> None:
        """End the last turn and give the next. Runs in the event loop, not in a greenlet."""
        if self._watchers is None:
            return  # the other watcher of the same iteration has found that nobody waits
        now_s = time.monotonic()
        if self._is_strangers:
            self._is_strangers = False
            took_s = min(now_s - self._began_s, _LONGEST_TURN_S)
            self._rested_s = max(self._rested_s, self._began_s) + 2 * took_s
        if not self.waiting:
            self._unwatch()
            return
        idle, late = self._watchers
        is_known = self._next_are_known(now_s)
        if is_known is None:
            # A timer until they have rested: an idle watcher would keep the loop spinning.
            self._unwatch()
            rest_s = self._rested_s - _AHEAD_S - now_s
            self._watchers = self._made(rest_s)
            self._watchers[1].start(self._give)
            return
        idle.start(self._give)
        late.again(self._give)
        self._begin(now_s, is_strangers=not is_known)
        lines = self._lines[is_known]
        name, line = next(iter(lines.items()))
        turn = line.popleft()
        self.waiting -= 1
        if line:
            lines.move_to_end(name)
        else:
            del lines[name]
        turn.set(None)

    def _must_rest(self, now_s: float) -> bool:
        return now_s < self._rested_s - _AHEAD_S

    def _next_are_known(self, now_s: float) -> bool | None:
        """Whether the next turn is a known sender's; None if only strangers wait, and must rest."""
        has_known = bool(self._lines[True])
        has_strangers = bool(self._lines[False]) and not self._must_rest(now_s)
        if has_known and has_strangers:
            self._is_knowns_turn = not self._is_knowns_turn
            return not self._is_knowns_turn
        return has_known if has_known or has_strangers else None


def _too_many() -> RateLimited:
    return RateLimited("Too many requests wait here already. Try again in a moment.", retry_after=5)
