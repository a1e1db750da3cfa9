"""Client addresses, as rate limits count them."""

from __future__ import annotations

import functools
import ipaddress
import re

_WITH_PORT = re.compile(r"\[([^]]+)\](?::[0-9]+)?|([0-9.]+):[0-9]+")


@functools.lru_cache(maxsize=4096)  # each request asks, and parsing takes 10 µs
def limited_address(address: str | None) -> str:
    """The address under which a limit counts: an IPv4 address, or the /64 of an IPv6 one.

    A client with one address of a /64 has all of them (RFC 6177). Without an address, as on a Unix
    socket, it is ``local``.
    """
    text = (address or "").partition("%")[0]
    with_port = _WITH_PORT.fullmatch(text)  # as some gateways write X-Forwarded-For
    try:
        parsed = ipaddress.ip_address((with_port[1] or with_port[2]) if with_port else text)
    except ValueError:
        return "local"
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)
