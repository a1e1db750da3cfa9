"""The login throttle: guessing is slow, and a guesser does not lock others out for long."""

from __future__ import annotations

from typing import Any

import gevent
import pytest

from occupancy.access import login_throttle
from occupancy.access.login_throttle import (
    ADDRESS_ATTEMPTS,
    ADDRESS_INTERVAL_S,
    FREE_OF_PAIR,
    FREE_OF_WORKER,
    MAX_PIN_WAIT_S,
    LoginThrottle,
)
from occupancy.core.errors import RateLimited
from occupancy.core.rate_limit import limited_address
from occupancy.services import Services
from tests.support.tablets import hold_the_clock

HOME, AWAY = "10.0.0.1", "203.0.113.9"


class Attempts:
    """Attempts, and a clock that stands still and is moved by moving what is stored."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.client: Any = services.store.client
        self.throttle = LoginThrottle(services.store.client, services.store.keys)
        hold_the_clock(self.throttle, self.client)

    def wait_s(self, worker: str = "93", address: str = AWAY) -> int:
        """Try once: 0 if it may, else how long to wait."""
        try:
            self.throttle.count_attempt(worker, address)
        except RateLimited as error:
            return int(error.extra["retry_after"])
        return 0

    def wrong(self, times: int, worker: str = "93", address: str = AWAY) -> None:
        """Wrong PINs, each after the wait that it takes."""
        for _ in range(times):
            if wait_s := self.wait_s(worker, address):
                self.pass_by(wait_s)
                assert self.wait_s(worker, address) == 0

    def right(self, worker: str = "93", address: str = HOME) -> None:
        self.throttle.clear_attempt(worker, address, self.throttle.count_attempt(worker, address))

    def pass_by(self, seconds: float) -> None:
        """As if time had passed."""
        root = self.services.store.keys.attempts("", "")[1].rpartition(":")[0]
        for key in self.client.scan_iter(f"{root}:*", count=1000):
            until_ms = self.client.hget(key, "until_ms")
            if until_ms is not None:
                self.client.hset(key, "until_ms", int(float(until_ms) - seconds * 1000))
        for key in self.client.scan_iter(f"{root.rpartition(':')[0]}:address:*", count=1000):
            due_ms = float(self.client.get(key)) - seconds * 1000
            self.client.set(key, int(due_ms), keepttl=True)


@pytest.fixture
def attempts(services: Services) -> Attempts:
    return Attempts(services)


def test_a_few_wrong_ones_are_free_and_then_the_wait_doubles_up_to_five_minutes(
    attempts: Attempts,
) -> None:
    for _ in range(FREE_OF_PAIR):
        assert attempts.wait_s() == 0
    waits = []
    for _ in range(10):
        waits.append(attempts.wait_s())
        attempts.pass_by(waits[-1])
        assert attempts.wait_s() == 0
    assert waits == [2, 4, 8, 16, 32, 64, 128, 256, 300, 300]
    assert waits[-1] == MAX_PIN_WAIT_S


def test_being_refused_does_not_make_the_wait_longer(attempts: Attempts) -> None:
    attempts.wrong(FREE_OF_PAIR)
    assert [attempts.wait_s() for _ in range(20)] == [2] * 20


def test_guesses_at_the_same_moment_are_all_counted(attempts: Attempts) -> None:
    guesses = [gevent.spawn(attempts.wait_s) for _ in range(30)]
    gevent.joinall(guesses, raise_error=True)
    assert [each.value for each in guesses].count(0) == FREE_OF_PAIR


def test_a_right_pin_is_taken_back_and_what_was_wrong_before_is_not(attempts: Attempts) -> None:
    attempts.wrong(FREE_OF_PAIR - 1, address=HOME)
    for _ in range(10):
        attempts.right()
    assert [attempts.wait_s(address=HOME), attempts.wait_s(address=HOME)] == [0, 2]


@pytest.mark.parametrize("address", ["its own", "another"])
def test_the_workers_own_sign_in_gives_a_guesser_no_new_tries(
    attempts: Attempts, address: str
) -> None:
    """At the guesser's address, and for guesses from everywhere."""
    if address == "its own":
        attempts.wrong(FREE_OF_PAIR + 4)
        victim, guessed_from = AWAY, AWAY
    else:
        for number in range(FREE_OF_WORKER + 4):
            attempts.wrong(1, address=f"203.0.113.{number}")
        victim, guessed_from = HOME, "203.0.113.99"
    waited_s = attempts.wait_s(address=victim)
    assert waited_s > 0
    attempts.pass_by(waited_s)
    attempts.right(address=victim)
    assert attempts.wait_s(address=guessed_from) == 0  # had waited for as long as it takes
    assert attempts.wait_s(address=guessed_from) == 2 * waited_s


def test_a_right_pin_takes_back_no_guess_that_was_made_meanwhile(attempts: Attempts) -> None:
    attempts.wrong(FREE_OF_PAIR - 1)
    counted = attempts.throttle.count_attempt("93", AWAY)
    attempts.pass_by(10)
    assert attempts.wait_s() == 0  # a guess, while the right one is hashed
    wait_s = attempts.wait_s()
    attempts.throttle.clear_attempt("93", AWAY, counted)
    assert attempts.wait_s() == wait_s > 0


def test_right_pins_do_not_keep_wrong_ones_from_being_forgotten(attempts: Attempts) -> None:
    attempts.wrong(2, address=HOME)
    key = attempts.services.store.keys.attempts("93", HOME)[0]
    attempts.client.pexpire(key, 60_000)
    attempts.right()
    assert 0 < attempts.client.pttl(key) <= 60_000
    attempts.client.delete(key)
    attempts.right()
    assert not attempts.client.exists(key)


def test_one_address_cannot_lock_out_another(attempts: Attempts) -> None:
    attempts.wrong(8)
    assert attempts.wait_s() > 60
    assert attempts.wait_s(address=HOME) == 0


def test_a_guesser_with_many_addresses_is_slowed_down_and_the_workers_own_tablet_is_not(
    attempts: Attempts,
) -> None:
    attempts.right(address=HOME)
    waits = [attempts.wait_s(address=f"203.0.113.{number}") for number in range(FREE_OF_WORKER + 5)]
    assert waits == [0] * FREE_OF_WORKER + [2] * 5
    attempts.right(address=HOME)


def test_nobody_is_locked_out_for_longer_than_five_minutes(attempts: Attempts) -> None:
    for number in range(60):
        attempts.pass_by(attempts.wait_s(address=f"203.0.113.{number}"))
        attempts.wait_s(address=f"203.0.113.{number}")
    assert attempts.wait_s(address=HOME) == MAX_PIN_WAIT_S


def test_an_address_may_try_so_many_for_all_workers_and_then_one_a_minute(
    attempts: Attempts,
) -> None:
    waits = [attempts.wait_s(f"w{number}") for number in range(ADDRESS_ATTEMPTS + 3)]
    assert waits == [0] * ADDRESS_ATTEMPTS + [ADDRESS_INTERVAL_S] * 3
    assert attempts.wait_s("another", HOME) == 0
    attempts.pass_by(ADDRESS_INTERVAL_S)
    assert attempts.wait_s("one-more") == 0
    assert attempts.wait_s("and-more") == ADDRESS_INTERVAL_S


def test_right_ones_cost_their_address_nothing(attempts: Attempts) -> None:
    for number in range(ADDRESS_ATTEMPTS + 20):
        attempts.right(f"w{number}")


def test_signing_in_as_oneself_gives_no_new_tries_for_others(attempts: Attempts) -> None:
    attempts.wrong(6)
    assert attempts.wait_s() == 16
    attempts.right("mallory", AWAY)
    assert attempts.wait_s() == 16


def test_a_clock_that_is_set_back_locks_nobody_out_for_long(attempts: Attempts) -> None:
    """Waiting as one is told to is enough; it does not take until the clock has caught up."""
    attempts.right("92", AWAY)
    attempts.wrong(FREE_OF_PAIR + 4)
    for number in range(ADDRESS_ATTEMPTS):
        attempts.wait_s(f"w{number}")
    assert attempts.wait_s() > 0
    assert attempts.wait_s("94") > 0
    attempts.pass_by(-10 * 86400)
    for worker, address in (("93", AWAY), ("92", AWAY), ("94", AWAY), ("93", HOME), ("94", HOME)):
        waited_s = attempts.wait_s(worker, address)
        assert waited_s <= MAX_PIN_WAIT_S
        attempts.pass_by(waited_s)
        assert not waited_s or attempts.wait_s(worker, address) == 0


def test_after_the_clock_was_set_back_guessing_is_slow_all_the_same(attempts: Attempts) -> None:
    attempts.wrong(FREE_OF_PAIR + 4)
    attempts.pass_by(-10 * 86400)
    assert attempts.wait_s() == 0
    assert attempts.wait_s() > 30


def test_everything_is_forgotten_by_itself(attempts: Attempts) -> None:
    attempts.wrong(5)
    attempts.right()
    keys = [*attempts.client.scan_iter(f"{attempts.services.settings.prefix}:*")]
    assert len(keys) >= 4
    assert all(attempts.client.ttl(key) > 0 for key in keys)


def test_the_addresses_that_are_known_are_bounded(
    attempts: Attempts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(login_throttle, "_MAX_HOME_ADDRESSES", 3)
    for number in range(6):
        attempts.right(address=f"10.0.0.{number}")
    assert attempts.client.zcard(attempts.services.store.keys.attempts("93", "")[3]) == 3


def test_an_address_is_known_for_a_month_after_the_last_sign_in_there(attempts: Attempts) -> None:
    attempts.right()
    assert attempts.throttle.is_known("93", HOME)
    assert not attempts.throttle.is_known("93", AWAY)
    assert not attempts.throttle.is_known("94", HOME)
    month_ago_s = attempts.client.time()[0] - 30 * 86400
    attempts.client.zadd(attempts.services.store.keys.attempts("93", "")[3], {HOME: month_ago_s})
    assert not attempts.throttle.is_known("93", HOME)


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("192.0.2.7:4711", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("[2001:db8:1:2::9]:443", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", "local"),
        (None, "local"),
        ("unknown\r\nx", "local"),
    ],
)
def test_an_address_is_counted_as_what_one_client_has(address: str | None, counted: str) -> None:
    assert limited_address(address) == counted
