"""Values of keys as records have them: read from a server, and written to it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from occupancy.cli.backup.file import Kind
from occupancy.storage.client import OpsClient

PAGE = 1000  # entries of a stream in one round trip
_PARTS = 500  # of a value in one command

_READ: dict[str, Callable[[Any, str], Any]] = {
    "string": lambda pipeline, key: pipeline.get(key),
    "hash": lambda pipeline, key: pipeline.hgetall(key),
    "list": lambda pipeline, key: pipeline.lrange(key, 0, -1),
    "set": lambda pipeline, key: pipeline.smembers(key),
    "zset": lambda pipeline, key: pipeline.zrange(key, 0, -1, withscores=True),
    "stream": lambda pipeline, key: pipeline.xrange(key, count=PAGE),
}
_ADD = {"hash": "HSET", "list": "RPUSH", "set": "SADD"}


def put_read(pipeline: Any, kind: str, key: str) -> None:
    """Put the read of a value into a pipeline; of a stream, that of its first page."""
    _READ[kind](pipeline, key)


_LISTED: dict[str, Callable[[Any], list[Any]]] = {
    "string": lambda reply: [reply],
    "hash": lambda reply: [part for pair in sorted(reply.items()) for part in pair],
    "list": list,
    "set": sorted,
    "zset": lambda reply: [part for pair in sorted(reply) for part in pair],
    "stream": lambda reply: [
        [cursor, [part for pair in fields.items() for part in pair]] for cursor, fields in reply
    ],
}


def as_list(kind: str, reply: Any) -> list[Any]:
    """A reply as a record's ``value``, in an order that depends on its content; [] for none."""
    return [] if reply is None else _LISTED[kind](reply)


def as_dict(flat: Sequence[Any]) -> dict[bytes, bytes]:
    """The fields of a hash, or of an entry, from their list."""
    return dict(zip(flat[0::2], flat[1::2], strict=True))


def entries_until(client: OpsClient, key: str, last: str = "+") -> Iterator[list[Any]]:
    """The entries of a stream up to ``last``, page by page."""
    begin: Any = "-"
    while True:
        page: Any = client.xrange(key, min=begin, max=last, count=PAGE)
        if page:
            yield as_list("stream", page)
        if len(page) < PAGE:
            return
        begin = b"(" + page[-1][0]


def put_write(pipeline: Any, kind: Kind, key: str, value: Sequence[Any], expires_ms: int) -> None:
    """Put the commands that add ``value`` to the key into a pipeline."""
    if kind == "string":
        pipeline.execute_command("SET", key, value[0])
    elif kind == "stream":
        for cursor, fields in value:
            pipeline.execute_command("XADD", key, cursor, *fields)
    elif kind == "zset":
        for part in _parts(value):
            pairs = zip(part[1::2], part[0::2], strict=True)
            pipeline.execute_command("ZADD", key, *itertools.chain(*pairs))
    else:
        for part in _parts(value):
            pipeline.execute_command(_ADD[kind], key, *part)
    if expires_ms:
        pipeline.execute_command("PEXPIREAT", key, expires_ms)


def _parts(value: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for first in range(0, len(value), 2 * _PARTS):
        yield value[first : first + 2 * _PARTS]
