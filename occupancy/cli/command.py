"""The common part of all commands: errors, connection, options.

A failure is one line on stderr and exit status 2 for wrong arguments, 1 for anything else. Only a
bug is a traceback.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterator
from typing import Any, NoReturn, TypeVar

import click
import msgspec
from flask.cli import AppGroup

from occupancy.core.entities import MAIN_BOARD
from occupancy.core.errors import EmbeddedError, OccupancyError, SettingError, StoreUnavailable
from occupancy.core.requests.checks import check_name
from occupancy.core.requests.decoding import Body, decode
from occupancy.core.settings import Settings
from occupancy.services import Services
from occupancy.storage.embedded.owner import Embedded
from occupancy.storage.server_errors import ServerError
from occupancy.storage.topology.misdirection import Misdirection, misdirection_of

Function = TypeVar("Function", bound=Callable[..., Any])


class Command(click.Command):
    """A command in no group whose failures are one line each."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:  # fmt: skip
        with _one_line():
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        with _one_line():
            return super().invoke(ctx)


class Commands(Command, AppGroup):
    """A group of commands whose failures are one line each."""


class _WrongUse(click.ClickException):
    exit_code = 2


@contextlib.contextmanager
def _one_line() -> Iterator[None]:
    try:
        yield
    except click.exceptions.NoArgsIsHelpError:
        raise
    except click.UsageError as error:
        hint = f" Try '{error.ctx.command_path} --help'." if error.ctx is not None else ""
        _stop(f"{error.format_message().rstrip('.?')}.{hint}", error, _WrongUse)
    except OccupancyError as error:
        # The server's own words help where the server must be repaired.
        is_of_server = error.status == 503 and error.__cause__ is not None
        _stop(f"{error.detail} ({error.__cause__})" if is_of_server else error.detail, error)
    except ServerError as error:
        # Temporary failures arrive as StoreUnavailable. The rest is a REDIS_URL that the server
        # refuses (a database that it does not have), or a server of another kind.
        _stop(f"The server refuses: {error}", error)
    except UnicodeEncodeError as error:
        _stop(f"A text cannot be written as {error.encoding}: {error.reason}.", error)
    except OSError as error:
        if error.errno == errno.EPIPE:
            raise  # click ends quietly when the reader of its output is gone
        _stop(str(error), error)


def _stop(
    message: str, error: Exception, kind: type[click.ClickException] = click.ClickException
) -> NoReturn:
    raise kind(" ".join(message.split())) from error


def fail(message: str) -> NoReturn:
    """End the command with ``message`` on stderr and status 1."""
    raise click.ClickException(message)


@contextlib.contextmanager
def connected(*, may_start_server: bool = True) -> Iterator[Services]:
    """The services for one command, over one connection; everything is closed at the end.

    An embedded server that does not run is started for that time, or raises EmbeddedError without
    ``may_start_server``. Raises SettingError and EmbeddedError.
    """
    settings = Settings.from_environ(os.environ)
    _check_state_dir(settings)
    with contextlib.ExitStack() as stack:
        if settings.is_embedded and not Embedded.is_running(settings):
            if not may_start_server:
                raise EmbeddedError("The embedded server is not running: start the web server.")
            _start_embedded(settings, stack)
        services = Services.for_command_line(settings)
        stack.callback(services.close)
        try:
            yield services
        except (StoreUnavailable, ServerError) as error:
            if found := _misdirection(services):
                raise SettingError(f"REDIS_URL leads to {found.finding}. {found.advice}") from error
            raise


def _misdirection(services: Services) -> Misdirection | None:
    if services.settings.engine != "single":
        return None  # it says so by itself
    try:
        return misdirection_of(services.store.client)
    except (OccupancyError, ServerError):
        return None


def _check_state_dir(settings: Settings) -> None:
    path = settings.state_path
    try:
        path.mkdir(parents=True, exist_ok=True)
        if not os.access(path, os.W_OK | os.X_OK):
            raise OSError("it is not writable")
    except OSError as error:
        raise SettingError(f"OCCUPANCY_STATE_DIR={str(path)!r} is not usable: {error}.") from error


def _start_embedded(settings: Settings, stack: contextlib.ExitStack) -> None:
    try:
        stack.enter_context(Embedded.start(settings))
    except EmbeddedError:
        if not Embedded.is_running(settings):  # else another process started it just before
            raise


def checked(kind: type[Body], **fields: Any) -> Body:
    """The given fields, checked by the API's rules. Raises InvalidRequest."""
    given = {name: value for name, value in fields.items() if value is not None}
    return decode(msgspec.json.encode(given), kind)


def _name_option(kind: str) -> Callable[[click.Context, click.Parameter, Any], Any]:
    def check(_ctx: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
        return check_name(kind, value) if value is not None else None

    return check


check_board, check_tag, check_worker = map(_name_option, ("board", "tag", "worker"))

tag_argument = click.argument("tag", callback=check_tag)
board_option = click.option(
    "--board", default=MAIN_BOARD, show_default=True, callback=check_board, help="The board."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
