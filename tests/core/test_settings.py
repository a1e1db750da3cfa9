"""Settings: the defaults, the bounds, and the words of each refusal."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from redis.connection import parse_url

from occupancy.core import server_url
from occupancy.core.errors import SettingError
from occupancy.core.server_url import Address
from occupancy.core.settings import Settings
from occupancy.storage.budget import Slots, plan
from occupancy.storage.connections import make_pool

DEFAULTS: dict[str, Any] = {
    "REDIS_URL": "",
    "PORT": 8000,
    "OCCUPANCY_REDIS_ADDRESSES": (),
    "OCCUPANCY_HOST": "127.0.0.1",  # filled in: without PORT, loopback
    "WEB_CONCURRENCY": 2,
    "OCCUPANCY_NODES": 1,
    "OCCUPANCY_REDIS_BUDGET": 50,
    "OCCUPANCY_REDIS_RESERVED": 2,
    "OCCUPANCY_OPS_POOL_SIZE": 0,
    "OCCUPANCY_PUBSUB_POOL_SIZE": 1,
    "OCCUPANCY_POOL_WAIT_S": 5.0,
    "OCCUPANCY_REDIS_TIMEOUT_S": 3.0,
    "OCCUPANCY_PREFIX": "occ",
    "OCCUPANCY_STATE_DIR": "var",
    "OCCUPANCY_LOG_ENTRIES": 100_000,
    "OCCUPANCY_LOG_BYTES": 64 * 1024**2,
    "OCCUPANCY_HISTORY_ENTRIES": 1_000,
    "OCCUPANCY_HISTORY_BYTES": 1024**2,
    "OCCUPANCY_EMBEDDED_MEMORY_BYTES": 1024**3,
    "OCCUPANCY_CONFIRM_REPLICAS": 0,
    "OCCUPANCY_CONFIRM_S": 1.0,
    "OCCUPANCY_SESSION_IDLE_S": 1800,
    "OCCUPANCY_SESSION_MAX_S": 43_200,
    "OCCUPANCY_OPERATIONS_PER_S": 20,
    "OCCUPANCY_ADDRESS_OPERATIONS_PER_S": 2_000,
    "OCCUPANCY_STREAMS_PER_CALLER": 1_000,
    "OCCUPANCY_STREAMS_PER_PROCESS": 15_000,
    "OCCUPANCY_URL": "",
    "OCCUPANCY_PROXIES": 0,
    "OCCUPANCY_ALLOWED_HOSTS": (),
    "OCCUPANCY_CORS_ORIGINS": (),
    "OCCUPANCY_FAST_PATH": True,
    "OCCUPANCY_SERVICE_WORKER": True,
    "OCCUPANCY_LOG_LEVEL": "info",
}
BOUNDS: dict[str, tuple[float, float]] = {
    "PORT": (1, 65535),
    "WEB_CONCURRENCY": (1, 64),
    "OCCUPANCY_NODES": (1, 64),
    "OCCUPANCY_REDIS_BUDGET": (1, 100_000),
    "OCCUPANCY_REDIS_RESERVED": (1, 64),
    "OCCUPANCY_OPS_POOL_SIZE": (0, 1000),
    "OCCUPANCY_PUBSUB_POOL_SIZE": (1, 1000),
    "OCCUPANCY_POOL_WAIT_S": (0.01, 60),
    "OCCUPANCY_REDIS_TIMEOUT_S": (0.05, 60),
    "OCCUPANCY_LOG_ENTRIES": (100, 100_000_000),
    "OCCUPANCY_LOG_BYTES": (1024**2, 64 * 1024**3),
    "OCCUPANCY_HISTORY_ENTRIES": (10, 1_000_000),
    "OCCUPANCY_HISTORY_BYTES": (16 * 1024, 1024**3),
    "OCCUPANCY_EMBEDDED_MEMORY_BYTES": (16 * 1024**2, 1024**4),
    "OCCUPANCY_CONFIRM_REPLICAS": (0, 10),
    "OCCUPANCY_CONFIRM_S": (0.01, 30),
    "OCCUPANCY_SESSION_IDLE_S": (30, 30 * 86400),
    "OCCUPANCY_SESSION_MAX_S": (60, 365 * 86400),
    "OCCUPANCY_OPERATIONS_PER_S": (1, 100_000),
    "OCCUPANCY_ADDRESS_OPERATIONS_PER_S": (1, 100_000),
    "OCCUPANCY_STREAMS_PER_CALLER": (1, 100_000),
    "OCCUPANCY_STREAMS_PER_PROCESS": (1, 100_000),
    "OCCUPANCY_PROXIES": (0, 10),
}
FIELDS = {field.metadata["env"]: field.name for field in dataclasses.fields(Settings)}


# What else must be set for the bounds to be allowed.
BESIDES = {
    "OCCUPANCY_CONFIRM_REPLICAS": {"REDIS_URL": "redis+cluster://10.0.0.1"},
    "OCCUPANCY_CONFIRM_S": {"OCCUPANCY_REDIS_TIMEOUT_S": "60"},
}


def value_of(settings: Settings, env: str) -> Any:
    return getattr(settings, FIELDS[env])


def refusal(**environ: str) -> str:
    with pytest.raises(SettingError) as caught:
        Settings.from_environ(environ)
    return caught.value.detail


def test_every_setting_stands_in_these_tables() -> None:
    assert set(FIELDS) == set(DEFAULTS)
    numbers = {
        env for env, default in DEFAULTS.items() if not isinstance(default, str | tuple | bool)
    }
    assert numbers == set(BOUNDS)
    for field in dataclasses.fields(Settings):
        assert field.metadata["help"]


@pytest.mark.parametrize("env", DEFAULTS)
def test_a_setting_has_its_default(env: str) -> None:
    assert value_of(Settings.from_environ({}), env) == DEFAULTS[env]


@pytest.mark.parametrize("env", DEFAULTS)
def test_an_empty_variable_is_as_good_as_none(env: str) -> None:
    assert Settings.from_environ({env: " "}) == Settings.from_environ({})


@pytest.mark.parametrize("env", BOUNDS)
def test_a_number_is_allowed_up_to_its_bounds(env: str) -> None:
    for bound in BOUNDS[env]:
        environ = {env: f" {bound} ", **BESIDES.get(env, {})}
        assert value_of(Settings.from_environ(environ), env) == bound


@pytest.mark.parametrize("env", BOUNDS)
@pytest.mark.parametrize("text", ["below", "above", "many", "nan", "inf", "-1", "1e3x", "0x10"])
def test_a_wrong_number_is_refused_with_name_value_and_what_is_allowed(env: str, text: str) -> None:
    low, high = BOUNDS[env]
    text = {"below": f"{low - 1}", "above": f"{high + 1}"}.get(text, text)
    told = refusal(**{env: text})
    assert env in told
    assert text in told
    assert f"from {low} to {high}" in told


@pytest.mark.parametrize("env", [env for env in BOUNDS if isinstance(DEFAULTS[env], int)])
def test_a_broken_number_is_refused_where_a_whole_one_belongs(env: str) -> None:
    assert "a whole number" in refusal(**{env: "20.5"})


def test_a_fraction_of_a_second_is_allowed() -> None:
    assert Settings.from_environ({"OCCUPANCY_POOL_WAIT_S": "0.5"}).pool_wait_s == 0.5


def test_an_unknown_variable_of_ours_is_refused_with_those_that_are_known() -> None:
    told = refusal(OCCUPANCY_REDIS_BUDGTE="20")
    assert "OCCUPANCY_REDIS_BUDGTE" in told
    for env in DEFAULTS:
        assert env in told


def test_other_peoples_variables_are_none_of_our_business() -> None:
    others = {"REDIS_HOST": "x", "OCCUPANT": "y", "PATH": "/bin"}
    assert Settings.from_environ(others) == Settings.from_environ({})


def test_origins_are_a_list_with_commas() -> None:
    text = " https://board.example.com, http://10.0.0.5:8080,http://[::1]:81,http://localhost"
    assert Settings.from_environ({"OCCUPANCY_CORS_ORIGINS": text}).cors_origins == (
        "https://board.example.com", "http://10.0.0.5:8080", "http://[::1]:81", "http://localhost",
    )  # fmt: skip


@pytest.mark.parametrize(
    "origin",
    [
        "*", "null", "board.example.com", "https://*.example.com", "https://board.example.com/",
        "https://board.example.com/path", "https://board.example.com?q", "https://Board.example.com",
        "https://board.example.com:443", "http://board.example.com:80", "https://x:99999999",
        "https://u@board.example.com", "ftp://board.example.com", "https://", "https://tablón.mx",
        "https://a b", "https://a;https://b",
    ],
)  # fmt: skip
def test_what_no_browser_sends_as_an_origin_is_refused(origin: str) -> None:
    told = refusal(OCCUPANCY_CORS_ORIGINS=f"https://board.example.com,{origin}")
    assert "OCCUPANCY_CORS_ORIGINS" in told
    assert repr(origin) in told
    assert "like https://board.example.com" in told


def test_an_empty_place_in_the_list_of_origins_is_refused() -> None:
    assert "''" in refusal(OCCUPANCY_CORS_ORIGINS="https://board.example.com,,http://a")


@pytest.mark.parametrize("prefix", ["-a", "a b", "a:b", "a{b", "x" * 33, "é"])
def test_a_wrong_prefix_is_refused(prefix: str) -> None:
    told = refusal(OCCUPANCY_PREFIX=prefix)
    assert "OCCUPANCY_PREFIX" in told
    assert prefix in told
    assert "1 to 32 letters" in told


def test_a_wrong_log_level_is_refused() -> None:
    told = refusal(OCCUPANCY_LOG_LEVEL="loud")
    assert "OCCUPANCY_LOG_LEVEL" in told
    assert "loud" in told
    assert "debug, info, warning" in told


# The server


@pytest.mark.parametrize(
    "url",
    [
        "redis://localhost", "redis://localhost:6380/3", "redis://user:se%40cret@h:1/0",
        "redis://[::1]:6379/0", "rediss://h:6379", "unix:///run/redis.sock",
        "unix:///run/redis.sock?db=2",
    ],
)  # fmt: skip
def test_a_url_of_each_kind_is_allowed_and_makes_a_pool(url: str, tmp_path: Path) -> None:
    settings = Settings.from_environ({"REDIS_URL": url, "OCCUPANCY_STATE_DIR": str(tmp_path)})
    assert settings.server_url == url
    assert not settings.is_embedded
    make_pool(settings, Slots.for_workers(settings, plan(settings)), name="ops", size=1)


@pytest.mark.parametrize(
    "url",
    [
        "http://h", "h:6379", "localhost", "redis://", "redis:///0", "rediss://:x@", "unix://",
        "unix://h", "/run/redis.sock", "memcached://h",
    ],
)  # fmt: skip
def test_a_wrong_url_is_refused_with_what_is_allowed(url: str) -> None:
    told = refusal(REDIS_URL=url)
    assert "REDIS_URL" in told
    assert "redis://[user:password@]host[:port][/db], rediss://… or unix:///path" in told


@pytest.mark.parametrize(
    "url",
    [
        "redis://[::1", "redis://h:abc/0", "redis://h:99999/0", "redis://u:hidden/word@h:1/0",
        "redis://h/abc", "redis://h?db=abc", "redis://h?nonsense=1", "redis://h?socket_timeout=9",
    ],
)  # fmt: skip
def test_a_url_that_cannot_be_used_stops_the_start_with_a_setting_error(
    url: str, tmp_path: Path
) -> None:
    with pytest.raises(SettingError, match="REDIS_URL") as caught:
        settings = Settings.from_environ({"REDIS_URL": url, "OCCUPANCY_STATE_DIR": str(tmp_path)})
        make_pool(settings, Slots.for_workers(settings, plan(settings)), name="ops", size=1)
    assert "hidden" not in caught.value.detail


@pytest.mark.parametrize(
    "url",
    ["http://u:hidden@h", "redis://u:hidden@", "redis://:hidden@/0", "redis://u:hidden@h:0",
     "redis://u:hid/hidden@h"],
)  # fmt: skip
def test_a_password_is_never_in_the_refusal(url: str) -> None:
    told = refusal(REDIS_URL=url)
    assert "REDIS_URL" in told
    assert "hid" not in told
    assert "u:" not in told


def test_without_a_url_the_embedded_server_serves(tmp_path: Path) -> None:
    settings = Settings.from_environ({"OCCUPANCY_STATE_DIR": str(tmp_path / "state")})
    assert settings.is_embedded
    assert settings.embedded_socket == tmp_path / "state" / "valkey" / "valkey.sock"
    assert settings.server_url == f"unix://{settings.embedded_socket}"


@pytest.mark.parametrize("name", ["plain", "with space", "50%20off", "a#b", "a?b", "ünï"])
def test_the_embedded_servers_url_leads_to_its_socket_whatever_the_directory(name: str) -> None:
    settings = Settings(state_dir=f"/srv/{name}")
    assert parse_url(settings.server_url)["path"] == str(settings.embedded_socket)


@pytest.mark.parametrize("length", [1, 60, 80, 85, 100, 150, 300])
def test_the_embedded_socket_is_within_the_length_that_a_kernel_allows(length: int) -> None:
    for letter in ("x", "é"):
        directory = "/" + letter * length
        settings = Settings(state_dir=directory)
        assert len(bytes(settings.embedded_socket)) <= 100
        assert settings.embedded_socket == Settings(state_dir=directory).embedded_socket
        assert settings.embedded_socket != Settings(state_dir=directory + "y").embedded_socket


# Where to listen


@pytest.mark.parametrize(
    ("environ", "host", "port"),
    [
        ({}, "127.0.0.1", 8000),
        ({"PORT": ""}, "127.0.0.1", 8000),
        ({"PORT": "5000"}, "0.0.0.0", 5000),
        ({"OCCUPANCY_HOST": "10.0.0.1"}, "10.0.0.1", 8000),
        ({"PORT": "5000", "OCCUPANCY_HOST": "127.0.0.1"}, "127.0.0.1", 5000),
        ({"PORT": "5000", "OCCUPANCY_HOST": "::"}, "::", 5000),
    ],
)
def test_a_port_that_is_given_opens_all_addresses_unless_the_host_is_given_too(
    environ: dict[str, str], host: str, port: int
) -> None:
    settings = Settings.from_environ(environ)
    assert (settings.host, settings.port) == (host, port)


# The session's cookie


def name_at(url: str, prefix: str = "occ") -> str:
    return Settings(redis_url=url, prefix=prefix).cookie_name


def test_a_deployments_cookie_has_one_name_however_its_machines_write_the_address() -> None:
    written = (
        "redis://cache", "redis://Cache:6379/", "redis://:a-password@cache:6379/0",
        "rediss://other@cache/0?ssl_cert_reqs=none", "redis://cache/3?db=0",
    )  # fmt: skip
    assert len({name_at(url) for url in written}) == 1
    assert name_at("unix:///run/r.sock") == name_at("unix:///run/r.sock?db=0&password=p")


def test_cookies_of_different_deployments_have_different_names() -> None:
    others = (
        "redis://cache", "redis://cache/1", "redis://cache?db=2", "redis://cache:6380",
        "redis://cache2", "unix:///run/r.sock", "unix:///run/r.sock?db=1", "unix:///run/s.sock",
    )  # fmt: skip
    names = {name_at(url) for url in others} | {name_at("redis://cache", "other")}
    assert len(names) == len(others) + 1


@pytest.mark.parametrize(
    ("text", "is_on"), [("", True), ("1", True), ("true", True), ("0", False), ("False", False)]
)
def test_the_fast_path_is_on_unless_it_is_turned_off(text: str, is_on: bool) -> None:
    assert Settings.from_environ({"OCCUPANCY_FAST_PATH": text}).fast_path is is_on


def test_a_switch_is_on_or_off() -> None:
    with pytest.raises(SettingError, match="OCCUPANCY_FAST_PATH='maybe' is not allowed"):
        Settings.from_environ({"OCCUPANCY_FAST_PATH": "maybe"})


def test_a_server_is_found_at_another_address_than_it_announces() -> None:
    settings = Settings.from_environ({
        "REDIS_URL": "redis+cluster://gate:17000",
        "OCCUPANCY_REDIS_ADDRESSES": "10.0.0.5:7000=gate:17000, [fd00::5]:7000=[::1]:17001",
    })  # fmt: skip
    assert server_url.parse_addresses(settings.redis_addresses) == {
        Address("10.0.0.5", 7000): Address("gate", 17000),
        Address("fd00::5", 7000): Address("::1", 17001),
    }


@pytest.mark.parametrize(
    "pair",
    ["10.0.0.5:7000", "10.0.0.5=gate:17000", "10.0.0.5:7000=gate", "a:1=b:70000", "=", "a b:1=c:2"],
)
def test_a_wrong_pair_of_addresses_is_refused(pair: str) -> None:
    url = {"REDIS_URL": "redis+cluster://gate:17000"}
    told = refusal(OCCUPANCY_REDIS_ADDRESSES=f"a:1=b:2,{pair}", **url)
    assert "OCCUPANCY_REDIS_ADDRESSES" in told
    assert repr(pair) in told
