"""gunicorn's configuration: ``gunicorn wsgi:app`` reads it from the working directory.

The master never imports the application, flask or redis: a worker patches the standard library
when it begins, and what was imported before that would keep the unpatched parts.
"""

import gc
import os
import resource
import shutil
import sys

from occupancy.core.errors import OccupancyError
from occupancy.core.settings import Settings
from occupancy.observability import log_lines
from occupancy.server.accept_balancing import SLOTS, Loads
from occupancy.storage.budget import plan
from occupancy.storage.embedded.owner import Embedded


def _stop(detail):
    """End the start with one clear line instead of a traceback."""
    print(f"occupancy: {detail}", file=sys.stderr, flush=True)
    raise SystemExit(1)


try:
    settings = Settings.from_environ(os.environ)
except OccupancyError as error:
    _stop(error.detail)

_, _hard_limit = resource.getrlimit(resource.RLIMIT_NOFILE)
_MAX_FILES = 65536 if _hard_limit == resource.RLIM_INFINITY else min(_hard_limit, 65536)
_FILES_KEPT = 256  # for listeners, Redis, logs and metrics

_host = f"[{settings.host}]" if ":" in settings.host else settings.host  # IPv6
bind = f"{_host}:{settings.port}"
workers = settings.processes
worker_class = "occupancy.server.worker.Worker"  # gunicorn's gevent worker, see there
worker_connections = max(64, min(20_000, _MAX_FILES - _FILES_KEPT))
keepalive = 5
timeout = 30
graceful_timeout = 9  # streams are drained long before; a worker is gone within 10 s
loglevel = settings.log_level
logger_class = log_lines.Logger
# No header of a request is believed here, whatever FORWARDED_ALLOW_IPS says and also on a Unix
# socket, whose peers gunicorn trusts: OCCUPANCY_PROXIES says what the application believes.
forwarded_allow_ips = ""
secure_scheme_headers = {}
forwarder_headers = ""
header_map = "drop"  # X_Forwarded_For would become the same variable as X-Forwarded-For
control_socket_disable = True  # it would open a socket in the home directory
preload_app = False


def on_starting(server):
    if server.cfg.preload_app:
        _stop("--preload is not supported: the workers patch first and import then.")
    log_lines.install(settings.log_level)
    resource.setrlimit(resource.RLIMIT_NOFILE, (_MAX_FILES, _hard_limit))
    os.environ["WEB_CONCURRENCY"] = str(server.cfg.workers)  # -w on the command line counts too
    try:
        chosen = Settings.from_environ(os.environ)
        budget = plan(chosen)
        _prepare_metrics(chosen.state_path / "metrics")
        # Kept on the server object: a reload executes this file again and forgets its globals.
        server.embedded = Embedded.start(chosen) if chosen.is_embedded else None
        server.loads = Loads.shared()
    except OccupancyError as error:
        _stop(error.detail)
    except OSError as error:
        _stop(f"{settings.state_path} cannot be used: {error}. Set OCCUPANCY_STATE_DIR.")
    server.log.info(
        "Redis budget %d: %d workers with %d connections for operations and %d for streams each, "
        "twice while a reload overlaps them, and %d for the command line",
        budget.limit, budget.processes, budget.ops, budget.pubsub, budget.reserved,
    )  # fmt: skip


def on_exit(server):
    if getattr(server, "embedded", None) is not None:
        server.embedded.stop()
    shutil.rmtree(os.environ.get("PROMETHEUS_MULTIPROC_DIR", ""), ignore_errors=True)


def pre_fork(server, worker):
    Loads(server.loads).write(worker.age % SLOTS, 0)


def post_fork(server, worker):
    # A reload after an upgrade forks from a master that still has the old modules of the
    # package: the worker imports all of them anew, not half of them.
    for name in [name for name in sys.modules if name.partition(".")[0] == "occupancy"]:
        del sys.modules[name]

    # Until the worker serves, nearly all that it makes is there to stay: looking for garbage in
    # between would be a tenth of its start.
    gc.disable()

    from gevent import events
    from gunicorn.workers import ggevent

    from occupancy.server.accept_balancing import BalancedListener

    # gunicorn has no setting for the class of its gevent worker's server.
    BalancedListener.loads, BalancedListener.slot = Loads(server.loads), worker.age % SLOTS
    ggevent.StreamServer = BalancedListener
    # Patching, gevent asks 25 times whether some package has a plugin for it, and reads the
    # metadata of all installed packages each time. There is none for this server.
    events.notify_and_call_entry_points = events.notify


def post_worker_init(worker):
    import gevent

    from occupancy.live.socket_writer import SocketWriter
    from occupancy.observability import audit_log, log_lines
    from occupancy.server.accept_balancing import BalancedListener
    from occupancy.server.fast import path
    from occupancy.server.fast.auth_batcher import AuthBatcher

    def count_without_greenlet():
        return SocketWriter.open_count + AuthBatcher.waiting_count

    # Not in post_fork: strangers imports redis, and there nothing is patched yet.
    BalancedListener.count_without_greenlet = staticmethod(count_without_greenlet)
    log_lines.install(settings.log_level)
    audit_log.install()
    gevent.get_hub().print_exception = log_lines.log_failure
    services = worker.app.wsgi().extensions["occupancy"]
    # The rest of the places is for requests, health checks among them.
    services.stream_limits.limit_process(worker.cfg.worker_connections * 7 // 8)
    services.start()
    lane = path.FastPath(worker, services) if path.suits(worker) else None

    def drain_when_stopped():
        # gunicorn waits for its greenlets to end and then kills the process; nothing tells a
        # stream to end. alive turns false at TERM, HUP and max_requests.
        while worker.alive:
            gevent.sleep(0.1)
        BalancedListener.loads.write(BalancedListener.slot, None)
        # No switch point between the two: who comes after has a greenlet, which is waited for.
        if lane is not None:
            lane.leave()
        services.drain()

    worker.drainer = gevent.spawn(drain_when_stopped)
    # What is there now stays: the collector need not walk over it, now or later.
    gc.freeze()
    gc.enable()
    # Nothing here makes cycles that matter, and thousands of streams that come back together would
    # have it walk over them again and again.
    gc.set_threshold(10_000, 20, 20)


def worker_exit(server, worker):
    # gunicorn waits for its greenlets, and a live stream has none: its goodbye may be on its way.
    drainer = getattr(worker, "drainer", None)  # none, if it did not get so far
    if drainer is not None:
        drainer.join(timeout=5)


def post_request(worker, req, environ, resp):
    import gevent

    # A keep-alive connection whose next request has arrived already would never let the others
    # have their turn: measured p99 of 814 ms against 53 ms at 64 connections.
    gevent.sleep(0)


def child_exit(server, worker):
    # In the master, and so unpatched in the workers to come: it waits for nothing anyway.
    from prometheus_client import multiprocess

    multiprocess.mark_process_dead(worker.pid)
    Loads(server.loads).write(worker.age % SLOTS, None)


def _prepare_metrics(directory):
    """A directory of this master's own; those of masters that were killed go away."""
    own = directory / str(os.getpid())
    for each in directory.glob("*"):
        # Our own id may be left over from a killed master: a container's ids repeat at each start.
        if each == own or (each.name.isdigit() and not _is_running(int(each.name))):
            shutil.rmtree(each, ignore_errors=True)
    own.mkdir(parents=True, exist_ok=True)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(own)


def _is_running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        return True
    return True
