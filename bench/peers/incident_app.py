"""The incident's design: each stream takes a pubsub connection from a pool of sixty.

From the 61st viewer on no connection is left, neither for a stream nor for any other request that
needs one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import redis
from flask import Flask, Response
from redis.client import PubSub

_READY = "event: ready\ndata: {}\n\n"

store = redis.Redis(
    connection_pool=redis.ConnectionPool.from_url(
        os.environ["PEER_REDIS_URL"], max_connections=60, decode_responses=True
    )
)
app = Flask(__name__)


@app.get("/livez")
def livez() -> dict[str, str]:
    return {"status": "ok"}


@app.get("/readyz")
def readyz() -> dict[str, str]:
    store.ping()
    return {"status": "ok"}


@app.get("/api/boards/<board>/events")
def events(board: str) -> Response:
    pubsub = store.pubsub()
    pubsub.subscribe(f"live:{board}")
    return Response(
        _frames(pubsub),
        mimetype="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


def _frames(pubsub: PubSub) -> Iterator[str]:
    try:
        for message in pubsub.listen():
            if message["type"] == "subscribe":
                yield _READY
            else:
                yield f"event: item\ndata: {message['data']}\n\n"
    finally:
        pubsub.close()


@app.errorhandler(redis.ConnectionError)
def no_connection(error: redis.ConnectionError) -> tuple[dict[str, str], int]:
    return {"detail": str(error)}, 503
