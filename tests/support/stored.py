"""Everything that a server stores, as text: to look for what must not be there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def stored_text(client: Any, pattern: str = "*") -> str:
    """Every key with its value; dumps are not comparable, because they may be compressed.

    A kind that is not known here fails: what cannot be read cannot be searched.
    """
    read: dict[bytes, Callable[[bytes], Any]] = {
        b"string": client.get,
        b"hash": client.hgetall,
        b"list": lambda key: client.lrange(key, 0, -1),
        b"set": client.smembers,
        b"zset": lambda key: client.zrange(key, 0, -1, withscores=True),
        b"stream": client.xrange,
    }
    kinds = ((key, client.type(key)) for key in client.scan_iter(match=pattern, count=1000))
    return repr([(key, read[kind](key)) for key, kind in kinds if kind != b"none"])
