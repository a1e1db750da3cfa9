"""Operations on the fast path, and the question whether a board has changed."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from occupancy.core.errors import (
    OccupancyError,
    PoolTimeout,
    RateLimited,
    StoreUnavailable,
    Unauthenticated,
)
from occupancy.core.principal import Principal
from occupancy.core.requests import OperationBody, decode
from occupancy.core.transitions import TRANSITIONS
from occupancy.server.fast.request import FastRequest
from occupancy.server.response_head import response_head
from occupancy.services import Services
from occupancy.web import operations
from occupancy.web.auth import Rule, check_role, check_rule, credential_of, rule_of, take_turn
from occupancy.web.io import JSON, Reply, problem_reply
from occupancy.web.problems import crash, note

_ITEMS = re.compile(
    r"/api/boards/([A-Za-z0-9][A-Za-z0-9_-]{0,31})/items"
    r"(?:/([A-Za-z0-9][A-Za-z0-9._:-]{0,63})/([a-z-]+))?\Z"
)
_JSON_TYPES = (JSON, JSON + ";charset=utf-8", JSON + "; charset=utf-8")


class FastOperations:
    """One per process.

    ``headers`` are those of every answer. ``views`` are Flask's, whose rules hold here as well.
    """

    def __init__(
        self,
        services: Services,
        headers: Mapping[str, str],
        views: Mapping[str, Callable[..., Any]],
    ) -> None:
        self._services = services
        self._headers = headers
        self._operate_rule = rule_of(views["api.operate"])
        self._items_rule = rule_of(views["api.items"])

    def answer(self, request: FastRequest) -> bytes | None:
        """The whole answer's bytes; None for a request that Flask is to answer."""
        found = _ITEMS.match(request.path)
        if found is None or request.query:
            return None
        board, tag, operation = found.groups()
        if request.method == "GET":
            known = request.headers.get("if-none-match")
            reply = self._not_modified(request, board, known) if not tag and known else None
        elif operation in TRANSITIONS and _is_json(request):
            reply = self._operate(request, board, tag, operation)
        else:
            reply = None
        return self._encoded(reply) if reply is not None else None

    def _operate(self, request: FastRequest, board: str, tag: str, operation: str) -> Reply:
        principal = None
        try:
            principal = self._identify(request)
            self._check(request, self._operate_rule, principal, board)
            row = TRANSITIONS[operation]
            check_role(principal, row.role)
            return operations.operate(
                self._services, request, principal,
                board=board, tag=tag, row=row, body=decode(request.body, OperationBody),
            )  # fmt: skip
        except OccupancyError as error:
            note(error, self._services, request, principal)
            return problem_reply(error)
        except Exception as error:  # noqa: BLE001 - it is logged, and answered
            return problem_reply(crash(error, self._services, request))

    def _not_modified(self, request: FastRequest, board: str, known: str) -> Reply | None:
        """304 if the board is as the client has it; None if it is not, or Flask is to refuse.

        Reading has no effect, so Flask may do it again.
        """
        try:
            self._check(request, self._items_rule, self._identify(request), board)
            return operations.not_modified_since(self._services.store, board, known)
        except (PoolTimeout, RateLimited, StoreUnavailable) as error:
            note(error, self._services, request, None)  # Flask would wait for it once more
            return problem_reply(error)
        except Exception:  # noqa: BLE001 - Flask does it again, and says or logs why it fails
            return None

    def _identify(self, request: FastRequest) -> Principal:
        try:
            credential = credential_of(request, self._services.settings)
        except Unauthenticated:
            take_turn(request, self._services)
            raise
        take_turn(request, self._services, credential)
        return self._services.authenticator.identify(credential)

    def _check(self, request: FastRequest, rule: Rule, principal: Principal, board: str) -> None:
        check_rule(request, rule, principal, board, self._services.settings.trusted_origins)

    def _encoded(self, reply: Reply) -> bytes:
        length = {} if reply.status == 304 else {"Content-Length": str(len(reply.body))}
        headers = {**reply.headers, **self._headers, **length}
        return response_head(reply.status, headers) + reply.body


def _is_json(request: FastRequest) -> bool:
    """Whether its body is JSON; a request without a body may have any content type."""
    return not request.body or request.headers.get("content-type") in _JSON_TYPES
