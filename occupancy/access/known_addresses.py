"""Seen addresses: those that known callers have used since this process began.

A sign-in carries no credential yet, so it counts as a stranger's request. During a flood of
strangers it still gets a turn at an address that known callers use: a plant's walls and tablets
send requests all the time from behind the same address.
"""

from __future__ import annotations

import collections

_MOST = 4096


class KnownAddresses:
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
