"""The product as one of the systems: the real deployment with a Valkey of its own.

Its data is set up through the store of this tree, also where another version of the product
serves it: stored data is compatible between versions, and nothing of the other one is imported. An
event whose content is the benchmark's choice is published as an operation publishes its own: the
log, the cursor and the publication in one script.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import redis

from bench import wire
from bench.cpu_quota import UNLIMITED, CpuQuota
from bench.server import BOARD, ROOT, Gunicorn, Valkey
from occupancy.core.entities import Person, Role
from occupancy.core.keys import Keys
from occupancy.core.settings import Settings
from occupancy.core.transitions import PUT
from occupancy.services import Services

_WORKER = Person("bench", "Bench")
# As operate/record.lua records and publishes an event.
_PUBLISH = """
local previous = redis.call('HGET', KEYS[1], 'cursor') or '0-0'
local seq = redis.call('HINCRBY', KEYS[1], 'seq', 1)
local cursor = redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[3], '*',
  'seq', seq, 'event', ARGV[1])
redis.call('HSET', KEYS[1], 'cursor', cursor)
redis.call('PUBLISH', ARGV[2], previous .. ' ' .. cursor .. ' ' .. seq .. ' ' .. ARGV[1])
"""


class Product:
    """See :class:`bench.peers.Peer`. Without ``is_served`` it starts at :meth:`serve`.

    ``root`` is the checkout whose server is measured.
    """

    name = "product"
    live_line = b"event: ready"

    def __init__(
        self, directory: Path, *,
        processes: int = 1, items: int = 0, budget: int = 50, valkey_options: Sequence[str] = (),
        is_served: bool = True, root: Path = ROOT, quota: CpuQuota = UNLIMITED,
    ) -> None:  # fmt: skip
        self.root, self.quota = root, quota
        self._directory = directory
        self._gunicorn: Gunicorn | None = None
        self.valkey = Valkey(directory, valkey_options, quota=quota)
        self.settings = Settings(
            redis_url=self.valkey.url, prefix=f"bench-{secrets.token_hex(4)}",
            state_dir=str(directory / "state"), redis_budget=budget,
        )  # fmt: skip
        self.keys = Keys(self.settings.prefix).board(BOARD)
        self._publisher: redis.Redis | None = None
        try:
            self.token, self.tags = self._set_up(items)
            if is_served:
                self.serve(processes)
        except BaseException:
            self.stop()
            raise

    def serve(self, processes: int) -> None:
        """Start the server with that many processes."""
        log_path = self._directory / "gunicorn.log"
        self._gunicorn = Gunicorn(
            self.settings, processes, log_path, root=self.root, quota=self.quota
        )

    @property
    def port(self) -> int:
        assert self._gunicorn is not None
        return self._gunicorn.port

    @property
    def server_pids(self) -> list[int]:
        assert self._gunicorn is not None
        return self._gunicorn.process_pids

    @property
    def pids(self) -> list[int]:
        return [*self.server_pids, self.valkey.pid]

    @property
    def events_request(self) -> bytes:
        return wire.events_request(self.port, self.token, BOARD)

    @property
    def browsers_events_request(self) -> bytes:
        """The bytes that open a stream as browsers do, which accept compression."""
        accepted = "Accept-Encoding: gzip, deflate, br, zstd"
        return wire.events_request(self.port, self.token, BOARD, accepted)

    def new_token_requests(self, count: int) -> bytes:
        """The bytes that open that many streams, each with a new token of its own."""
        services = Services.for_command_line(self.settings)
        try:
            tokens = [services.tokens.create(_WORKER.id)[0] for _ in range(count)]
        finally:
            services.close()
        return b"".join(wire.events_request(self.port, each, BOARD) for each in tokens)

    def operation_request(self, tag: str, operation: str) -> bytes:
        """The bytes of one operation."""
        return wire.operation_request(self.port, self.token, BOARD, tag, operation)

    def items_request(self, gzip: bool, known: str = "") -> bytes:
        """The bytes that ask for the whole board; ``known`` is the ETag of a previous answer."""
        headers = ["Accept-Encoding: gzip"] if gzip else []
        headers += [f"If-None-Match: {known}"] if known else []
        return wire.items_request(self.port, self.token, BOARD, *headers)

    def seq(self) -> int:
        """The number of the board's last event."""
        with self.valkey.client() as client:
            found: Any = client.hget(self.keys.board, "seq")
        return int(found or 0)

    def publish(self, data: bytes) -> None:
        if self._publisher is None:
            self._publisher = self.valkey.client()
            self._publish = self._publisher.register_script(_PUBLISH)
        keys = [self.keys.board, self.keys.log]
        self._publish(keys=keys, args=[data, self.keys.channel, self.settings.log_entries])

    def stop(self) -> None:
        if self._publisher is not None:
            self._publisher.close()
        if self._gunicorn is not None:
            self._gunicorn.stop()
        self.valkey.stop()

    def _set_up(self, items: int) -> tuple[str, list[str]]:
        """Create the board with its items, and a worker; returns its token and the tags."""
        services = Services.for_command_line(self.settings)
        try:
            tags = [f"SPOOL-{number:05d}" for number in range(items)]
            services.store.boards.create(BOARD)
            rows = (
                (tag, {"title": f'"Spool {tag}"', "attributes": '{"area":"B2"}'}) for tag in tags
            )
            for outcome in services.store.commands.put_many(BOARD, rows, actor=_WORKER):
                if outcome.code != "added":
                    raise RuntimeError(f"{PUT.operation} of {outcome.tag}: {outcome.code}")
            services.workers.add(_WORKER.id, name=_WORKER.name, role=Role.WORKER)
            token, _ = services.tokens.create(_WORKER.id)
            return token, tags
        finally:
            services.close()
