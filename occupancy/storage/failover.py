"""Failover of the live connection: it moves when operations have moved to another server."""

from __future__ import annotations

from occupancy.storage.pool import FairPool


class LiveFailover:
    """Keeps ``pubsub_pool`` connected to the server that ``ops_pool`` is connected to."""

    def __init__(self, ops_pool: FairPool, pubsub_pool: FairPool) -> None:
        self._ops_pool = ops_pool
        self._pubsub_pool = pubsub_pool
        self._generation = ops_pool.generation  # at the last move

    def follow(self) -> None:
        """Reconnect the live connection if operations have moved to another server.

        To be called after a successful write: operations lead to the primary then, so a new
        connection does too. The old server may be a replica that gets no publications. A canary
        that arrives by the new connection hides no gap: the feeds read the log after a reconnect.
        """
        if self._generation != self._ops_pool.generation:
            self._pubsub_pool.hang_up()
            # After hang_up, which raises the generation too if one pool serves both.
            self._generation = self._ops_pool.generation
