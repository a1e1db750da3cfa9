"""Counts the deployment's connections to the store from a side connection, during a whole run."""

from __future__ import annotations

import threading
from typing import Any

from bench.server import Valkey

_INTERVAL_S = 0.1


class ConnectionWatch:
    """Samples CLIENT LIST in a thread. ``peaks`` is by client name; its own one is not counted."""

    def __init__(self, valkey: Valkey) -> None:
        self.samples = 0
        self.peak_total = 0
        self.peaks: dict[str, int] = {}
        self._client = valkey.client()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop and close the connection. Idempotent."""
        self._stop.set()
        self._thread.join()
        self._client.close()

    def _watch(self) -> None:
        own = str(self._client.client_id())
        while not self._stop.wait(_INTERVAL_S):
            listed: Any = self._client.client_list()
            names = [each["name"] or "unnamed" for each in listed if each["id"] != own]
            self.samples += 1
            self.peak_total = max(self.peak_total, len(names))
            for name in set(names):
                self.peaks[name] = max(self.peaks.get(name, 0), names.count(name))
