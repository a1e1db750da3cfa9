"""The bytes of the event stream."""

from __future__ import annotations

import itertools
import json
import re
import secrets
import zlib

from occupancy.live import sse


def test_an_item_frame_is_id_event_and_data_and_ends_with_an_empty_line() -> None:
    frame = sse.item_frame("1763838000123-0", b'{"seq":1}')
    assert frame == b'id: 1763838000123-0\nevent: item\ndata: {"seq":1}\n\n'


def test_an_item_frame_copies_the_event_byte_for_byte() -> None:
    event = '{"title":"\u2028 \u0085 ü"}'.encode()
    assert event in sse.item_frame("1-0", event)


def test_a_control_frame_with_a_cursor_moves_the_last_event_id() -> None:
    frame = sse.control_frame("ready", {"cursor": "5-1", "seq": 3}, "5-1")
    assert frame == b'id: 5-1\nevent: ready\ndata: {"cursor":"5-1","seq":3}\n\n'


def test_a_control_frame_without_a_cursor_has_no_id() -> None:
    assert sse.control_frame("bye", {}) == b"event: bye\ndata: {}\n\n"
    assert b"id:" not in sse.control_frame("degraded", {"detail": "x"})


def test_what_a_text_holds_cannot_begin_a_line_of_its_own() -> None:
    text = "a\r\nevent: forged\rdata: forged\n\nid: 1-1"
    frame = sse.control_frame("reset", {"reason": text}, "5-1")
    lines = re.split(rb"\r\n|\r|\n", frame)
    assert [line.partition(b":")[0] for line in lines] == [b"id", b"event", b"data", b"", b""]
    assert json.loads(lines[2].removeprefix(b"data: ")) == {"reason": text}


def test_the_heartbeat_is_a_comment() -> None:
    assert sse.HEARTBEAT.raw == b":\n\n"


def test_the_retry_is_different_for_each_stream_and_within_its_bounds() -> None:
    frames = {sse.retry_frame(500, 6000) for _ in range(50)}
    assert len(frames) > 25
    for frame in frames:
        found = re.fullmatch(rb"retry: (\d+)\n\n", frame)
        assert found is not None
        assert 500 <= int(found.group(1)) <= 6000


def test_compressed_blocks_make_a_gzip_stream_in_whatever_order_they_come() -> None:
    blocks = [b":\n\n", b"data: {}\n\n" * 3, b"x" * 300_000, secrets.token_bytes(1000)]
    for order in itertools.permutations(blocks):
        decoder = zlib.decompressobj(16 + zlib.MAX_WBITS)
        assert decoder.decompress(sse.GZIP_HEADER) == b""
        for block in order:
            assert decoder.decompress(sse.deflated(block)) == block


def test_a_payload_is_compressed_once_and_alike_events_become_small() -> None:
    frames = [
        sse.item_frame(f"{1763838000123 + number}-0", b'{"seq":%d,"item":{"tag":"T"}}' % number)
        for number in range(100)
    ]
    payload = sse.Payload(frames)
    assert payload.gzip_chunk is payload.gzip_chunk
    assert payload.gzip_chunk == sse.http_chunk(payload.deflated)
    assert len(payload.deflated) < len(payload.raw) / 5
