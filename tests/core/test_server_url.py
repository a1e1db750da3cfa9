"""The forms of REDIS_URL for several servers."""

from __future__ import annotations

import pytest
from redis.connection import parse_url

from occupancy.core.errors import SettingError
from occupancy.core.server_url import Address, engine_of, parse
from occupancy.core.settings import Settings


@pytest.mark.parametrize(
    ("url", "engine"),
    [
        ("", "single"), ("redis://h", "single"), ("rediss://h", "single"), ("unix:///s", "single"),
        ("redis+sentinel://h/n", "sentinel"), ("rediss+sentinel://h/n", "sentinel"),
        ("redis+cluster://h", "cluster"), ("rediss+cluster://h", "cluster"),
        ("redis+other://h", "single"),
    ],
)  # fmt: skip
def test_the_engine_is_in_the_scheme(url: str, engine: str) -> None:
    assert engine_of(url) == engine


def test_sentinels_have_addresses_a_name_and_a_database() -> None:
    found = parse("redis+sentinel://10.0.0.1:5000,sentinel-2,[fd00::5]:26380,[fd00::6]/plant/3")
    assert found.addresses == (
        Address("10.0.0.1", 5000), Address("sentinel-2", 26379),
        Address("fd00::5", 26380), Address("fd00::6", 26379),
    )  # fmt: skip
    assert found.service == "plant"
    assert parse_url(found.base_url)["db"] == 3
    assert str(found.addresses[2]) == "[fd00::5]:26380"


def test_nodes_of_a_cluster_have_addresses_and_no_database() -> None:
    for tail in ("", "/", "/0"):
        found = parse(f"redis+cluster://node-1,node-2:7000{tail}")
        assert found.addresses == (Address("node-1", 6379), Address("node-2", 7000))
        assert parse_url(found.base_url).get("db", 0) == 0
    with pytest.raises(SettingError):
        parse("redis+cluster://node-1/1")


def test_an_address_that_is_there_twice_counts_once() -> None:
    assert len(parse("redis+sentinel://a,b,a:26379/plant").addresses) == 2


def test_users_and_passwords_keep_their_signs() -> None:
    found = parse(
        "redis+sentinel://us%40er:p%2Ca%2Fs%3As@h1,h2/my%20plant"
        "?sentinel_username=s%26u&sentinel_password=p%3Dw&ssl_ca_certs=/a%20b.pem"
    )
    options = parse_url(found.base_url)
    assert (options["username"], options["password"]) == ("us@er", "p,a/s:s")
    assert (found.sentinel_username, found.sentinel_password) == ("s&u", "p=w")
    assert found.service == "my plant"
    assert options["ssl_ca_certs"] == "/a b.pem"
    assert not [each for each in options if each.startswith("sentinel")]


def test_tls_is_that_of_the_servers_too() -> None:
    assert parse("rediss+sentinel://h/n").base_url.startswith("rediss://")
    assert parse("rediss+cluster://h").base_url.startswith("rediss://")


@pytest.mark.parametrize(
    "url",
    [
        "redis+sentinel://:secret@h1,h2", "redis+sentinel://:secret@h1,h2/",
        "redis+sentinel://:secret@h1,,h2/plant", "redis+sentinel://:secret@/plant",
        "redis+sentinel://:secret@h1:0/plant", "redis+sentinel://:secret@h1:70000/plant",
        "redis+sentinel://:secret@h1/plant/x", "redis+sentinel://:secret@h1/plant/1/2",
        "redis+sentinel://:secret@h 1/plant", "redis+cluster://:secret@h1/plant",
        "redis+cluster://:secret@h1:port", "redis+cluster://:secret@h1,h2 ,",
        "redis+sentinel://:sec/ret@h1/plant",
    ],
)  # fmt: skip
def test_a_wrong_url_is_refused_with_the_form_and_without_the_password(url: str) -> None:
    with pytest.raises(SettingError) as caught:
        Settings.from_environ({"REDIS_URL": url})
    assert "secret" not in caught.value.detail
    assert "ret@" not in caught.value.detail
    assert "[user:password@]host[:port],host[:port]" in caught.value.detail
