"""What every deployment of the proof has: it runs for a while, and has services of its own."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol, TypeVar

from occupancy.core.settings import Settings
from occupancy.services import Services


class Runs(Protocol):
    """Runs from :meth:`start` to :meth:`stop`, which also ends what a failed start has left."""

    def start(self) -> None: ...

    def stop(self) -> None: ...


AnySite = TypeVar("AnySite", bound=Runs)


@contextlib.contextmanager
def running(site: AnySite) -> Iterator[AnySite]:
    """The site, started, and stopped at the end."""
    try:
        site.start()
        yield site
    finally:
        site.stop()


def services_on(redis_url: str, prefix: str, directory: Path, **settings: int) -> Services:
    """The services of a deployment, for the run's own process; the caller closes them."""
    return Services.for_command_line(
        Settings(
            redis_url=redis_url, prefix=prefix, state_dir=str(directory / "command-line"),
            **settings,  # type: ignore[arg-type] # numbers only
        )
    )  # fmt: skip
