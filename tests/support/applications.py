"""Applications for tests: what one test has used serves the next, with services of the next.

To make one takes longer than many a test, because Werkzeug compiles the code of every rule. A test
that changes its application, or keeps it for other tests, makes one with ``create_app``.
"""

from __future__ import annotations

from typing import Any

from flask import Flask

from occupancy import create_app
from occupancy.services import Services

_Made = tuple[Flask, tuple[Any, ...], tuple[Any, ...]]  # with its settings and its state when new
_used: list[_Made] = []
_idle: list[_Made] = []


def application(services: Services) -> Flask:
    """An application of these services, for the present test only."""
    settings = _settings_of(services)
    found = next((each for each in _idle if each[1] == settings), None)
    if found is None:
        app = create_app(services)
        found = app, settings, _state_of(app)
    else:
        _idle.remove(found)
        found[0].extensions["occupancy"] = services
    _used.append(found)
    return found[0]


def take_back() -> None:
    """At the end of a test: its applications serve the next, unless it has changed them."""
    _idle.extend(each for each in _used if _state_of(each[0]) == each[2])
    _used.clear()


def _settings_of(services: Services) -> tuple[Any, ...]:
    """What an application has of the settings itself: see ``security.init_app``."""
    settings = services.settings
    return settings.proxies, settings.allowed_hosts, settings.cors_origins


def _state_of(app: Flask) -> tuple[Any, ...]:
    hooks = (app.before_request_funcs, app.after_request_funcs, app.teardown_request_funcs)
    return (
        dict(app.config),
        dict(app.view_functions),
        list(app.url_map.iter_rules()),
        [{scope: list(each) for scope, each in kind.items()} for kind in hooks],
        app.wsgi_app if "wsgi_app" in vars(app) else None,
        {name: each for name, each in app.extensions.items() if name != "occupancy"},
    )
