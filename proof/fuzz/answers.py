"""The bytes that a server has sent on one connection, as answers, read strictly.

``read`` raises ``Violation`` for whatever no answer of ours may look like, so a header that was
injected, or a body of another length than stated, is found here.
"""

from __future__ import annotations

import json
import re
import zlib
from typing import Any, NamedTuple

PROBLEM, EVENTS = "application/problem+json", "text/event-stream"
_STATUS = re.compile(rb"HTTP/1\.[0-9] ([1-5][0-9]{2}) [A-Za-z' -]+\Z")
_FIELD = re.compile(rb"([A-Za-z-]+): ([\x20-\x7e]*)\Z")
_KNOWN = {
    "server", "date", "connection", "content-type", "content-length", "transfer-encoding", "vary",
    "content-encoding", "cache-control", "etag", "location", "allow", "retry-after", "set-cookie",
    "www-authenticate", "idempotency-replayed", "x-content-type-options", "referrer-policy",
    "cross-origin-resource-policy", "cross-origin-opener-policy", "content-security-policy",
    "x-accel-buffering", "last-modified", "access-control-allow-origin",
    "access-control-expose-headers", "access-control-allow-headers", "access-control-max-age",
    "access-control-allow-methods",
}  # fmt: skip
_BODILESS = (204, 304)
_OTHER_STATUSES = (501,)  # of an unknown transfer coding; no other from 500 on is an answer
# A stream goes on until it is closed; what it says before that must be equal.
_STREAM_BEGINS = re.compile(rb"event: (?:ready|reset|bye|degraded)\ndata: [^\n]*\n\n")
_MASKS = tuple(
    (re.compile(pattern), instead)
    for pattern, instead in (
        (rb"retry: [0-9]+", b"retry"),
        (rb'"(cursor|since|at|csrf_token|token|id|created|expires|used)":"[^"]*"', rb'"\1":""'),
        (rb'"path":"/[a-z-]+#[^"]*"', b'"path":""'),  # of a link with a secret
        (rb'"svg":"(?:[^"\\]|\\.)*"', b'"svg":""'),  # its QR code
        (rb"id: [0-9]+-[0-9]+", b"id: cursor"),
        (rb"since [0-9-]+ [0-9:]+ UTC", b"since"),
        (rb'"(worked_s|retry_after|created_s|expires_s)":[0-9.]+', rb'"\1":0'),
        (rb"Wait [0-9]+ s", b"Wait"),
        (rb'"counts":\{[^}]*\}', b'"counts":{}'),  # of boards that a finding has set apart
        (rb'"next":"[^"]*"', b'"next":""'),
    )
)
# The hash in a tag is that of the query, which may contain a cursor.
_CURSOR_TAG = re.compile(r'"[0-9]+-[0-9]+\.[0-9a-f]*')


class Violation(AssertionError):
    """Something that must never happen, whatever was sent."""


class Answer(NamedTuple):
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def get(self, name: str) -> str:
        return next((text for each, text in self.headers if each.lower() == name), "")

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def kind(self) -> str:
        return self.get("content-type").partition(";")[0]

    def comparable(self) -> tuple[int, list[tuple[str, str]], bytes]:
        """The part that is the same both ways, and at any time."""
        left_out = {"date", "content-length", "retry-after", "set-cookie"}
        if self.kind == EVENTS:
            left_out |= {"content-encoding", "connection"}  # the fast path compresses
        headers = [
            (name, _CURSOR_TAG.sub('"cursor.', text))
            for name, text in self.headers
            if name.lower() not in left_out
        ]
        body = self.body
        for pattern, instead in _MASKS:
            body = pattern.sub(instead, body)
        return self.status, sorted(headers), body


def read(received: bytes) -> list[Answer]:
    """The answers in all bytes of a closed connection. Raises Violation."""
    answers = []
    while received:
        answer, received = _first(received)
        if answer.status >= 200:
            check(answer)
        answers.append(answer)
    return answers


def has_begun(received: bytes) -> bool:
    """Whether a stream is the last that was received, and has said where it begins."""
    at = received.rfind(b"Content-Type: text/event-stream")
    end = received.find(b"\r\n\r\n", at)
    if at < 0 or end < 0:
        return False
    is_gzip = b"Content-Encoding: gzip" in received[received.rfind(b"HTTP/1.", 0, at) : end]
    return _STREAM_BEGINS.search(_stream(received[end + 4 :], is_gzip=is_gzip)[0]) is not None


def check(answer: Answer) -> None:
    """Raise Violation unless ``answer`` is one that the API may give to anything."""
    status = answer.status
    if status >= 500 and status not in _OTHER_STATUSES:
        raise Violation(f"{status}: {answer.body[:300]!r}")
    if b"Traceback" in answer.body:
        raise Violation(f"a traceback: {answer.body[:2000]!r}")
    if status >= 400 and answer.kind != PROBLEM:
        raise Violation(f"{status} is not problem+json: {answer.headers}")
    if answer.kind in (PROBLEM, "application/json") and answer.body:
        told = json.loads(answer.body.decode())  # strict UTF-8
        if answer.kind == PROBLEM and (told["status"] != status or not told["code"]):
            raise Violation(f"{status} says {told}")
    if answer.get("x-content-type-options") != "nosniff":
        raise Violation(f"no nosniff: {answer.headers}")


def _first(received: bytes) -> tuple[Answer, bytes]:  # noqa: PLR0912 - one form a branch
    head, end, rest = received.partition(b"\r\n\r\n")
    if not end:
        raise Violation(f"an answer ends in its head: {received[:300]!r}")
    line, *fields = head.split(b"\r\n")
    found = _STATUS.match(line)
    if found is None:
        raise Violation(f"no status line: {received[:300]!r}")
    headers = [_field(each) for each in fields]
    answer = Answer(int(found[1]), headers, b"")
    names = [name.lower() for name, _ in headers]
    single = [each for each in names if each not in ("set-cookie", "vary")]
    if answer.status >= 200 and (unknown := set(names) - _KNOWN):
        raise Violation(f"unknown headers {unknown}")
    if len(set(single)) < len(single):
        raise Violation(f"a header twice: {headers}")
    if answer.status < 200 or answer.status in _BODILESS:
        return answer, rest
    if answer.get("transfer-encoding") == "chunked":
        is_gzip = answer.get("content-encoding") == "gzip"
        body, rest = _stream(rest, is_gzip=is_gzip)
        if answer.kind == EVENTS and (begun := _STREAM_BEGINS.search(body)):
            body = body[: begun.end()]
        return answer._replace(body=body), rest
    length = int(answer.get("content-length") or "-1")
    if answer.kind == EVENTS and not rest.startswith(b"HTTP/1."):
        begun = _STREAM_BEGINS.search(rest)  # of HTTP/1.0: it ends with the connection
        return answer._replace(body=rest[: begun.end()] if begun else rest), b""
    if answer.kind == EVENTS:
        return answer, rest  # to HEAD
    if length < 0:
        raise Violation(f"a body without its length: {headers}")
    if length and (not rest or rest.startswith(b"HTTP/1.")):
        return answer, rest  # to HEAD
    if len(rest) < length:
        raise Violation(f"{len(rest)} bytes of {length}: {received[:300]!r}")
    body = rest[:length]
    if answer.get("content-encoding") == "gzip":
        body = zlib.decompress(body, 47)
    return answer._replace(body=body), rest[length:]


def _field(line: bytes) -> tuple[str, str]:
    found = _FIELD.match(line)
    if found is None:
        raise Violation(f"no header: {line[:300]!r}")
    return found[1].decode(), found[2].decode()


def _stream(data: bytes, *, is_gzip: bool) -> tuple[bytes, bytes]:
    """A chunked body as far as it is there, and what follows its last chunk."""
    body = b""
    while True:
        size, end, rest = data.partition(b"\r\n")
        if not end or data.startswith(b"HTTP/1."):  # a stream that was closed; an answer to HEAD
            break
        length = int(size, 16)
        body += rest[:length]
        data = rest[length + 2 :]
        if not length:
            break
    if is_gzip:
        body = zlib.decompressobj(47).decompress(body)
    return body, data
