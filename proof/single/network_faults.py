"""Faults of the network: between clients and gunicorn, and between gunicorn and the server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import gevent

from proof.network.mode import Mode
from proof.network.proxy import FaultProxy
from proof.single.stage import Fault, Stage

_End = Literal["client link", "server link"]
# What a script's call begins with. A request before the strike is not among those that are cut.
_SCRIPT = "EVALSHA"
_STREAM = "/events"
_OPERATION = "POST /api/boards/"


def lost_answers(every: int) -> Mode:
    """Each n-th acknowledgement of an operation is lost: for a whole round, beside its faults."""
    return Mode(
        kind="lose_answer", matching=_OPERATION, answering="HTTP/1.1 200", every=every,
        counted_as="acknowledgements lost",
    )  # fmt: skip


def link_of(stage: Stage, end: _End) -> FaultProxy:
    link = stage.site.client_link if end == "client link" else stage.site.server_link
    assert isinstance(link, FaultProxy), "the site has no FaultProxy here"
    return link


def _act(
    about: str, end: _End, make: Callable[[Stage], list[Mode]], *, least_s: float, most_s: float
) -> Callable[[Stage], None]:
    """A fault that lasts some time, and has happened if the proxy has counted each mode."""

    def act(stage: Stage) -> None:
        modes = make(stage)
        link = link_of(stage, end)
        before = link.counts()
        stage.strike()
        with link.during(*modes):
            stage.last(least_s, most_s)
        _note(stage, before, link.counts(), [each.name for each in modes])

    act.__doc__ = about
    return act


def _note(stage: Stage, before: dict[str, int], after: dict[str, int], names: list[str]) -> None:
    counted = {name: after.get(name, 0) - before.get(name, 0) for name in dict.fromkeys(names)}
    stage.note = ", ".join(f"{name} {count}" for name, count in counted.items())
    if all(counted.values()):
        stage.happened()


def _delay(most_s: float) -> Callable[[Stage], list[Mode]]:
    def make(stage: Stage) -> list[Mode]:
        delay_s = stage.random.uniform(0.005, most_s)
        return [
            Mode(
                kind="delay", direction="both", delay_s=delay_s, jitter_s=delay_s,
                counted_as="delayed",
            )
        ]  # fmt: skip

    return make


def _cut(kind: Literal["cut", "reset"], direction: Literal["request", "answer"], chance: float,
         matching: str = "") -> Callable[[Stage], list[Mode]]:  # fmt: skip
    name = f"{direction}s {kind}"
    return lambda _: [
        Mode(kind=kind, direction=direction, chance=chance, matching=matching, counted_as=name)
    ]


def _lose(matching: str, answering: str, least: int) -> Callable[[Stage], list[Mode]]:
    return lambda stage: [
        Mode(
            kind="lose_answer", matching=matching, answering=answering,
            every=stage.random.randint(least, 2 * least), counted_as="answers lost",
        )
    ]  # fmt: skip


def _byte_by_byte(chance: float) -> Callable[[Stage], list[Mode]]:
    return lambda _: [
        Mode(kind="byte_by_byte", direction="both", chance=chance, counted_as="sent byte by byte")
    ]


def _hold(_: Stage) -> list[Mode]:
    return [Mode(kind="hold", direction="both", counted_as="held")]


def cut_streams(stage: Stage) -> None:
    """All event streams are cut within an event, several times."""
    link = link_of(stage, "client link")
    name = "streams cut"
    before = link.counts()
    stage.strike()
    for _ in range(stage.random.randint(2, 5)):
        link.strike(Mode(kind="cut", matching=_STREAM, counted_as=name))
        gevent.sleep(stage.random.uniform(0.1, 0.6))
    _note(stage, before, link.counts(), [name])


def refuse_clients(stage: Stage) -> None:
    """Clients are refused, and the connections that they have are reset."""
    _refuse(stage, "client link")


def refuse_server(stage: Stage) -> None:
    """Connections to the server are refused, and those that are open are reset."""
    _refuse(stage, "server link")


def _refuse(stage: Stage, end: _End) -> None:
    link = link_of(stage, end)
    name = "connections reset"
    before = link.counts()
    stage.strike()
    with link.during(Mode(kind="refuse")):
        link.strike(Mode(kind="reset", direction="both", after_bytes=0, counted_as=name))
        stage.last(0.5, 3.0)
        after = link.counts()
    _note(stage, before, after, ["refuse", name])


def _of_clients(
    about: str, make: Callable[[Stage], list[Mode]], least_s: float = 1.0, most_s: float = 4.0,
    *, stops_everything: bool = False,
) -> Fault:  # fmt: skip
    act = _act(about, "client link", make, least_s=least_s, most_s=most_s)
    return Fault(act, "client link", stops_everything)


def _of_server(
    about: str, make: Callable[[Stage], list[Mode]], least_s: float = 1.0, most_s: float = 4.0,
    *, stops_everything: bool = False,
) -> Fault:  # fmt: skip
    act = _act(about, "server link", make, least_s=least_s, most_s=most_s)
    return Fault(act, "server link", stops_everything)


FAULTS: dict[str, Fault] = {
    "clients-delayed": _of_clients("Bytes between clients and gunicorn are late.", _delay(0.2)),
    "clients-answers-cut": _of_clients(
        "Answers to clients are cut in the middle.", _cut("cut", "answer", 0.3)),
    "clients-requests-cut": _of_clients(
        "Clients' requests are cut in the middle.", _cut("cut", "request", 0.3)),
    "clients-reset": _of_clients(
        "Clients' connections are reset within an answer.", _cut("reset", "answer", 0.3)),
    "clients-answers-lost": _of_clients(
        "Acknowledgements of operations do not reach their callers.",
        _lose(_OPERATION, "HTTP/1.1 200", 2)),
    "clients-byte-by-byte": _of_clients(
        "Requests and answers arrive byte by byte.", _byte_by_byte(0.2)),
    "clients-held": _of_clients(
        "No byte passes between clients and gunicorn.", _hold, stops_everything=True),
    "clients-refused": Fault(refuse_clients, "client link", stops_everything=True),
    "streams-cut": Fault(cut_streams, "client link"),
    "server-delayed": _of_server("Bytes between gunicorn and the server are late.", _delay(0.05)),
    "server-replies-cut": _of_server(
        "The server's replies are cut in the middle.", _cut("cut", "answer", 0.05)),
    "server-requests-cut": _of_server(
        "Commands to the server are cut in the middle.", _cut("cut", "request", 0.05)),
    "server-reset": _of_server(
        "Connections to the server are reset within a reply.", _cut("reset", "answer", 0.05)),
    "server-replies-lost": _of_server(
        "Replies to scripts do not reach gunicorn.", _lose(_SCRIPT, "", 4)),
    "server-byte-by-byte": _of_server(
        "Commands and replies arrive byte by byte.", _byte_by_byte(0.2)),
    "server-held": _of_server(
        "No byte passes between gunicorn and the server; later all of it does.", _hold, 1.0, 8.0,
        stops_everything=True),
    "server-refused": Fault(refuse_server, "server link", stops_everything=True),
}  # fmt: skip
