"""Rate limit: a burst at once and a steady rate after it, for each name or client address."""

from __future__ import annotations

import functools
import ipaddress
import re

_REFILL_S = 10.0
_ROUNDING_S = 1e-6  # the error of a sum of intervals must not refuse the last of a burst
_MAX_NAMES = 10_000
_WITH_PORT = re.compile(r"\[([^]]+)\](?::[0-9]+)?|([0-9.]+):[0-9]+")


class RateLimiter:
    """The generic cell rate algorithm (ITU-T I.371), which keeps one timestamp per name.

    It allows ``burst`` at once, and as many more over ten seconds.
    """

    def __init__(self, burst: int) -> None:
        self._interval_s = _REFILL_S / burst
        self._due_s: dict[str, float] = {}

    def wait_s(self, name: str, now_s: float) -> float:
        """Seconds until ``name`` may do one more; 0 for now."""
        wait_s = self._due_s.get(name, 0.0) - now_s + self._interval_s - _REFILL_S
        return wait_s if wait_s > _ROUNDING_S else 0.0

    def count(self, name: str, now_s: float) -> None:
        """Count one more for ``name``, allowed or not."""
        if len(self._due_s) >= _MAX_NAMES:
            self._due_s = {each: due_s for each, due_s in self._due_s.items() if due_s > now_s}
        self._due_s[name] = max(self._due_s.get(name, 0.0), now_s) + self._interval_s


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
