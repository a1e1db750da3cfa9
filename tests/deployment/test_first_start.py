"""The first start: while there is no worker, the terminal shows a link that signs one person in."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from occupancy.core.entities import Role
from occupancy.core.principal import digest_of
from tests.support.deployment import Deployment
from tests.support.servers import RealServer
from tests.support.stored import stored_text
from tests.support.waiting import wait_until

LINK = re.compile(r"(\S+)/sign-in#(occlink_\S+)")

Start = Callable[..., Deployment]


@pytest.fixture
def start(tmp_path: Path, module_server: RealServer) -> Iterator[Start]:
    """Starts a deployment of two processes, each time on the same data, which is empty at first."""
    running: list[Deployment] = []
    prefix = f"t-{secrets.token_hex(6)}"

    def start(until: str = "/readyz", **environ: str) -> Deployment:
        state_dir = tmp_path / f"state-{len(running)}"
        environ = {"OCCUPANCY_PREFIX": prefix, "WEB_CONCURRENCY": "2", **environ}
        running.append(Deployment(state_dir, module_server.url, **environ).start(until))
        return running[-1]

    yield start
    for each in running:
        each.stop()


def links_of(deployment: Deployment) -> list[tuple[str, str]]:
    """Address and secret of each link that both processes have printed until they exit."""
    processes = deployment.services().processes
    wait_until(lambda: len(processes.all()) == 2, what="both processes")
    deployment.stop()
    return LINK.findall(deployment.log)


def the_link(deployment: Deployment) -> str:
    """The secret of the link that is printed."""
    found: re.Match[str] = wait_until(lambda: LINK.search(deployment.log), what="the link")
    return found[2]


def sign_in(deployment: Deployment, secret: str) -> requests.Response:
    return requests.post(f"{deployment.url}/api/session", json={"token": secret}, timeout=10)


def test_one_link_is_printed_by_two_processes(start: Start) -> None:
    deployment = start()
    the_link(deployment)
    ((address, _),) = links_of(deployment)
    assert address == deployment.url


def test_the_link_makes_an_administrator_and_works_once(start: Start) -> None:
    deployment = start()
    secret = the_link(deployment)
    answer = sign_in(deployment, secret)
    assert answer.status_code == 200, answer.text
    assert answer.json()["worker"] == {"id": "admin", "name": "Administrator", "role": "admin"}
    added = requests.put(
        f"{deployment.url}/api/workers/93",
        json={"name": "Worker 93", "role": "worker"},
        cookies=answer.cookies,
        headers={"X-CSRF-Token": answer.json()["csrf_token"]},
        timeout=10,
    )
    assert added.status_code == 201, added.text
    again = sign_in(deployment, secret)
    assert again.status_code == 401
    assert again.json()["code"] == "unauthenticated"


def test_after_the_first_sign_in_no_link_is_printed_any_more(start: Start) -> None:
    first = start()
    assert sign_in(first, the_link(first)).status_code == 200
    first.stop()
    assert links_of(start()) == []


def test_where_there_is_a_worker_no_link_is_printed(start: Start) -> None:
    first = start()
    the_link(first)
    first.services().workers.add("93", name="Worker 93", role=Role.WORKER)
    first.stop()
    assert links_of(start()) == []


def test_a_link_that_nobody_used_is_followed_by_a_new_one_and_one_lets_one_in(
    start: Start,
) -> None:
    first = start()
    unused = the_link(first)
    first.stop()
    second = start()
    link = the_link(second)
    assert link != unused
    assert sign_in(second, link).status_code == 200
    assert sign_in(second, unused).status_code == 401


def test_the_link_is_no_good_once_somebody_was_added(start: Start) -> None:
    deployment = start()
    secret = the_link(deployment)
    deployment.services().workers.add("93", name="Worker 93", role=Role.WORKER)
    assert sign_in(deployment, secret).status_code == 401
    assert [each.id for each in deployment.services().workers.all()] == ["93"]


def test_the_link_has_the_address_that_browsers_use(start: Start) -> None:
    deployment = start(OCCUPANCY_URL="https://board.example.com/")
    the_link(deployment)
    assert [address for address, _ in links_of(deployment)] == ["https://board.example.com"]


def test_a_start_behind_a_proxy_without_an_address_of_its_own_is_warned_of(start: Start) -> None:
    warned = start(OCCUPANCY_PROXIES="1")
    assert "OCCUPANCY_PROXIES is 1 and OCCUPANCY_URL is empty" in warned.log
    assert warned.url in warned.log
    warned.stop()
    quiet = start(OCCUPANCY_PROXIES="1", OCCUPANCY_URL="https://board.example.com")
    quiet.stop()
    assert "OCCUPANCY_URL is empty" not in quiet.log


def test_the_secret_is_neither_stored_nor_in_the_audit_log(
    start: Start, module_server: RealServer
) -> None:
    deployment = start()
    secret = the_link(deployment)
    random_part = secret.removeprefix("occlink_")
    with module_server.client() as client:
        text = stored_text(client)
        assert digest_of(secret) in text  # the link itself is there
        assert random_part not in text
    assert sign_in(deployment, secret).status_code == 200
    assert sign_in(deployment, secret).status_code == 401
    with module_server.client() as client:
        assert random_part not in stored_text(client)
    with_secret = [each for each in deployment.log.splitlines() if random_part in each]
    assert with_secret == [f"    {deployment.url}/sign-in#{secret}"]


def test_a_server_that_comes_up_later_is_waited_for(start: Start, own_server: RealServer) -> None:
    own_server.stop()
    deployment = start("/livez", REDIS_URL=own_server.url)
    wait_until(lambda: "live delivery does not work" in deployment.log, what="the failure")
    assert not LINK.search(deployment.log)
    own_server.start()
    the_link(deployment)
    assert len(links_of(deployment)) == 1
