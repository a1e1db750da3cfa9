"""A Python team's likely alternative: FastAPI, sse-starlette and redis.asyncio.

It avoids the known traps: one script per operation, one pubsub connection per process, each event
encoded once, bounded queues, orjson, hiredis, uvloop. It lacks replay, roles, limits, idempotency
records and degraded streams, and they cost it nothing here.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import os
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import orjson
import redis.asyncio
from fastapi import Depends, FastAPI, Header, HTTPException, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sse_starlette import EventSourceResponse, ServerSentEvent

_URL = os.environ["PEER_REDIS_URL"]
_OPERATION_CONNECTIONS = 20
_FRAMES_QUEUED = 256  # per stream; one that falls further behind is closed
_TOKEN_KNOWN_S = 2.0
_READY = ServerSentEvent("{}", event="ready", sep="\n").encode()
_STATUSES = {"item_not_found": 404, "held": 409, "not_holder": 409}

store = redis.asyncio.Redis.from_pool(
    redis.asyncio.BlockingConnectionPool.from_url(_URL, max_connections=_OPERATION_CONNECTIONS)
)
operate = store.register_script(Path(__file__).with_name("starlette_operate.lua").read_text())


class Hub:
    """One pubsub connection for all streams of the process; None in a queue ends its stream."""

    def __init__(self) -> None:
        self._queues: dict[str, set[asyncio.Queue[bytes | None]]] = defaultdict(set)
        self._subscribed = asyncio.Event()

    async def follow(self) -> None:
        """Read the publications, and reconnect when the connection is lost."""
        client = redis.asyncio.Redis.from_url(_URL)
        while True:
            try:
                async with client.pubsub() as pubsub:
                    await pubsub.psubscribe("live:*")
                    async for message in pubsub.listen():
                        if message["type"] == "psubscribe":
                            self._subscribed.set()
                        else:
                            self._fan_out(message["channel"].decode(), message["data"])
            except redis.asyncio.ConnectionError:
                self._subscribed.clear()
                for queue in set().union(*self._queues.values()):
                    _end(queue)  # it may have missed an event
                await asyncio.sleep(1)

    async def join(self, board: str) -> asyncio.Queue[bytes | None]:
        """A queue that gets every frame from now on."""
        await self._subscribed.wait()
        queue: asyncio.Queue[bytes | None] = asyncio.Queue(_FRAMES_QUEUED)
        self._queues[f"live:{board}"].add(queue)
        return queue

    def leave(self, board: str, queue: asyncio.Queue[bytes | None]) -> None:
        self._queues[f"live:{board}"].discard(queue)

    def _fan_out(self, channel: str, event: bytes) -> None:
        cursor = f"{orjson.loads(event)['seq']}-0"
        frame = ServerSentEvent(event.decode(), event="item", id=cursor, sep="\n").encode()
        for queue in self._queues[channel]:
            try:
                queue.put_nowait(frame)
            except asyncio.QueueFull:
                _end(queue)


def _end(queue: asyncio.Queue[bytes | None]) -> None:
    while not queue.empty():  # no event may follow a gap
        queue.get_nowait()
    queue.put_nowait(None)


class Tokens:
    """The owner of a token; cached briefly, so that a revocation takes effect soon."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[float, dict[str, Any]]] = {}

    async def worker_of(self, token: str) -> dict[str, Any]:
        digest = hashlib.sha256(token.encode()).hexdigest()
        until, worker = self._known.get(digest, (0.0, {}))
        if until < time.monotonic():
            found = await store.hget("tokens", digest)
            if found is None:
                raise HTTPException(401, "This token is not known.")
            worker = orjson.loads(found)
            self._known[digest] = time.monotonic() + _TOKEN_KNOWN_S, worker
        return worker


hub = Hub()
tokens = Tokens()


async def principal(
    credentials: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())],
) -> dict[str, Any]:
    return await tokens.worker_of(credentials.credentials)


Principal = Annotated[dict[str, Any], Depends(principal)]


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    following = asyncio.create_task(hub.follow())
    yield
    following.cancel()
    with suppress(asyncio.CancelledError):
        await following
    await store.aclose()


app = FastAPI(lifespan=lifespan)


@app.get("/livez")
async def livez() -> dict[str, str]:
    return {"status": "ok"}


@app.get("/api/boards/{board}/events")
async def events(board: str, _: Principal) -> EventSourceResponse:
    return EventSourceResponse(_frames(board), sep="\n")


async def _frames(board: str) -> AsyncIterator[bytes]:
    queue = await hub.join(board)
    try:
        yield _READY
        while (frame := await queue.get()) is not None:
            yield frame
    finally:
        hub.leave(board, queue)


@app.post("/api/boards/{board}/items/{tag}/{operation}")
async def operate_item(
    board: str, tag: str, operation: Literal["take", "pause"], worker: Principal
) -> Response:
    now = datetime.now(UTC)
    code, changed, item, cursor = await operate(
        keys=[f"board:{board}", f"view:{board}", f"item:{board}:{tag}", f"log:{board}"],
        args=[
            operation, tag, worker["id"], orjson.dumps(worker), f"live:{board}",
            now.strftime("%Y-%m-%dT%H:%M:%S.") + f"{now.microsecond // 1000:03d}Z",
            int(now.timestamp() * 1000),
        ],
    )  # fmt: skip
    if code != b"ok":
        raise HTTPException(_STATUSES[code.decode()], code.decode())
    return _json(
        {"changed": bool(changed), "item": orjson.Fragment(item), "cursor": cursor.decode()}
    )


@app.get("/api/boards/{board}/items")
async def items(
    board: str, _: Principal, accept_encoding: Annotated[str, Header()] = ""
) -> Response:
    async with store.pipeline(transaction=True) as pipeline:
        pipeline.hget(f"board:{board}", "seq")
        pipeline.hvals(f"view:{board}")
        seq, views = await pipeline.execute()
    number = int(seq or 0)
    views.sort()  # each begins with its tag
    found = [orjson.Fragment(view) for view in views]
    content = orjson.dumps({"cursor": f"{number}-0", "seq": number, "items": found})
    if "gzip" not in accept_encoding:
        return Response(content, media_type="application/json")
    # No GZipMiddleware: it would slow every event and operation.
    packed = gzip.compress(content, compresslevel=1)
    headers = {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
    return Response(packed, media_type="application/json", headers=headers)


def _json(content: dict[str, Any]) -> Response:
    # FastAPI has deprecated its ORJSONResponse. JSON from the store is not parsed again.
    return Response(orjson.dumps(content), media_type="application/json")
