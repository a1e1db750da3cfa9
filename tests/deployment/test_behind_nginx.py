"""Behind a proxy that compresses: it weakens our ETags, and conditional requests still work."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from occupancy.core.entities import Role
from tests.conftest import require
from tests.support.both_paths import random_name
from tests.support.deployment import Deployment
from tests.support.nginx import Nginx, nginx_path
from tests.support.servers import RealServer

ITEM = "/api/boards/main/items/T-1"


@pytest.fixture
def proxied(tmp_path: Path, module_server: RealServer) -> Iterator[requests.Session]:
    """A supervisor's session through nginx; paths are sent as they are."""
    binary = require(nginx_path(), "nginx")
    deployment = Deployment(
        tmp_path / "state", module_server.url, OCCUPANCY_PREFIX=random_name("t")
    )
    try:
        deployment.start()
        with Nginx(binary, tmp_path / "nginx", deployment.port) as nginx:
            session = requests.Session()
            session.headers.update(deployment.sign_in("supervisor", Role.SUPERVISOR))
            session.headers["Accept-Encoding"] = "gzip"
            send = session.request
            session.request = lambda method, path, **options: send(  # type: ignore[method-assign]
                method, nginx.url + path, timeout=30, **options
            )
            yield session
    finally:
        deployment.stop()


def test_read_modify_write_works_through_a_proxy_that_compresses(
    proxied: requests.Session,
) -> None:
    assert proxied.request("PUT", ITEM, json={"title": "One"}).status_code == 201
    read = proxied.request("GET", ITEM)
    etag = read.headers["ETag"]
    assert (read.headers["Content-Encoding"], etag) == ("gzip", 'W/"1"')
    known = proxied.request("GET", ITEM, headers={"If-None-Match": etag})
    assert known.status_code == 304
    written = proxied.request("PUT", ITEM, json={"title": "Two"}, headers={"If-Match": etag})
    assert (written.status_code, written.json()["item"]["version"]) == (200, 2)
    late = proxied.request("PUT", ITEM, json={"title": "Three"}, headers={"If-Match": etag})
    assert (late.status_code, late.json()["code"]) == (412, "version_mismatch")
    taken = proxied.request("POST", f"{ITEM}/take", headers={"If-Match": written.headers["ETag"]})
    assert (taken.status_code, taken.json()["changed"]) == (200, True)


def test_a_list_that_has_not_changed_is_not_sent_again_through_it(
    proxied: requests.Session,
) -> None:
    proxied.request("PUT", ITEM, json={"title": "One"})
    path = ITEM.rpartition("/")[0]
    etag = proxied.request("GET", path).headers["ETag"]
    assert etag.startswith('W/"')
    for known in (etag, "*"):
        answer = proxied.request("GET", path, headers={"If-None-Match": known})
        assert answer.status_code == 304
    proxied.request("POST", f"{ITEM}/take")
    assert proxied.request("GET", path, headers={"If-None-Match": etag}).status_code == 200
