"""The service's address, for links that leave the browser: sign-in links and QR codes.

A command is often run in a shell that lacks the server's PORT, so the server writes its address to
a file, which the commands read.
"""

from __future__ import annotations

import contextlib
import logging

from occupancy.core.settings import Settings

log = logging.getLogger(__name__)


def write(settings: Settings) -> None:
    """Write the server's address to the state directory. A failure is only logged."""
    try:
        (settings.state_path / "url").write_text(settings.public_url)
    except OSError as error:
        log.warning("links of the command line may name another address: %s", error)


def read(settings: Settings) -> str:
    """OCCUPANCY_URL if it is set, else what the server wrote, else what the settings suggest."""
    if not settings.url:
        with contextlib.suppress(OSError):
            return (settings.state_path / "url").read_text().strip() or settings.public_url
    return settings.public_url
