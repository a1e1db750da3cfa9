"""The event stream of a real deployment: gunicorn, gevent workers, a real server."""

from __future__ import annotations

import contextlib
import functools
import json
import secrets
import signal
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

import pytest
import requests

from occupancy.boards.commands import Command
from occupancy.core.entities import Role
from occupancy.core.transitions import PUT, TRANSITIONS
from occupancy.services import Services
from tests.support.deployment import Deployment
from tests.support.raw_http import Wire, received_until, request
from tests.support.servers import RealServer
from tests.support.shop import SUPERVISOR, change, log_of
from tests.support.sse_client import Event, EventStream
from tests.support.tls import TLSDeployment
from tests.support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("closes_streams")


@pytest.fixture(scope="module", params=["identity", "gzip"])
def deployment(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    module_server: RealServer,
) -> Iterator[Deployment]:
    """Each test in turn with streams as they are, and compressed, as browsers take them."""
    state_dir = tmp_path_factory.mktemp("state")
    running = Deployment(state_dir, module_server.url, OCCUPANCY_LOG_ENTRIES="1000").start()
    running.sign_in(f"watcher-{request.param}", Role.OBSERVER)
    running.headers["Accept-Encoding"] = request.param
    yield running
    running.stop()


def test_a_new_stream_is_ready_at_the_present_position(
    deployment: Deployment, shop: Services, board: str
) -> None:
    cursor = change(shop, board, 3)
    stream = deployment.stream(board)
    assert stream.status == 200
    assert stream.headers["content-type"] == "text/event-stream"
    assert stream.headers["cache-control"] == "no-store"
    assert stream.headers["x-accel-buffering"] == "no"
    assert stream.headers["vary"] == "Accept-Encoding"
    coding = stream.headers.get("content-encoding", "identity")
    assert coding == deployment.headers["Accept-Encoding"]
    ready = stream.wait_for("ready")
    assert ready.data == {"cursor": cursor, "seq": 4, "version_floor": 0, "settings_version": 1}
    assert ready.last_id == cursor
    assert stream.seqs() == []


def test_every_event_after_the_cursor_arrives_once_and_in_order(
    deployment: Deployment, shop: Services, board: str
) -> None:
    change(shop, board, 250)
    stream = deployment.stream(board, after="0-0")
    stream.wait_for("ready")
    change(shop, board, 20, tag="T-2")
    wait_until(lambda: len(stream.seqs()) >= 272, what="all events")
    assert stream.seqs() == list(range(1, 273))


def test_an_event_has_the_id_of_its_log_entry_and_the_whole_item(
    deployment: Deployment, shop: Services, board: str
) -> None:
    stream = deployment.stream(board)
    stream.wait_for("ready")
    cursor = change(shop, board, 1)
    wait_until(lambda: len(stream.seqs()) == 2, what="both events")
    taken = stream.of_kind("item")[1]
    assert taken.last_id == cursor
    assert taken.data["type"] == "item.taken"
    assert taken.data["board"] == board
    assert taken.data["actor"] == {"id": "sup", "name": "Sup"}
    assert taken.data["item"]["state"] == "occupied"
    assert taken.data["item"]["holder"] == {"id": "sup", "name": "Sup"}


def test_last_event_id_goes_before_after(
    deployment: Deployment, shop: Services, board: str
) -> None:
    change(shop, board, 2)
    last = change(shop, board, 2, tag="T-2")
    stream = deployment.stream(board, after="0-0", last_event_id=last)
    stream.wait_for("ready")
    assert stream.seqs() == []


EXTRA_HEADERS = {"fast": {}, "flask": {"TE": "trailers"}}  # the second is not for the fast path


@pytest.mark.parametrize("path", EXTRA_HEADERS)
@pytest.mark.parametrize(
    "query",
    [
        "lastEventId=LAST", "Last-Event-ID=LAST", "after=LAST", "after=0-0&lastEventId=LAST",
        "lastEventId=LAST&after=0-0", "after=0-0&Last-Event-ID=LAST", "after=LAST&lastEventId=",
        "lastEventId=0-0&after=0-0&lastEventId=LAST", "_=1763838000123&after=LAST&r=0.5&x&=&y=",
    ],
)  # fmt: skip
def test_a_cursor_in_the_query_counts_as_the_header_and_what_is_unknown_is_ignored(
    deployment: Deployment, shop: Services, board: str, query: str, path: str
) -> None:
    """As the usual polyfills send it, and as clients that add something against caches do."""
    last = change(shop, board, 2)
    change(shop, board, 1, tag="T-2")
    url = f"{deployment.url}/api/boards/{board}/events?{query.replace('LAST', last)}"
    stream = deployment.keep(EventStream(url, {**deployment.headers, **EXTRA_HEADERS[path]}).read())
    assert stream.status == 200
    stream.wait_for("ready")
    assert stream.seqs() == [4, 5]
    assert not stream.of_kind("reset")


@pytest.mark.parametrize("path", EXTRA_HEADERS)
@pytest.mark.parametrize("query", ["lastEventId=nonsense", "after=%00%0a", "Last-Event-ID=a.b:c"])
def test_a_cursor_in_the_query_that_is_none_gets_a_reset(
    deployment: Deployment, board: str, query: str, path: str
) -> None:
    url = f"{deployment.url}/api/boards/{board}/events?{query}"
    stream = deployment.keep(EventStream(url, {**deployment.headers, **EXTRA_HEADERS[path]}).read())
    assert stream.status == 200
    stream.wait_for("reset")


@pytest.mark.parametrize(
    "cursor", ["9999999999999-0", "1-1", "nonsense", "-", "1-2-3", "99999999999999999999999-0", "é"]
)
def test_a_cursor_that_is_not_in_the_log_gets_a_reset_and_then_the_stream(
    deployment: Deployment, shop: Services, board: str, cursor: str
) -> None:
    position = change(shop, board, 2)
    if cursor.isascii():
        stream = deployment.stream(board, last_event_id=cursor)
    else:
        stream = deployment.stream(board, after=quote(cursor))
    reset = stream.wait_for("reset")
    assert reset.data["cursor"] == position
    assert reset.data["seq"] == 3
    assert reset.data["snapshot"] == f"/api/boards/{board}/items"
    assert reset.data["reason"]
    change(shop, board, 1, tag="T-2")
    wait_until(lambda: stream.seqs() == [4, 5], what="the stream to go on")


def test_a_cursor_of_another_board_gets_a_reset(
    deployment: Deployment, shop: Services, board: str
) -> None:
    position = change(shop, board, 1)
    # Two boards may give the same id to entries of the same millisecond: wait for another one.

    def another() -> str | None:
        cursor = change(shop, "main", 1)
        return cursor if cursor != position else None

    foreign = wait_until(another, what="an entry of another millisecond")
    stream = deployment.stream(board, after=foreign)
    assert stream.wait_for("reset").data["seq"] == 2


def test_a_trimmed_cursor_gets_a_reset(deployment: Deployment, shop: Services, board: str) -> None:
    first = change(shop, board, 0)
    row_count = 1300  # the deployment keeps about 1,000
    for number in range(row_count // 100):
        change(shop, board, 99, tag=f"T-{number + 2}")
    shop.store.client.xtrim(shop.store.keys.board(board).log, maxlen=500, approximate=False)
    stream = deployment.stream(board, after=first)
    assert "log" in stream.wait_for("reset").data["reason"]


def test_the_snapshot_and_its_cursor_fit_together(
    deployment: Deployment, shop: Services, board: str
) -> None:
    change(shop, board, 5)
    snapshot = deployment.request("GET", f"/api/boards/{board}/items").json()
    change(shop, board, 5, tag="T-2")
    stream = deployment.stream(board, after=snapshot["cursor"])
    wait_until(lambda: len(stream.seqs()) == 6, what="what came after the snapshot")
    assert stream.seqs()[0] == snapshot["seq"] + 1


def test_two_streams_have_different_retries(deployment: Deployment, board: str) -> None:
    streams = [deployment.stream(board) for _ in range(5)]
    for stream in streams:
        stream.wait_for("ready")
    assert len({stream.retry_ms for stream in streams}) > 1


def test_head_answers_and_holds_nothing(deployment: Deployment, board: str) -> None:

    def has_none() -> bool:
        """Each process tells of itself at once, and of the other what that has reported."""
        return [open_streams(deployment) for _ in range(8)] == [0] * 8

    wait_until(has_none, timeout_s=30, what="earlier streams to be gone")
    path = f"/api/boards/{board}/events"
    answer = deployment.request("HEAD", path)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/event-stream"
    assert answer.content == b""
    shown = f"Authorization: {deployment.headers['Authorization']}"
    with contextlib.ExitStack() as held:
        for _ in range(10):  # of both processes, by connections that stay open
            wire = held.enter_context(Wire(deployment.port))
            wire.send(request(f"HEAD {path}", shown))
            assert wire.lines()[0] == "HTTP/1.1 200 OK"
        assert has_none()


def test_a_stream_of_an_unknown_board_is_refused_for_good(deployment: Deployment) -> None:
    answer = deployment.request("GET", "/api/boards/nowhere/events")
    assert answer.status_code == 404
    assert answer.json()["code"] == "board_not_found"


def test_a_stream_without_a_token_is_refused_for_good(deployment: Deployment) -> None:
    answer = requests.get(f"{deployment.url}/api/boards/main/events", timeout=10)
    assert answer.status_code == 401


def test_a_client_that_goes_away_is_noticed_without_an_event(
    deployment: Deployment, board: str
) -> None:
    wait_until(lambda: open_streams(deployment) == 0, what="earlier streams to be gone")
    streams = [deployment.stream(board) for _ in range(10)]
    wait_until(lambda: open_streams(deployment) == 10, what="the streams to be counted")
    for stream in streams:
        stream.close()
    wait_until(lambda: open_streams(deployment) == 0, what="the streams to be gone")


def test_a_client_that_sends_more_on_the_stream_connection_keeps_it(
    deployment: Deployment, shop: Services, board: str
) -> None:
    stream = deployment.stream(board)
    stream.wait_for("ready")
    stream.connection.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
    change(shop, board, 3)
    wait_until(lambda: stream.seqs() == [1, 2, 3, 4], what="the events")


def test_a_slow_reader_gets_a_reset_and_goes_on_and_hurts_nobody(
    deployment: Deployment, shop: Services, board: str
) -> None:
    reader = deployment.stream(board)
    reader.wait_for("ready")
    slow = deployment.stream(board, receive_bytes=2048, unread=True)
    for sent in range(1, 81):  # far more bytes than the socket buffers and the 64 KiB hold
        attributes = json.dumps({f"a{number}": secrets.token_urlsafe(290) for number in range(25)})
        shop.store.commands.execute(
            Command(board, PUT, ["T-1"], actor=SUPERVISOR, items=[{"attributes": attributes}])
        )
        # One by one: on a busy machine this reader might be too slow as well.
        wait_until(functools.partial(reader.has, sent), what="the other reader's event")
    assert reader.seqs() == list(range(1, 81))
    slow.read()
    reset = slow.wait_for("reset", timeout_s=20)
    assert "slow" in reset.data["reason"]
    last = change(shop, board, 1, tag="T-99")
    wait_until(lambda: slow.last_id == last, what="the slow reader to be live again")
    assert_gapless_but_for_resets(slow.events)
    assert log_of(shop, board)[-1] == slow.of_kind("item")[-1].data


def test_a_batch_of_large_items_resets_nobody_who_reads(
    deployment: Deployment, shop: Services, board: str
) -> None:
    attributes = json.dumps(
        {f"a{number}": "x" * 400 for number in range(7)}
    )  # together more than 64 KiB
    rows = [(f"T-{number}", {"attributes": attributes}) for number in range(50)]
    assert all(each.changed for each in shop.store.commands.put_many(board, rows, actor=SUPERVISOR))
    streams = [deployment.stream(board) for _ in range(4)]
    for stream in streams:
        stream.wait_for("ready")
    tags = [tag for tag, _ in rows]
    shop.store.commands.execute(Command(board, TRANSITIONS["take"], tags, actor=SUPERVISOR))
    for stream in streams:
        wait_until(functools.partial(stream.has, 50), what="all of the batch")
        assert stream.of_kind("reset") == []


def test_streams_share_one_connection_per_worker_process(
    deployment: Deployment, module_server: RealServer, board: str
) -> None:
    streams = [deployment.stream(board) for _ in range(50)]
    for stream in streams:
        stream.wait_for("ready")
    with module_server.client() as client:
        names = [each["name"] for each in client.client_list()]
    assert names.count("occupancy-pubsub") == 2
    stats = deployment.request("GET", "/api/redis-connection-stats").json()
    assert len(stats["workers"]) == 2
    assert {each["pubsub"]["in_use"] for each in stats["workers"]} == {1}
    assert stats["server"]["pubsub"] == 2


def test_metrics_count_over_all_worker_processes(
    deployment: Deployment, shop: Services, board: str
) -> None:
    streams = [deployment.stream(board) for _ in range(20)]
    for stream in streams:
        stream.wait_for("ready")
    before = metric(deployment, "occupancy_deliveries_total")
    change(shop, board, 4)
    for stream in streams:
        wait_until(functools.partial(stream.has, 5), what="the events")
    wait_until(
        lambda: metric(deployment, "occupancy_deliveries_total") - before >= 100, what="the count"
    )
    assert metric(deployment, "occupancy_deliveries_total") - before == 100
    wait_until(
        lambda: metric(deployment, "occupancy_streams") == open_streams(deployment) >= 20,
        what="the gauge of both processes",
    )


def open_streams(deployment: Deployment) -> int:
    stats = deployment.request("GET", "/api/redis-connection-stats").json()
    return sum(each["streams"]["open"] for each in stats["workers"])


def metric(deployment: Deployment, name: str) -> float:
    text = deployment.metrics()
    return next(
        float(line.split()[-1]) for line in text.splitlines() if line.startswith(name + " ")
    )


def assert_gapless_but_for_resets(events: Sequence[Event]) -> None:
    expected = None
    for event in events:
        kind, data = event.kind, event.data
        if kind in ("ready", "reset"):
            expected = data["seq"] + 1
        elif kind == "item":
            assert data["seq"] == expected
            expected += 1


def test_a_stream_of_http_1_0_has_no_chunks(
    deployment: Deployment, shop: Services, board: str
) -> None:
    """As nginx asks for it by default."""
    stream = deployment.stream(board)
    stream.wait_for("ready")
    token = deployment.headers["Authorization"]
    with socket.create_connection(("127.0.0.1", deployment.port), timeout=10) as connection:
        head = f"GET /api/boards/{board}/events HTTP/1.0\r\nAuthorization: {token}\r\n\r\n"
        connection.sendall(head.encode())
        received = received_until(connection, b"event: ready")
        cursor = change(shop, board, 1).encode()
        received += received_until(connection, cursor)
        received += b"" if received.endswith(b"}\n\n") else received_until(connection, b"}\n\n")
    assert b"chunked" not in received
    body = received.partition(b"\r\n\r\n")[2]
    assert all(
        line == b"" or line.startswith((b"retry: ", b"id: ", b"event: ", b"data: {"))
        for line in body.split(b"\n")
    )


def test_a_request_behind_a_stream_on_its_connection_does_nothing(
    deployment: Deployment, shop: Services, board: str
) -> None:
    """There could be no answer to it before the stream's end."""
    cursor = change(shop, board, 0)
    worker = f"w-{secrets.token_hex(4)}"
    shop.workers.add(worker, name="Worker", role=Role.WORKER)
    shown = f"Authorization: Bearer {shop.tokens.create(worker)[0]}"
    take = request(f"POST /api/boards/{board}/items/T-1/take", shown, "Content-Length: 0")
    secret, watching = shop.tokens.create(worker)
    stream = request(f"GET /api/boards/{board}/events", f"Authorization: Bearer {secret}")
    with Wire(deployment.port) as wire:
        wire.send(stream + take)
        assert wire.until(b"event: ready").startswith(b"HTTP/1.1 200 OK\r\n")
        shop.tokens.revoke(watching.id)  # the stream ends, and its client is there still
        wire.until(b"event: bye")
        with pytest.raises((EOFError, ConnectionResetError)):
            wire.until(b"HTTP/1.1")  # a second answer
    assert shop.store.log.replay(board, cursor, 10).entries == []
    with Wire(deployment.port) as wire:
        assert wire.ask(take).code == "changed"  # it is one that would have had an effect


def test_a_stream_over_tls_is_written_by_its_greenlet(
    tmp_path: Path, own_server: RealServer
) -> None:
    """gunicorn's TLS socket cannot be written from the event loop; the stream is the same."""
    running = TLSDeployment(tmp_path, own_server.url)
    running.start()
    try:
        shop = running.services()
        token = running.sign_in("watcher", Role.OBSERVER)["Authorization"]
        with running.connect() as connection:
            head = "GET /api/boards/main/events HTTP/1.1\r\nHost: x\r\n"
            connection.sendall(f"{head}Authorization: {token}\r\n\r\n".encode())
            received_until(connection, b"event: ready")
            cursors = [change(shop, "main", 3).encode() for _ in range(2)]
            received_until(connection, *cursors)
            running.signal(signal.SIGTERM)
            received_until(connection, b"event: bye")
        assert "Traceback" not in running.log
    finally:
        running.stop()


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("gzip, deflate, br, zstd", "gzip"),
        ("br, GZIP;q=0.1", "gzip"),
        ("gzip;q=0", None),
        ("gzip;q=0.000, br", None),
        ("x-gzip, deflate", None),
        ("*", None),
        ("", None),
    ],
)
def test_a_stream_is_compressed_for_who_takes_gzip(
    deployment: Deployment, accepted: str, coding: str | None
) -> None:
    answer = requests.get(
        f"{deployment.url}/api/boards/main/events",
        headers={**deployment.headers, "Accept-Encoding": accepted}, stream=True, timeout=10,
    )  # fmt: skip
    assert answer.headers.get("Content-Encoding") == coding
    answer.close()


def test_another_program_reads_a_compressed_stream_as_it_comes(
    deployment: Deployment, shop: Services, board: str
) -> None:
    """Each event can be decoded when it has arrived, long before the stream ends."""
    headers = {**deployment.headers, "Accept-Encoding": "gzip"}
    with requests.get(
        f"{deployment.url}/api/boards/{board}/events", headers=headers, stream=True, timeout=10
    ) as answer:
        lines = answer.iter_lines(chunk_size=1)
        assert next(line for line in lines if line == b"event: ready")
        for number in range(3):
            change(shop, board, 0, tag=f"T-{number}")
            data = next(line for line in lines if line.startswith(b'data: {"seq"'))
            assert json.loads(data[6:])["item"]["tag"] == f"T-{number}"
