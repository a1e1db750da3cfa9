"""PIN guessing from a thousand addresses, on a clock that is set forward instead of waiting.

What SECURITY.md says is the bound: three tries of a worker from one address are free, then the
wait is 2, 4, 8 … 300 s; an address has a hundred tries for all workers, and one more a minute;
a worker's tries from all addresses where they have not signed in are about 600 a day. The worker
signs in at an address of their own all the while.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from typing import NamedTuple

import gevent
from gevent.pool import Pool

from occupancy.access.pins import hash_pin
from occupancy.core.entities import Role
from proof.access.calls import PIN, Answer, Sender
from proof.access.site import Site

ADDRESSES = 1_000
FREE_AT_ADDRESS, FREE_FROM_ALL = 3, 20  # tries of one worker before the first wait
FREE_OF_ADDRESS, ADDRESS_INTERVAL_S = 100, 60.0  # tries of all workers
LONGEST_WAIT_S = 300
A_DAY_FROM_ALL = 630  # "about 600", where the guesser rests as is best
FORGOTTEN_S = 3_600.0
_AT_ONCE = 40
_SLICE = 200  # addresses
_HOME = "192.0.2.10"  # where the worker signs in


def allowed(free: int, elapsed_s: float) -> int:
    """How many tries of a worker there may be after ``elapsed_s``."""
    tries, wait_s = free, 2.0
    while elapsed_s >= wait_s:
        elapsed_s -= wait_s
        tries, wait_s = tries + 1, min(2 * wait_s, LONGEST_WAIT_S)
    return tries


class Tries(NamedTuple):
    """What became of guesses."""

    tried: int  # checked, and wrong
    refused: int  # not checked
    wait_s: int  # the shortest that was told; 0: none was refused
    others: list[Answer]  # neither


class Guesser:
    """Guesses on a site with a declared proxy, or without one, on a clock that it sets."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self._numbers = itertools.count()
        self._senders: list[Sender] = []
        self._free: list[Sender] = []

    def add_worker(self) -> str:
        """A worker with a PIN."""
        worker = f"w-{next(self._numbers)}"
        self.site.services.workers.add(
            worker, name=worker, role=Role.WORKER, pin_hash=hash_pin(PIN, worker)
        )
        return worker

    def sign_in(self, worker: str, address: str = _HOME) -> Answer:
        """The worker's own, with the right PIN."""
        return self._send(worker, PIN, address, None)

    def guess(
        self, worker: Callable[[int], str], addresses: Iterable[str], *, is_direct: bool = False
    ) -> Tries:
        """A wrong PIN from each address, many at once; ``is_direct``: it is the connection's."""
        pool = Pool(_AT_ONCE)
        jobs = [
            pool.spawn(
                self._send, worker(number), f"{100_000 + number}", address,
                address if is_direct else None,
            )
            for number, address in enumerate(addresses)
        ]  # fmt: skip
        gevent.joinall(jobs, raise_error=True)
        answers: Sequence[Answer] = [each.value for each in jobs]
        refused = [each.body["retry_after"] for each in answers if each.status == 429]
        return Tries(
            sum(each.status == 401 for each in answers), len(refused), min(refused, default=0),
            [each for each in answers if each.status not in (401, 429)],
        )  # fmt: skip

    def now_s(self) -> float:
        """The server's clock."""
        with self.site.server.client() as client:
            seconds, microseconds = client.time()
        return float(seconds) + float(microseconds) / 1e6

    def pass_by(self, seconds: float) -> None:
        """Set the server's clock forward."""
        assert self.site.preload is not None
        self.site.preload.set_clock(self.site.preload.clock_s + seconds)

    def limit_keys(self) -> list[bytes]:
        """The keys of the limits on the server."""
        root = f"{self.site.prefix}:{{access}}"
        with self.site.server.client() as client:
            return [
                each for kind in ("failures", "address")
                for each in client.scan_iter(f"{root}:{kind}:*", count=1000)
            ]  # fmt: skip

    def close(self) -> None:
        for each in self._senders:
            each.close()

    def _send(self, worker: str, pin: str, address: str, source: str | None) -> Answer:
        if not self._free:
            self._senders.append(Sender(self.site.port))
            self._free.append(self._senders[-1])
        sender = self._free.pop()
        try:
            return sender.send(
                "POST", "/api/session", {"X-Forwarded-For": address},
                {"worker": worker, "pin": pin}, source=source,
            )  # fmt: skip
        finally:
            self._free.append(sender)


def addresses_of(network: str, count: int = ADDRESSES) -> list[str]:
    """``count`` addresses that begin with two given bytes, for example ``10.1``."""
    return [f"{network}.{number // 250}.{number % 250 + 1}" for number in range(count)]


def over_hours(
    guesser: Guesser, worker: str, *, hours: float, rests_after: int | None = None
) -> tuple[int, float, list[str]]:
    """Guess as fast as the waits allow, from addresses in turn, with some at once.

    With ``rests_after`` waits the guesser rests until all is forgotten. Returns the number of
    tries, the time that passed on the server's clock, and what was wrong.
    """
    began_s, tried, waits, violations = guesser.now_s(), 0, 0, []
    turns = itertools.cycle(addresses_of("198.18"))
    while (elapsed_s := guesser.now_s() - began_s) < hours * 3600:
        found = guesser.guess(lambda _: worker, itertools.islice(turns, 8))
        tried += found.tried
        violations += [f"neither tried nor refused: {each}" for each in found.others]
        if found.wait_s > LONGEST_WAIT_S:
            violations.append(f"told to wait {found.wait_s} s")
        if not found.refused:
            continue
        waits += 1
        if rests_after is not None and waits % rests_after == 0:
            guesser.pass_by(FORGOTTEN_S + 1)
        else:
            guesser.pass_by(found.wait_s)
        home = guesser.sign_in(worker) if waits % 10 == 1 else None
        if home is not None and home.status != 200:
            violations.append(f"the worker cannot sign in at their address: {home}")
    return tried, elapsed_s, violations


def behind_a_proxy(guesser: Guesser) -> Iterator[str]:
    """What does not hold when a thousand addresses guess at once, behind a declared proxy."""
    worker = guesser.add_worker()
    if (known := guesser.sign_in(worker)).status != 200:
        yield f"the worker cannot sign in before: {known}"
    found = yield from _at_once(guesser, worker, addresses_of("198.18"), is_direct=False)
    if (home := guesser.sign_in(worker)).status != 200:
        yield f"the worker cannot sign in at their address: {home}"
    new = guesser.sign_in(worker, "203.0.113.99")
    if new.status != 200 and not 0 < new.body.get("retry_after", 0) <= LONGEST_WAIT_S:
        yield f"the worker is told to wait too long at a new address: {new}"
    link = guesser.site.services.links.create(worker)
    sender = Sender(guesser.site.port)
    by_link = sender.send(
        "POST", "/api/session", {"X-Forwarded-For": "203.0.113.99"}, {"token": link}
    )  # fmt: skip
    sender.close()
    if by_link.status != 200:
        yield f"the worker cannot sign in by a link: {by_link}"
    # Two keys of each try, of all workers; those of refused guesses would be thousands.
    if len(keys := guesser.limit_keys()) > 2 * found.tried + 10:
        yield f"{found.tried} tries have left {len(keys)} keys"


def with_forged_addresses(guesser: Guesser, *, is_proxied: bool) -> Iterator[str]:
    """What does not hold when one address says that it is a thousand."""
    worker = guesser.add_worker()
    began_s = guesser.now_s()
    appended = ", 203.0.113.7" if is_proxied else ""  # what the proxy adds
    found = guesser.guess(
        lambda _: worker, [f"{each}{appended}" for each in addresses_of("198.19", 80)]
    )  # fmt: skip
    most = allowed(FREE_AT_ADDRESS, guesser.now_s() - began_s)
    if not FREE_AT_ADDRESS <= found.tried <= most:
        yield f"{found.tried} tries with forged addresses instead of at most {most}"
    yield from _others(found)


def from_real_addresses(guesser: Guesser, *, count: int = ADDRESSES) -> Iterator[str]:
    """What does not hold when ``count`` addresses of the loopback guess at once."""
    worker = guesser.add_worker()
    yield from _at_once(guesser, worker, addresses_of("127.1", count), is_direct=True)


def of_many_workers(guesser: Guesser, *, times: int) -> Iterator[str]:
    """What does not hold when one address guesses the PINs of many workers, some invented."""
    began_s = guesser.now_s()
    workers = [f"x-{next(guesser._numbers)}" for _ in range(times)]
    found = guesser.guess(lambda number: workers[number], ["203.0.113.55"] * times)
    most = FREE_OF_ADDRESS + int((guesser.now_s() - began_s) / ADDRESS_INTERVAL_S)
    if not min(times, FREE_OF_ADDRESS) * 0.9 <= found.tried <= most:
        yield f"{found.tried} tries of {times} from one address instead of at most {most}"
    yield from _others(found)


def is_forgotten(guesser: Guesser) -> Iterator[str]:
    """What is left of the limits when all is forgotten: nothing."""
    guesser.pass_by(FREE_OF_ADDRESS * ADDRESS_INTERVAL_S + FORGOTTEN_S)
    if keys := guesser.limit_keys():
        yield f"{len(keys)} keys are left: {keys[:3]}"


def _at_once(
    guesser: Guesser, worker: str, addresses: Sequence[str], *, is_direct: bool
) -> Generator[str, None, Tries]:
    """What does not hold when all ``addresses`` guess one worker's PIN; returns their tries.

    It stops when there were too many: each try takes a core's 50 ms.
    """
    began_s, tried, refused = guesser.now_s(), 0, 0
    for first in range(0, len(addresses), _SLICE):
        found = guesser.guess(
            lambda _: worker, addresses[first : first + _SLICE], is_direct=is_direct
        )
        yield from _others(found)
        tried, refused = tried + found.tried, refused + found.refused
        most = allowed(FREE_FROM_ALL, guesser.now_s() - began_s)
        if tried > most:
            yield f"{tried} tries from {first + _SLICE} addresses instead of at most {most}"
            break
    if tried < FREE_FROM_ALL:
        yield f"only {tried} tries from {len(addresses)} addresses"
    return Tries(tried, refused, 0, [])


def _others(found: Tries) -> list[str]:
    return [f"neither tried nor refused: {each}" for each in found.others[:5]]
