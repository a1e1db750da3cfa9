"""Parts of HTTP requests that the targets put together: paths, credentials, whole requests."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from proof.fuzz.corpus import CUT
from proof.fuzz.twins import BOARD, COOKIE, CSRF, HIDDEN, OPEN, token_of

API = f"/api/boards/{BOARD.decode()}"
ITEM = f"{API}/items/{OPEN.decode()}"
JSON = "Content-Type: application/json"
OPERATIONS = (
    "take", "pause", "complete", "release", "force-release", "reassign", "block", "unblock",
    "reopen", "undo", "send-back",
)  # fmt: skip


def shown(role: str) -> str:
    """The header with the token of a worker with that role."""
    return f"Authorization: Bearer {token_of(role)}"


SESSION = f"Cookie: {COOKIE.decode()}"
CSRF_HEADER = f"X-CSRF-Token: {CSRF.decode()}"


def request(line: str, *headers: str, body: bytes | None = None) -> bytes:
    """A request's bytes; header texts are Latin-1, as on the wire."""
    lines = [f"{line} HTTP/1.1", "Host: 127.0.0.1", *headers]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + (body or b"")


# An operation that the fast path carries out, on an item that no case concerns. It follows each
# case on its connection: the case must leave no byte unread, and consume none of this.
FOLLOWING = request(f"POST {API}/items/{HIDDEN.decode()}/take", shown("worker"))


@st.composite
def cut(draw: st.DrawFn, data: bytes) -> bytes:
    """``data`` in up to four packets, each of which may end anywhere."""
    for at in sorted(draw(st.lists(st.integers(1, max(1, len(data))), max_size=3)), reverse=True):
        data = data[:at] + CUT + data[at:]
    return data


def mostly(usual: SearchStrategy[str], odd: SearchStrategy[str]) -> SearchStrategy[str]:
    """``usual`` in two of three cases."""
    return st.integers(0, 2).flatmap(lambda number: odd if number == 0 else usual)
