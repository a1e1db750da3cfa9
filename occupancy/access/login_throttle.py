"""The login throttle: how often a PIN may be tried.

Guessing must be slow, and a guesser must not lock others out. Three counts in one script
(count_attempt.lua), each with a wait of at most five minutes:

* a worker's failures from one address: three are free, then 2 s, 4 s, 8 s …
* a worker's failures from everywhere: twenty are free. Addresses from which the worker has signed
  in within the last month are exempt: nobody elsewhere can lock out the worker's own tablet.
* an address's attempts for all workers: a hundred, and one more a minute.

An unknown badge counts for its station in place of a worker, and for the address. Ten are free at a
station, because any unknown label is tried as a badge too; after that the same waits follow.

A right attempt takes back itself and nothing else: a guesser at the same address gains nothing from
the worker's own sign-ins. Failures expire an hour after the last one. The counts are in Redis,
because a guesser may try every process. The replicas do not confirm them: a failover may take back
the attempts of its last moments, some guesses of thousands, and a guesser cannot bring one about.
"""

from __future__ import annotations

from collections.abc import Sequence

from occupancy.core.errors import RateLimited
from occupancy.core.keys import Keys
from occupancy.storage.client import OpsClient
from occupancy.storage.scripts import Script

FREE_OF_PAIR, FREE_OF_WORKER = 3, 20
FREE_OF_STATION = 10  # unknown badges
MAX_PIN_WAIT_S = 300
ADDRESS_ATTEMPTS = 100  # a whole shift may sign in at once, from behind one address
ADDRESS_INTERVAL_S = 60
_FORGOTTEN_S = 3600
_MAX_HOME_ADDRESSES = 20
_ADDRESS_KNOWN_S = 30 * 86400


class LoginThrottle:
    """Methods raise PoolTimeout or StoreUnavailable: without Redis no PIN is tried at all."""

    def __init__(self, client: OpsClient, keys: Keys) -> None:
        self._client = client
        self._keys = keys
        self._count_attempt = Script(client, "access/count_attempt")
        self._clear_attempt = Script(client, "access/clear_attempt")

    def count_attempt(
        self, worker_id: str, address: str, *, free_of_pair: int = FREE_OF_PAIR,
        free_of_worker: int = FREE_OF_WORKER, what: str = "wrong PINs",
    ) -> Sequence[int]:  # fmt: skip
        """Count an attempt, before the PIN is checked. Returns what ``clear_attempt`` needs.

        ``what`` names the attempts in the refusal.

        Raises RateLimited, with the same text whether there is such a worker or not.
        """
        wait_ms, *counted = self._count_attempt.run(
            self._keys.attempts(worker_id, address),
            [
                address, free_of_pair, free_of_worker, MAX_PIN_WAIT_S * 1000, ADDRESS_ATTEMPTS,
                ADDRESS_INTERVAL_S * 1000, _FORGOTTEN_S * 1000, _ADDRESS_KNOWN_S,
            ],
        )  # fmt: skip
        if wait_ms:
            wait_s = -(-wait_ms // 1000)
            raise RateLimited(
                f"Too many {what}. Wait {wait_s} s and try again, or ask an administrator.",
                retry_after=wait_s,
            )
        return tuple(counted)

    def clear_attempt(self, worker_id: str, address: str, counted: Sequence[int]) -> None:
        """Take back a right attempt; ``counted`` is what ``count_attempt`` returned for it."""
        self._clear_attempt.run(
            self._keys.attempts(worker_id, address),
            [address, ADDRESS_INTERVAL_S * 1000, _MAX_HOME_ADDRESSES, _ADDRESS_KNOWN_S, *counted],
        )

    def is_known(self, worker_id: str, address: str) -> bool:
        """Whether the worker has signed in from that address within the last month."""
        (now_s, _), signed_in_s = self._client.run_pipeline(
            lambda pipeline: (
                pipeline.time(),
                pipeline.zscore(self._keys.attempts(worker_id, address)[3], address),
            )
        )
        return signed_in_s is not None and now_s - signed_in_s < _ADDRESS_KNOWN_S
