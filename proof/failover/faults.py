"""The faults. Each happens once, under load, and leaves all servers running."""

from __future__ import annotations

import secrets
import signal
from collections.abc import Callable, Sequence

import gevent

from proof.deployment.servers import ClusterServers, SentinelServers, kill, raw, slot_of_board
from proof.failover.stage import Stage
from tests.support.clusters import RealCluster
from tests.support.servers import BINARIES, RealServer, binary_of, free_port
from tests.support.waiting import wait_until

Fault = Callable[[Stage], None]
_LOST_S = 0.4  # how long a primary writes without a replica
_AWAY_S = 3.0


def _cut_replicas(stage: Stage, primary: RealServer) -> None:
    """Disconnect the replicas for good. Connected clients go on."""
    with stage.site.servers.client(primary) as admin:
        admin.config_set("requirepass", secrets.token_hex(8))
        admin.execute_command("CLIENT", "KILL", "TYPE", "replica")


def kill_primary(stage: Stage) -> None:
    """kill -9 of a primary."""
    _kill_primary(stage)


def kill_with_loss(stage: Stage) -> None:
    """kill -9 of a primary whose last writes have reached no replica."""
    _kill_primary(stage, is_cut_off=True)


def _kill_primary(stage: Stage, *, is_cut_off: bool = False) -> None:
    target = stage.choose()
    stage.wait_a_moment()
    stage.strike(target)
    if is_cut_off:
        _cut_replicas(stage, target)
        gevent.sleep(_LOST_S)
    kill(target)
    stage.wait_for_promotion()
    gevent.sleep(0.3)
    _start_again(stage, target)


def freeze(stage: Stage) -> None:
    """SIGSTOP of a primary, and CONT after another was promoted."""
    target = stage.choose()
    stage.wait_a_moment()
    stage.strike(target)
    target.signal(signal.SIGSTOP)
    try:
        stage.wait_for_promotion()
        gevent.sleep(stage.random.uniform(0.1, 0.8))
    finally:
        target.signal(signal.SIGCONT)


def plan(stage: Stage) -> None:
    """A planned failover: CLUSTER FAILOVER or SENTINEL FAILOVER."""
    servers = stage.site.servers
    target = stage.choose()
    stage.wait_a_moment()
    stage.strike(target)
    if isinstance(servers, ClusterServers):
        (replica, *_) = servers.cluster.replicas_of(target)
        with replica.client() as admin:
            raw(admin, "CLUSTER", "FAILOVER")
    else:
        assert isinstance(servers, SentinelServers)
        servers.real.ask("SENTINEL", "FAILOVER", "board")
    stage.wait_for_promotion()


def _start_again(stage: Stage, server: RealServer) -> None:
    server.start()
    servers = stage.site.servers
    if isinstance(servers, SentinelServers) and stage.is_short and stage.has_happened:
        # Faster: the Sentinels take some ten seconds to do the same.
        with servers.client(server) as admin:
            admin.execute_command("REPLICAOF", "127.0.0.1", servers.real.primary().port)


# Cluster only


def _cluster(stage: Stage) -> ClusterServers:
    assert isinstance(stage.site.servers, ClusterServers)
    return stage.site.servers


def move_slot(stage: Stage) -> None:
    """A board's slot moves to another primary, key by key."""
    cluster = _cluster(stage).cluster
    board = stage.random.choice(stage.site.boards)
    slot = slot_of_board(board)
    source = stage.site.primary_of(board)
    target = stage.random.choice([each for each in cluster.primaries() if each is not source])
    stage.wait_a_moment()
    stage.strike(source)
    stage.boards = [board]
    cluster.begin_move(slot, target)
    gevent.sleep(0.1)
    cluster.end_move(slot, source, target)
    stage.happened()


def move_slot_atomically(stage: Stage) -> None:
    """The same by CLUSTER MIGRATESLOTS, of Valkey 9."""
    cluster = _cluster(stage).cluster
    board = stage.random.choice(stage.site.boards)
    slot = slot_of_board(board)
    source = stage.site.primary_of(board)
    target = stage.random.choice([each for each in cluster.primaries() if each is not source])
    with target.client() as admin:
        target_id = raw(admin, "CLUSTER", "MYID").decode()
    stage.wait_a_moment()
    stage.strike(source)
    stage.boards = [board]
    with source.client() as admin:
        admin.execute_command(
            "CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", slot, slot, "NODE", target_id
        )
    if stage.wait_for(lambda: stage.site.primary_of(board) is target, 30):
        stage.happened()


def change_nodes(stage: Stage) -> None:
    """A node is added, gets a board's slot, gives it back, and is removed."""
    servers = _cluster(stage)
    cluster = servers.cluster
    board = stage.random.choice(stage.site.boards)
    slot = slot_of_board(board)
    source = stage.site.primary_of(board)
    binary = binary_of(servers.kind)
    assert binary is not None
    config = {
        **cluster.nodes[0].config, "cluster-port": str(free_port()),
        "cluster-allow-replica-migration": "no",  # without slots it stays a primary
    }  # fmt: skip
    added = RealServer(binary, servers.directory / f"added-{secrets.token_hex(4)}", **config)
    added.start()
    stage.wait_a_moment()
    stage.strike(source)
    stage.boards = [board]
    known = [*cluster.nodes]
    with added.client() as admin:
        meet = ("CLUSTER", "MEET", "127.0.0.1", source.port, source.config["cluster-port"])
        raw(admin, *meet)
        added_id = raw(admin, "CLUSTER", "MYID").decode()
    cluster.nodes.append(added)
    wait_until(
        lambda: _know_each_other(cluster, known, added, added_id),
        timeout_s=40, what="the nodes to know the new one",
    )  # fmt: skip
    cluster.move_slot(slot, added)
    gevent.sleep(1.0)
    if source not in cluster.primaries():  # a busy machine: it was too slow to stay one
        source = next(each for each in cluster.primaries() if each is not added)
    cluster.move_slot(slot, source)
    cluster.nodes.remove(added)
    for each in known:
        with each.client() as admin:
            raw(admin, "CLUSTER", "FORGET", added_id)
    added.stop(signal.SIGKILL)
    stage.happened()


def _know_each_other(
    cluster: RealCluster, known: Sequence[RealServer], added: RealServer, added_id: str
) -> bool:
    with added.client() as admin:
        is_ok = b"cluster_state:ok" in raw(admin, "CLUSTER", "INFO")
    return is_ok and all(
        any(fields[0] == added_id for fields in cluster.lines(each)) for each in known
    )


def take_access_away(stage: Stage) -> None:
    """The shard of access is away, primary and replica, for some seconds."""
    cluster = _cluster(stage).cluster
    target = stage.site.access_primary()
    replicas = cluster.replicas_of(target)
    stage.wait_a_moment()
    stage.strike(target)
    for each in (*replicas, target):
        kill(each)
    gevent.sleep(_AWAY_S)
    for each in (target, *replicas):
        each.start(until_ready=False)
    if stage.wait_for(stage.site.servers.is_whole, 60):
        stage.happened()


# Sentinel only


def _sentinels(stage: Stage) -> SentinelServers:
    assert isinstance(stage.site.servers, SentinelServers)
    return stage.site.servers


def cut_off(stage: Stage) -> None:
    """The primary is cut off from the Sentinels alone; its clients and replicas go on."""
    servers = _sentinels(stage)
    target = stage.choose()
    with servers.client(target) as admin, admin.client() as kept:
        raw(kept, "PING")  # its connection is there before
        stage.wait_a_moment()
        stage.strike(target)
        servers.real.cut_off(target)
        try:
            stage.wait_for_promotion()
            gevent.sleep(0.5)
        finally:
            raw(kept, "CONFIG", "SET", "requirepass", servers.password())


def kill_sentinels(stage: Stage) -> None:
    """Two of three Sentinels are killed: nothing can be promoted; operations go on."""
    servers = _sentinels(stage)
    target = stage.choose()
    numbers = stage.random.sample(range(3), 2)
    stage.wait_a_moment()
    stage.strike(target)
    for each in numbers:
        servers.real.end_sentinel(each)
    gevent.sleep(_AWAY_S)
    for each in numbers:
        servers.restart_sentinel(each)
    if stage.wait_for(servers.is_whole, 60) and not stage.observer.promoted_after(stage.struck_s):
        stage.happened()


COMMON: dict[str, Fault] = {
    "kill": kill_primary, "lossy-kill": kill_with_loss, "freeze": freeze, "planned": plan,
}  # fmt: skip
OF_CLUSTER: dict[str, Fault] = {
    **COMMON, "slot-move": move_slot, "nodes": change_nodes, "access-away": take_access_away,
}  # fmt: skip
OF_VALKEY_CLUSTER: dict[str, Fault] = {"atomic-slot-move": move_slot_atomically}
OF_SENTINEL: dict[str, Fault] = {
    **COMMON, "cut-off": cut_off, "sentinels-away": kill_sentinels,
}  # fmt: skip
STRICT: dict[str, Fault] = COMMON


def faults_of(topology: str, server: str, *, is_strict: bool) -> dict[str, Fault]:
    """The faults of a set-up, by name."""
    assert server in BINARIES
    if is_strict:
        return STRICT
    if topology == "sentinel":
        return OF_SENTINEL
    return OF_CLUSTER | (OF_VALKEY_CLUSTER if server == "valkey" else {})
