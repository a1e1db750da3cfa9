"""gunicorn's configuration, which ``occupancy serve`` names.

That is ``gunicorn -c python:occupancy.server.gunicorn_config occupancy.wsgi:app``. In a checkout
``gunicorn wsgi:app`` reads it too, through gunicorn.conf.py. The hooks only call: ``master.py`` has
what the master does for all processes, and ``worker.py`` begins what a process does. gunicorn
imports this module once: like every module of the master, it stays over a reload.
"""

from __future__ import annotations

from typing import Any

from occupancy.observability import log_lines
from occupancy.server.master import MASTER, max_connections, read_settings

settings = read_settings()

_host = f"[{settings.host}]" if ":" in settings.host else settings.host  # IPv6
bind = f"{_host}:{settings.port}"
workers = settings.processes
worker_class = "occupancy.server.worker.GunicornWorker"
worker_connections = max_connections()
keepalive = 5
timeout = 30
graceful_timeout = 9  # streams are drained long before; a process is gone within 10 s
loglevel = settings.log_level
logger_class = log_lines.Logger
# No header of a request is believed here, whatever FORWARDED_ALLOW_IPS says and also on a Unix
# socket, whose peers gunicorn trusts: OCCUPANCY_PROXIES says what the application believes.
forwarded_allow_ips = ""
secure_scheme_headers: dict[str, str] = {}
forwarder_headers = ""
header_map = "drop"  # X_Forwarded_For would become the same variable as X-Forwarded-For
control_socket_disable = True  # it would open a socket in the home directory
preload_app = False


def on_starting(server: Any) -> None:
    MASTER.start(server)


def on_exit(server: Any) -> None:
    MASTER.stop()


def pre_fork(server: Any, worker: Any) -> None:
    MASTER.before_fork(worker)


def post_fork(server: Any, worker: Any) -> None:
    worker.leave_master(MASTER.loads)


def post_worker_init(worker: Any) -> None:
    worker.start_process()


def worker_exit(server: Any, worker: Any) -> None:
    if worker.process is not None:  # it may have failed before
        worker.process.join()


def child_exit(server: Any, worker: Any) -> None:
    MASTER.after_exit(worker)
