"""The store: everything that reads and changes boards, over one client.

One object, because the command line, the import, the demo and the reconciliation work with several
of its parts; handing each of them four or five arguments took more lines than this.
"""

from __future__ import annotations

from occupancy.boards.catalog.boards import Boards
from occupancy.boards.catalog.index import BoardIndex
from occupancy.boards.commands import Bounds, Commands
from occupancy.boards.history.timeline import Timelines
from occupancy.boards.history.workday import Workdays
from occupancy.boards.log import Log
from occupancy.boards.queries import Queries
from occupancy.boards.snapshot_cache import SnapshotCache
from occupancy.core.keys import Keys
from occupancy.storage.client import OpsClient
from occupancy.storage.permissions import Permissions


class Store:
    """The parts; safe to share between greenlets."""

    def __init__(self, client: OpsClient, keys: Keys, bounds: Bounds, *, writes: OpsClient) -> None:
        """``writes`` is the client for changes, which confirms them in strict mode."""
        self.client = client
        self.keys = keys
        self.permissions = Permissions(client, keys)
        index = BoardIndex(client, keys)
        self.boards = Boards(client, keys, index, writes=writes)
        self.commands = Commands(writes, keys, self.permissions, bounds, index)
        self.log = Log(client, keys, index)
        self.queries = Queries(client, keys, self.log)
        self.snapshot_cache = SnapshotCache(self.queries, self.log)
        self.timelines = Timelines(client, keys)
        self.workdays = Workdays(client, keys, self.log, self.queries)
