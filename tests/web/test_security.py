"""Browsers: the headers of every response, whose pages may talk to us, what proxies may say."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
from flask import Flask, Request, Response, request
from flask.testing import FlaskClient
from werkzeug.test import EnvironBuilder, TestResponse
from werkzeug.wrappers import Response as WerkzeugResponse

from occupancy import create_app
from occupancy.core.entities import Role
from occupancy.core.errors import CsrfFailed
from occupancy.core.settings import Settings
from occupancy.live import sse
from occupancy.server.fast.request import FastRequest, parse
from occupancy.services import Services
from occupancy.web import security
from tests.conftest import add_people
from tests.support.deployment import Deployment
from tests.support.servers import RealServer
from tests.support.waiting import wait_until

LISTED = "https://board.example.com"
OTHER = "https://evil.example.org"
CORS = ("Access-Control-", "Vary")


def app_with(**settings: object) -> FlaskClient:
    """A client of a small application with one route of each kind."""
    app = Flask(__name__, static_folder=None)
    security.init_app(app, Settings(**settings))  # type: ignore[arg-type] # whatever a test sets

    @app.before_request
    def refuse() -> Response | None:  # stands for auth, which comes after
        return Response(status=401) if "refused" in request.args else None

    @app.get("/json")
    def as_json() -> Response:
        return Response(b"{}", content_type="application/json", headers={"Vary": "Accept"})

    @app.get("/page")
    def as_html() -> Response:
        response = Response("<p>hello</p>", content_type="text/html; charset=utf-8")
        response.add_etag()
        response.make_conditional(request)
        return response

    @app.put("/json")
    def put() -> dict[str, str | None]:
        return {}

    @app.get("/where")
    def where() -> dict[str, str | None]:
        return {
            "address": request.remote_addr, "scheme": request.scheme, "host": request.host,
            "root": request.root_path,
        }  # fmt: skip

    @app.get("/crash")
    def crash() -> Response:
        raise ValueError("broken")

    return app.test_client()


@pytest.fixture
def whole(
    tmp_path: Path, server_of: Callable[[str], RealServer]
) -> Iterator[tuple[FlaskClient, dict[str, str]]]:
    """A client of the whole application, with one origin listed, and an admin's headers."""
    prefix = f"t-{secrets.token_hex(6)}"
    settings = Settings(
        redis_url=server_of("valkey").url, prefix=prefix, state_dir=str(tmp_path),
        cors_origins=(LISTED,),
    )  # fmt: skip
    services = Services.for_web(settings)
    app = create_app(services)
    app.testing = False
    yield app.test_client(), add_people(services)["admin"]
    services.hub.drain(timeout_s=1.0)
    client = services.store.client
    client.delete(*client.scan_iter(match=f"{prefix}:*", count=1000))
    services.close()


def assert_hardened(response: WerkzeugResponse) -> None:
    """Each header is there once; a page gets the policy of pages."""
    names = [name.lower() for name in response.headers.keys()]  # noqa: SIM118 - each as often as it is there
    is_html = response.mimetype == "text/html"
    wanted = {
        "x-content-type-options": "nosniff",
        "referrer-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
    }
    for name, value in wanted.items():
        assert response.headers[name] == value
        assert names.count(name) == 1
    policy = response.headers["Content-Security-Policy"]
    assert names.count("content-security-policy") == 1
    assert policy.startswith("default-src 'none'")
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "*" not in policy
    assert ("script-src 'self'" in policy) == is_html
    assert (response.headers.get("Cross-Origin-Opener-Policy") == "same-origin") == is_html


# Headers


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/json", 200),
        ("HEAD", "/json", 200),
        ("GET", "/page", 200),
        ("GET", "/nothing", 404),
        ("POST", "/json", 405),
        ("OPTIONS", "/json", 200),
        ("GET", "/crash", 500),
    ],
)
def test_every_kind_of_response_is_hardened(method: str, path: str, status: int) -> None:
    client = app_with()
    client.application.testing = False
    client.application.config["PROPAGATE_EXCEPTIONS"] = False
    response = client.open(path, method=method)
    assert response.status_code == status
    assert_hardened(response)


def test_a_304_has_the_same_policy_as_the_page() -> None:
    client = app_with()
    first = client.get("/page")
    again = client.get("/page", headers={"If-None-Match": first.headers["ETag"]})
    assert again.status_code == 304
    for name in ("Content-Security-Policy", "X-Content-Type-Options", "Referrer-Policy"):
        assert again.headers[name] == first.headers[name]


def test_every_route_of_the_application_is_hardened_known_or_not(
    whole: tuple[FlaskClient, dict[str, str]],
) -> None:
    client, admin = whole
    seen = set()
    for rule in client.application.url_map.iter_rules():
        values = dict.fromkeys(rule.arguments, "main")
        path = rule.build(values, append_unknown=False)
        assert path is not None
        for method in sorted(rule.methods or ()):
            for headers in ({}, admin):
                with client.open(path[1], method=method, headers=headers) as response:
                    assert_hardened(response)
                    assert response.status_code != 500
                    seen.add(response.status_code)
    assert {200, 201, 302, 400, 401, 404} <= seen


def test_a_stream_keeps_its_own_headers(whole: tuple[FlaskClient, dict[str, str]]) -> None:
    client, admin = whole
    with client.head("/api/boards/main/events", headers={**admin, "Origin": LISTED}) as response:
        assert_hardened(response)
        assert response.content_type == sse.CONTENT_TYPE
        for name, value in {**sse.HEADERS, "Vary": "Accept-Encoding, Origin"}.items():
            assert response.headers[name] == value
        assert response.headers["Access-Control-Allow-Origin"] == LISTED


# The origin


def request_with(scheme: str = "http", host: str = "shop:8000", **headers: str) -> Request:
    named = [(name.replace("_", "-"), value) for name, value in headers.items()]
    builder = EnvironBuilder(method="POST", base_url=f"{scheme}://x", headers=named)
    environ = builder.get_environ()
    environ["HTTP_HOST"] = host
    return Request(environ)


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("shop:8000", "http://shop:8000"),
        ("shop:8000", "https://shop:8000"),  # TLS ends at a proxy
        ("shop", "http://shop"),
        ("shop", "https://shop"),
        ("Shop", "https://shop"),
        ("shop:443", "https://shop"),
        ("[::1]:8000", "http://[::1]:8000"),
    ],
)
def test_a_page_of_the_same_host_may(host: str, origin: str) -> None:
    security.check_origin(request_with(host=host, Origin=origin), ())


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("shop:8000", "http://shop:8001"),
        ("shop:8000", "http://shop"),
        ("shop", "http://shop:8000"),
        ("shop:8000", "http://evil"),
        ("shop:8000", "http://shop:8000.evil"),
        ("shop:8000", "http://evil/shop:8000"),
        ("shop:8000", "http://shop:8000@evil"),
        ("shop:8000", "null"),
        ("shop:8000", ""),
        ("shop:8000", "shop:8000"),
        ("shop:8000", "chrome-extension://shop:8000"),
        ("shop:8000", "http://[::1"),
        ("", "null"),
        ("", "http://"),
        ("a b", "http://a b"),
        ("shop:443", "http://shop"),
    ],
)
def test_a_page_of_another_site_may_not(host: str, origin: str) -> None:
    with pytest.raises(CsrfFailed) as caught:
        security.check_origin(request_with(host=host, Origin=origin), (LISTED,))
    assert (caught.value.code, caught.value.status) == ("csrf", 403)
    assert "Host" in caught.value.detail


def test_a_page_without_tls_is_another_site_where_tls_is_known() -> None:
    security.check_origin(request_with("https", "shop", Origin="https://shop"), ())
    with pytest.raises(CsrfFailed):
        security.check_origin(request_with("https", "shop", Origin="http://shop"), ())


@pytest.mark.parametrize("site", ["same-origin", "none"])
def test_the_browsers_fetch_metadata_counts_more_than_the_host(site: str) -> None:
    security.check_origin(request_with(Sec_Fetch_Site=site, Origin="http://behind-a-proxy"), ())


@pytest.mark.parametrize("site", ["cross-site", "same-site", "", "Same-Origin", "same-origin, x"])
def test_another_site_is_refused_with_any_host(site: str) -> None:
    for origin in ({}, {"Origin": "http://shop:8000"}, {"Origin": OTHER}):
        with pytest.raises(CsrfFailed):
            security.check_origin(request_with(Sec_Fetch_Site=site, **origin), (LISTED,))


@pytest.mark.parametrize("site", ["cross-site", "same-site", None])
def test_a_listed_origin_may(site: str | None) -> None:
    named = {} if site is None else {"Sec_Fetch_Site": site}
    security.check_origin(request_with(Origin=LISTED, **named), (LISTED,))


def test_a_client_that_is_no_browser_may() -> None:
    security.check_origin(request_with(), ())


# CORS


def cors_of(response: TestResponse) -> dict[str, str]:
    return {name: value for name, value in response.headers if name.startswith(CORS)}


def preflight(
    client: FlaskClient, origin: str, path: str = "/json", query: str = ""
) -> TestResponse:
    return client.options(
        path + query,
        headers={
            "Origin": origin,
            "Access-Control-Request-Method": "PUT",
            "Access-Control-Request-Headers": "authorization",
        },
    )


def test_without_a_list_no_other_site_gets_cors_headers() -> None:
    client = app_with()
    for response in (preflight(client, OTHER), client.get("/page", headers={"Origin": OTHER})):
        assert response.status_code == 200
        assert cors_of(response) == {}


@pytest.mark.parametrize(
    "origin",
    [
        OTHER,
        "null",
        "http://board.example.com",
        "https://board.example.com:8443",
        "https://board.example.com.evil.org",
        "https://BOARD.example.com",
        LISTED + "/",
        f"{LISTED} {OTHER}",
    ],
)
def test_an_unlisted_origin_gets_no_cors_headers(origin: str) -> None:
    client = app_with(cors_origins=(LISTED,))
    answers = (preflight(client, origin), client.get("/page", headers={"Origin": origin}))
    for response in answers:
        assert cors_of(response) == {"Vary": "Origin"}


def test_responses_vary_by_origin_for_caches() -> None:
    client = app_with(cors_origins=(LISTED,))
    assert client.get("/json").headers["Vary"] == "Accept, Origin"
    assert client.get("/json", headers={"Origin": LISTED}).headers["Vary"] == "Accept, Origin"


@pytest.mark.parametrize("path", ["/json", "/nothing", "/json?refused"])
def test_a_listed_origin_may_read_answers_and_errors_alike(path: str) -> None:
    response = app_with(cors_origins=(OTHER, LISTED)).get(path, headers={"Origin": LISTED})
    assert response.headers["Access-Control-Allow-Origin"] == LISTED
    exposed = response.headers["Access-Control-Expose-Headers"].split(", ")
    assert {"ETag", "Retry-After", "Idempotency-Replayed", "WWW-Authenticate"} <= set(exposed)
    assert "Access-Control-Allow-Credentials" not in response.headers


def test_a_preflight_names_the_routes_methods_and_needs_no_credential() -> None:
    response = preflight(app_with(cors_origins=(LISTED,)), LISTED, query="?refused")
    assert (response.status_code, response.data) == (204, b"")
    assert_hardened(response)
    headers = response.headers
    assert headers["Access-Control-Allow-Origin"] == LISTED
    assert headers["Access-Control-Allow-Methods"] == "GET, HEAD, OPTIONS, PUT"
    allowed = headers["Access-Control-Allow-Headers"].split(", ")
    assert {"Authorization", "Content-Type", "Idempotency-Key", "If-Match"} <= set(allowed)
    assert headers["Access-Control-Max-Age"] == "600"
    assert "Access-Control-Allow-Credentials" not in headers


def test_a_preflight_of_an_unknown_route_fails() -> None:
    assert preflight(app_with(cors_origins=(LISTED,)), LISTED, "/nothing").status_code == 404


def test_options_that_are_no_preflight_get_the_usual_answer() -> None:
    response = app_with(cors_origins=(LISTED,)).options("/json", headers={"Origin": LISTED})
    assert response.status_code == 200
    assert "PUT" in response.headers["Allow"]


# Proxies


def where(client: FlaskClient, **forwarded: str) -> dict[str, str]:
    headers = {f"X-Forwarded-{name}": value for name, value in forwarded.items()}
    found: dict[str, str] = client.get("/where", headers=headers).get_json()
    return found


FORWARDED = {
    "For": "203.0.113.9, 10.0.0.7",
    "Proto": "https",
    "Host": "board.example.com",
    "Prefix": "/evil",
    "Port": "81",
}


def test_without_a_proxy_forwarded_headers_are_ignored() -> None:
    client = app_with()
    assert where(client, **FORWARDED) == where(client)


@pytest.mark.parametrize(("proxies", "address"), [(1, "10.0.0.7"), (2, "203.0.113.9")])
def test_as_many_addresses_are_believed_as_there_are_proxies(proxies: int, address: str) -> None:
    found = where(app_with(proxies=proxies), **FORWARDED)
    assert found == {
        "address": address, "scheme": "https", "host": "board.example.com", "root": ""
    }  # fmt: skip


def test_entries_that_a_client_puts_before_those_of_the_proxy_are_not_believed() -> None:
    found = where(
        app_with(proxies=1),
        For="1.1.1.1, 2.2.2.2, 10.0.0.7",
        Proto="http, https",
        Host="evil.example.org, board.example.com",
    )
    assert found["address"] == "10.0.0.7"
    assert found["scheme"] == "https"
    assert found["host"] == "board.example.com"


def test_a_chain_that_is_too_short_leaves_the_address_of_the_connection() -> None:
    client = app_with(proxies=2)
    assert where(client, For="10.0.0.7")["address"] == where(client)["address"]


# Through gunicorn

SHOWN = ("%({remote_addr}e)s %({wsgi.url_scheme}e)s %({http_host}e)s "
         "[%({script_name}e)s] [%({remote_user}e)s] %({path_info}e)s")  # fmt: skip
SPOOFED = {
    "X-Forwarded-For": "203.0.113.9, 10.0.0.7",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Protocol": "ssl",
    "X-Forwarded-Ssl": "on",
    "X-Forwarded-Host": "board.example.com",
    "X-Forwarded-Prefix": "/evil",
    "Forwarded": "for=203.0.113.9;proto=https;host=board.example.com",
    "X-Real-Ip": "203.0.113.9",
    "Script-Name": "/livez",
    "Remote-User": "admin",
    # With underscores the server must not take them for the ones with hyphens, or for its own.
    "X_Forwarded_For": "203.0.113.10",
    "X_Forwarded_Proto": "https",
    "X_Forwarded_Host": "evil.example.org",
    "SCRIPT_NAME": "/livez",
    "PATH_INFO": "/metrics",
    "REMOTE_USER": "admin",
    "REMOTE_ADDR": "203.0.113.11",
}


def seen_by_gunicorn(running: Deployment, headers: dict[str, str]) -> str:
    """What the application's environment was, as the access log tells it after the request."""
    mark = secrets.token_hex(8)
    requests.get(f"{running.url}/livez/{mark}", headers=headers, timeout=10)
    return wait_until(
        lambda: next((line for line in running.log.splitlines() if line.endswith(mark)), None),
        what="the line of the request",
    ).removesuffix(f" /livez/{mark}")


@pytest.mark.parametrize(
    "environ", [{}, {"FORWARDED_ALLOW_IPS": "*"}, {"OCCUPANCY_PROXIES": "1"}], ids=str
)
def test_gunicorn_believes_no_header_and_the_application_as_configured(
    tmp_path: Path, module_server: RealServer, environ: dict[str, str]
) -> None:
    running = Deployment(
        tmp_path, module_server.url, "--access-logfile", "-", "--access-logformat", SHOWN,
        **environ,
    )  # fmt: skip
    running.start("/livez")
    try:
        own = f"127.0.0.1 http 127.0.0.1:{running.port} [] [-]"
        assert seen_by_gunicorn(running, {}) == own
        underscored = {name: value for name, value in SPOOFED.items() if "_" in name}
        assert seen_by_gunicorn(running, underscored) == own
        behind = "10.0.0.7 https board.example.com [] [-]"
        expected = behind if "OCCUPANCY_PROXIES" in environ else own
        assert seen_by_gunicorn(running, SPOOFED) == expected
    finally:
        running.stop()


def test_a_stream_through_gunicorn_is_open_to_a_listed_origin(
    tmp_path: Path, module_server: RealServer
) -> None:
    running = Deployment(tmp_path, module_server.url, OCCUPANCY_CORS_ORIGINS=LISTED).start()
    try:
        running.sign_in("watcher", Role.OBSERVER)
        running.headers["Origin"] = LISTED
        stream = running.stream()
        stream.wait_for("ready")
        assert stream.headers["access-control-allow-origin"] == LISTED
        assert stream.headers["x-content-type-options"] == "nosniff"
        assert stream.headers["cache-control"] == "no-store"
    finally:
        running.stop()


# Host names


@pytest.mark.parametrize("host", ["mes_planta", "mes_planta:8000", "Mes_Planta:8000"])
def test_a_page_of_a_host_with_an_underscore_may(host: str) -> None:
    origin = f"http://{host.lower()}"
    security.check_origin(request_with(host=host, Origin=origin), ())
    plain = plain_request(f"Host: {host}", f"Origin: {origin}")
    security.check_origin(plain, ())
    for asked in (request_with(host=host, Origin=OTHER), plain_request(f"Origin: {OTHER}")):
        with pytest.raises(CsrfFailed):
            security.check_origin(asked, ())


def plain_request(*lines: str, proxies: int = 0) -> FastRequest:
    host = [] if any(each.startswith("Host:") for each in lines) else ["Host: shop"]
    text = "\r\n".join(["POST /json HTTP/1.1", *host, *lines, "", ""])
    found = parse(text.encode(), "127.0.0.1", proxies)
    assert found is not None
    return found


@pytest.mark.parametrize("proxies", [0, 1, 2])
@pytest.mark.parametrize(
    "said",
    ["https", "HTTPS", "http", "wss", "ws", "http, https", "https,http", "https, ", '"https"',
     "https http", "ftp", "on", "", ",", "http,HTTPS"],
)  # fmt: skip
def test_both_ways_in_read_alike_how_a_proxy_was_reached(proxies: int, said: str) -> None:
    by_flask = where(app_with(proxies=proxies), Proto=said)["scheme"]
    plain = plain_request(f"X-Forwarded-Proto: {said}", proxies=proxies)
    assert by_flask == ("https" if plain.is_secure else "http")


ALLOWED = ("board.example.com", "10.0.0.5", "[fd00::5]")


@pytest.mark.parametrize(
    ("settings", "host", "status"),
    [
        ({}, "anything.example", 200),
        ({"url": "https://board.example.com"}, "board.example.com", 200),
        ({"url": "https://board.example.com"}, "Board.Example.com:8000", 200),
        ({"url": "https://board.example.com:8443"}, "board.example.com:8443", 200),
        ({"url": "https://board.example.com"}, "evil.example", 400),
        ({"url": "https://board.example.com"}, "board.example.com.evil.example", 400),
        ({"url": "https://board.example.com"}, "evil-board.example.com", 400),
        ({"url": "https://board.example.com"}, "evil.board.example.com", 400),
        ({"hosts": ALLOWED}, "110.0.0.5", 400),
        ({"url": "https://board.example.com"}, "a b", 400),
        ({"url": "https://board.example.com"}, "localhost:8000", 200),
        ({"url": "https://board.example.com"}, "127.0.0.1:8000", 200),
        ({"url": "https://board.example.com"}, "[::1]:8000", 200),
        ({"url": "https://board.example.com"}, "10.0.0.5:8000", 400),
        ({"url": "https://board.example.com", "hosts": ("*",)}, "evil.example", 200),
        ({"hosts": ALLOWED}, "10.0.0.5:8000", 200),
        ({"hosts": ALLOWED}, "[fd00::5]:8000", 200),
        ({"hosts": ALLOWED, "url": "http://mes_planta:8000"}, "mes_planta:8000", 200),
        ({"hosts": ALLOWED}, "mes_planta", 400),
    ],
)
def test_the_service_answers_to_its_own_names_only(
    settings: dict[str, object], host: str, status: int
) -> None:
    allowed = Settings(**settings).allowed_hosts  # type: ignore[arg-type] # whatever a test sets
    for asked in (request_with(host=host), plain_request(f"Host: {host}")):
        assert security.is_allowed_host(asked, allowed) == (status == 200)


def test_another_name_is_refused_in_both_ways_in_and_probes_come_by_any(
    tmp_path: Path, module_server: RealServer
) -> None:
    running = Deployment(
        tmp_path, module_server.url, OCCUPANCY_URL="https://board.example.com"
    ).start()
    try:
        running.sign_in(f"w-{secrets.token_hex(4)}", Role.OBSERVER)
        for extra in ({}, {"TE": "trailers"}):  # the second is not for the fast path
            for host, status in (("board.example.com", 200), ("evil.example", 400)):
                headers = {"Host": host, **extra}
                assert running.request("GET", "/api/boards", headers=headers).status_code == status
                path = "/api/boards/main/events"
                with requests.get(
                    running.url + path, headers={**running.headers, **headers}, timeout=10,
                    stream=True,
                ) as stream:  # fmt: skip
                    assert stream.status_code == status
                take = running.request("POST", "/api/boards/main/items/T-1/take", headers=headers)
                assert take.status_code == {200: 403, 400: 400}[status]
        for path in ("/livez", "/readyz", "/metrics"):
            answer = running.request("GET", path, headers={"Host": "10.2.3.4:8000"})
            assert answer.status_code == 200
    finally:
        running.stop()
