"""Sets the clock and the free disk space of a running process, by a library of ours in LD_PRELOAD.

- A small file system for the append-only file needs root. RLIMIT_FSIZE does not, but it ends the
  server with SIGXFSZ, which a full disk does not.
- libfaketime caches its file for a while, and redis-server hangs in it at the start.
"""

from __future__ import annotations

import functools
import shutil
import struct
import subprocess
from pathlib import Path

_SOURCE = Path(__file__).with_name("preload.c")
_FIELDS = struct.Struct("=qq")
_UNBOUNDED = -1


@functools.cache
def has_compiler() -> bool:
    return shutil.which("cc") is not None


class Preload:
    """The library, compiled in ``directory``, and its settings.

    A process that is started with ``environment`` has them, and so have those that it starts.
    """

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        library, self._path = directory / "preload.so", directory / "preload.settings"
        self.clock_s = 0.0
        self._free_bytes: int | None = None
        self._path.write_bytes(_FIELDS.pack(0, _UNBOUNDED))
        command = ["cc", "-O2", "-shared", "-fPIC", "-o", str(library), str(_SOURCE)]
        subprocess.run(command, check=True, timeout=60)
        self.environment = {"LD_PRELOAD": str(library), "PROOF_PRELOAD": str(self._path)}

    def set_clock(self, ahead_s: float) -> None:
        """Set the time of day ``ahead_s`` ahead of the machine's, or behind; effective at once."""
        self.clock_s = ahead_s
        with self._path.open("r+b") as file:
            file.write(struct.pack("=q", round(ahead_s * 1e9)))

    def set_free_bytes(self, free_bytes: int | None) -> None:
        """Let the append-only file grow by so many bytes, or by any number (None)."""
        with self._path.open("r+b") as file:
            file.seek(8)
            file.write(struct.pack("=q", _UNBOUNDED if free_bytes is None else free_bytes))

    @property
    def free_bytes(self) -> int | None:
        """What is left; None: no bound."""
        free: int = _FIELDS.unpack(self._path.read_bytes())[1]
        return None if free == _UNBOUNDED else free
