"""Responses that are made without gunicorn: their heads, and the time in them."""

from __future__ import annotations

import email.utils
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from occupancy.server.responses import StreamResponse, encode_reply
from occupancy.web.io import json_reply, not_modified

NOW_S = 1_700_000_000


def head_of(response: bytes) -> dict[str, str]:
    lines = response.partition(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
    return {name: text for name, _, text in (each.partition(": ") for each in lines)}


def test_a_304_says_nothing_of_a_length() -> None:
    assert "Content-Length" not in head_of(encode_reply(not_modified('"1.x"'), {}))
    assert head_of(encode_reply(json_reply(b"{}"), {}))["Content-Length"] == "2"


@pytest.mark.parametrize(
    "make",
    [
        lambda streams: streams.first(b": x\n\n", is_gzip=False),
        lambda streams: streams.first(b": x\n\n", is_gzip=True),
        lambda streams: streams.whole(b": x\n\n"),
        lambda _streams: encode_reply(json_reply(b"{}"), {}),
    ],
    ids=["stream", "compressed stream", "whole stream", "answer"],
)
def test_the_date_is_that_of_the_response(
    make: Callable[[StreamResponse], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = [float(NOW_S)]
    clock = SimpleNamespace(time=lambda: now_s[0])
    monkeypatch.setattr("occupancy.server.responses.time", clock)
    streams, dates = StreamResponse({}), []
    for _ in range(4):
        dates.append(head_of(make(streams))["Date"])
        now_s[0] += 0.5
    of = [email.utils.formatdate(NOW_S + second, usegmt=True) for second in (0, 1)]
    assert dates == [of[0], of[0], of[1], of[1]]


def test_a_stream_says_whether_it_is_compressed() -> None:
    streams = StreamResponse({"X-Content-Type-Options": "nosniff", "Vary": "Origin"})
    for is_gzip, coding in ((False, None), (True, "gzip"), (False, None)):
        head = head_of(streams.first(b": x\n\n", is_gzip=is_gzip))
        assert head.get("Content-Encoding") == coding
        assert head["X-Content-Type-Options"] == "nosniff"
        assert set(head["Vary"].split(", ")) == {"Accept-Encoding", "Origin"}
