"""occupancy: who is working on what, right now — and may I have it?

``create_app`` makes the Flask application; ``services.py`` makes what it works with. It imports
both only when it is called: gunicorn's master imports this package for its settings before the
workers have monkey-patched anything, and redis must not be imported before that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask

    from occupancy.services import Services


def create_app(services: Services | None = None) -> Flask:
    """The WSGI application, with its command line.

    Without ``services`` they are made from the environment. Nothing connects to Redis yet: the
    hub starts with ``Services.start`` or the first stream. Raises SettingError.
    """
    import os  # noqa: PLC0415 - see the module

    from flask import Flask  # noqa: PLC0415 - see the module

    from occupancy import cli  # noqa: PLC0415 - see the module
    from occupancy.core.requests.decoding import MAX_BODY_BYTES  # noqa: PLC0415 - see the module
    from occupancy.core.settings import Settings  # noqa: PLC0415 - see the module
    from occupancy.services import Services as Made  # noqa: PLC0415 - see the module
    from occupancy.web import auth, problems, security  # noqa: PLC0415 - see the module
    from occupancy.web.routes import (  # noqa: PLC0415 - see the module
        board_setup,
        boards,
        day,
        docs,
        health,
        imports,
        labels,
        pages,
        people,
        sample,
        stream,
        web_app,
    )
    from occupancy.web.routes.access import (  # noqa: PLC0415 - see the module
        audit,
        badges,
        session,
        sign_in,
        stations,
        tokens,
        workers,
    )

    if services is None:
        services = Made.for_web(Settings.from_environ(os.environ))
    app = Flask(__name__, static_folder=None, template_folder="web/ui/templates")
    # One more than allowed: Werkzeug cuts a chunked body there without a word, and the byte too
    # many shows that there was more.
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES + 1
    app.url_map.merge_slashes = False  # else //x redirects to whatever Host the request names
    app.url_map.strict_slashes = False
    app.extensions["occupancy"] = services
    app.extensions["occupancy.pages"] = pages.Pages()
    security.init_app(app, services.settings)  # first: its hooks come before those of auth
    problems.init_app(app)
    auth.init_app(app)
    for module in (
        boards, board_setup, people, imports, labels, stream, day, sign_in, session, workers,
        badges, stations, tokens, sample, audit, health, docs, pages, web_app,
    ):  # fmt: skip
        app.register_blueprint(module.bp)
    cli.init_app(app)
    return app
