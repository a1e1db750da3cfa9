"""The theme that a device has chosen, in a cookie."""

from __future__ import annotations

from collections.abc import Mapping

_COOKIE = "theme"
_THEMES = ("light", "dark")


def chosen_theme(cookies: Mapping[str, str]) -> str | None:
    """The chosen theme; None where pages follow the browser's own."""
    chosen = cookies.get(_COOKIE)
    return chosen if chosen in _THEMES else None
