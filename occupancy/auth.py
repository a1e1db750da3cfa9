"""Auth: who is asking, and whether the route is for them.

Each route declares the least role that may use it; one hook checks it before every request, and
a route that declares nothing is refused. Callers are known by ``Authorization: Bearer``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from flask import Flask, current_app, g, request

from .access import Access
from .errors import Forbidden, Unauthenticated
from .model import Role, Worker

View = TypeVar("View", bound=Callable[..., Any])

_PUBLIC = "public"


def requires(role: Role) -> Callable[[View], View]:
    """Declares that a view is for workers of ``role`` and above."""

    def declare(view: View) -> View:
        view.required_role = role  # type: ignore[attr-defined] # functions take attributes
        return view

    return declare


def public(view: View) -> View:
    """Declares that a view is for everybody, known or not."""
    view.required_role = _PUBLIC  # type: ignore[attr-defined] # functions take attributes
    return view


def caller() -> Worker:
    """Who has sent the present request."""
    worker: Worker = g.worker
    return worker


def check_role(role: Role) -> None:
    """Raises Forbidden unless the caller has ``role``, where it depends on more than the route."""
    if not caller().may(role):
        raise Forbidden(f"This needs the role {role.label}; you have {caller().role}.")


def init_app(app: Flask, access: Access) -> None:
    @app.before_request
    def check() -> None:
        if request.endpoint is None:
            return  # no such route: the 404 or 405 follows
        required = getattr(current_app.view_functions[request.endpoint], "required_role", None)
        if required == _PUBLIC:
            return
        g.worker = access.identify(_bearer_token())
        if required is None:
            raise Forbidden("This address is not open to anybody.")
        check_role(required)


def _bearer_token() -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated("Send your token as 'Authorization: Bearer <token>'.")
    return token.strip()
