"""Bodies of JSON, well formed or not, to every route that takes one."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from proof.fuzz.corpus import CUT
from proof.fuzz.http_parts import API, FOLLOWING, ITEM, JSON, OPERATIONS, request, shown
from proof.fuzz.twins import HIDDEN, OPEN, token_of

# Texts that are JSON for some readers, or cost much to read.
_ODD = (
    b"NaN", b"Infinity", b"-Infinity", b"-0", b"1e999", b"1E400", b"-1e-999", b"0.1e1", b"01",
    b"1.",
    b"9007199254740993", b"18446744073709551616", b"-9223372036854775809", b"9" * 400, b"1" * 5000,
    b'"\\ud800"', b'"\\udc00\\ud800"', b'"\\u0000"', b'"\xff"', b'"\xed\xa0\x80"', b'"\x00"',
    b'"\n"',
    b'"\\x41"', b'"\xe2\x80\xa8"', b'"\\u202e"', b'"\xef\xbb\xbf"', b'"\\ufffe"', b"'a'",
    b"undefined",
    b"True", b"null", b"[]", b"{}", b'"<script>alert(1)</script>"', b'"=1+1"',
    b'"' + b"x" * 3000 + b'"',
    b"[" * 500 + b"]" * 500, b"[" * 20_000, b'{"a":' * 900 + b"1" + b"}" * 900, b'{"a":' * 9000,
    b"/**/1",
    b'{"a":1,"a":2}', b"[1,]", b'{"a":1,}', b"{a:1}", b'"\\', b'"', b"", b"\xef\xbb\xbf{}",
    b"\xff\xfe{\0}\0",
    '{"é":"é"}'.encode("utf-16"), b"{}{}", b"{}\n{}", b"{} x", b"1e5", b"true", b'"a"', b"-", b"\0",
)  # fmt: skip
_TEXTS = (
    "T-000000-a",
    "worker",
    "observer",
    "supervisor",
    "ARM",
    "SOLD",
    "x",
    "main",
    "a" * 70,
    "",
    " ",
    "<b>",
)
_FIELDS = (
    "epoch", "reason", "to", "step", "operation", "tags", "title", "attributes", "board", "steps",
    "max_holds", "name", "role", "worker", "days", "token", "__proto__", "a", "", "\u202e",
)  # fmt: skip
_values: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.sampled_from(_TEXTS),
        st.text(max_size=20),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.sampled_from(_FIELDS), inner, max_size=3)
    ),
    max_leaves=6,
)
# What each route takes; a body has some of it, right or wrong.
_ROUTES: dict[str, tuple[str, dict[str, Any]]] = {
    **{
        f"POST {ITEM}/{each}": (
            "supervisor" if "e" in each[:2] or each in ("block", "unblock") else "worker",
            {"epoch": 0, "reason": "broken", "to": "worker", "step": "ARM"},
        )
        for each in OPERATIONS
    },
    f"POST {API}/batch": (
        "supervisor",
        {"operation": "take", "tags": [OPEN.decode(), HIDDEN.decode()[:-1]], "reason": "x",
        "to": "worker"},
    ),
    f"PUT {ITEM}": ("supervisor", {"title": "Spool", "attributes": {"area": "B2", "n": 1.5}}),
    f"DELETE {ITEM}": ("supervisor", {"epoch": 0, "reason": "x"}),
    "POST /api/boards": ("admin", {"board": "b-9", "title": "B", "steps": ["A", "B"],
    "max_holds": 2}),
    "PUT /api/workers/T-000000-a": ("admin", {"name": "W", "role": "worker", "disabled": True}),
    "POST /api/tokens": ("admin", {"worker": "observer", "days": 3, "role": "observer",
    "board": "main"}),
    "POST /api/session": ("observer", {"token": token_of("observer"), "worker": "x"}),
    "PUT /api/session/pin": ("observer", {"pin": "1234"}),
}  # fmt: skip


@st.composite
def _texts(draw: st.DrawFn, fields: dict[str, Any]) -> bytes:
    """The text of an object that has some of ``fields``, and perhaps others."""
    names = draw(st.lists(st.sampled_from(sorted(fields)), unique=True))
    parts = [(json.dumps(name).encode(), json.dumps(fields[name]).encode()) for name in names]
    for _ in range(draw(st.integers(0, 2))):
        name = json.dumps(draw(st.sampled_from((*sorted(fields), *_FIELDS)))).encode()
        if draw(st.booleans()):
            value = draw(st.sampled_from(_ODD))
        else:
            value = json.dumps(draw(_values), ensure_ascii=draw(st.booleans())).encode(
                "utf-8", "surrogatepass"
            )
        parts.append((name, value))
    return b"{" + b",".join(name + b":" + value for name, value in parts) + b"}"


@st.composite
def cases(draw: st.DrawFn) -> bytes:
    """One request with a body, and the one that follows."""
    line = draw(st.sampled_from(sorted(_ROUTES)))
    role, fields = _ROUTES[line]
    kind = draw(st.integers(0, 5))
    if kind == 0:
        body = draw(st.sampled_from(_ODD))
    elif kind == 1:
        body = draw(st.binary(max_size=40))
    else:
        body = draw(_texts(fields))
    if kind == 5 and body:
        at = draw(st.integers(0, len(body) - 1))
        body = body[:at] + draw(st.binary(max_size=3)) + body[at + 1 :]
    return request(line, shown(role), JSON, body=body) + CUT + FOLLOWING
