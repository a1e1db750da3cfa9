"""The forms of REDIS_URL: one server, the Sentinels that know a primary, or nodes of a Cluster.

    redis://[user:password@]host[:port][/db]                              (rediss:// for TLS)
    unix:///path[?db=N]
    redis+sentinel://[user:password@]host[:port],host[:port]…/NAME[/db]   (rediss+sentinel://)
    redis+cluster://[user:password@]host[:port],host[:port]…              (rediss+cluster://)

User and password are those of the servers. ``sentinel_username`` and ``sentinel_password`` in the
query are those of the Sentinels. No error repeats a part of the URL that may have a password.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal, NamedTuple
from urllib.parse import parse_qsl, unquote, urlencode

from occupancy.core.errors import SettingError

Engine = Literal["single", "sentinel", "cluster"]
"""What the servers are: a single one, a primary that Sentinels choose, or a Cluster."""

_DEFAULT_PORTS = {"sentinel": 26379, "cluster": 6379}
_FORM = re.compile(
    r"redis(?P<tls>s?)\+(?P<engine>sentinel|cluster)://(?P<where>[^/?#]*)(?P<path>[^?#]*)(?P<query>\?.*)?\Z"
)
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+)(?::([1-9][0-9]{0,4}))?")
_FORMS = {
    "sentinel": "redis+sentinel://[user:password@]host[:port],host[:port]…/NAME[/db]",
    "cluster": "redis+cluster://[user:password@]host[:port],host[:port]…, without a database",
}


class Address(NamedTuple):
    """Where a server listens; an IPv6 address is without brackets."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class ServerUrl(NamedTuple):
    """A URL of several addresses, taken apart."""

    addresses: tuple[Address, ...]
    service: str  # Sentinel's name of the primary; '' for a Cluster
    base_url: str  # redis-py's URL with the user, the password, the database and the options
    sentinel_username: str | None
    sentinel_password: str | None


def engine_of(url: str) -> Engine:
    """The engine that ``url`` names, whether or not the rest of it is right."""
    scheme = url.partition("://")[0]
    engines: dict[str, Engine] = {"sentinel": "sentinel", "cluster": "cluster"}
    return engines.get(scheme.partition("+")[2], "single")


def parse(url: str) -> ServerUrl:
    """Take a Sentinel's or a Cluster's URL apart. Raises SettingError."""
    engine = engine_of(url)
    form = _FORM.fullmatch(url)
    user, _, hosts = form["where"].rpartition("@") if form else ("", "", "")
    found = [_address(each, engine) for each in hosts.split(",")]
    addresses = tuple(dict.fromkeys(filter(None, found)))  # each once: a majority counts them
    service, _, database = form["path"].strip("/").partition("/") if form else ("", "", "")
    is_path_right = bool(service) and re.fullmatch("[0-9]*", database) is not None
    if engine == "cluster":
        is_path_right = service in ("", "0") and not database
        service = ""
    if form is None or None in found or not is_path_right:
        # The value may have a password, so the message repeats only its engine.
        raise SettingError(f"REDIS_URL is not allowed: for {engine} it must be {_FORMS[engine]}.")
    options = dict(parse_qsl((form["query"] or "?")[1:]))
    sentinel_username = options.pop("sentinel_username", None)
    sentinel_password = options.pop("sentinel_password", None)
    query = f"?{urlencode(options)}" if options else ""
    base_url = f"redis{form['tls']}://{user + '@' if user else ''}{addresses[0]}/{database}{query}"
    return ServerUrl(addresses, unquote(service), base_url, sentinel_username, sentinel_password)


def parse_addresses(pairs: Iterable[str]) -> dict[Address, Address]:
    """Where to find a server, by the address that it announces. Raises SettingError."""
    found = {}
    for pair in pairs:
        announced, _, actual = (each.strip() for each in pair.partition("="))
        key, value = (_address(each, None) for each in (announced, actual))
        if key is None or value is None:
            raise SettingError(
                f"OCCUPANCY_REDIS_ADDRESSES with {pair!r} is not allowed: each must be the address "
                "that a server announces and the one to connect to, both with a port, like "
                "10.0.0.5:7000=gate.example.com:17000."
            )
        found[key] = value
    return found


def _address(text: str, engine: Engine | None) -> Address | None:
    """The address, with the default port of ``engine``; None if it is none."""
    found = _HOST.fullmatch(text)
    port = int(found[2] or _DEFAULT_PORTS.get(engine or "", 0)) if found else 0
    return Address(found[1].strip("[]"), port) if found and 0 < port <= 65535 else None
