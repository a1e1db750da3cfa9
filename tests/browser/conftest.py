"""Fixtures of the browser tests: one Chromium and one deployment for all, a browser per visitor.

A missing browser is skipped on a laptop and fails where ``CI=true``.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from occupancy.core.entities import Role
from tests.browser.chromium import chromium as running_chromium
from tests.browser.chromium import path_of_chromium
from tests.browser.contexts import Contexts
from tests.browser.people_page import PAYLOAD
from tests.browser.site import Site, expect_live, note_mistakes, running
from tests.conftest import require
from tests.support.deployment import Deployment
from tests.support.servers import RealServer

expect.set_options(timeout=15_000)  # tests in other processes use the same processors


class Visit(Protocol):
    """Opens a page in a new browser, signed in as ``worker`` unless that is None.

    The session is one for all visits of the worker: who ends it must sign in anew before.
    ``script`` runs in every page of it before the page's own.
    """

    def __call__(
        self,
        path: str,
        worker: str | None = "holder",
        *,
        url: str = "",
        script: str = "",
        **options: Any,
    ) -> Page: ...


class OpenBoard(Protocol):
    """The same for a board by its name; waits until the page is live."""

    def __call__(self, board: str, worker: str | None = "holder", **options: Any) -> Page: ...


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    with running_chromium(require(path_of_chromium(), "chromium")) as browser:
        yield browser


@pytest.fixture(scope="package")
def contexts(chromium: Browser) -> Contexts:
    return Contexts(chromium)


@pytest.fixture(scope="package")
def site(
    contexts: Contexts,
    tmp_path_factory: pytest.TempPathFactory,
    server_of: Callable[[str], RealServer],
) -> Iterator[Site]:
    """Shared by all tests, so none may break it. It has one process, so its figures are exact."""
    deployment = Deployment(
        tmp_path_factory.mktemp("site"), server_of("valkey").url,
        WEB_CONCURRENCY="1", OCCUPANCY_PREFIX="browser",
    )  # fmt: skip
    with running(deployment) as made:
        yield made
        contexts.close()


@pytest.fixture
def visit(chromium: Browser, site: Site, contexts: Contexts) -> Iterator[Visit]:
    """Visits the shared site, or another by ``url``; an error in any page fails the test."""
    lent: list[tuple[BrowserContext, dict[str, Any]]] = []
    own: list[BrowserContext] = []
    mistakes: list[str] = []

    def watch(page: Page) -> None:
        note_mistakes(page, mistakes)

    def open_page(
        path: str,
        worker: str | None = "holder",
        *,
        url: str = "",
        script: str = "",
        **options: Any,
    ) -> Page:
        # The requests of a page with a service worker pass by what a test does to its network.
        # Only the tests of the worker itself (test_offline.py) allow it.
        options = {
            "base_url": url or site.url,
            "locale": "en-GB",
            "service_workers": "block",
            **options,
        }
        if url or script:
            context = chromium.new_context(**options)
            own.append(context)
        else:
            context = contexts.lend(options)
            lent.append((context, options))
        context.set_default_timeout(30_000)
        context.on("page", watch)
        if script:
            context.add_init_script(script)
        if worker is not None:
            site.lend_session(context, worker)
        page = context.new_page()
        page.goto(path)
        return page

    yield open_page
    for context in own:
        context.close()
    for context, options in lent:
        context.remove_listener("page", watch)
        contexts.take_back(context, options)
    assert mistakes == []


@pytest.fixture
def open_board(visit: Visit) -> OpenBoard:
    def open_page(board: str, worker: str | None = "holder", **options: Any) -> Page:
        page = visit(f"/boards/{board}", worker, **options)
        expect_live(page)
        return page

    return open_page


@pytest.fixture
def people(site: Site) -> Iterator[str]:
    """A word that the names of these people have, and no others."""
    word = f"w{secrets.token_hex(3)}"
    for name, role in (("Marta", Role.WORKER), ("Núria", Role.SUPERVISOR), (PAYLOAD, Role.WORKER)):
        worker_id = f"{word}-{name[0].lower() if name.isalpha() else 'x'}"
        site.services.workers.add(worker_id, name=f"{name} {word}", role=role)
    yield word
    for each in site.services.workers.all():
        if word in each.id or word in each.name:
            stored = site.services.workers.stored(each.id)
            site.services.workers.remove(stored)
