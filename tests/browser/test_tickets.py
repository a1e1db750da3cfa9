"""A page of another site with a ticket: a native EventSource that reconnects by itself."""

from __future__ import annotations

import functools
import signal
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import Browser

from tests.browser.site import Site, running, wait_for
from tests.support.deployment import Deployment
from tests.support.servers import RealServer
from tests.support.waiting import wait_until

PAGE = """<script>
async function follow(api, board, token) {
  const headers = {Authorization: `Bearer ${token}`};
  const asked = await fetch(`${api}/api/tickets`, {method: 'POST', headers});
  const {ticket} = await asked.json();
  window.source = new EventSource(`${api}/api/boards/${board}/events?ticket=${ticket}`);
  window.seen = [];
  window.readies = 0;
  window.source.addEventListener('ready', () => { window.readies += 1; });
  window.source.addEventListener('item', (event) => {
    window.seen.push(JSON.parse(event.data).type);
  });
}
</script>"""


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The origin of another site, with one page."""
    directory = tmp_path_factory.mktemp("elsewhere")
    (directory / "index.html").write_text(PAGE)
    handler = functools.partial(SimpleHTTPRequestHandler, directory=str(directory))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def site(
    tmp_path_factory: pytest.TempPathFactory, module_server: RealServer, elsewhere: str
) -> Iterator[Site]:
    """One that takes requests of the other site's pages, to be reloaded."""
    deployment = Deployment(
        tmp_path_factory.mktemp("ticketed"), module_server.url, OCCUPANCY_CORS_ORIGINS=elsewhere
    )
    with running(deployment) as made:
        yield made


def test_a_stream_opened_with_a_ticket_survives_a_reload_of_the_service(
    chromium: Browser, site: Site, elsewhere: str
) -> None:
    board = site.board("T-1", "T-2")
    token, _ = site.services.tokens.create("watcher", board=board)
    context = chromium.new_context()
    try:
        page = context.new_page()
        page.goto(f"{elsewhere}/")
        page.evaluate("([...given]) => follow(...given)", [site.url, board, token])
        wait_for(page, "() => window.readies === 1", what="the stream")
        before = site.deployment.worker_pids()
        site.deployment.signal(signal.SIGHUP)
        wait_until(
            lambda: site.deployment.worker_pids() and not site.deployment.worker_pids() & before,
            timeout_s=20, what="new workers",
        )  # fmt: skip
        site.do("take", board, "T-1")
        wait_for(page, "() => window.seen.length === 1", what="the event", timeout_s=20)
        assert page.evaluate("window.seen") == ["item.taken"]
        assert page.evaluate("window.readies") >= 2  # by the same EventSource
    finally:
        context.close()
