"""The services of one process, made from the settings: what the routes and commands work with.

Wiring only: construction, and the order of start and end.
"""

from __future__ import annotations

import logging

import gevent

from occupancy.access.authenticator import Authenticator
from occupancy.access.invitation import Invitation
from occupancy.access.links import Links
from occupancy.access.login_throttle import LoginThrottle
from occupancy.access.pins import PinHasher
from occupancy.access.read_turns import KnownAddresses, ReadTurns
from occupancy.access.sessions import Sessions
from occupancy.access.sign_in import SignIn
from occupancy.access.stations.badge import Badges
from occupancy.access.stations.station import Stations
from occupancy.access.tickets import Tickets
from occupancy.access.tokens import Tokens
from occupancy.access.workers import Workers
from occupancy.boards.commands import Bounds
from occupancy.boards.holder_names import HolderNames
from occupancy.boards.reconcile import reconcile_at_start
from occupancy.boards.removal import Removal
from occupancy.boards.store import Store
from occupancy.core.errors import OccupancyError
from occupancy.core.keys import Keys
from occupancy.core.recording import Recording
from occupancy.core.settings import Settings
from occupancy.live.hub import Hub
from occupancy.live.limits import StreamLimits
from occupancy.live.reader import PROBE_S, SILENCE_S
from occupancy.live.revocation import Revocation
from occupancy.observability.audit_limit import AuditLimit
from occupancy.observability.audit_outbox import AuditOutbox
from occupancy.observability.audit_trail.reader import AuditReader
from occupancy.observability.audit_trail.trail import AuditTrail
from occupancy.observability.metrics import Metrics
from occupancy.observability.periodic import PeriodicTasks
from occupancy.observability.process_report import ProcessReport
from occupancy.observability.processes import Processes, process_name
from occupancy.observability.promotions import Promotions
from occupancy.observability.public_figures import PublicFigures
from occupancy.observability.repeated_warnings import RepeatedWarnings
from occupancy.observability.servers import Servers
from occupancy.storage import confirmation, public_url
from occupancy.storage.budget import Budget, plan
from occupancy.storage.connections import database_of
from occupancy.storage.topology.factory import topology_of
from occupancy.storage.topology.misdirection import log_misdirection
from occupancy.storage.topology.shard import Topology
from occupancy.tables.uploads import Uploads

log = logging.getLogger(__name__)


class Services:
    """The parts of one process. Construction connects to nothing."""

    def __init__(self, settings: Settings, topology: Topology) -> None:
        self.settings = settings
        self.budget: Budget = plan(settings)
        self.topology = topology
        keys = Keys(settings.prefix, database_of(settings), is_sharded=topology.is_sharded)
        client = topology.client
        client.on_refused_publications = self._on_refused_publications
        access_writes = confirmation.for_access(client, settings)

        # Observability
        self.metrics = Metrics()
        self.audit_trail = AuditTrail(client, keys, writes=access_writes)
        self.audit_reader = AuditReader(client, keys)
        self.audit_limit = AuditLimit(self.audit_trail.record_soon)
        self.audit_outbox = AuditOutbox(client, keys, self.audit_trail)
        self.repeated_warnings = RepeatedWarnings()
        self.process_name = process_name()
        self.servers = Servers(topology, keys, self.budget.limit)
        self.processes = Processes(client, keys, self.servers)
        self.promotions = Promotions(client, keys, self.metrics, process=self.process_name)
        self.periodic_tasks = PeriodicTasks()
        self.public_figures = PublicFigures(client, self.processes, self.servers, self.metrics)

        # Access
        self.authenticator = Authenticator(client, keys)
        forget = self.authenticator.forget
        self.workers = Workers(client, keys, forget, writes=access_writes)
        self.tokens = Tokens(client, keys, self.workers, forget, writes=access_writes)
        self.badges = Badges(client, keys, self.workers, forget, writes=access_writes)
        self.stations = Stations(client, keys, forget, writes=access_writes)
        self.links = Links(access_writes, keys, self.workers)
        self.invitation = Invitation(client, keys, self.workers, self.links, settings.public_url)
        self.pin_hasher = PinHasher()
        self.sessions = Sessions(
            client, keys, writes=access_writes, audit_trail=self.audit_trail, on_changed=forget,
            idle_s=settings.session_idle_s, max_s=settings.session_max_s,
        )  # fmt: skip
        self.sign_in = SignIn(
            self.sessions, self.workers, links=self.links, badges=self.badges,
            pin_hasher=self.pin_hasher, login_throttle=LoginThrottle(client, keys),
            audit_trail=self.audit_trail, audit_limit=self.audit_limit,
        )  # fmt: skip
        self.tickets = Tickets(
            client, keys, writes=access_writes, per_caller=settings.streams_per_caller
        )
        self.read_turns = ReadTurns()
        self.known_addresses = KnownAddresses()

        # Boards
        bounds = Bounds(
            log_entries=settings.log_entries, log_bytes=settings.log_bytes,
            history_entries=settings.history_entries, history_bytes=settings.history_bytes,
        )  # fmt: skip
        operations = confirmation.for_operations(client, settings)
        self.store = Store(client, keys, bounds, writes=operations)
        self.uploads = Uploads(client, keys)
        self.holder_names = HolderNames(self.store, self.workers.get)
        self.workers.on_renamed = self.holder_names.follow
        self.removal = Removal(
            self.store, writes=operations, revoke_credentials=self._revoke_of_board,
            sweep_recording=self.audit_trail.recording,
        )  # fmt: skip

        # Live delivery
        self.revocation = Revocation(self.authenticator)
        self.stream_limits = StreamLimits(
            per_caller=settings.streams_per_caller, per_process=settings.streams_per_process
        )
        self.hub = Hub(
            self.store.log, topology, keys, self.metrics.live,
            process=self.process_name, on_access_changed=self.revocation.on_announcement,
            on_probe=self.periodic_tasks.run, promotions=self.promotions,
        )  # fmt: skip
        self.process_report = ProcessReport(
            self.processes, self.metrics, self.budget, topology,
            process=self.process_name, stream_figures=self.hub.figures,
            troubles=self.hub.troubles, promotions=self.promotions,
        )  # fmt: skip
        self.periodic_tasks.tasks = [
            self.process_report.publish,
            # Second: a failure in the rest, perhaps on one board, must not delay it.
            self._follow_failovers,
            self.promotions.record,
            self.audit_outbox.record,
            self.audit_trail.flush,
            self.store.permissions.refresh,
            self.holder_names.settle,
            self.store.boards.index.mend,
            self.removal.resume,
        ]

    @classmethod
    def for_web(cls, settings: Settings) -> Services:
        """For a process of the web server. Raises SettingError."""
        return cls(settings, topology_of(settings, plan(settings), silence_s=SILENCE_S + PROBE_S))

    @classmethod
    def for_command_line(cls, settings: Settings) -> Services:
        """For one command: a single connection to each server, out of the reserved ones.

        Raises SettingError.
        """
        return cls(settings, topology_of(settings, plan(settings), is_command_line=True))

    def start(self) -> None:
        """Begin to follow Redis, and run the checks of a start in the background."""
        self.topology.start()
        public_url.write(self.settings)
        self.hub.start()
        if self.settings.engine == "single":  # the others find out by themselves
            gevent.spawn(log_misdirection, self.store.client, gevent.sleep)
        gevent.spawn(reconcile_at_start, self.store, gevent.sleep)
        gevent.spawn(self.process_report.check_max_clients)
        gevent.spawn(self.invitation.print_if_needed)

    def drain(self) -> None:
        """Release everything before the process ends.

        Idle connections first: the processes that replace this one may be waiting for their slots.
        """
        for shard in self.topology.shards():
            shard.ops_pool.drain()
        self.hub.drain()
        self.revocation.stop()
        self.removal.stop()
        self.audit_limit.flush()
        self.audit_trail.flush_at_the_end()
        self.repeated_warnings.flush()
        try:
            self.process_report.withdraw()
            self.invitation.withdraw()
        except OccupancyError as error:
            log.info("the process's report is not withdrawn: %s", error)  # it expires by itself

    def close(self) -> None:
        """Close every connection at once."""
        self.topology.stop()

    def _revoke_of_board(self, board: str, recording: Recording) -> None:
        self.tokens.revoke_of_board(board, recording)
        self.stations.revoke_of_board(board, recording)

    def _follow_failovers(self) -> None:
        for shard in self.topology.shards():
            shard.pubsub_pool.follow(shard.ops_pool)

    def _on_refused_publications(self, count: int) -> None:
        self.metrics.live.refused.inc(count)
        self.repeated_warnings.error(
            "publication refused",
            "the server refuses to publish, so events are late: our user lacks permission for "
            "channels; `flask redis check` names them",
        )
