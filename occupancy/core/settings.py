"""Settings: one frozen object, read once from the environment; a wrong value stops the start.

Each field has its environment variable, its bounds and its line of help in the README, which a
test compares with this table. Of the package, this module imports only errors and URLs,
because gunicorn's master reads it before anything is monkey-patched.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from occupancy.core import server_url
from occupancy.core.errors import SettingError

_DATABASE = re.compile(r"(/[0-9]*)?\Z")
# The only form that browsers send (WHATWG HTML, "ASCII serialization of an origin"): lower case,
# IPv6 in brackets, no path, no default port.
_ORIGIN = re.compile(r"https?://(?:[a-z0-9_.-]+|\[[0-9a-f:.]+\])(?::[1-9][0-9]{0,4})?")
_HOST_NAME = re.compile(r"[a-z0-9_.-]+|\[[0-9a-f:.]+\]|\*")
_BOOLEANS = {"1": True, "true": True, "0": False, "false": False}
IS_CHECKOUT = (Path(__file__).parents[2] / "gunicorn.conf.py").is_file()  # and not installed by pip
COMMAND = ".venv/bin/flask" if IS_CHECKOUT else "occupancy"  # as a person types it
_MAX_UNIX_PATH_BYTES = 100  # sun_path holds 104 (macOS) or 108 (Linux) bytes with its final NUL


def _setting(
    env: str, default: Any, *, text: str, low: float | None = None, high: float | None = None
) -> Any:
    metadata = {"env": env, "help": text, "low": low, "high": high}
    return dataclasses.field(default=default, metadata=metadata)


@dataclasses.dataclass(frozen=True)
class Settings:
    """All settings of a deployment. Build it with :meth:`from_environ`."""

    # fmt: off
    redis_url: str = _setting("REDIS_URL", "",
        text="server to use: `redis://`, `rediss://`, `unix://`, `redis+sentinel://` or "
        "`redis+cluster://`; empty: the embedded Valkey")
    redis_addresses: tuple[str, ...] = _setting("OCCUPANCY_REDIS_ADDRESSES", (),
        text="where to find servers behind a translation of addresses: what each announces to its "
        "Sentinels or its Cluster, `=`, and where to connect, separated by commas; empty: where "
        "they say")
    port: int = _setting("PORT", 8000, low=1, high=65535,
        text="TCP port of the web server; when it is set, the server listens on all addresses")
    host: str = _setting("OCCUPANCY_HOST", "",
        text="address to listen on; empty: `0.0.0.0` if `PORT` is set, else loopback")
    processes: int = _setting("WEB_CONCURRENCY", 2, low=1, high=64,
        text="processes on this machine")
    nodes: int = _setting("OCCUPANCY_NODES", 1, low=1, high=64,
        text="machines that share the server and its budget")
    redis_budget: int = _setting("OCCUPANCY_REDIS_BUDGET", 50, low=1, high=100_000,
        text="connections that the whole deployment may open")
    redis_reserved: int = _setting("OCCUPANCY_REDIS_RESERVED", 2, low=1, high=64,
        text="connections of the budget kept for the command line, on each machine")
    ops_pool_size: int = _setting("OCCUPANCY_OPS_POOL_SIZE", 0, low=0, high=1000,
        text="connections for operations per process; 0: derived from the budget")
    pubsub_pool_size: int = _setting("OCCUPANCY_PUBSUB_POOL_SIZE", 1, low=1, high=1000,
        text="connections for live delivery per process (one is used)")
    pool_wait_s: float = _setting("OCCUPANCY_POOL_WAIT_S", 5.0, low=0.01, high=60,
        text="how long an operation waits in turn for a connection, in seconds")
    redis_timeout_s: float = _setting("OCCUPANCY_REDIS_TIMEOUT_S", 3.0, low=0.05, high=60,
        text="how long to wait for the server to accept or to answer, in seconds")
    confirm_replicas: int = _setting("OCCUPANCY_CONFIRM_REPLICAS", 0, low=0, high=10,
        text="strict mode: replicas that must have an operation before it is answered, all that "
        "the primary has; with `redis+sentinel://` or `redis+cluster://`; 0: none")
    confirm_s: float = _setting("OCCUPANCY_CONFIRM_S", 1.0, low=0.01, high=30,
        text="how long to wait for the replicas, in seconds, less than "
        "`OCCUPANCY_REDIS_TIMEOUT_S`; then 503 `unconfirmed`")
    prefix: str = _setting("OCCUPANCY_PREFIX", "occ",
        text="first part of every key and channel")
    state_dir: str = _setting("OCCUPANCY_STATE_DIR", "var",
        text="directory for the embedded server's data, metrics and connection slots; of an "
        "installed package `~/.local/state/occupancy`, or `occupancy` in `XDG_STATE_HOME`")
    log_entries: int = _setting("OCCUPANCY_LOG_ENTRIES", 100_000, low=100, high=100_000_000,
        text="events that a board's stream keeps, about")
    log_bytes: int = _setting("OCCUPANCY_LOG_BYTES", 64 * 1024 * 1024,
        low=1024 * 1024, high=64 * 1024**3, text="bytes that a board's stream keeps, about")
    history_entries: int = _setting("OCCUPANCY_HISTORY_ENTRIES", 1_000, low=10, high=1_000_000,
        text="events that an item's history keeps, about")
    history_bytes: int = _setting("OCCUPANCY_HISTORY_BYTES", 1024 * 1024,
        low=16 * 1024, high=1024**3,
        text="bytes that an item's history keeps, about; 10 events in any case")
    embedded_memory_bytes: int = _setting("OCCUPANCY_EMBEDDED_MEMORY_BYTES", 1024**3,
        low=16 * 1024 * 1024, high=1024**4,
        text="bytes of memory that the embedded Valkey may use; when it is full, changes are "
        "refused")
    session_idle_s: int = _setting("OCCUPANCY_SESSION_IDLE_S", 1800, low=30, high=30 * 86400,
        text="a session ends after this time without use, in seconds; short for shared tablets")
    session_max_s: int = _setting("OCCUPANCY_SESSION_MAX_S", 43_200, low=60, high=365 * 86400,
        text="a session ends after this time in any case, in seconds")
    operations_per_s: int = _setting("OCCUPANCY_OPERATIONS_PER_S", 20, low=1, high=100_000,
        text="operations of one worker on a board per second, over 10 s; a batch counts its tags")
    address_operations_per_s: int = _setting("OCCUPANCY_ADDRESS_OPERATIONS_PER_S", 2_000,
        low=1, high=100_000, text="the same for all that come from one address")
    streams_per_caller: int = _setting("OCCUPANCY_STREAMS_PER_CALLER", 1_000, low=1, high=100_000,
        text="streams that one worker may have open, per process")
    streams_per_process: int = _setting("OCCUPANCY_STREAMS_PER_PROCESS", 15_000,
        low=1, high=100_000, text="streams that may be open, per process")
    url: str = _setting("OCCUPANCY_URL", "",
        text="address of the service as browsers see it, for the links that it prints; "
        "empty: from `OCCUPANCY_HOST` and `PORT`")
    proxies: int = _setting("OCCUPANCY_PROXIES", 0, low=0, high=10,
        text="reverse proxies in front, whose `X-Forwarded-For`, `-Proto` and `-Host` are "
        "believed; 0: nobody's are")
    hosts: tuple[str, ...] = _setting("OCCUPANCY_ALLOWED_HOSTS", (),
        text="host names that the service answers to, separated by commas, without ports, besides "
        "that of `OCCUPANCY_URL`; `*`: any; empty: only that one, or any without `OCCUPANCY_URL`")
    cors_origins: tuple[str, ...] = _setting("OCCUPANCY_CORS_ORIGINS", (),
        text="origins of other sites whose pages may use the API with a token, separated by "
        "commas; empty: none")
    fast_path: bool = _setting("OCCUPANCY_FAST_PATH", True,
        text="answer the most frequent requests without gunicorn's parser and Flask; `0` or "
        "`false`: no")
    service_worker: bool = _setting("OCCUPANCY_SERVICE_WORKER", True,
        text="let browsers keep the shell of the pages, so that they open without the server; `0` "
        "or `false`: no, and what browsers keep is removed")
    log_level: str = _setting("OCCUPANCY_LOG_LEVEL", "info",
        text="`debug`, `info`, `warning` or `error`")
    # fmt: on

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Settings:
        """Read every setting from ``environ``.

        Raises SettingError with the variable's name, its value and the allowed values; also for an
        unknown ``OCCUPANCY_`` variable, which is usually a typing error.
        """
        fields = dataclasses.fields(cls)
        known = {field.metadata["env"] for field in fields}
        for name in environ:
            if name.startswith("OCCUPANCY_") and name not in known:
                raise SettingError(f"{name} is not a setting; known: {', '.join(sorted(known))}.")
        values = {
            field.name: _parse_field(field, environ[field.metadata["env"]])
            for field in fields
            if environ.get(field.metadata["env"], "").strip()
        }
        settings = cls(**values)
        _check_forms(settings)
        if not settings.host:
            host = "0.0.0.0" if environ.get("PORT", "").strip() else "127.0.0.1"  # noqa: S104 - PORT set means a platform routes to us from outside
            settings = dataclasses.replace(settings, host=host)
        if not IS_CHECKOUT and "state_dir" not in values:
            settings = dataclasses.replace(settings, state_dir=_user_state_dir(environ))
        return settings

    @property
    def public_url(self) -> str:
        """The service's address as browsers see it, without a slash at its end."""
        host = "127.0.0.1" if self.host in ("", "0.0.0.0", "::") else self.host  # noqa: S104 - compared, not bound
        shown = f"[{host}]" if ":" in host else host
        return self.url.rstrip("/") or f"http://{shown}:{self.port}"

    @property
    def trusted_origins(self) -> tuple[str, ...]:
        """The origins whose pages may change something: the listed ones, and OCCUPANCY_URL's."""
        return (*self.cors_origins, *([self.url.rstrip("/").lower()] if self.url else []))

    @property
    def allowed_hosts(self) -> frozenset[str]:
        """The host names that the service answers to, in lower case; empty: any."""
        if "*" in self.hosts:
            return frozenset()
        host_of_url = re.sub(r":[0-9]+\Z", "", urlsplit(self.url).netloc.lower())
        return frozenset(filter(None, (*self.hosts, host_of_url)))

    @functools.cached_property
    def cookie_name(self) -> str:
        """The name of the session cookie, different for each place where sessions are stored.

        Cookies ignore ports, so two deployments on one host would overwrite each other's. Processes
        that share their sessions share the name: it does not depend on their ports, on the
        password, or on how host, port and database are written.
        """
        parts = urlsplit(self.server_url)
        database = "".join(parse_qs(parts.query).get("db", [])[:1])
        if self.engine != "single":  # each machine may name other ones of its servers
            where = f"{self.engine} {server_url.parse(self.server_url).service}"
        elif parts.scheme == "unix":
            where = f"{parts.path} {database or 0}"
        else:
            host = f"{(parts.hostname or 'localhost').lower()}:{parts.port or 6379}"
            where = f"{host} {database or parts.path.strip('/') or 0}"
        where += f" {self.prefix}"
        return f"occupancy-{hashlib.sha256(where.encode()).hexdigest()[:8]}"

    @property
    def is_embedded(self) -> bool:
        """Whether the embedded Valkey is used, because REDIS_URL is empty."""
        return not self.redis_url

    @property
    def engine(self) -> server_url.Engine:
        """Whether there is a single server, or Sentinels or a Cluster that know several."""
        return server_url.engine_of(self.redis_url)

    @property
    def state_path(self) -> Path:
        return Path(self.state_dir).absolute()

    @property
    def embedded_socket(self) -> Path:
        """The embedded server's Unix socket; its path is as short as the kernel demands."""
        path = self.state_path / "valkey" / "valkey.sock"
        if len(bytes(path)) <= _MAX_UNIX_PATH_BYTES:
            return path
        digest = hashlib.sha256(bytes(path)).hexdigest()[:16]
        return Path("/tmp") / f"occupancy-{digest}" / "valkey.sock"  # noqa: S108 - the directory is created 0700 by its owner

    @property
    def server_url(self) -> str:
        """The URL to connect to: REDIS_URL, or the embedded server's socket."""
        return self.redis_url or f"unix://{quote(bytes(self.embedded_socket))}"


def _user_state_dir(environ: Mapping[str, str]) -> str:
    """Where a user's programs keep their state (XDG Base Directory Specification 0.8).

    Not below the working directory: a command run elsewhere would start another embedded server.
    """
    base = environ.get("XDG_STATE_HOME", "")
    if not Path(base).is_absolute():  # the specification: ignore it then
        home = environ.get("HOME", "")
        if not Path(home).is_absolute():
            raise SettingError("HOME is not set: set OCCUPANCY_STATE_DIR to a directory.")
        base = f"{home}/.local/state"
    return f"{base}/occupancy"


def _wrong(name: str, value: str, allowed: str) -> SettingError:
    return SettingError(f"{name}={value!r} is not allowed: it must be {allowed}.")


def _parse_field(field: dataclasses.Field[Any], text: str) -> Any:
    kind: type = type(field.default)
    name, low, high = (field.metadata[key] for key in ("env", "low", "high"))
    text = text.strip()
    if kind is str:
        return text
    if kind is tuple:
        return tuple(each.strip() for each in text.split(","))
    if kind is bool:
        if text.lower() not in _BOOLEANS:
            raise _wrong(name, text, f"one of {', '.join(_BOOLEANS)}")
        return _BOOLEANS[text.lower()]
    try:
        value = kind(text)
    except ValueError:
        value = None
    if value is None or not low <= value <= high:
        noun = "a whole number" if kind is int else "a number"
        raise _wrong(name, text, f"{noun} from {low} to {high}")
    return value


def _check_forms(settings: Settings) -> None:
    if settings.engine != "single":
        server_url.parse(settings.redis_url)
        server_url.parse_addresses(settings.redis_addresses)
    elif settings.redis_url:
        parts, where = urlsplit(""), None
        with contextlib.suppress(ValueError):  # the error's text may have a part of the password
            parts = urlsplit(settings.redis_url)
            is_unix = parts.scheme == "unix"
            if is_unix or (parts.port != 0 and _DATABASE.match(parts.path)):
                where = parts.path if is_unix else parts.hostname
        if parts.scheme not in ("redis", "rediss", "unix") or not where:
            # The value may have a password, so the message repeats only its scheme.
            raise SettingError(
                f"REDIS_URL ({parts.scheme or 'no scheme'}://…) is not allowed: it must be "
                "redis://[user:password@]host[:port][/db], rediss://… or unix:///path, "
                "or redis+sentinel://… or redis+cluster://… with several addresses."
            )
    _check_confirmation(settings)
    if settings.url and not re.fullmatch(r"https?://[^/?#\s@]+/?", settings.url):
        allowed = "like https://board.example.com, without a path"
        raise _wrong("OCCUPANCY_URL", settings.url, allowed)
    for host in settings.hosts:
        if not _HOST_NAME.fullmatch(host):
            raise SettingError(
                f"OCCUPANCY_ALLOWED_HOSTS with {host!r} is not allowed: each must be *, or a name "
                "or an address in lower case without a port, like board.example.com, 10.0.0.5 or "
                "[fd00::5]."
            )
    for origin in settings.cors_origins:
        default_port = ":443" if origin.startswith("https:") else ":80"
        if not _ORIGIN.fullmatch(origin) or origin.endswith(default_port):
            raise SettingError(
                f"OCCUPANCY_CORS_ORIGINS with {origin!r} is not allowed: each must be an origin as "
                "browsers send it, like https://board.example.com or http://10.0.0.5:8080: in "
                "lower case, without a path, a slash at the end, a wildcard or a default port."
            )
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}", settings.prefix):
        raise _wrong("OCCUPANCY_PREFIX", settings.prefix, "1 to 32 letters, digits, '-' or '_'")
    if settings.log_level not in ("debug", "info", "warning", "error"):
        raise _wrong("OCCUPANCY_LOG_LEVEL", settings.log_level, "debug, info, warning or error")


def _check_confirmation(settings: Settings) -> None:
    if settings.confirm_replicas and settings.engine == "single":
        raise SettingError(
            f"OCCUPANCY_CONFIRM_REPLICAS={settings.confirm_replicas} is not allowed with this "
            "REDIS_URL: only with redis+sentinel:// and redis+cluster:// are the replicas known. "
            "For a single server it must be 0."
        )
    # A longer wait would outlast the connection's timeout, which closes it. A single server has no
    # replicas to wait for, so a short timeout alone is no error there.
    is_used = settings.engine != "single" or settings.confirm_s != Settings.confirm_s
    if is_used and settings.confirm_s >= settings.redis_timeout_s:
        raise SettingError(
            f"OCCUPANCY_CONFIRM_S={settings.confirm_s:g} is not allowed: it must be less than "
            f"OCCUPANCY_REDIS_TIMEOUT_S, {settings.redis_timeout_s:g}."
        )
