"""Browser security: response headers, the check of origins, CORS, allowed hosts, proxies.

A browser is the only client that obeys a foreign page. Headers on every response: our pages run
only our scripts and are not framed, and no response is taken for another type than it declares. The
origin of a request is checked if a cookie authenticates it. CORS is off unless origins of other
sites are listed; they get no cookie, so their pages use tokens. Behind proxies that the settings
count, the client's address, scheme and host come from their headers.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from flask import Flask, Response, request
from werkzeug.middleware.proxy_fix import ProxyFix

from occupancy.core.errors import CsrfFailed, InvalidRequest
from occupancy.core.settings import Settings
from occupancy.web.request import HttpRequest, forwarded, forwarded_scheme, host_of

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

_ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    # Not no-referrer: under it browsers send "Origin: null" with a form of our own page.
    "Referrer-Policy": "same-origin",
    # For loads without CORS (an image, a script); it does not apply to pages that CORS admits.
    "Cross-Origin-Resource-Policy": "same-origin",
}
_HTML = {
    **_ALWAYS,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; manifest-src 'self'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'",
}
OTHER = {**_ALWAYS, "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'"}
# Probes use an IP address as host, and a foreign page gains nothing from their answers.
_ANY_HOST_PATHS = ("/livez", "/readyz", "/metrics")
_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
_EXPOSED = "Allow, ETag, Idempotency-Replayed, Retry-After, WWW-Authenticate"
_PREFLIGHT = {
    "Access-Control-Allow-Headers": "Authorization, Content-Type, Idempotency-Key, If-Match, "
    "If-None-Match, Last-Event-ID, X-CSRF-Token",
    "Access-Control-Max-Age": "600",
}


def init_app(app: Flask, settings: Settings) -> None:
    """Register the hooks; before all others, because a preflight carries no credential."""
    if settings.proxies:
        # The addresses of a chain add up in X-Forwarded-For. Scheme and host do not: a proxy sets
        # them or passes on those of the one before it, so the last value is the nearest's.
        app.wsgi_app = _with_clean_headers(  # type: ignore[method-assign,assignment] # as Flask's docs do it
            ProxyFix(app.wsgi_app, x_for=settings.proxies, x_proto=1, x_host=1)
        )
    app.after_request(_harden)
    hosts = settings.allowed_hosts
    if hosts:

        @app.before_request
        def check_host() -> None:
            if request.path not in _ANY_HOST_PATHS and not is_allowed_host(request, hosts):
                raise InvalidRequest(
                    f"This service does not answer as {host_of(request)[:200]!r}. An operator "
                    "can add the name to OCCUPANCY_ALLOWED_HOSTS."
                )

    if settings.cors_origins:
        _allow(app, frozenset(settings.cors_origins))


def is_allowed_host(request: HttpRequest, allowed: Collection[str]) -> bool:
    """Whether the request's host is ``allowed`` or the loopback; always, if none are listed.

    A page whose own name resolves to us (DNS rebinding) has our origin in the browser. The names of
    the loopback always resolve to the machine itself, so they need no entry.
    """
    name = re.sub(r":[0-9]+\Z", "", host_of(request))
    return not allowed or name in allowed or name in _LOOPBACK


def _with_clean_headers(app: WSGIApplication) -> WSGIApplication:
    """``app`` with proxies' headers in which a client can hide nothing; see ``forwarded``."""

    def call(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        for name in ("HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_PROTO", "HTTP_X_FORWARDED_HOST"):
            if name in environ:
                environ[name] = forwarded(environ[name])
        scheme = forwarded_scheme(environ.pop("HTTP_X_FORWARDED_PROTO", ""))
        if scheme:
            environ["HTTP_X_FORWARDED_PROTO"] = scheme
        return app(environ, start_response)

    return call


def check_origin(request: HttpRequest, allowed: Collection[str]) -> None:
    """Raise CsrfFailed for a request that a page of another site has made the browser send.

    ``allowed`` are the origins of other sites that may do so. For requests that change something
    and that a cookie authenticates, and for signing in. A client that sends neither header is no
    current browser and passes; the CSRF token is required as well.
    """
    origin = request.headers.get("Origin")
    if origin in allowed:
        return
    site = request.headers.get("Sec-Fetch-Site")  # sent to HTTPS and to loopback only
    if site is not None:
        is_ours = site in ("same-origin", "none")
    else:
        is_ours = origin is None or _is_same_origin(origin, request)
    if not is_ours:
        raise CsrfFailed(
            f"This came from a page of {(origin or site or '')[:200]!r}, which is not this host, "
            f"{host_of(request)[:200]!r}. If it is: a proxy in front must pass Host on, with the "
            "port."
        )


def _is_same_origin(origin: str, request: HttpRequest) -> bool:
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    default_port = {"http": ":80", "https": ":443"}.get(parts.scheme)
    if default_port is None or not parts.netloc:  # null, or the page of an extension
        return False
    # A request without TLS here may come from a proxy that terminates TLS and is not configured.
    if request.is_secure and parts.scheme != "https":
        return False
    return host_of(request) in (parts.netloc, parts.netloc + default_port)


def _harden(response: Response) -> Response:
    is_html = response.headers.get("Content-Type", "").startswith("text/html")
    own_policy = response.headers.get("Content-Security-Policy")
    response.headers.update(_HTML if is_html else OTHER)
    if own_policy:
        response.headers["Content-Security-Policy"] = own_policy
    return response


def _allow(app: Flask, allowed: frozenset[str]) -> None:
    """CORS for pages of ``allowed`` origins by the Fetch standard, without credentials."""

    @app.before_request
    def answer_preflight() -> Response | None:
        method = request.headers.get("Access-Control-Request-Method")
        if request.method != "OPTIONS" or method is None or not _is_allowed():
            return None
        methods = app.create_url_adapter(request).allowed_methods()  # type: ignore[union-attr] # there is a request
        if not methods:
            return None  # no such route: the 404 follows
        headers = {**_PREFLIGHT, "Access-Control-Allow-Methods": ", ".join(sorted(methods))}
        return Response(status=204, headers=headers)

    @app.after_request
    def admit(response: Response) -> Response:
        response.vary.add("Origin")  # also without an Origin: a cache must not mix them up
        if _is_allowed():
            response.headers["Access-Control-Allow-Origin"] = request.headers["Origin"]
            response.headers["Access-Control-Expose-Headers"] = _EXPOSED
        return response

    def _is_allowed() -> bool:
        return request.headers.get("Origin") in allowed
