"""A Sentinel that says what the test wants, to be alone, wrong or of another past."""

from __future__ import annotations

from typing import Any

from gevent.pool import Pool
from gevent.server import StreamServer

from tests.support.servers import RealServer


class FakeSentinel:
    """Names ``primary`` under ``epoch``, whatever it is asked; counts how often as ``asked``."""

    def __init__(self, primary: RealServer, epoch: int = 0) -> None:
        self.primary, self.epoch, self.asked = primary, epoch, 0
        self._server = StreamServer(("127.0.0.1", 0), self._serve, spawn=Pool())
        self._server.start()
        self.port: int = self._server.server_port

    def stop(self) -> None:
        """End it and its connections."""
        self._server.stop(timeout=0)

    def _serve(self, client: Any, _address: Any) -> None:
        lines = client.makefile("rb")
        try:
            while header := lines.readline():
                words = []
                for _ in range(int(header[1:])):
                    size = int(lines.readline()[1:])
                    words.append(lines.read(size + 2)[:size].decode().upper())
                client.sendall(self._reply(words))
        except (OSError, ValueError):
            pass  # the connection has ended
        finally:
            lines.close()
            client.close()

    def _reply(self, words: list[str]) -> bytes:
        where = ["127.0.0.1", str(self.primary.port)]
        if words[:2] == ["SENTINEL", "GET-MASTER-ADDR-BY-NAME"]:
            self.asked += 1
            return _array(where)
        if words[:2] == ["SENTINEL", "MASTER"]:
            return _array(["ip", where[0], "port", where[1], "config-epoch", str(self.epoch)])
        if words[:2] == ["SENTINEL", "REPLICAS"]:
            return _array([])
        return b"+OK\r\n"


def _array(words: list[str]) -> bytes:
    bulk = "".join(f"${len(each)}\r\n{each}\r\n" for each in words)
    return f"*{len(words)}\r\n{bulk}".encode()


def url_of(*sentinels: FakeSentinel, service: str = "board") -> str:
    return f"redis+sentinel://{','.join(f'127.0.0.1:{each.port}' for each in sentinels)}/{service}"
