"""The files of deploy/ that start, watch and contain the service, each checked as far as possible.

nginx and Prometheus' promtool are here and take their files. systemd only verifies; Docker and
Grafana are not here, and their files say so.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from occupancy.core.entities import Role
from occupancy.core.settings import Settings
from occupancy.observability.metrics import Metrics
from tests.conftest import require, require_binary
from tests.support.deployment import ROOT, Deployment
from tests.support.nginx import nginx_path
from tests.support.selection import CLUSTER
from tests.support.servers import RealServer, free_port
from tests.support.tls import make_certificate
from tests.support.waiting import wait_until

DEPLOY = ROOT / "deploy"
METRIC = re.compile(r"\boccupancy_[a-z_]+\b")
SETTINGS = {str(each.metadata["env"]) for each in Settings.__dataclass_fields__.values()}


def run(command: list[str], **options: Any) -> str:
    """The output of a command, which must succeed."""
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, **options
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return str(done.stdout) + str(done.stderr)


@pytest.fixture(scope="module")
def deployment(
    tmp_path_factory: pytest.TempPathFactory, server_of: Callable[[str], RealServer]
) -> Iterator[Deployment]:
    """On a Cluster of one node: the gauges of servers are those of several servers."""
    made = Deployment(
        tmp_path_factory.mktemp("state"), server_of(CLUSTER).url, WEB_CONCURRENCY="1",
        OCCUPANCY_PROXIES="1", OCCUPANCY_PREFIX=f"t-{secrets.token_hex(6)}",
    )  # fmt: skip
    yield made.start()
    made.stop()


@pytest.fixture
def nginx(tmp_path: Path, deployment: Deployment) -> Iterator[Callable[[], str]]:
    """Starts nginx with the example for one machine in front of the deployment."""
    binary = require(nginx_path(), "nginx")
    require(shutil.which("openssl"), "openssl")
    make_certificate(tmp_path / "privkey.pem", tmp_path / "fullchain.pem")
    port = free_port()
    text = (DEPLOY / "nginx-one-machine.conf").read_text()
    for old, new in {
        "user www-data;": "user root;" if os.geteuid() == 0 else "",
        "worker_processes auto;": "worker_processes 1; daemon off;",
        "worker_rlimit_nofile 65536;": "",
        "worker_connections 32768;": "worker_connections 256;",
        "/run/nginx.pid": f"{tmp_path}/nginx.pid",
        "listen 80 ": f"listen 127.0.0.1:{free_port()} ",
        "listen 443 ": f"listen 127.0.0.1:{port} ",
        # A machine without IPv6 takes no such address.
        "        listen [::]:80 default_server;\n": "",
        "        listen [::]:443 ssl http2 default_server;\n": "",
        "/etc/ssl/occupancy/": f"{tmp_path}/",
        "127.0.0.1:8000": f"127.0.0.1:{deployment.port}",
        "access_log off;": "access_log off;"
        + "".join(
            f" {each}_temp_path {tmp_path}/{each};"
            for each in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        ),
    }.items():
        assert old in text, f"the example has no {old!r}"
        text = text.replace(old, new)
    configuration = tmp_path / "nginx.conf"
    configuration.write_text(text)
    command = [binary, "-p", f"{tmp_path}/", "-c", str(configuration), "-e", "error.log"]
    processes: list[subprocess.Popen[bytes]] = []

    def start() -> str:
        assert "warn" not in run([*command, "-t"])
        processes.append(subprocess.Popen(command))
        url = f"https://localhost:{port}"

        def answers() -> bool:
            try:
                certificate = str(tmp_path / "fullchain.pem")
                return requests.get(f"{url}/livez", verify=certificate, timeout=5).ok
            except requests.RequestException:
                return False

        wait_until(answers, what="nginx to answer")
        return url

    yield start
    for each in processes:
        each.terminate()
        each.wait(timeout=30)


def test_nginx_on_one_machine_passes_pages_operations_and_events_on(
    nginx: Callable[[], str], deployment: Deployment, tmp_path: Path
) -> None:
    url, certificate = nginx(), str(tmp_path / "fullchain.pem")
    headers = admin_of(deployment)
    options: dict[str, Any] = {"headers": headers, "verify": certificate, "timeout": 10}
    assert requests.put(f"{url}/api/boards/main/items/A", json={}, **options).status_code == 201
    assert requests.post(f"{url}/api/boards/main/items/A/take", **options).status_code == 200
    page = requests.get(f"{url}/sign-in", verify=certificate, timeout=10)
    assert page.status_code == 200
    assert page.headers["Strict-Transport-Security"]
    with requests.get(f"{url}/api/boards/main/events", stream=True, **options) as stream:
        lines = (line for line in stream.iter_lines(chunk_size=1) if line.startswith(b"event"))
        assert next(lines) == b"event: ready"


def admin_of(deployment: Deployment) -> dict[str, str]:
    """The headers of an administrator, which further requests send too."""
    return deployment.headers or deployment.sign_in("boss", Role.ADMIN)


def test_every_metric_of_dashboard_and_alerts_is_one_of_the_running_service(
    deployment: Deployment,
) -> None:
    # A metric with labels is there from its first sample on.
    assert requests.get(f"{deployment.url}/api/boards", timeout=10).status_code == 401
    body = {"worker": "nobody", "pin": "864213"}
    deployment.request("POST", "/api/session", json=body)
    admin_of(deployment)
    deployment.request("PUT", "/api/boards/main/items/M", json={})
    wait_until(lambda: metrics_of(deployment) >= EARLY, what="the first samples")
    defined = names_in(Metrics().exposition().decode())
    there = metrics_of(deployment) | (AFTER_A_PROMOTION & defined)
    named = {
        path.name: set(METRIC.findall(path.read_text()))
        for path in (DEPLOY / "grafana/occupancy.json", DEPLOY / "prometheus/alerts.yml")
    }
    for name, metrics in named.items():
        assert len(metrics) > 5
        assert metrics <= there, f"{name}: {metrics - there}"
    everywhere = named["occupancy.json"] | named["alerts.yml"]
    shown = {each for each in there if not each.endswith(("_sum", "_count"))}
    assert shown - everywhere == {"occupancy_pool_acquired_total"}


EARLY = {
    "occupancy_operations_total", "occupancy_sign_ins_total", "occupancy_denials_total",
    "occupancy_redis_up",
}  # fmt: skip
AFTER_A_PROMOTION = {"occupancy_promotions_total", "occupancy_promotion_stream_resets_total"}


def metrics_of(deployment: Deployment) -> set[str]:
    """What /metrics answers."""
    return names_in(deployment.request("GET", "/metrics").text)


def names_in(text: str) -> set[str]:
    """The names of series in Prometheus' text format."""
    histogram = ("_bucket", "_count", "_sum")
    typed = (line.split()[2:] for line in text.splitlines() if line.startswith("# TYPE "))
    return {
        name + suffix
        for name, kind in typed
        for suffix in (histogram if kind == "histogram" else ("",))
    }


def expressions(dashboard: Any) -> list[str]:
    return [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]


def test_promtool_takes_alerts_their_tests_and_each_expression_of_the_dashboard(
    tmp_path: Path,
) -> None:
    promtool = require(shutil.which("promtool"), "promtool")
    directory = DEPLOY / "prometheus"
    assert "10 rules found" in run([promtool, "check", "rules", "alerts.yml"], cwd=directory)
    run([promtool, "test", "rules", "alerts.test.yml"], cwd=directory)
    run([promtool, "check", "config", "prometheus.yml"], cwd=directory)
    found = expressions(json.loads((DEPLOY / "grafana/occupancy.json").read_text()))
    assert len(found) > 20
    recorded = [
        {"record": f"r{number}", "expr": each.replace("$__rate_interval", "5m")}
        for number, each in enumerate(found)
    ]
    rules = {"groups": [{"name": "dashboard", "rules": recorded}]}
    (tmp_path / "dashboard.yml").write_text(yaml.safe_dump(rules))
    run([promtool, "check", "rules", str(tmp_path / "dashboard.yml")])


def test_the_panels_of_the_dashboard_lie_side_by_side() -> None:
    dashboard = json.loads((DEPLOY / "grafana/occupancy.json").read_text())
    cells: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        own = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24
        assert not cells & own, panel["title"]
        cells |= own
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])


def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    analyze = require(shutil.which("systemd-analyze"), "systemd-analyze")
    text = (DEPLOY / "systemd/occupancy.service").read_text()
    for old, new in {
        "ExecStart=/opt/occupancy/bin/occupancy serve": "ExecStart=/bin/true serve",
        "User=occupancy": "User=root",
        "Group=occupancy": "Group=root",
    }.items():
        assert old in text
        text = text.replace(old, new)
    (tmp_path / "occupancy.service").write_text(text)
    said = run([analyze, "verify", "--man=no", str(tmp_path / "occupancy.service")])
    ours = [line for line in said.splitlines() if "occupancy.service" in line]
    assert ours == []


def test_the_settings_of_unit_and_containers_are_taken() -> None:
    lines = (DEPLOY / "systemd/occupancy.env").read_text().splitlines()
    unit = dict(line.lstrip("#").split("=", 1) for line in lines if re.match(r"#?[A-Z_]+=", line))
    unit["REDIS_URL"] = unit["REDIS_URL"].strip("'")
    compose = yaml.safe_load((DEPLOY / "docker/compose.yaml").read_text())
    docker = (DEPLOY / "docker/Dockerfile").read_text()
    image = dict(re.findall(r"\b(OCCUPANCY_[A-Z_]+|PORT)=(\S+)", docker))
    container = {**image, **compose["services"]["app"]["environment"]}
    for environ in (unit, container):
        assert environ.keys() <= SETTINGS
        settings = Settings.from_environ(environ)
        assert settings.state_dir == "/var/lib/occupancy"
        assert settings.url
    assert Settings.from_environ(container).host == "0.0.0.0"
    assert "StateDirectory=occupancy\n" in (DEPLOY / "systemd/occupancy.service").read_text()


def test_the_shell_takes_the_command_of_the_service() -> None:
    run(["sh", "-n", str(DEPLOY / "systemd/occupancy-command")])


def test_a_server_takes_the_options_of_the_container(tmp_path: Path) -> None:
    binary = require_binary("valkey")
    compose = yaml.safe_load((DEPLOY / "docker/compose.yaml").read_text())
    program, *options = compose["services"]["valkey"]["command"]
    assert program == "valkey-server"
    server = RealServer(binary, tmp_path)
    names, values = options[0::2], options[1::2]
    server.config = {
        name.removeprefix("--"): value for name, value in zip(names, values, strict=True)
    }
    server.start()
    try:
        with server.client() as client:
            assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
            assert client.config_get("appendonly") == {"appendonly": "yes"}
    finally:
        server.stop()


def test_the_image_copies_what_there_is_and_ignores_the_rest() -> None:
    docker = (DEPLOY / "docker/Dockerfile").read_text()
    copied = [
        name
        for sources in re.findall(r"(?m)^COPY (?!--from)(.+) \S+$", docker)
        for name in sources.split()
    ]
    assert sorted(copied) == ["LICENSE", "occupancy", "pyproject.toml", "requirements.txt"]
    let_in = re.findall(r"(?m)^!(\S+)$", (ROOT / ".dockerignore").read_text())
    assert sorted(let_in) == sorted(copied)
    assert all((ROOT / name).exists() for name in copied)


@pytest.mark.parametrize(
    "path",
    [
        "nginx-one-machine.conf", "systemd/occupancy.service", "systemd/occupancy-command",
        "docker/Dockerfile", "docker/compose.yaml", "prometheus/prometheus.yml",
        "prometheus/alerts.yml", "grafana/occupancy.json",
    ],
)  # fmt: skip
def test_each_file_says_how_far_it_is_checked(path: str) -> None:
    head = (DEPLOY / path).read_text()
    if path.endswith(".json"):
        head = json.loads(head)["description"]
    assert "Checked: " in head
    if not path.startswith(("nginx", "prometheus")):
        assert re.search(r"Not (run|built|loaded)", head)


def test_the_guide_names_settings_commands_and_files_that_exist() -> None:
    guide = (ROOT / "docs/operating.md").read_text()
    assert set(re.findall(r"\bOCCUPANCY_[A-Z_]+[A-Z]\b", guide)) <= SETTINGS
    targets = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", guide)
    assert len(targets) > 5
    assert [each for each in targets if not (ROOT / "docs" / each).exists()] == []
    alerts = set(re.findall(r"Occupancy[A-Z]\w+", guide))
    rules = set(re.findall(r"alert: (\w+)", (DEPLOY / "prometheus/alerts.yml").read_text()))
    assert alerts == rules
