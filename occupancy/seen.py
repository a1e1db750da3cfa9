"""Seen addresses: where somebody who is known has asked since this process began.

Whoever signs in shows nothing yet, so they are a stranger. In a flood of strangers they get in all
the same at an address where others of the plant are known: their walls and tablets ask all the
time, from behind the same one.
"""

from __future__ import annotations

import collections

_MOST = 4096


class SeenAddresses:
    """The latest of one worker process."""

    def __init__(self) -> None:
        self._seen: collections.OrderedDict[str, None] = collections.OrderedDict()

    def add(self, address: str) -> None:
        self._seen[address] = None
        self._seen.move_to_end(address)
        if len(self._seen) > _MOST:
            self._seen.popitem(last=False)

    def __contains__(self, address: str) -> bool:
        return address in self._seen
