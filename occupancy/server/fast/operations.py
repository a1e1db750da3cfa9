"""Operations on the fast path, and the question whether a board has changed."""

from __future__ import annotations

import re
from collections.abc import Mapping

from occupancy.core import errors
from occupancy.core.principal import Principal
from occupancy.core.requests.decoding import decode
from occupancy.core.requests.items import OperationBody
from occupancy.core.transitions import TRANSITIONS, Transition
from occupancy.server.fast.request import FastRequest
from occupancy.server.responses import encode_reply
from occupancy.services import Services
from occupancy.web import operations
from occupancy.web.auth import Views, check_role, check_rule, credential_of, rule_of, take_turn
from occupancy.web.io import JSON_TYPE, Reply, problem_reply
from occupancy.web.problems import internal_error, record_error

_ITEMS = re.compile(
    r"/api/boards/([A-Za-z0-9][A-Za-z0-9_-]{0,31})/items"
    r"(?:/([A-Za-z0-9][A-Za-z0-9._:-]{0,63})/([a-z-]+))?\Z"
)
_JSON_TYPES = (JSON_TYPE, JSON_TYPE + ";charset=utf-8", JSON_TYPE + "; charset=utf-8")


class FastOperations:
    """One per process.

    ``headers`` are those of every response. ``views`` are Flask's, whose rules hold here as well.
    """

    def __init__(self, services: Services, headers: Mapping[str, str], views: Views) -> None:
        self._services = services
        self._headers = headers
        self._operation_rule = rule_of(views["api.operate_on_item"])
        self._items_rule = rule_of(views["api.items"])
        self._origins = services.settings.trusted_origins

    def answer(self, request: FastRequest) -> bytes | None:
        """The whole response; None for a request that Flask is to answer."""
        found = _ITEMS.match(request.path)
        if found is None or request.query:
            return None
        board, tag, operation = found.groups()
        reply = None
        if request.method == "GET":
            if tag is None and (known := request.headers.get("if-none-match")):
                reply = self._not_modified(request, board, known)
        elif operation in TRANSITIONS and (
            not request.body or request.headers.get("content-type") in _JSON_TYPES
        ):
            reply = self._operate(request, board, tag, TRANSITIONS[operation])
        return encode_reply(reply, self._headers) if reply is not None else None

    def _operate(self, request: FastRequest, board: str, tag: str, transition: Transition) -> Reply:
        principal = None
        try:
            principal = self._identify(request)
            check_rule(request, self._operation_rule, principal, board, self._origins)
            check_role(principal, transition.role)
            body = decode(request.body, OperationBody)
            return operations.carry_out_one(
                self._services, request, principal, transition, board=board, tag=tag, body=body
            )
        except errors.OccupancyError as error:
            record_error(error, self._services, request, principal)
            return problem_reply(error)
        except Exception as error:  # noqa: BLE001 - it is logged, and answered
            return problem_reply(internal_error(error, self._services, request))

    def _not_modified(self, request: FastRequest, board: str, known: str) -> Reply | None:
        """304 if the client's copy of the board is current, else None: Flask answers.

        Reading has no effect, so Flask may repeat it.
        """
        try:
            principal = self._identify(request)
            check_rule(request, self._items_rule, principal, board, self._origins)
            return operations.not_modified_since(self._services.store, board, known)
        except (errors.PoolTimeout, errors.RateLimited, errors.StoreUnavailable) as error:
            record_error(error, self._services, request, None)  # Flask would wait once more
            return problem_reply(error)
        except Exception:  # noqa: BLE001 - Flask answers, or logs the failure
            return None

    def _identify(self, request: FastRequest) -> Principal:
        try:
            credential = credential_of(request, self._services.settings)
        except errors.Unauthenticated:
            take_turn(request, self._services)
            raise
        take_turn(request, self._services, credential)
        return self._services.authenticator.identify(credential)
