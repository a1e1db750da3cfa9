"""The services of one process: what the routes and the command line work with."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import sys
from typing import Any

import gevent

from occupancy.access.authenticator import Authenticator
from occupancy.access.known_addresses import KnownAddresses
from occupancy.access.pins import PinHasher
from occupancy.access.read_turns import ReadTurns
from occupancy.access.sessions import Sessions
from occupancy.access.tickets import Tickets
from occupancy.access.tokens import Tokens
from occupancy.access.workers import Workers
from occupancy.boards.commands import Bounds
from occupancy.boards.holder_names import HolderNames
from occupancy.boards.reconcile import reconcile_at_start
from occupancy.boards.store import Store
from occupancy.core.errors import OccupancyError
from occupancy.core.keys import Keys
from occupancy.core.settings import Settings
from occupancy.live.hub import Hub
from occupancy.live.limits import StreamLimits
from occupancy.live.reader import PROBE_S, SILENCE_S
from occupancy.live.revocation import Revocation
from occupancy.observability import audit_log
from occupancy.observability.audit_limit import LimitedAudit
from occupancy.observability.audit_outbox import AuditOutbox
from occupancy.observability.metrics import Metrics
from occupancy.observability.processes import Processes, Told, process_name
from occupancy.observability.public_figures import PublicFigures
from occupancy.observability.repeated_warnings import RepeatedWarnings
from occupancy.storage.budget import Budget, Slots, plan
from occupancy.storage.client import OpsClient, database_of, make_pool
from occupancy.storage.pool import FairPool

log = logging.getLogger(__name__)


class Services:
    """Store, access, hub and their pools, made from the settings. Nothing connects yet."""

    def __init__(self, settings: Settings, ops_pool: FairPool, pubsub_pool: FairPool) -> None:
        self.settings = settings
        self.budget: Budget = plan(settings)
        self.ops_pool = ops_pool
        self.pubsub_pool = pubsub_pool
        keys = Keys(settings.prefix, database_of(settings))
        client = OpsClient(connection_pool=ops_pool)
        self.metrics = Metrics()
        self.authenticator = Authenticator(client, keys)
        forget = self.authenticator.forget
        self.pin_hasher = PinHasher()
        self.workers = Workers(client, keys, forget)
        self.tokens = Tokens(client, keys, self.workers, forget)
        self.audit = LimitedAudit()
        self.repeated_warnings = RepeatedWarnings()
        self.audit_outbox = AuditOutbox(client, keys)
        self.sessions = Sessions(
            client, keys, self.workers, self.pin_hasher, denials=self.audit, on_changed=forget,
            idle_s=settings.session_idle_s, max_s=settings.session_max_s,
        )  # fmt: skip
        self.tickets = Tickets(client, keys, per_caller=settings.streams_per_caller)
        self.revocation = Revocation(self.authenticator)
        self.read_turns = ReadTurns()
        self.known_addresses = KnownAddresses()
        self.stream_limits = StreamLimits(
            per_caller=settings.streams_per_caller, per_process=settings.streams_per_process
        )
        bounds = Bounds(
            log_entries=settings.log_entries, log_bytes=settings.log_bytes,
            history_entries=settings.history_entries, history_bytes=settings.history_bytes,
        )  # fmt: skip
        self.store = Store(client, keys, bounds)
        self.renames = HolderNames(self.store, self.workers.get)
        self.workers.on_renamed = self.renames.follow
        client.on_refused_publications = self._note_refused
        self.processes = Processes(client, keys)
        self.public_figures = PublicFigures(client, self.processes, self.metrics)
        self.name = process_name()
        self._url_file = settings.state_path / "url"
        self._run = f"{socket.gethostname()}-{os.getppid()}"
        self._has_invited = False
        self._live_generation = ops_pool.generation  # when live delivery was last moved
        self.write_failure: str | None = None  # of the last report; operations write as well
        self.hub = Hub(
            self.store.log, client, pubsub_pool, keys, self.metrics.live,
            process=self.name, on_access_changed=self.revocation.on_announcement,
            on_probe=self._report,
        )  # fmt: skip

    @classmethod
    def for_web(cls, settings: Settings) -> Services:
        """For a worker process of the web server. Raises SettingError."""
        budget = plan(settings)
        slots = Slots.for_workers(settings, budget)
        return cls(
            settings,
            make_pool(settings, slots, name="ops", size=budget.ops),
            make_pool(
                settings, slots, name="pubsub", size=budget.pubsub,
                silence_s=SILENCE_S + PROBE_S,
            ),
        )  # fmt: skip

    @classmethod
    def for_command_line(cls, settings: Settings) -> Services:
        """For one command: a single connection, out of the reserved ones. Raises SettingError."""
        slots = Slots.for_command_line(settings, plan(settings))
        pool = make_pool(settings, slots, name="cli", size=1)
        return cls(settings, pool, pool)

    @property
    def public_url(self) -> str:
        """The service's address, for links: as it is set, else as the web server has it.

        A command is often run in a shell that knows nothing of the server's PORT.
        """
        if not self.settings.url:
            with contextlib.suppress(OSError):
                return self._url_file.read_text().strip() or self.settings.public_url
        return self.settings.public_url

    def start(self) -> None:
        """Begin to follow Redis, and check in the background that what is stored agrees."""
        try:
            self._url_file.write_text(self.settings.public_url)
        except OSError as error:
            log.warning("links of the command line may name another address: %s", error)
        self.hub.start()
        gevent.spawn(reconcile_at_start, self.store, gevent.sleep)
        gevent.spawn(self._warn_of_few_connections)
        gevent.spawn(self._invite_first)

    def drain(self) -> None:
        """Let go of everything before the process ends.

        Idle connections first: the workers that come after may be waiting for their slots.
        """
        self.ops_pool.drain()
        self.hub.drain()
        self.revocation.stop()
        self.audit.flush()
        self.repeated_warnings.flush()
        try:
            self.processes.withdraw(self.name)
            if self._has_invited:
                self.sessions.withdraw_invitation(self._run)
        except OccupancyError as error:
            log.info("not signed off: %s", error)  # the report expires by itself

    def close(self) -> None:
        """Close every connection at once."""
        self.ops_pool.disconnect()
        self.pubsub_pool.disconnect()

    def figures(self) -> dict[str, Any]:
        """This process's part of the connection statistics."""
        return {
            "pid": os.getpid(),
            "process": self.name,
            "ops": self.ops_pool.stats(),
            "pubsub": {
                key: value
                for key, value in self.pubsub_pool.stats().items()
                if key in ("max", "in_use")
            },
            "streams": self.hub.figures(),
        }

    def connection_stats(self, told: Told | None = None) -> dict[str, Any]:
        """The budget, the server's count, and the figures of every worker process.

        ``told`` is what ``Processes.ask_store`` has answered, if it was asked already. The figures
        of this process are of this moment.
        """
        server, workers = told or self.processes.ask_store()
        return {
            "budget": {
                "limit": self.budget.limit,
                "workers": self.budget.processes,
                "nodes": self.budget.nodes,
                "reserved": self.budget.reserved,
            },
            "server": server,
            "workers": [
                self.figures() if each["process"] == self.name else each for each in workers
            ],
        }

    def _warn_of_few_connections(self) -> None:
        try:
            most = self.processes.server()["maxclients"]
        except OccupancyError as error:
            log.info("maxclients is not known: %s", error.__cause__ or error)
            return
        if most is not None and 0 < most < self.budget.limit:
            log.error(
                "the server takes %d connections and OCCUPANCY_REDIS_BUDGET is %d: raise "
                "maxclients or lower the budget",
                most,
                self.budget.limit,
            )

    def _invite_first(self) -> None:
        """Where there is no worker yet: print a link that lets an administrator in, once.

        One of the worker processes prints it, once for each start of their master. Where Redis
        comes up after them, it is asked until it says whether there is any worker.
        """
        secret = None
        while secret is None:
            try:
                if self.workers.is_any():
                    return
                if not self._has_invited and not self.sessions.claim_invitation(self._run):
                    return
                self._has_invited = True
                secret = self.sessions.create_link(None)
            except OccupancyError as error:
                log.info("whether there is any worker is not known: %s", error.__cause__ or error)
                gevent.sleep(PROBE_S)
        # To the terminal as it is: a log may be kept, and read by others.
        print(  # noqa: T201 - for who stands at the terminal
            "occupancy: nobody can sign in yet. Sign in as administrator, once, within the hour:\n"
            f"    {self.settings.public_url}/sign-in#{secret}\n"
            "or add a worker: .venv/bin/flask workers add ID --name NAME --role admin --pin",
            file=sys.stderr, flush=True,
        )  # fmt: skip

    def _note_refused(self, count: int) -> None:
        """Count publications that the server has refused, and log them."""
        self.metrics.live.refused.inc(count)
        self.repeated_warnings.error(
            "publication refused",
            "the server refuses to publish, so events are late: our user lacks rights to channels; "
            "`flask redis check` names them",
        )

    def _report(self) -> None:
        self.metrics.copy_pool("ops", self.ops_pool.stats())
        self.metrics.copy_pool("pubsub", self.pubsub_pool.stats())
        self.metrics.streams.set(self.hub.open_streams)
        try:
            self.processes.report(self.name, self.figures())
            # At once: a failure in what follows, on one board perhaps, must not put it off.
            self._move_live_delivery()
            for note in self.audit_outbox.take():
                audit_log.record(**note)
            self.store.permissions.refresh()
            self.renames.settle()
        except OccupancyError as error:
            self.write_failure = error.detail  # PING may still be answered, and reads served
            raise
        self.write_failure = None

    def _move_live_delivery(self) -> None:
        """Connect the live connection anew if operations have moved to another server.

        Called after a write has succeeded: operations lead to the primary by now, so a new
        connection does as well. The old server may be a replica that gets no publications. Canaries
        that arrive by the new connection hide nothing: the feeds read the log once it is there.
        """
        if self._live_generation != self.ops_pool.generation:
            self.pubsub_pool.hang_up()
            # After hang_up, which raises the generation too if one pool serves both.
            self._live_generation = self.ops_pool.generation
