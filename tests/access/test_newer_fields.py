"""A rolling upgrade: a newer process stores fields that this version does not know.

One is added to every JSON that is stored, of whatever kind; everything goes on as before.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from occupancy.core.entities import Role
from occupancy.core.principal import Credential, digest_of
from occupancy.observability.audit_outbox import AuditOutbox
from occupancy.services import Services
from tests.support.tablets import HASH, PIN, Shop, fields, problem

NEWER = {"of_a_newer_version": {"a": [1, "é"]}}
KINDS = {
    "workers", "tokens", "sessions", "board", "item", "view", "process", "notes", "uses",
    "audit_bytes",
}  # fmt: skip


@pytest.fixture
def shop(services: Services) -> Shop:
    return Shop(services)


def add_newer_fields(services: Services) -> set[str]:
    """Add one to every stored JSON and to every hash of fields; which kinds there were."""
    client: Any = services.store.client
    kinds = set()
    for key in client.scan_iter(f"{services.settings.prefix}:*"):
        kind = key.decode().replace("{", "").split("}:")[-1].split(":")
        kind = kind[1] if kind[0] == services.settings.prefix else kind[0]
        found = client.type(key)
        if found == b"hash":
            stored: dict[Any, Any] = {
                name: newer(value) for name, value in client.hgetall(key).items()
            }
            if all(value is None for value in stored.values()):
                stored = {"of_a_newer_version": "1"}  # a hash of plain fields
        elif found == b"string":
            stored = {None: newer(client.get(key) or b"")}  # it may have expired
        elif found == b"list":
            stored = {number: newer(each) for number, each in enumerate(client.lrange(key, 0, -1))}
        else:
            continue
        for name, value in stored.items():
            if value is None:
                continue
            kinds.add(kind)
            if found == b"hash":
                client.hset(key, name, value)
            elif found == b"string":
                client.set(key, value, keepttl=True)
            else:
                client.lset(key, name, value)
    services.authenticator.forget()
    return kinds


def newer(encoded: bytes) -> bytes | None:
    """``encoded`` with a field more, if it is a JSON object."""
    try:
        value = json.loads(encoded)
    except ValueError:
        return None
    return json.dumps({**value, **NEWER}).encode() if isinstance(value, dict) else None


def test_fields_of_a_newer_version_disturb_nobody(shop: Shop) -> None:
    services, client = shop.services, shop.services.store.client
    services.workers.add("95", name="No PIN yet", role=Role.WORKER)
    tablet, csrf = shop.signed_in("1")
    secret, token = services.tokens.create("93")
    bearer, key = {"Authorization": f"Bearer {secret}"}, {"Idempotency-Key": "k"}
    anybody = shop.browser()
    for tag in ("T-1", "T-2"):
        assert tablet.put(f"/api/boards/main/items/{tag}", json={}, headers=csrf).status_code == 201
    taken = anybody.post("/api/boards/main/items/T-1/take", headers={**bearer, **key})
    ticket = fields(anybody.post("/api/tickets", headers=bearer))["ticket"]
    link, own_link = services.links.create("93"), services.links.create("95")
    figures = services.process_report.figures()
    services.processes.report("another", {**figures, "process": "another"})
    outbox = AuditOutbox(client, services.store.keys, services.audit_trail)
    outbox.leave("worker_added", worker="93")

    assert add_newer_fields(services) == KINDS

    assert [each["process"] for each in services.processes.all()] == ["another"]
    assert [note["event"] for note in services.audit_outbox.take()] == ["worker_added"]
    # Whoever was let in stays so; each way in lets in.
    assert shop.who(tablet) == "1"
    assert anybody.get("/api/boards", headers=bearer).status_code == 200
    with anybody.get(f"/api/boards/main/events?ticket={ticket}", buffered=False) as stream:
        assert stream.status_code == 200
    for body in ({"worker": "93", "pin": PIN}, {"token": secret}, {"token": link}):
        answer = shop.browser().post("/api/session", json=body)
        assert answer.status_code == 200, answer.text
    assert problem(shop.sign_in(shop.browser(), "93", "0000")) == (401, "unauthenticated")
    # Changing one's PIN, as one who was let in by a link.
    newcomer = shop.browser()
    answer = newcomer.post("/api/session", json={"token": own_link})
    own_csrf = {"X-CSRF-Token": fields(answer)["csrf_token"]}
    answer = newcomer.put("/api/session/pin", json={"new_pin": "2580"}, headers=own_csrf)
    assert answer.status_code == 200, answer.text
    # Edits leave what they do not know.
    edited = tablet.put("/api/workers/94", json={"name": "Marta"}, headers=csrf)
    assert edited.status_code == 200, edited.text
    assert tablet.delete("/api/workers/93/sessions", headers=csrf).status_code == 204
    workers: Any = client.hgetall(services.store.keys.workers)
    for worker in (b"93", b"94", b"95"):
        assert json.loads(workers[worker])["of_a_newer_version"] == NEWER["of_a_newer_version"]
    assert services.workers.get("93").pin_hash == HASH
    # Operations, and the same one again.
    again = anybody.post("/api/boards/main/items/T-1/take", headers={**bearer, **key})
    assert (again.status_code, again.headers["Idempotency-Replayed"]) == (200, "true")
    assert fields(again)["item"]["version"] == fields(taken)["item"]["version"]
    for tag, operation in (("T-1", "complete"), ("T-2", "take")):
        done = anybody.post(f"/api/boards/main/items/{tag}/{operation}", headers=bearer)
        assert done.status_code == 200, done.text
    for path in (
        "/api/boards", "/api/boards/main", "/api/boards/main/items",
        "/api/boards/main/items?q=T", "/api/boards/main/items/T-1",
        "/api/boards/main/items/T-1/history", "/api/boards/main/timeline", "/api/workers",
        "/api/tokens",
    ):  # fmt: skip
        assert tablet.get(path).status_code == 200, path
    assert services.tokens.revoke(token.id).worker == "93"
    with pytest.raises(Exception, match="unknown"):
        services.authenticator.identify(Credential("token", digest_of(secret)))
