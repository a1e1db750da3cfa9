"""What streams get when the settings of their board change, and when it is removed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from occupancy.core.entities import Role
from occupancy.core.requests.boards import BoardSettingsBody
from occupancy.services import Services
from tests.support.deployment import Deployment
from tests.support.servers import RealServer
from tests.support.shop import change
from tests.support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("closes_streams")


@pytest.fixture(scope="module")
def deployment(
    tmp_path_factory: pytest.TempPathFactory, module_server: RealServer
) -> Iterator[Deployment]:
    running = Deployment(tmp_path_factory.mktemp("state"), module_server.url).start()
    running.sign_in("watcher", Role.OBSERVER)
    yield running
    running.stop()


def test_a_stream_is_told_of_other_settings(
    deployment: Deployment, shop: Services, board: str
) -> None:
    stream = deployment.stream(board)
    before = stream.wait_for("ready").data["settings_version"]
    version = shop.store.boards.configure(
        board, BoardSettingsBody(title="Hall")
    ).board.settings.version
    assert stream.wait_for("board").data == {"settings_version": version}
    assert version == before + 1
    later = deployment.stream(board)
    assert later.wait_for("ready").data["settings_version"] == version


def test_a_stream_is_told_of_other_settings_that_nothing_was_published_of(
    deployment: Deployment, shop: Services, board: str
) -> None:
    stream = deployment.stream(board)
    stream.wait_for("ready")
    shop.store.client.hset(shop.store.keys.board(board).board, "settings_version", "7")
    assert stream.wait_for("board").data == {"settings_version": 7}


@pytest.mark.parametrize("is_published", [True, False])
def test_the_streams_of_a_removed_board_end_and_do_not_come_back(
    deployment: Deployment, shop: Services, board: str, is_published: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    change(shop, board, 2)
    stream = deployment.stream(board)
    cursor = stream.wait_for("ready").last_id
    keys = shop.store.keys.board(board)
    if not is_published:
        monkeypatch.setattr(keys, "channel", "nobody-listens")
    shop.removal.remove(board, with_items=True, recording=shop.audit_trail.recording)
    stream.wait_for("bye")
    assert deployment.stream(board, after=cursor).status == 404
    assert shop.removal.sweep(board) or shop.store.client.hget(keys.board, "removing") is None
    wait_until(
        lambda: shop.store.client.hget(keys.board, "removing") is None, what="the end of the sweep"
    )
    shop.store.boards.create(board)
    again = deployment.stream(board, after=cursor)
    assert again.wait_for("reset").data["seq"] == 3
    change(shop, board, 1)
    wait_until(lambda: again.seqs() == [4, 5], what="the events of the new board")
