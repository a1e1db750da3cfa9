"""Read turns: reads begin one after the other, fairly, and operations go before them.

Reads have no rate limit: many wallboards and tablets behind one address may load the board at once,
and a limit would stop either all of them or nobody. But a process has one core: three hundred
readers that asked again at once kept an operation waiting for seconds. So one read begins each time
the event loop is idle, or after PATIENCE_S if it never is. Operations do not wait here: each of
their steps waits for one read at most. Without operations the loop is idle after each read, and the
next begins at once.

The order of turns:

* Each known worker has an equal share, from any address; so has each address of unknown senders
  (not signed in, or with a token that may be invented). A flood slows its own sender down, and a
  plant behind one address has as many shares as people.
* Known and unknown senders alternate, so that no number of addresses outweighs people. Unknown
  senders rest after each turn for as long as it took: they never have more than half of a process.
* Within a share it is first come, first served. Long work (a search) is cut into slices, and each
  slice is a turn; it continues before its own sender's next request.

A request gets 429 after MAX_READ_WAIT_S; at once if MAX_OF_SHARE of its share wait; and an unknown
sender also if MAX_WAITING wait: that is a flood. An unknown sender at a known address
(KnownAddresses) is not refused for MAX_WAITING, and its sign-ins have turns of known senders.

Concurrency. A turn is only the moment to begin: nothing is held during it. All changes of state
here happen without a switch point; ``wait`` is one itself. The turns belong to the event loop of
the first request. A request in another thread, as under ``flask run``, waits for no turn.
"""

from __future__ import annotations

import collections
import time
from collections.abc import Hashable
from typing import Any, NamedTuple

import gevent
from gevent.event import AsyncResult

from occupancy.core.errors import RateLimited

PATIENCE_S = 0.002  # in a process that is never idle, 500 reads begin in a second
MAX_READ_WAIT_S = 30.0  # a late page is better than a page that lacks one of its files
_MAX_TURN_S = 0.01  # no turn counts for more: operations may have had most of it
_EARLY_S = 0.005  # unknown senders may begin so much early: no timer waits for less than 1 ms
MAX_OF_SHARE = 4_000  # requests of one share that wait
MAX_WAITING = 8_000  # requests that wait in total
_MAX_KNOWN_ADDRESSES = 4096

_Queue = collections.deque[AsyncResult]


class KnownAddresses:
    """The latest addresses from which this process has served known workers.

    A sign-in carries no credential yet. During a flood of unknown senders it still gets a turn at a
    known address, from behind which a plant's wallboards and tablets send requests all the time.
    """

    def __init__(self) -> None:
        self._addresses: collections.OrderedDict[str, None] = collections.OrderedDict()

    def add(self, address: str) -> None:
        self._addresses[address] = None
        self._addresses.move_to_end(address)
        if len(self._addresses) > _MAX_KNOWN_ADDRESSES:
            self._addresses.popitem(last=False)

    def __contains__(self, address: str) -> bool:
        return address in self._addresses


class Share(NamedTuple):
    """The sender that a turn counts for: a worker's id if ``is_known``, else an address."""

    name: Hashable
    is_known: bool


class ReadTurns:
    """The turns of one process."""

    def __init__(self) -> None:
        # The queues that are not empty, by ``is_known`` and by share; the next one is first.
        self._queues: dict[bool, collections.OrderedDict[Hashable, _Queue]] = {
            True: collections.OrderedDict(), False: collections.OrderedDict(),
        }  # fmt: skip
        self._is_turn_of_known = True
        self._hub: Any = None  # of the loop that the turns belong to
        self._watchers: tuple[Any, Any] | None = None  # idle and timer, while a turn may last
        self._began_s = 0.0  # the last turn, monotonic
        self._was_unknown = False  # whether that turn was an unknown sender's
        self._rested_s = 0.0  # when unknown senders may have their next turn, monotonic
        self.waiting = 0

    def wait(self, share: Share, *, is_neighbour: bool = False) -> None:
        """Wait for a turn. ``is_neighbour``: unknown sender, known address. Raises RateLimited."""
        if self._may_begin(share):
            return
        queue = self._queues[share.is_known].get(share.name, ())
        may_wait = share.is_known or is_neighbour or self.waiting < MAX_WAITING
        if len(queue) >= MAX_OF_SHARE or not may_wait:
            raise _too_many()
        self._wait(share, is_next=False)

    def go_on(self, share: Share) -> None:
        """Wait for another turn in long work, before others of its share. Raises RateLimited."""
        if not self._may_begin(share):
            self._wait(share, is_next=True)

    def _may_begin(self, share: Share) -> bool:
        """Begin at once, if no other read has begun since the loop was idle; whether it did."""
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
        self._began_s, self._was_unknown = now_s, not share.is_known
        return True

    def _wait(self, share: Share, *, is_next: bool) -> None:
        queues = self._queues[share.is_known]
        queue = queues.setdefault(share.name, collections.deque())
        turn = AsyncResult()
        if is_next:
            queue.appendleft(turn)
        else:
            queue.append(turn)
        self.waiting += 1
        if share.is_known and self._watchers is not None:
            self._watchers[0].start(self._give)  # only the timer runs during a rest
        try:
            turn.wait(timeout=MAX_READ_WAIT_S)
        finally:
            if not turn.ready():  # waited too long, or killed: it is still in its queue
                queue.remove(turn)
                self.waiting -= 1
                if not queue:
                    del queues[share.name]
        if not turn.ready():
            raise _too_many()

    def _watch(self, late_s: float = PATIENCE_S, *, with_idle: bool = True) -> None:
        """Give turns from now on until nobody waits: when the loop is idle, or after ``late_s``."""
        loop = gevent.get_hub().loop
        idle, late = self._watchers = loop.idle(), loop.timer(late_s, PATIENCE_S)
        if with_idle:
            idle.start(self._give)
        late.start(self._give)

    def _unwatch(self) -> None:
        watchers, self._watchers = self._watchers, None
        for each in watchers or ():
            each.stop()
            each.close()

    def _give(self) -> None:
        """End the last turn and give the next. Runs in the event loop, not in a greenlet."""
        if self._watchers is None:
            return  # the other watcher of this iteration has found that nobody waits
        now_s = time.monotonic()
        if self._was_unknown:
            self._was_unknown = False
            took_s = min(now_s - self._began_s, _MAX_TURN_S)
            self._rested_s = max(self._rested_s, self._began_s) + 2 * took_s
        if not self.waiting:
            self._unwatch()
            return
        idle, late = self._watchers
        is_known = self._is_next_known(now_s)
        if is_known is None:
            # A timer until the rest is over: an idle watcher would keep the loop spinning.
            self._unwatch()
            self._watch(self._rested_s - _EARLY_S - now_s, with_idle=False)
            return
        idle.start(self._give)
        late.again(self._give)
        self._began_s, self._was_unknown = now_s, not is_known
        queues = self._queues[is_known]
        name, queue = next(iter(queues.items()))
        turn = queue.popleft()
        self.waiting -= 1
        if queue:
            queues.move_to_end(name)
        else:
            del queues[name]
        turn.set(None)

    def _must_rest(self, now_s: float) -> bool:
        return now_s < self._rested_s - _EARLY_S

    def _is_next_known(self, now_s: float) -> bool | None:
        """Whether the next turn is a known sender's; None if only resting unknown senders wait."""
        has_known = bool(self._queues[True])
        has_unknown = bool(self._queues[False]) and not self._must_rest(now_s)
        if has_known and has_unknown:
            self._is_turn_of_known = not self._is_turn_of_known
            return not self._is_turn_of_known
        return has_known if has_known or has_unknown else None


def _too_many() -> RateLimited:
    return RateLimited("Too many requests wait here already. Try again in a moment.", retry_after=5)
