"""What the proxy does to messages, and to which of them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Kind = Literal["delay", "byte_by_byte", "hold", "cut", "reset", "lose_answer", "refuse"]
Direction = Literal["request", "answer", "both"]

# Decided for each piece of a message, so that they also apply to a stream that is open.
OF_PIECES = ("delay", "byte_by_byte", "hold")
# Decided when a request begins.
OF_EXCHANGES = ("cut", "reset", "lose_answer")


@dataclass(frozen=True, kw_only=True)
class Mode:
    """One thing that the proxy does until it is told to end it.

    - ``delay``: passes on after ``delay_s``, and up to ``jitter_s`` more.
    - ``byte_by_byte``: sends each byte by itself.
    - ``hold``: accepts, and passes nothing on until the mode ends.
    - ``cut``: closes the connection after ``after_bytes`` of the message.
    - ``reset``: the same, with RST.
    - ``lose_answer``: passes the request on whole, drops its answer, and closes the connection.
    - ``refuse``: does not listen.

    A request begins with the first bytes from the client after those from the server. ``matching``
    is looked for in the first bytes of the request, ``answering`` at the beginning of the answer.
    """

    kind: Kind
    direction: Direction = "answer"
    matching: str = ""
    answering: str = ""  # of lose_answer
    chance: float = 1.0  # that it applies to a message that matches
    every: int = 0  # instead of a chance: applies to each n-th that matches
    most: int = 0  # how often it applies; 0: no bound
    after_bytes: int | None = None  # None: somewhere in the middle
    delay_s: float = 0.0
    jitter_s: float = 0.0
    counted_as: str = ""  # the name among the counts, else the kind

    @property
    def name(self) -> str:
        return self.counted_as or self.kind

    def concerns(self, direction: Direction) -> bool:
        return self.direction in (direction, "both")

    def as_json(self) -> dict[str, Any]:
        return asdict(self)
