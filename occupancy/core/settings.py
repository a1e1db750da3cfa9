"""Settings: one frozen object, read once from the environment, refused loudly when wrong.

Each field carries its environment variable, its bounds and the line of help that the README
shows; a test holds the README to this table. This module imports nothing of the package but
its errors, because gunicorn's master reads it before anything is monkey-patched.
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

from occupancy.core.errors import SettingError

_DATABASE = re.compile(r"(/[0-9]*)?\Z")
# As browsers write it (WHATWG HTML, "ASCII serialization of an origin"), the only form that they
# ever send: in lower case, IPv6 in brackets, no path and no default port.
_ORIGIN = re.compile(r"https?://(?:[a-z0-9_.-]+|\[[0-9a-f:.]+\])(?::[1-9][0-9]{0,4})?")
_HOST = re.compile(r"[a-z0-9_.-]+|\[[0-9a-f:.]+\]|\*")
_MAX_UNIX_PATH_BYTES = 100  # sun_path holds 104 (macOS) or 108 (Linux) bytes with its final NUL


def _setting(
    env: str, default: Any, text: str, *, low: float | None = None, high: float | None = None
) -> Any:
    metadata = {"env": env, "help": text, "low": low, "high": high}
    return dataclasses.field(default=default, metadata=metadata)


@dataclasses.dataclass(frozen=True)
class Settings:
    """Everything that a deployment may choose. Build it with :meth:`from_environ`."""

    redis_url: str = _setting(
        "REDIS_URL",
        "",
        "server to use: `redis://`, `rediss://` or `unix://`; empty: the embedded Valkey",
    )
    port: int = _setting(
        "PORT",
        8000,
        "TCP port of the web server; when it is set, the server listens on all addresses",
        low=1,
        high=65535,
    )
    host: str = _setting(
        "OCCUPANCY_HOST",
        "",
        "address to listen on; empty: `0.0.0.0` if `PORT` is set, else loopback",
    )
    processes: int = _setting("WEB_CONCURRENCY", 2, "processes on this machine", low=1, high=64)
    nodes: int = _setting(
        "OCCUPANCY_NODES", 1, "machines that share the server and its budget", low=1, high=64
    )
    redis_budget: int = _setting(
        "OCCUPANCY_REDIS_BUDGET",
        50,
        "connections that the whole deployment may open",
        low=1,
        high=100_000,
    )
    redis_reserved: int = _setting(
        "OCCUPANCY_REDIS_RESERVED",
        2,
        "connections of the budget kept for the command line, on each machine",
        low=1,
        high=64,
    )
    ops_pool_size: int = _setting(
        "OCCUPANCY_OPS_POOL_SIZE",
        0,
        "connections for operations per process; 0: derived from the budget",
        low=0,
        high=1000,
    )
    pubsub_pool_size: int = _setting(
        "OCCUPANCY_PUBSUB_POOL_SIZE",
        1,
        "connections for live delivery per process (one is used)",
        low=1,
        high=1000,
    )
    pool_wait_s: float = _setting(
        "OCCUPANCY_POOL_WAIT_S",
        5.0,
        "how long an operation waits in turn for a connection, in seconds",
        low=0.01,
        high=60,
    )
    redis_timeout_s: float = _setting(
        "OCCUPANCY_REDIS_TIMEOUT_S",
        3.0,
        "how long to wait for the server to accept or to answer, in seconds",
        low=0.05,
        high=60,
    )
    prefix: str = _setting("OCCUPANCY_PREFIX", "occ", "first part of every key and channel")
    state_dir: str = _setting(
        "OCCUPANCY_STATE_DIR",
        "var",
        "directory for the embedded server's data, metrics and connection slots",
    )
    log_entries: int = _setting(
        "OCCUPANCY_LOG_ENTRIES",
        100_000,
        "events that a board's stream keeps, about",
        low=100,
        high=100_000_000,
    )
    log_bytes: int = _setting(
        "OCCUPANCY_LOG_BYTES",
        64 * 1024 * 1024,
        "bytes that a board's stream keeps, about",
        low=1024 * 1024,
        high=64 * 1024**3,
    )
    history_entries: int = _setting(
        "OCCUPANCY_HISTORY_ENTRIES",
        1_000,
        "events that an item's history keeps, about",
        low=10,
        high=1_000_000,
    )
    history_bytes: int = _setting(
        "OCCUPANCY_HISTORY_BYTES",
        1024 * 1024,
        "bytes that an item's history keeps, about; 10 events in any case",
        low=16 * 1024,
        high=1024**3,
    )
    embedded_memory_bytes: int = _setting(
        "OCCUPANCY_EMBEDDED_MEMORY_BYTES",
        1024**3,
        "bytes of memory that the embedded Valkey may use; when it is full, changes are refused",
        low=16 * 1024 * 1024,
        high=1024**4,
    )
    session_idle_s: int = _setting(
        "OCCUPANCY_SESSION_IDLE_S",
        1800,
        "a session ends after this time without use, in seconds; short for shared tablets",
        low=30,
        high=30 * 86400,
    )
    session_max_s: int = _setting(
        "OCCUPANCY_SESSION_MAX_S",
        43_200,
        "a session ends after this time in any case, in seconds",
        low=60,
        high=365 * 86400,
    )
    operations_per_s: int = _setting(
        "OCCUPANCY_OPERATIONS_PER_S",
        20,
        "operations of one worker on a board per second, over 10 s; a batch counts its tags",
        low=1,
        high=100_000,
    )
    address_operations_per_s: int = _setting(
        "OCCUPANCY_ADDRESS_OPERATIONS_PER_S",
        2_000,
        "the same for all that come from one address",
        low=1,
        high=100_000,
    )
    streams_per_caller: int = _setting(
        "OCCUPANCY_STREAMS_PER_CALLER",
        1_000,
        "streams that one worker may have open, per process",
        low=1,
        high=100_000,
    )
    streams_per_process: int = _setting(
        "OCCUPANCY_STREAMS_PER_PROCESS",
        15_000,
        "streams that may be open, per process",
        low=1,
        high=100_000,
    )
    url: str = _setting(
        "OCCUPANCY_URL",
        "",
        "address of the service as browsers see it, for the links that it prints; "
        "empty: from `OCCUPANCY_HOST` and `PORT`",
    )
    proxies: int = _setting(
        "OCCUPANCY_PROXIES",
        0,
        "reverse proxies in front, whose `X-Forwarded-For`, `-Proto` and `-Host` are believed; "
        "0: nobody's are",
        low=0,
        high=10,
    )
    hosts: tuple[str, ...] = _setting(
        "OCCUPANCY_ALLOWED_HOSTS",
        (),
        "host names that the service answers to, separated by commas, without ports, besides that "
        "of `OCCUPANCY_URL`; `*`: any; empty: only that one, or any without `OCCUPANCY_URL`",
    )
    cors_origins: tuple[str, ...] = _setting(
        "OCCUPANCY_CORS_ORIGINS",
        (),
        "origins of other sites whose pages may use the API with a token, separated by commas; "
        "empty: none",
    )
    log_level: str = _setting(
        "OCCUPANCY_LOG_LEVEL", "info", "`debug`, `info`, `warning` or `error`"
    )

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Settings:
        """Read every setting from ``environ``.

        Raises SettingError with the variable's name, its value and what is allowed; an unknown
        ``OCCUPANCY_`` variable is refused too, because it is a typing error more often than not.
        """
        fields = dataclasses.fields(cls)
        known = {field.metadata["env"] for field in fields}
        for name in environ:
            if name.startswith("OCCUPANCY_") and name not in known:
                raise SettingError(f"{name} is not a setting; known: {', '.join(sorted(known))}.")
        values = {
            field.name: _parse(field, environ[field.metadata["env"]])
            for field in fields
            if environ.get(field.metadata["env"], "").strip()
        }
        settings = cls(**values)
        _check_text(settings)
        if not settings.host:
            host = "0.0.0.0" if environ.get("PORT", "").strip() else "127.0.0.1"  # noqa: S104 - PORT set means a platform routes to us from outside
            settings = dataclasses.replace(settings, host=host)
        return settings

    @property
    def public_url(self) -> str:
        """The service's address as browsers see it, without a slash at its end."""
        host = "127.0.0.1" if self.host in ("", "0.0.0.0", "::") else self.host  # noqa: S104 - compared, not bound
        shown = f"[{host}]" if ":" in host else host
        return self.url.rstrip("/") or f"http://{shown}:{self.port}"

    @property
    def trusted_origins(self) -> tuple[str, ...]:
        """Whose pages may send what changes something: the listed ones, and OCCUPANCY_URL's."""
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
        """The name of the session cookie, one for each place where sessions are stored.

        Cookies ignore ports, so two deployments on one host would overwrite each other's. Processes
        that share their sessions share the name, whatever their ports, also after a new password,
        and however the same host, port and database are written.
        """
        parts = urlsplit(self.server_url)
        database = "".join(parse_qs(parts.query).get("db", [])[:1])
        if parts.scheme == "unix":
            where = f"{parts.path} {database or 0}"
        else:
            host = f"{(parts.hostname or 'localhost').lower()}:{parts.port or 6379}"
            where = f"{host} {database or parts.path.strip('/') or 0}"
        where += f" {self.prefix}"
        return f"occupancy-{hashlib.sha256(where.encode()).hexdigest()[:8]}"

    @property
    def is_embedded(self) -> bool:
        """Whether the embedded Valkey serves, for lack of a REDIS_URL."""
        return not self.redis_url

    @property
    def state_path(self) -> Path:
        return Path(self.state_dir).absolute()

    @property
    def embedded_socket(self) -> Path:
        """The embedded server's Unix socket, within the length that the kernel allows."""
        path = self.state_path / "valkey" / "valkey.sock"
        if len(bytes(path)) <= _MAX_UNIX_PATH_BYTES:
            return path
        digest = hashlib.sha256(bytes(path)).hexdigest()[:16]
        return Path("/tmp") / f"occupancy-{digest}" / "valkey.sock"  # noqa: S108 - the directory is created 0700 by its owner

    @property
    def server_url(self) -> str:
        """The URL to connect to: REDIS_URL, or the embedded server's socket."""
        return self.redis_url or f"unix://{quote(bytes(self.embedded_socket))}"


def _parse(field: dataclasses.Field[Any], text: str) -> Any:
    kind: type = type(field.default)
    text = text.strip()
    if kind is str:
        return text
    if kind is tuple:
        return tuple(each.strip() for each in text.split(","))
    low, high = field.metadata["low"], field.metadata["high"]
    noun = "a whole number" if kind is int else "a number"
    try:
        value = kind(text)
    except ValueError:
        value = None
    if value is None or not low <= value <= high:
        name = field.metadata["env"]
        raise SettingError(
            f"{name}={text!r} is not allowed: it must be {noun} from {low} to {high}."
        )
    return value


def _check_text(settings: Settings) -> None:
    if settings.redis_url:
        parts, where = urlsplit(""), None
        with contextlib.suppress(ValueError):  # its text may hold a part of the password
            parts = urlsplit(settings.redis_url)
            is_unix = parts.scheme == "unix"
            if is_unix or (parts.port != 0 and _DATABASE.match(parts.path)):
                where = parts.path if is_unix else parts.hostname
        if parts.scheme not in ("redis", "rediss", "unix") or not where:
            # The value may hold a password, so only its scheme is repeated.
            raise SettingError(
                f"REDIS_URL ({parts.scheme or 'no scheme'}://…) is not allowed: it must be "
                "redis://[user:password@]host[:port][/db], rediss://… or unix:///path."
            )
    if settings.url and not re.fullmatch(r"https?://[^/?#\s@]+/?", settings.url):
        raise SettingError(
            f"OCCUPANCY_URL={settings.url!r} is not allowed: it must be like "
            "https://board.example.com, without a path."
        )
    for host in settings.hosts:
        if not _HOST.fullmatch(host):
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
        raise SettingError(
            f"OCCUPANCY_PREFIX={settings.prefix!r} is not allowed: it must be 1 to 32 letters, "
            "digits, '-' or '_'."
        )
    if settings.log_level not in ("debug", "info", "warning", "error"):
        raise SettingError(
            f"OCCUPANCY_LOG_LEVEL={settings.log_level!r} is not allowed: it must be debug, info, "
            "warning or error."
        )
