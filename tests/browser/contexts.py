"""Browsers that visitors use one after the other: a new one costs more than what most tests do.

To a page it is new: it has no cookies, nothing stored, and no other tabs of the site. Only what
never changes stays, the scripts and styles in its cache.
"""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Browser, BrowserContext, Error, Page

_STORED = "local_storage,indexeddb,cache_storage,service_workers"


class Contexts:
    """The browsers of visitors, by their options (with a base_url); the free ones can be lent."""

    def __init__(self, chromium: Browser) -> None:
        self._chromium = chromium
        self._free: dict[str, list[BrowserContext]] = {}
        self._parked: dict[BrowserContext, Page] = {}

    def lend(self, options: dict[str, Any]) -> BrowserContext:
        """One with these options, in which nothing has been done yet."""
        free = self._free.get(_key(options))
        if free:
            return free.pop()
        context = self._chromium.new_context(**options)
        # A page that does nothing keeps the process of the others, which takes a second to start.
        parked = context.new_page()
        parked.goto("/livez")
        self._parked[context] = parked
        return context

    def take_back(self, context: BrowserContext, options: dict[str, Any]) -> None:
        """Make it free as it was, unless something has been done that cannot be undone."""
        parked = self._parked[context]
        if not _can_be_as_new(context):
            del self._parked[context]
            context.close()
            return
        for page in context.pages:
            if page is not parked:
                page.close()
        context.set_offline(False)
        context.unroute_all()
        context.clear_cookies()
        session = context.new_cdp_session(parked)
        origin = options["base_url"]
        session.send("Storage.clearDataForOrigin", {"origin": origin, "storageTypes": _STORED})
        session.detach()
        self._free.setdefault(_key(options), []).append(context)

    def close(self) -> None:
        """Close all, before their site ends: a server waits for idle connections."""
        for context in self._parked:
            context.close()
        self._parked.clear()
        self._free.clear()


def _key(options: dict[str, Any]) -> str:
    return repr(sorted(options.items()))


def _can_be_as_new(context: BrowserContext) -> bool:
    """Whether it is open and its clock is its own: one that a test installs stays for good."""
    try:
        return not any(page.evaluate("() => '__pwClock' in globalThis") for page in context.pages)
    except Error:  # it is closed, or one of its pages has crashed
        return False
