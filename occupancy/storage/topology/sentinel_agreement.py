"""Which primary to follow, by what all Sentinels say.

The answer with the highest epoch counts: a Sentinel that was cut off from the others may name the
old primary for ever. A majority overrules it only where the known primary is gone.
"""

from __future__ import annotations

import collections
import logging
import time
from collections.abc import Sequence

from occupancy.core.server_url import Address
from occupancy.storage.topology.sentinel_answers import Answer, Primary, Trouble

log = logging.getLogger(__name__)

_SET_EPOCH = (
    "If the Sentinels were set up anew, stop them, write `sentinel config-epoch %s %d` below "
    "`sentinel monitor` into the configuration of each, and start them"
)
AGREEMENT_S = 3.0  # for which a majority must name another address before it overrules the epoch


class Agreement:
    """What each of ``sentinels`` said last of ``service``. No method has a switch point."""

    def __init__(self, sentinels: int, service: str) -> None:
        self.majority = sentinels // 2 + 1
        self.troubles: dict[Address, Trouble] = {}  # of those that do not answer now
        self._sentinels = sentinels
        self._service = service
        self._said: dict[Address, Primary | None] = {}  # by each at last; None: nothing
        self._answers: dict[Address, Answer] = {}  # of those that answer now
        self._agreed: tuple[Address, float] | None = None  # what a majority says, and since when
        self._has_warned = False  # of a majority that says something else
        self._lower_since: float | None = None  # a majority names the known primary by less
        self._has_warned_of_lower = False

    def take(self, address: Address, answer: Answer | Trouble) -> None:
        """Remember what the Sentinel at ``address`` says."""
        if isinstance(answer, Trouble):
            self._said[address], self.troubles[address] = None, answer
            self._answers.pop(address, None)
        else:
            self._said[address], self._answers[address] = answer.primary, answer
            self.troubles.pop(address, None)

    def replicas_of(self, primary: Primary | None) -> tuple[int, int] | None:
        """How many replicas a failover may choose, and how many there are; None if unknown.

        The highest numbers: to wait for fewer replicas than there are loses writes.
        """
        now = [each for each in self._answers.values() if each.primary == primary]
        if primary is None or not now:
            return None
        return max(each.replicas for each in now), max(each.known_replicas for each in now)

    def next_primary(
        self, known: Primary | None, *, unreached_since: float | None
    ) -> Primary | None:
        """The primary to follow from now on in place of ``known``; None if it stays.

        No connection to ``known`` has succeeded since ``unreached_since`` (monotonic).
        """
        said = [each for each in self._said.values() if each is not None]
        if not said:
            return None
        # Of two with the same epoch, which epochs that began anew may have, the one that more say.
        newest = max(said, key=lambda each: (each.epoch, said.count(each)))
        if known is not None:
            if newest.epoch > known.epoch:
                return newest
            self._check_epochs(said, known)
            return self._overruling(said, known, unreached_since)
        # The first may be the one that was cut off: it waits for others, or for their failures.
        is_enough = len(said) >= self.majority or len(self._said) == self._sentinels
        return newest if is_enough else None

    def _overruling(
        self, said: Sequence[Primary], known: Primary, unreached_since: float | None
    ) -> Primary | None:
        """The address that a majority names, if the known primary is gone for good.

        Epochs begin anew where the Sentinels are set up anew (SENTINEL REMOVE and MONITOR); then
        the highest epoch names a server of the past. Two conditions hold for AGREEMENT_S: a
        majority of all Sentinels of REDIS_URL names one other address, and no connection to the
        known one succeeds. Without the first, a minority that was cut off could take us back to an
        old primary. Without the second, a majority that has not yet heard of a promotion could; a
        new primary takes connections, so it is not left. If it dies at once, the Sentinels that
        know the old primary alone are the majority, and it is the server that they use.

        The incarnation does not go back: it stays the higher of the two epochs. So the Sentinel
        with the old answer does not lead back either. As long as the new epochs are not above it,
        each further failover takes this way too, some seconds later, and resets no streams.
        """
        address, votes = collections.Counter(each.address for each in said).most_common(1)[0]
        if votes < self.majority or address == known.address:
            self.begin_anew()
            return None
        now = time.monotonic()
        if self._agreed is None or self._agreed[0] != address:
            self._agreed = (address, now)
        if now - self._agreed[1] < AGREEMENT_S:
            return None
        if unreached_since is not None and now - unreached_since >= AGREEMENT_S:
            epochs = [each.epoch for each in said if each.address == address]
            return Primary(address, max(known.epoch, *epochs))
        if not self._has_warned:
            self._has_warned = True
            log.error(
                "most Sentinels name %s as the primary, by an epoch that is not above %d, which is "
                "that of %s; it still serves, so this process stays. " + _SET_EPOCH,
                address, known.epoch, known.address, self._service, known.epoch + 1,
            )  # fmt: skip
        return None

    def _check_epochs(self, said: Sequence[Primary], known: Primary) -> None:
        """Log once if a majority names the known primary by a lower epoch, for AGREEMENT_S.

        A Sentinel that has missed a failover learns the epoch from the others within seconds.
        """
        here = [each for each in said if each.address == known.address]
        lower = [each.epoch for each in here if each.epoch < known.epoch]
        if len(lower) < self.majority:
            self._lower_since, self._has_warned_of_lower = None, False
            return
        now = time.monotonic()
        if self._lower_since is None:
            self._lower_since = now
        if now - self._lower_since >= AGREEMENT_S and not self._has_warned_of_lower:
            self._has_warned_of_lower = True
            log.error(
                "most Sentinels name %s as the primary by epoch %d, but it was %d before: until "
                "their epochs pass that, failovers are followed late and reset no streams. "
                + _SET_EPOCH, known.address, max(lower), known.epoch,
                self._service, known.epoch,
            )  # fmt: skip

    def begin_anew(self) -> None:
        """Forget since when a majority names another address."""
        self._agreed, self._has_warned = None, False
