"""Denied permissions on the server: no operation is half done, and the missing ones are named."""

from __future__ import annotations

import contextlib
import re
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from occupancy.boards.commands import Command
from occupancy.boards.records import Preconditions
from occupancy.cli.doctor import CHECKS, Check, examine, read_facts
from occupancy.core.entities import Person, Role
from occupancy.core.errors import StoreUnavailable
from occupancy.core.settings import Settings
from occupancy.core.transitions import PUT, REMOVE, TRANSITIONS
from occupancy.services import Services
from occupancy.storage import scripts
from tests.conftest import require_binary, services_on
from tests.support.clusters import RealCluster, RealSentinels
from tests.support.deployment import Deployment
from tests.support.servers import BINARIES, RealServer
from tests.support.waiting import wait_until

ANA = Person("ana", "Ana")


@pytest.fixture(params=BINARIES)
def strict_server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RealServer]:
    """A server of each kind for this test alone."""
    server = RealServer(require_binary(request.param), tmp_path / "server")
    server.start()
    yield server
    server.stop()


def url_of(server: RealServer, *rules: str) -> str:
    """The URL of a user with all rights, modified by ``rules``."""
    with server.client() as admin:
        admin.execute_command(
            "ACL", "SETUSER", "app", "reset", "on", ">pw", "~occ:*", "+@all", *rules
        )
    return server.url.replace("redis://", "redis://app:pw@")


@pytest.fixture
def services_with(strict_server: RealServer, tmp_path: Path) -> Iterator[Callable[..., Services]]:
    """The services of a user with such rights."""
    made: list[Services] = []

    def make(*rules: str) -> Services:
        url = url_of(strict_server, *rules)
        made.append(
            Services.for_command_line(Settings(redis_url=url, state_dir=str(tmp_path / "state")))
        )
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_an_operation_succeeds_even_if_its_event_cannot_be_published(
    strict_server: RealServer, tmp_path: Path
) -> None:
    """Redis gives a new user no channels."""
    deployment = Deployment(tmp_path / "state", url_of(strict_server), WEB_CONCURRENCY="1")
    deployment.start(until="/livez")
    try:
        deployment.sign_in("ana", Role.ADMIN)
        items = "/api/boards/main/items"
        for tag in ("A", "B", "C"):
            assert deployment.request("PUT", f"{items}/{tag}", json={}).status_code == 201
        key = {"Idempotency-Key": "once"}
        took = deployment.request("POST", f"{items}/A/take", headers=key)
        again = deployment.request("POST", f"{items}/A/take", headers=key)
        assert (took.status_code, took.json()["changed"]) == (200, True)
        assert again.headers["Idempotency-Replayed"] == "true"
        assert again.json() == took.json()
        batch = deployment.request(
            "POST", "/api/boards/main/batch", json={"operation": "take", "tags": ["B", "C"]}
        )
        assert [each["changed"] for each in batch.json()["results"]] == [True, True]
        assert deployment.request("POST", f"{items}/A/complete").json()["changed"]
        history = deployment.request("GET", f"{items}/A/history").json()["history"]
        assert [each["seq"] for each in history] == [7, 4, 1]

        edited = deployment.request("PUT", "/api/workers/ana", json={"name": "Ana María"})
        assert edited.status_code == 200

        def reasons() -> Any:
            return deployment.request("GET", "/readyz").json().get("reasons", {})

        wait_until(lambda: "rights" in reasons(), what="readiness to name the rights")
        for channel in ("&occ:access", "&occ:canary:"):
            assert channel in reasons()["rights"]

        def refused() -> int:
            metrics = deployment.request("GET", "/metrics").text
            (found,) = re.findall(
                r"^occupancy_publications_refused_total(?:{.*})? (\S+)$", metrics, re.MULTILINE
            )
            return int(float(found))

        # Seven events, the change of the worker, and the new name in the two items still held.
        wait_until(lambda: refused() >= 10, what="the refused publications to be counted")
        assert refused() == 10
        assert "the server refuses to publish" in deployment.log
    finally:
        deployment.stop()


def test_revoking_and_signing_out_work_without_channels(
    services_with: Callable[..., Services],
) -> None:
    services = services_with()
    services.workers.add("ana", name="Ana", role=Role.WORKER)
    _, token = services.tokens.create("ana")
    services.tokens.revoke(token.id)
    assert services.tokens.all() == []
    link = services.links.create("ana")
    secret, session = services.sign_in.with_link(link, address="192.0.2.1")
    assert session.worker == "ana"
    link = services.links.create("ana")
    services.sign_in.with_link(link, address="192.0.2.1", instead_of=secret)
    assert services.workers.edit("ana", disabled=True).disabled


@pytest.mark.parametrize("command", ["xadd", "zrem", "hset", "xtrim", "del"])
def test_without_a_command_that_it_needs_an_operation_does_nothing(
    services_with: Callable[..., Services], strict_server: RealServer, command: str
) -> None:
    services = services_with("&*", f"-{command}")
    with pytest.raises(StoreUnavailable) as refused:
        services.store.commands.execute(Command("main", PUT, ["A"], actor=ANA, items=[{}]))
    assert f"+{command}" in str(refused.value)
    with strict_server.client() as client:
        assert client.keys("occ:{main}*") == []


TAKE = TRANSITIONS["take"]
# The commands with which each operation writes; they are tried before the first write.
NEEDED_BY = {
    **dict.fromkeys(["hset", "hincrby", "zadd", "zrem", "xadd", "set"], (TAKE, REMOVE, PUT)),
    **dict.fromkeys(["del", "hdel", "expire"], (REMOVE,)),
    "persist": (PUT,),
}


@pytest.mark.parametrize("command", NEEDED_BY)
def test_a_right_taken_away_since_it_was_tried_stops_an_operation_before_it_has_done_anything(
    services_with: Callable[..., Services], strict_server: RealServer, command: str
) -> None:
    store = services_with("&*").store
    store.commands.execute(Command("main", PUT, ["A", "B"], actor=ANA, items=[{}, {}]))
    assert store.permissions.denied == []
    with strict_server.client() as client:
        client.execute_command("ACL", "SETUSER", "app", f"-{command}")
        before = {each: client.dump(each) for each in client.keys("occ:{main}*")}
        given = Preconditions(idempotency_key="k", fingerprint=secrets.token_hex(16))
        for row in NEEDED_BY[command]:
            with pytest.raises(StoreUnavailable, match="rights"):
                if row is PUT:
                    list(store.commands.put_many("main", [("C", {}), ("D", {})], actor=ANA))
                else:
                    store.commands.execute(
                        Command("main", row, ["A", "B"], actor=ANA, preconditions=given)
                    )
        assert {each: client.dump(each) for each in client.keys("occ:{main}*")} == before
        client.execute_command("ACL", "SETUSER", "app", "+@all")
    taken = store.commands.execute(
        Command("main", TAKE, ["A", "B"], actor=ANA, preconditions=given)
    )
    assert [each.changed for each in taken.outcomes] == [True, True]


@pytest.mark.parametrize("command", ["rpush", "lpop", "xtrim"])
def test_a_log_that_may_not_be_cut_any_more_grows_and_is_cut_later(
    services_with: Callable[..., Services], strict_server: RealServer, command: str
) -> None:
    store = services_with("&*").store
    store.commands.execute(Command("main", PUT, ["A"], actor=ANA, items=[{}]))
    marks = store.keys.board("main").log_marks
    with strict_server.client() as client:
        client.execute_command("ACL", "SETUSER", "app", f"-{command}")
        client.hset(store.keys.board("main").board, "log_filled_bytes", 2**30)  # a full block
        assert store.commands.execute(Command("main", TAKE, ["A"], actor=ANA)).outcomes[0].changed
        assert client.llen(marks) == 0
        client.execute_command("ACL", "SETUSER", "app", "+@all")
        assert (
            store.commands.execute(Command("main", TRANSITIONS["pause"], ["A"], actor=ANA))
            .outcomes[0]
            .changed
        )
        assert client.llen(marks) == 1
    assert [each.seq for each in store.log.replay("main", "0-0", 10).entries] == [1, 2, 3]


@pytest.mark.parametrize("command", ["hdel", "hset", "incr"])
def test_access_is_changed_and_counted_or_neither(
    services_with: Callable[..., Services], strict_server: RealServer, command: str
) -> None:
    """An uncounted change would leave streams open after their access has ended."""
    services = services_with("&*")
    services.workers.add("ana", name="Ana", role=Role.WORKER)
    _, token = services.tokens.create("ana")
    before = services.authenticator.changes()
    with strict_server.client() as client:
        client.execute_command("ACL", "SETUSER", "app", f"-{command}")
    for change in (
        lambda: services.tokens.revoke(token.id),
        lambda: services.workers.edit("ana", disabled=True),
    ):
        with contextlib.suppress(StoreUnavailable):
            change()
    is_revoked = token.id not in {each.token.id for each in services.tokens.all()}
    is_disabled = services.workers.get("ana").disabled
    # Counted first: a change that then fails is counted too, and costs a look at the credentials.
    # But a revocation begins with HDEL, which changes nothing where it is denied.
    counted = {"incr": 0, "hdel": 1, "hset": 2}[command]
    assert services.authenticator.changes() - before == counted
    assert (is_revoked, is_disabled) == (command == "hset", command == "hdel")


def test_every_command_of_the_scripts_is_tried() -> None:
    directory = Path(scripts.__file__).parent / "lua"
    used = {
        command
        for each in directory.rglob("*.lua")
        for command in re.findall(r"redis\.p?call\('([A-Z]+)'", each.read_text())
    }
    used |= {"ZADD", "ZREM"}  # by a condition, in audit.lua
    script = directory / "board" / "check_permissions.lua"
    tried = set(re.findall(r"'([A-Z]+)'", script.read_text()))
    assert used - tried == set()


def test_the_check_names_the_missing_rights(services_with: Callable[..., Services]) -> None:
    def found(*rules: str) -> tuple[str, str]:
        facts = read_facts(services_with(*rules))
        (check,) = [each for each in (check(facts) for check in CHECKS) if each.name == "rights"]
        return check.level, check.finding

    assert found("&occ:*") == ("error", "missing: &occ:live:0:* (events are late)")
    assert found("&occ:*", "&occ:live:0:*") == ("ok", "all that is needed")
    level, finding = found("&occ:*", "&occ:live:0:*", "-xadd", "-hincrby")
    assert (level, finding) == ("error", "missing: +hincrby +xadd (no operations)")
    level, finding = found()
    assert "&occ:live:0:*" in finding
    assert "&occ:access" in finding


def test_the_rights_that_the_readme_has_are_enough(services_with: Callable[..., Services]) -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    (line,) = [each for each in readme.splitlines() if each.startswith("ACL SETUSER")]
    rules = line.split()[5:]
    assert "~occ:*" in rules
    services = services_with("resetkeys", "-@all", *rules)
    assert services.store.permissions.check() == []
    facts = read_facts(services)
    assert facts.denied == []
    services.store.commands.execute(Command("main", PUT, ["A"], actor=ANA, items=[{}]))
    services.store.commands.execute(Command("main", TRANSITIONS["take"], ["A"], actor=ANA))
    services.workers.add("ana", name="Ana", role=Role.WORKER)
    secret, _ = services.tokens.create("ana")
    assert secret


@pytest.mark.parametrize("backend", BINARIES)
@pytest.mark.parametrize(
    "key", ["view", "by_tag", "by_state", "by_holder", "log", "samples", "log_marks", "history"]
)
def test_a_key_of_another_type_stops_a_batch_before_it_has_done_anything(
    backend: str, key: str, tmp_path: Path, server_of: Callable[[str], RealServer]
) -> None:
    for services in services_on(backend, tmp_path, server_of):
        store = services.store
        store.commands.execute(Command("main", PUT, ["A", "B"], actor=ANA, items=[{}, {}]))
        keys = store.keys.board("main")
        broken = keys.history("B") if key == "history" else getattr(keys, key)
        store.client.delete(broken)
        store.client.set(broken, "not ours")
        client: Any = store.client
        before = {each: client.dump(each) for each in client.scan_iter(f"{keys.root}:*")}
        given = Preconditions(idempotency_key="k", fingerprint=secrets.token_hex(16))
        with pytest.raises(Exception, match="WRONGTYPE"):
            store.commands.execute(
                Command("main", TRANSITIONS["take"], ["A", "B"], actor=ANA, preconditions=given)
            )
        with pytest.raises(Exception, match="WRONGTYPE"):
            store.commands.execute(Command("main", REMOVE, ["A", "B"], actor=ANA))
        after = {each: client.dump(each) for each in client.scan_iter(f"{keys.root}:*")}
        assert after == before


def test_trying_the_rights_changes_nothing_that_others_see(services: Services) -> None:
    services.store.commands.execute(Command("main", PUT, ["A"], actor=ANA, items=[{}]))
    client: Any = services.store.client
    before = {each: client.dump(each) for each in client.scan_iter()}
    assert before
    for _ in range(3):
        assert services.store.permissions.check() == []
    assert {each: client.dump(each) for each in client.scan_iter()} == before


@pytest.mark.parametrize("backend", BINARIES)
def test_in_a_cluster_the_rights_of_sharded_publications_are_tried(
    backend: str, tmp_path: Path
) -> None:
    cluster = RealCluster(backend, tmp_path / "cluster", primaries=1, replicas=0)
    cluster.start()
    try:
        url = url_of(cluster.nodes[0], "&occ:live:0:*").replace("redis://", "redis+cluster://")
        services = Services.for_command_line(
            Settings(redis_url=url.removesuffix("/0"), state_dir=str(tmp_path / "state"))
        )
        assert services.store.permissions.check() == ["&occ:access:0:{access}"]
        services.store.commands.execute(Command("main", PUT, ["A"], actor=ANA, items=[{}]))
        with cluster.nodes[0].client() as admin:
            admin.execute_command("ACL", "SETUSER", "app", "resetchannels", "&occ:access:0:*")
        assert services.store.permissions.check() == ["&occ:live:0:{access}"]
        with cluster.nodes[0].client() as admin:
            admin.execute_command("ACL", "SETUSER", "app", "allchannels", "-spublish")
        assert len(services.store.permissions.check()) == 2
        with cluster.nodes[0].client() as admin:
            admin.execute_command("ACL", "SETUSER", "app", "+spublish", "-publish")
        assert services.store.permissions.check() == []
        services.close()
    finally:
        cluster.stop()


# Several servers


def found_by(services: Services) -> list[Check]:
    """What the doctor says of the rights."""
    return [each for each in examine(services) if each.name == "rights"]


@contextlib.contextmanager
def command_line(url: str, directory: Path, **settings: Any) -> Iterator[Services]:
    services = Services.for_command_line(
        Settings(redis_url=url, state_dir=str(directory / "state"), **settings)
    )
    try:
        yield services
    finally:
        services.close()


@pytest.mark.parametrize("backend", BINARIES)
def test_the_check_names_the_rights_that_a_cluster_needs_on_each_server(
    backend: str, tmp_path: Path
) -> None:
    cluster = RealCluster(backend, tmp_path / "cluster", primaries=1, replicas=1)
    cluster.start()
    try:
        for each in cluster.nodes:
            url_of(each, "&*")
        primary, replica = cluster.nodes
        url = cluster.url.replace("://", "://app:pw@")

        def found(*rules: str, at: RealServer = primary, **settings: Any) -> list[Check]:
            url_of(at, "&*", *rules)
            try:
                with command_line(url, tmp_path, **settings) as services:
                    return [each for each in found_by(services) if each.level != "ok"]
            finally:
                url_of(at, "&*")

        assert found() == []
        (check,) = found("-wait")
        assert check.finding == "missing: +wait (changes of access are answered 503 unconfirmed)"
        assert "ACL SETUSER app +wait" in check.advice
        (check,) = found("-wait", confirm_replicas=1)
        assert check.finding == "missing: +wait (operations are answered 503 unconfirmed)"
        (check,) = found("-asking", at=replica)
        assert (check.server, check.finding) == (
            f"127.0.0.1:{replica.port} (replica)", "missing: +asking (no operations)"
        )  # fmt: skip
        (check,) = found("-cluster|info")  # a connection begins with it
        assert check.finding == "missing: +cluster|info (no operations)"
        assert "ACL SETUSER app +cluster|info" in check.advice
        url_of(replica, "&*", "-cluster|nodes")
        (check,) = found("-cluster|nodes")  # nobody tells where the servers are
        assert check.finding == "missing: +cluster|nodes (no operations)"
        assert "ACL SETUSER app +cluster|nodes" in check.advice
    finally:
        cluster.stop()


@pytest.mark.parametrize("backend", BINARIES)
def test_the_check_names_the_rights_that_sentinels_servers_need(
    backend: str, tmp_path: Path
) -> None:
    sentinels = RealSentinels(backend, tmp_path, replicas=1, sentinels=1)
    sentinels.start()
    try:
        primary, replica = sentinels.servers
        url = sentinels.url.replace("://", "://app:pw@")
        for each in (primary, replica):
            url_of(each, "&*")
        with command_line(url, tmp_path) as services:
            assert {each.level for each in found_by(services)} == {"ok"}
        url_of(replica, "&*", "-role", "-wait")
        with command_line(url, tmp_path) as services:
            (check,) = [each for each in found_by(services) if each.level != "ok"]
            assert check.finding == "missing: +role +wait (no operations)"
            assert "replica" in check.server
        url_of(primary, "&*", "-role")  # a connection begins with it
        with command_line(url, tmp_path) as services:
            found = [each for each in found_by(services) if "primary" in each.server]
            assert [each.finding for each in found] == ["missing: +role (no operations)"]
            assert "ACL SETUSER app +role" in found[0].advice
    finally:
        sentinels.stop()
