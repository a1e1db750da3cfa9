"""The parts of another process of the deployment, over the connections of this one."""

from __future__ import annotations

from occupancy.access.stations.badge import Badges
from occupancy.access.stations.station import Stations
from occupancy.access.tokens import Tokens
from occupancy.access.workers import Workers
from occupancy.boards.commands import Bounds
from occupancy.boards.store import Store
from occupancy.core.keys import Keys
from occupancy.services import Services

MIB = 1024**2
_LARGE = {
    "log_entries": 100_000, "log_bytes": 64 * MIB,
    "history_entries": 1_000, "history_bytes": MIB,
}  # fmt: skip


def store_elsewhere(store: Store, bounds: Bounds | None = None) -> Store:
    """A store that has seen no board yet, with the same bounds or others."""
    return Store(
        store.client, store.keys, bounds or store.commands.bounds, writes=store.client
    )  # fmt: skip


def bounded(services: Services, **bounds: int) -> Store:
    """The store with small ``bounds`` on what it keeps; the others are large."""
    return store_elsewhere(services.store, Bounds(**{**_LARGE, **bounds}))


def workers_elsewhere(services: Services, keys: Keys | None = None) -> Workers:
    """The same workers, as another process changes them."""
    client = services.store.client
    return Workers(client, keys or services.store.keys, lambda _: None, writes=client)


def badges_elsewhere(services: Services, keys: Keys | None = None) -> Badges:
    """The same badges, as another process changes them."""
    client, keys = services.store.client, keys or services.store.keys
    workers = workers_elsewhere(services, keys)
    return Badges(client, keys, workers, lambda _: None, writes=client)


def stations_elsewhere(services: Services, keys: Keys | None = None) -> Stations:
    """The same stations, as another process changes them."""
    client = services.store.client
    return Stations(client, keys or services.store.keys, lambda: None, writes=client)


def tokens_elsewhere(services: Services, keys: Keys | None = None) -> Tokens:
    """The same tokens, as another process changes them."""
    client, keys = services.store.client, keys or services.store.keys
    workers = workers_elsewhere(services, keys)
    return Tokens(client, keys, workers, lambda _: None, writes=client)
