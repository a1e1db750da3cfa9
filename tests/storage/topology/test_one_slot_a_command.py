"""No command names keys of two slots: every one that a deployment sends is asked of the server.

What a Cluster of one node hears (MONITOR) from the services, the web, live delivery, the command
line and inside the scripts is held to a rule: a key has its board's hash tag or that of access.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import gevent
import pytest
import redis
from flask.testing import FlaskClient

from occupancy import create_app
from occupancy.boards import holder_names, queries
from occupancy.boards.reconcile import Reconciler, reconcile_at_start
from occupancy.core.keys import Keys
from occupancy.core.transitions import TRANSITIONS
from occupancy.services import Services
from occupancy.storage import scripts
from occupancy.storage.topology.shard import slot_of
from tests.conftest import require_binary, services_on
from tests.support.selection import CLUSTER
from tests.support.servers import BINARIES, OneNodeCluster
from tests.support.tablets import PIN, Shop, fields
from tests.support.waiting import wait_until

BOARDS = ("main", "hall", "big")
LARGE = 20  # items; from here on a board is read in another way
NO_BOARD = "nothing"  # one that is asked for
_PART = re.compile(rb'"((?:[^"\\]|\\.)*)"')
_CHANNELS = {"SPUBLISH", "SSUBSCRIBE", "SUNSUBSCRIBE"}
_EVERYWHERE = {"PUBLISH", "SUBSCRIBE", "PSUBSCRIBE"}  # they cost every node of a Cluster


class Heard(NamedTuple):
    """A command as the server has received it, or a script has called it."""

    name: str
    args: tuple[bytes, ...]
    is_in_script: bool


class Monitor:
    """Everything that the server is asked."""

    def __init__(self, server: OneNodeCluster) -> None:
        self.heard: list[Heard] = []
        self._client = server.client()
        self._connection: Any = self._client.connection_pool.get_connection()
        self._connection.send_command("MONITOR")
        self._connection.read_response()
        self._greenlet = gevent.spawn(self._read)

    def _read(self) -> None:
        while True:
            try:
                line: bytes = self._connection.read_response(timeout=None)
            except redis.RedisError:
                return
            where, _, command = line.partition(b"] ")
            parts = [
                ast.literal_eval(f'b"{each.decode("latin-1")}"') for each in _PART.findall(command)
            ]
            self.heard.append(
                Heard(parts[0].decode().upper(), tuple(parts), where.endswith(b" lua"))
            )

    def has_heard(self, name: str) -> bool:
        return any(each.name == name for each in self.heard)

    def stop(self) -> None:
        self._greenlet.kill()
        self._connection.disconnect()
        self._client.close()


@pytest.fixture(params=BINARIES)
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OneNodeCluster]:
    made = OneNodeCluster(require_binary(request.param), tmp_path / "server")
    made.start()
    yield made
    made.stop()


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> dict[scripts.Script, str]:
    """The name of each script that a service has made."""
    found: dict[scripts.Script, str] = {}
    make = scripts.Script.__init__

    def note(self: scripts.Script, client: Any, name: str) -> None:
        make(self, client, name)
        found[self] = name

    monkeypatch.setattr(scripts.Script, "__init__", note)
    return found


def test_every_command_names_keys_of_one_slot(
    server: OneNodeCluster, made: dict[scripts.Script, str], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monitor = Monitor(server)
    for services in services_on(CLUSTER, tmp_path, lambda kind: server):
        keys = services.store.keys
        _use_everything(services, monitor, monkeypatch)
        with server.client() as admin:
            admin.echo("the end")
        wait_until(lambda: monitor.has_heard("ECHO"), what="the last command")
        monitor.stop()
    heard = monitor.heard
    names = {script.sha1: name for script, name in made.items()}  # with the clock of the tests
    run = {each.args[1].decode() for each in heard if each.name == "EVALSHA"}
    assert {names[each] for each in run} == set(names.values())
    assert {"SPUBLISH", "SSUBSCRIBE", "SCAN", "XREAD", "MULTI", "ZSCAN"} <= {
        each.name for each in heard
    }
    assert not _EVERYWHERE & {each.name for each in heard}
    with server.client() as admin:
        wrong = [(each, why) for each in set(heard) if (why := _fault(admin, keys, each))]
    assert wrong == []


def _fault(admin: redis.Redis, keys: Keys, heard: Heard) -> str | None:
    """What is wrong with a command's keys, or None."""
    found = _keys_of(admin, heard)
    if len({slot_of(each) for each in found}) > 1:
        return "keys of several slots"
    for each in map(bytes.decode, found):
        tag = re.search(r"\{(.*?)\}", each)
        is_single = each in (keys.boards, keys.reconciling, keys.restoring, keys.version_base)
        if not each.startswith(f"{keys.prefix}:"):
            return f"{each} has not our prefix"
        if tag is None and not is_single:
            return f"{each} has no hash tag"
        if tag is not None and tag[1] not in (*BOARDS, NO_BOARD, "access"):
            return f"{each} has the hash tag of nothing"
    return None


def _keys_of(admin: redis.Redis, heard: Heard) -> list[bytes]:
    if heard.name in _CHANNELS:
        return list(heard.args[1 : 2 if heard.name == "SPUBLISH" else None])
    if len(heard.args) == 1:
        return []
    try:
        found: Any = admin.execute_command("COMMAND GETKEYS", *heard.args)
    except redis.ResponseError as error:  # it has none
        assert "no key" in str(error) or "Invalid" in str(error), f"{heard}: {error}"
        return []
    return [each if isinstance(each, bytes) else each.encode() for each in found]


def test_the_check_sees_what_is_wrong(server: OneNodeCluster) -> None:
    keys = Keys("occ", is_sharded=True)

    def fault(*args: str) -> str | None:
        with server.client() as admin:
            heard = Heard(args[0], tuple(each.encode() for each in args), is_in_script=False)
            return _fault(admin, keys, heard)

    main = keys.board("main")
    assert fault("EVALSHA", "0" * 40, "2", main.board, main.log, "x") is None
    assert fault("EVALSHA", "0" * 40, "2", main.board, keys.workers, "x")
    assert fault("MGET", main.board, keys.board("hall").board)
    assert fault("GET", "occ:somewhere")
    assert fault("GET", "occ:{other}:board")
    assert fault("GET", "other:{main}:board")
    assert fault("SPUBLISH", "occ:live:0:main", "x")
    assert fault("SPUBLISH", main.channel, "x") is None


# Everything that there is


def _use_everything(services: Services, monitor: Monitor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holder_names, "SETTLED_S", 0)
    monkeypatch.setattr(queries, "_LARGE_ITEMS", LARGE)
    services.start()
    shop = Shop(services)
    browser = shop.browser()
    secret, token = services.tokens.create("1")
    browser.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {secret}"
    _use_boards(services, browser)
    _use_access(services, shop, browser, token.id)
    _use_live(services, browser, monitor)
    _use_the_rest(services, browser)
    _use_the_command_line(services, monkeypatch)
    _use_settings_and_removal(services, browser)


def _send(browser: FlaskClient, method: str, path: str, body: Any = None, **headers: str) -> Any:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = browser.open(path, method=method, json=body, headers=names)
    assert answer.status_code < 500, f"{method} {path}: {answer.text}"
    return answer.json


def _use_boards(services: Services, browser: FlaskClient) -> None:
    _send(browser, "POST", "/api/boards", {"board": "hall", "steps": ["ARM", "SOLD"]})
    _send(browser, "POST", "/api/boards", {"board": "big"})
    for board in ("main", "hall"):
        items = f"/api/boards/{board}/items"
        for tag in ("T-1", "T-2"):
            _send(browser, "PUT", f"{items}/{tag}", {"title": tag})
        for operation, row in TRANSITIONS.items():
            body = {
                "reason": "r" if row.reason != "none" else None,
                "to": "93" if row.holder == "to" else None,
                "step": "ARM" if row.step != "none" and board == "hall" else None,
            }
            _send(
                browser, "POST", f"{items}/T-1/{operation}",
                {name: value for name, value in body.items() if value}, Idempotency_Key=operation,
            )  # fmt: skip
        batch = {"operation": "take", "tags": ["T-1", "T-2"]}
        for _ in range(2):
            _send(browser, "POST", f"/api/boards/{board}/batch", batch, Idempotency_Key="batch")
        for query in ("", "?state=occupied", "?holder=93", "?q=T", "?limit=1"):
            _send(browser, "GET", items + query)
        for path in ("/T-1", "/T-1/history", "/T-3"):
            _send(browser, "GET", items + path)
        _send(browser, "GET", f"/api/boards/{board}/timeline")
        _send(browser, "GET", f"/api/boards/{board}")
        _send(browser, "POST", f"{items}/T-2/release")
        _send(browser, "DELETE", f"{items}/T-2")
        Reconciler(services.store).run(board, repair=True)
    _send(browser, "GET", "/api/boards")
    _send(browser, "GET", f"/api/boards/{NO_BOARD}")
    rows = [(f"B-{number}", {"title": '"x"'}) for number in range(LARGE)]
    actor = services.workers.get("93").person
    assert len(list(services.store.commands.put_many("big", rows, actor=actor))) == LARGE
    for _ in range(2):
        _send(browser, "GET", "/api/boards/big/items")
    services.store.commands.render_again("big", ["B-1"])
    with gevent.Timeout(10):
        services.store.log.follow("big", "0-0", block_ms=10, count=5)
    services.store.log.promote(BOARDS)
    reconcile_at_start(services.store, gevent.sleep)


def _use_settings_and_removal(services: Services, browser: FlaskClient) -> None:
    _send(browser, "PATCH", "/api/boards/hall", {"title": "Hall", "max_holds": 2})
    _send(browser, "DELETE", "/api/boards/hall", {})
    services.removal.remove("hall", with_items=True, recording=services.audit_trail.recording)
    services.removal.sweep("hall")
    _send(browser, "DELETE", "/api/boards/big", {"confirm": "big"})
    wait_until(
        lambda: not services.store.client.exists(services.store.keys.removing), what="the sweep"
    )
    _send(browser, "GET", "/api/boards/hall")


def _use_access(services: Services, shop: Shop, browser: FlaskClient, token: str) -> None:
    for path in ("/api/workers", "/api/tokens", "/api/session"):
        _send(browser, "GET", path)
    _send(browser, "PUT", "/api/workers/95", {"name": "New", "role": "worker", "pin": PIN})
    _send(browser, "POST", "/api/boards/main/items/T-1/reassign", {"to": "93"})
    _send(browser, "PUT", "/api/workers/93", {"name": "Other"})
    services.holder_names.settle()
    made = _send(browser, "POST", "/api/tokens", {"worker": "93", "days": 3})
    _send(browser, "DELETE", f"/api/tokens/{made['id']}")
    services.links.redeem(services.links.create("93"))
    _send(browser, "POST", "/api/workers/94/links")
    tablet, csrf = shop.signed_in("94")
    shop.sign_in(shop.browser(), "94", "0000")
    wall = shop.browser()
    secret, _ = services.tokens.create("94")
    assert wall.post("/api/session", json={"token": secret}).status_code == 200
    ticket = fields(tablet.post("/api/tickets", headers=csrf))["ticket"]
    services.tickets.use(ticket, address="10.0.0.1", board="main")
    services.tickets.renew([services.store.keys.ticket("0" * 64)])
    tablet.put("/api/session/pin", json={"pin": PIN, "new_pin": "208642"}, headers=csrf)
    tablet.delete("/api/session", headers=csrf)
    _send(browser, "DELETE", "/api/workers/94/sessions")
    _use_badges(services, shop, browser)
    services.audit_outbox.leave("worker.added", worker="93")
    services.audit_outbox.record()
    services.audit_trail.flush()
    for path in ("/api/audit", "/api/audit?since=2026-01-01&until=2036-01-01", "/api/audit?q=x"):
        _send(browser, "GET", path)
    assert browser.get("/api/audit/export").status_code == 200


def _use_badges(services: Services, shop: Shop, browser: FlaskClient) -> None:
    badge = _send(browser, "POST", "/api/workers/94/badges", {"code": "0012345678"})["badge"]
    made = _send(browser, "POST", "/api/stations", {"name": "Hall 2"})
    station = shop.browser()
    pairing = {"token": made["path"].partition("#")[2]}
    assert station.post("/api/session", json=pairing).status_code == 200
    signed_in = station.post("/api/session", json={"badge": "0012345678", "board": "main"})
    csrf = {"X-CSRF-Token": fields(signed_in)["csrf_token"]}
    station.post("/api/session/confirm", json={"pin": "208642"}, headers=csrf)
    for path in ("/api/workers/94/badges", "/api/stations"):
        _send(browser, "GET", path)
    _send(browser, "DELETE", f"/api/workers/94/badges/{badge['id']}")
    _send(browser, "DELETE", f"/api/stations/{made['station']['id']}")


def _use_live(services: Services, browser: FlaskClient, monitor: Monitor) -> None:
    streams = [services.hub.subscribe(board) for board in ("main", "hall")]
    wait_until(lambda: services.hub.trouble is None, what="live delivery")
    wait_until(
        lambda: sum(each.name == "SSUBSCRIBE" for each in monitor.heard) >= 3,
        what="the subscriptions",
    )
    _send(browser, "PUT", "/api/boards/main/items/T-9", {"title": "live"})
    for each in streams:
        services.hub.unsubscribe(each)
    wait_until(lambda: monitor.has_heard("SUNSUBSCRIBE"), what="the end of a subscription")


def _use_the_rest(services: Services, browser: FlaskClient) -> None:
    services.process_report.publish()
    services.process_report.check_max_clients()
    services.processes.all()
    services.periodic_tasks.run()
    services.store.permissions.check()
    services.authenticator.changes()
    for path in ("/api/redis-health", "/api/redis-connection-stats", "/metrics", "/readyz"):
        with browser.get(path) as answer:
            assert answer.status_code in (200, 503)
    services.workers.remove(services.workers.stored("95"))
    services.process_report.withdraw()
    services.invitation.withdraw()


def _use_the_command_line(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("OCCUPANCY_") or name in ("REDIS_URL", "WEB_CONCURRENCY", "PORT"):
            monkeypatch.delenv(name)
    settings = services.settings
    monkeypatch.setenv("REDIS_URL", settings.redis_url)
    monkeypatch.setenv("OCCUPANCY_PREFIX", settings.prefix)
    monkeypatch.setenv("OCCUPANCY_STATE_DIR", settings.state_dir)
    runner = create_app(services).test_cli_runner()
    for command in (
        "boards list", "boards show hall", "items list", "items show T-1", "items history T-1",
        "items reconcile", "items take T-9 --worker 93", "items export - --board big",
        "workers list", "workers disable 94", "tokens list", "redis stats", "redis check",
    ):  # fmt: skip
        result = runner.invoke(args=command.split())
        assert result.exception is None or isinstance(result.exception, SystemExit), command
        assert "Error" not in result.stderr or command == "redis check", result.stderr
