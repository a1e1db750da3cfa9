"""Real Clusters and Sentinels for the tests, made by hand in two seconds, on loopback ports."""

from __future__ import annotations

import contextlib
import re
import secrets
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import redis

from occupancy.storage.topology.shard import SLOTS, slot_of
from tests.conftest import require_binary
from tests.support.servers import RealServer, free_port
from tests.support.waiting import wait_until

NODE_TIMEOUT_MS = 500  # a promotion takes 0.7 to 1.5 s
DOWN_AFTER_MS = 500  # a promotion takes 1.6 to 1.8 s
SERVICE = "board"  # the Sentinels' name of the primary


class RealCluster:
    """``primaries`` servers with equal shares of the slots, each with ``replicas`` replicas."""

    def __init__(
        self, kind: str, directory: Path, *, primaries: int = 3, replicas: int = 1, **config: str
    ) -> None:
        binary = require_binary(kind)
        self.primary_count = primaries
        self.nodes = [
            RealServer(
                binary, directory / f"node-{number}",
                **{
                    "cluster-enabled": "yes", "cluster-port": str(free_port()),
                    "cluster-node-timeout": str(NODE_TIMEOUT_MS),
                    "cluster-require-full-coverage": "no", "repl-diskless-sync-delay": "0",
                    **config,
                },
            )
            for number in range(primaries * (1 + replicas))
        ]  # fmt: skip

    @property
    def url(self) -> str:
        return "redis+cluster://" + ",".join(f"127.0.0.1:{each.port}" for each in self.nodes)

    def start(self) -> None:
        for each in self.nodes:
            each.start(until_ready=False)
        for each in self.nodes:
            wait_until(each._answers, timeout_s=30, what="a node to answer")
        primaries = self.nodes[: self.primary_count]
        share = SLOTS // self.primary_count
        for number, each in enumerate(self.nodes):
            _command(each, "CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            if each in primaries:
                last = SLOTS - 1 if each is primaries[-1] else (number + 1) * share - 1
                _command(each, "CLUSTER", "ADDSLOTSRANGE", number * share, last)
        first = self.nodes[0]
        for each in self.nodes[1:]:
            meet = ("CLUSTER", "MEET", "127.0.0.1", first.port, first.config["cluster-port"])
            _command(each, *meet)
        count = len(self.nodes)
        wait_until(
            lambda: all(len(self.lines(each)) == count for each in self.nodes),
            timeout_s=30, what="the nodes to know each other",
        )  # fmt: skip
        for number, each in enumerate(self.nodes[self.primary_count :]):
            wanted = _command(primaries[number % self.primary_count], "CLUSTER", "MYID").decode()
            wait_until(
                lambda each=each, wanted=wanted: _replicates(each, wanted),  # type: ignore[misc] # mypy infers no lambda with defaults
                timeout_s=30, what="a replica to know its primary",
            )  # fmt: skip
        wait_until(self.is_whole, timeout_s=30, what="the cluster to be whole")
        # Until then a change of access is confirmed by nobody, and may be lost with its primary.
        replicas = len(self.nodes) - self.primary_count
        wait_until(
            lambda: sum(map(_online_replicas, primaries)) == replicas,
            timeout_s=30, what="the replicas to follow",
        )  # fmt: skip

    def stop(self) -> None:
        for each in self.nodes:
            with contextlib.suppress(ProcessLookupError):
                if each.is_running:
                    each.signal(signal.SIGCONT)
                    each.stop(signal.SIGKILL)

    def lines(self, asked: RealServer | None = None) -> list[list[str]]:
        """CLUSTER NODES as fields: id, address, flags, primary …"""
        text = _command(asked or self._any(), "CLUSTER", "NODES").decode()
        return [line.split(" ") for line in text.splitlines()]

    def is_whole(self) -> bool:
        """Whether every running node knows all slots covered, and every replica is connected."""
        for each in self.nodes:
            if not each.is_running:
                continue
            information = _command(each, "CLUSTER", "INFO").decode()
            if (
                f"cluster_slots_ok:{SLOTS}" not in information
                or "cluster_state:ok" not in information
            ):
                return False
            role = _command(each, "ROLE")
            if role[0] == b"slave" and role[3] != b"connected":
                return False
        return True

    def primary_of(self, key: str) -> RealServer:
        """The server that has a key now, in the eyes of some running node."""
        slot = slot_of(key)
        for fields in self.lines():
            if "master" in fields[2] and "fail" not in fields[2].replace("fail?", ""):
                for each in fields[8:]:
                    first, _, last = each.partition("-")
                    if not each.startswith("[") and int(first) <= slot <= int(last or first):
                        return self._at(fields[1])
        raise AssertionError(f"nobody has slot {slot}")

    def replicas_of(self, primary: RealServer) -> list[RealServer]:
        wanted = _command(primary, "CLUSTER", "MYID").decode()
        return [self._at(each[1]) for each in self.lines(primary) if each[3] == wanted]

    def fail_over(self, replica: RealServer) -> None:
        """A planned failover to ``replica``, which loses nothing."""
        _command(replica, "CLUSTER", "FAILOVER")
        wait_until(lambda: _command(replica, "ROLE")[0] == b"master", what="the failover")

    def move_slot(self, slot: int, target: RealServer) -> None:
        """Move a slot and its keys, key by key, as redis-cli does."""
        self.end_move(slot, *self.begin_move(slot, target))

    def begin_move(
        self, slot: int, target: RealServer | None = None
    ) -> tuple[RealServer, RealServer]:
        """Begin to move a slot; its keys stay. Returns the source and the target."""
        source = next(each for each in self.primaries() if _has(self, each, slot))
        target = target or next(each for each in self.primaries() if each is not source)
        ids = {each: _command(each, "CLUSTER", "MYID").decode() for each in (source, target)}
        _command(target, "CLUSTER", "SETSLOT", slot, "IMPORTING", ids[source])
        _command(source, "CLUSTER", "SETSLOT", slot, "MIGRATING", ids[target])
        return source, target

    def move_key(self, *keys: str | bytes, source: RealServer, target: RealServer) -> None:
        """Move some keys of a slot that is being moved."""
        _command(source, "MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys)

    def end_move(self, slot: int, source: RealServer, target: RealServer) -> None:
        """Move the rest of the keys, and tell every primary who has the slot now."""
        while keys := _command(source, "CLUSTER", "GETKEYSINSLOT", slot, 100):
            self.move_key(*keys, source=source, target=target)
        id_ = _command(target, "CLUSTER", "MYID").decode()
        for each in dict.fromkeys((target, source, *self.primaries())):
            _command(each, "CLUSTER", "SETSLOT", slot, "NODE", id_)
        wait_until(
            lambda: all(_has(self, target, slot, asked=each) for each in self.nodes),
            what="everybody to know who has the slot",
        )

    def primaries(self) -> list[RealServer]:
        """The running primaries."""
        return [
            each for each in self.nodes
            if each.is_running and _command(each, "ROLE")[0] == b"master"
        ]  # fmt: skip

    def _any(self) -> RealServer:
        return next(each for each in self.nodes if each.is_running and each._answers())

    def _at(self, where: str) -> RealServer:
        port = int(where.partition("@")[0].rpartition(":")[2])
        return next(each for each in self.nodes if each.port == port)


class RealSentinels:
    """A primary, its replicas, and Sentinels that replace it.

    ``password`` is that of the servers, and ``sentinel_password`` that of the Sentinels. ``tls``
    is a key and a certificate: the servers then listen with TLS on ``tls_ports`` too, which the
    Sentinels monitor, and the Sentinels with TLS alone; ``ask`` does not work there.
    """

    def __init__(
        self, kind: str, directory: Path, *, replicas: int = 2, sentinels: int = 3,
        password: str = "", sentinel_password: str = "", tls: tuple[Path, Path] | None = None,
        **config: str,
    ) -> None:  # fmt: skip
        self._binary = require_binary(kind)
        self._directory = directory
        config = {"repl-diskless-sync-delay": "0", **config}
        if password:
            config |= {"requirepass": password, "masterauth": password}
        self._tls = {} if tls is None else {
            "tls-key-file": str(tls[0]), "tls-cert-file": str(tls[1]),
            "tls-ca-cert-file": str(tls[1]), "tls-auth-clients": "no", "tls-replication": "yes",
        }  # fmt: skip
        self.tls_ports = [free_port() for _ in range(1 + replicas)] if tls else []
        if tls is not None:
            config |= self._tls
        self.servers = [
            RealServer(
                self._binary, directory / f"server-{number}",
                **config, **({"tls-port": str(self.tls_ports[number])} if tls else {}),
            )
            for number in range(1 + replicas)
        ]  # fmt: skip
        self._password = password
        self._sentinel_password = sentinel_password
        self.ports = [free_port() for _ in range(sentinels)]
        self._ids = [secrets.token_hex(20) for _ in range(sentinels)]
        self.processes: list[subprocess.Popen[bytes]] = []

    @property
    def url(self) -> str:
        user = f":{quote(self._password, safe='')}@" if self._password else ""
        query = f"?sentinel_password={self._sentinel_password}" if self._sentinel_password else ""
        where = ",".join(f"127.0.0.1:{each}" for each in self.ports)
        return f"redis+sentinel://{user}{where}/{SERVICE}{query}"

    def start(self) -> None:
        self.start_servers()
        self.start_sentinels()
        primary, *replicas = self.servers
        # Until then a change of access is confirmed by nobody, and may be lost with its primary.
        wait_until(
            lambda: (
                self._command(primary, "INFO", "replication").count(b"state=online")
                == len(replicas)
            ),
            timeout_s=30, what="the replicas to follow",
        )  # fmt: skip

    def start_servers(self) -> None:
        primary, *replicas = self.servers
        primary.start()
        for each in replicas:
            each.start()
            self._command(each, "REPLICAOF", "127.0.0.1", primary.port)

    def start_sentinels(self) -> None:
        self.processes = [self._start_sentinel(number) for number in range(len(self.ports))]
        if not self._tls:
            wait_until(self._is_ready, timeout_s=30, what="the Sentinels to know everybody")

    def client(self, server: RealServer) -> redis.Redis:
        """A client of the test, to inspect a server."""
        return server.client(**({"password": self._password} if self._password else {}))

    def end_sentinel(self, number: int) -> None:
        self.processes[number].kill()
        self.processes[number].wait(timeout=30)

    def cut_off(self, primary: RealServer) -> None:
        """Cut the primary off from the Sentinels; clients and replicas go on. Needs a password."""
        with self.client(primary) as admin:
            admin.config_set("requirepass", secrets.token_hex(8))
            for each in admin.client_list():
                if each["name"].startswith("sentinel-"):
                    admin.execute_command("CLIENT", "KILL", "ID", each["id"])

    def stop(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
                process.wait(timeout=30)
        for each in self.servers:
            if each.is_running:
                each.signal(signal.SIGCONT)
                each.stop(signal.SIGKILL)

    def ask(self, *command: str, sentinel: int = 0) -> Any:
        """The reply of a Sentinel."""
        with redis.Redis(
            port=self.ports[sentinel], protocol=2, socket_timeout=5,
            password=self._sentinel_password or None,
        ) as client:  # fmt: skip
            return client.execute_command(*command)

    def _command(self, server: RealServer, *command: Any) -> Any:
        """The raw reply of a server."""
        with self.client(server) as client:
            client.response_callbacks.clear()
            return client.execute_command(*command)

    def primary(self) -> RealServer:
        """The primary, as the first running Sentinel names it."""
        return self.primary_by(
            next(n for n, each in enumerate(self.processes) if each.poll() is None)
        )

    def primary_by(self, sentinel: int) -> RealServer:
        """The primary, as that Sentinel names it."""
        _, port = self.ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE, sentinel=sentinel)
        return next(each for each in self.servers if each.port == int(port))

    def fail_over(self) -> None:
        """A planned failover; returns when the Sentinels name another primary."""
        old = self.primary()
        self.ask("SENTINEL", "FAILOVER", SERVICE)
        wait_until(lambda: self.primary() is not old, timeout_s=30, what="the failover")

    def _start_sentinel(self, number: int) -> subprocess.Popen[bytes]:
        primary, *replicas = self.servers
        port = self.tls_ports[0] if self._tls else primary.port
        own_port = (
            f"tls-port {self.ports[number]}\nport 0" if self._tls else f"port {self.ports[number]}"
        )
        lines = [
            own_port, *(f"{name} {value}" for name, value in self._tls.items()),
            "bind 127.0.0.1", f"sentinel myid {self._ids[number]}",
            f"sentinel monitor {SERVICE} 127.0.0.1 {port} {len(self.ports) // 2 + 1}",
            f"sentinel down-after-milliseconds {SERVICE} {DOWN_AFTER_MS}",
            f"sentinel failover-timeout {SERVICE} 3000",
            *([f"sentinel auth-pass {SERVICE} {self._password}"] if self._password else []),
            *([f"requirepass {self._sentinel_password}"] if self._sentinel_password else []),
            *(f"sentinel known-replica {SERVICE} 127.0.0.1 {each.port}" for each in replicas),
            *(
                f"sentinel known-sentinel {SERVICE} 127.0.0.1 {port} {own_id}"
                for port, own_id in zip(self.ports, self._ids, strict=True)
                if port != self.ports[number]
            ),
        ]  # fmt: skip
        own = self._directory / f"sentinel-{number}"
        own.mkdir(parents=True, exist_ok=True)
        (own / "sentinel.conf").write_text("\n".join(lines) + "\n")
        return subprocess.Popen(
            [str(self._binary), "sentinel.conf", "--sentinel", "--logfile", "sentinel.log"],
            cwd=own, stdout=subprocess.DEVNULL,
        )  # fmt: skip

    def _is_ready(self) -> bool:
        try:
            for number in range(len(self.ports)):
                fields = self.ask("SENTINEL", "MASTER", SERVICE, sentinel=number)
                named = dict(zip(*[iter(fields)] * 2, strict=True))
                self.ask("SENTINEL", "CKQUORUM", SERVICE, sentinel=number)
                if int(named[b"num-slaves"]) != len(self.servers) - 1:
                    return False
        except redis.RedisError:
            return False
        return all(self._command(each, "ROLE")[3] == b"connected" for each in self.servers[1:])


def lose_replication(primary: RealServer) -> None:
    """Cut a primary off from its replicas; clients go on. What is written from now on is lost."""
    with primary.client() as admin:
        admin.config_set("requirepass", secrets.token_hex(8))
        admin.execute_command("CLIENT", "KILL", "TYPE", "replica")


def _command(server: RealServer, *command: Any) -> Any:
    """The raw reply of a server."""
    with server.client() as client:
        client.response_callbacks.clear()
        return client.execute_command(*command)


def _online_replicas(primary: RealServer) -> int:
    with primary.client() as client:
        found: Any = client.info("replication")
    return sum(
        each["state"] == "online" for name, each in found.items() if re.match(r"slave\d", name)
    )


def _replicates(replica: RealServer, primary_id: str) -> bool:
    try:
        _command(replica, "CLUSTER", "REPLICATE", primary_id)
    except redis.ResponseError:  # it does not know that node yet
        return False
    return True


def _has(
    cluster: RealCluster, node: RealServer, slot: int, *, asked: RealServer | None = None
) -> bool:
    """Whether ``node`` has the slot, in its own eyes or those of ``asked``, if that one runs."""
    if asked is not None and not asked.is_running:
        return True
    lines = cluster.lines(asked or node)
    fields: Sequence[str] = next(each for each in lines if cluster._at(each[1]) is node)
    for each in fields[8:]:
        if not each.startswith("["):
            first, _, last = each.partition("-")
            if int(first) <= slot <= int(last or first):
                return True
    return False
