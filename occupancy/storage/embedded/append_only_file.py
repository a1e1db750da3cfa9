"""The end of the embedded server's append-only file after a power failure.

A file system may store a file's new length before its data. Then the file ends in zero bytes, and
valkey-server refuses to start: `aof-load-truncated` does not help, and Valkey 9.1 lacks Redis's
`aof-load-corrupt-tail-max-size`. Worse, if the zeros replace the rest of the last value, the server
starts and takes them for a part of that value.

No command ends in a zero byte, so the zeros at the very end hold no data. If they replace the rest
of a command, cutting them leaves a truncated last command, which the server skips together with its
transaction.

The supervisor imports this module: no redis, gevent or flask here.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import os
import re
from collections.abc import Iterator
from pathlib import Path

from occupancy.core.errors import EmbeddedError
from occupancy.core.texts.plurals import counted

LOCKS = ("supervisor.lock", "data.lock")  # see supervisor.py
_BLOCK_BYTES = 1 << 20
_INCREMENT = re.compile(r"file (\S+) seq \d+ type i\b")


@dataclasses.dataclass(frozen=True)
class ZeroTail:
    """An append-only file with ``zero_bytes`` zeros behind its ``good_bytes``."""

    path: Path
    good_bytes: int
    zero_bytes: int

    def cut(self) -> None:
        """Cut the zeros off; extending the file to its former length undoes it."""
        with self.path.open("r+b") as file:
            file.truncate(self.good_bytes)
            os.fsync(file.fileno())


def zero_tail(data_dir: Path) -> ZeroTail | None:
    """The zeros at the end of the file written last, or None. Raises OSError if it is missing."""
    directory = data_dir / "appendonlydir"
    manifest = (directory / "appendonly.aof.manifest").read_text(errors="replace")
    names = _INCREMENT.findall(manifest)
    if not names:
        return None
    path = directory / Path(names[-1]).name
    with path.open("rb") as file:
        size_bytes = good_bytes = file.seek(0, os.SEEK_END)
        while good_bytes:
            start = max(0, good_bytes - _BLOCK_BYTES)
            file.seek(start)
            kept = file.read(good_bytes - start).rstrip(b"\0")
            good_bytes = start + len(kept)
            if kept:
                break
    zero_bytes = size_bytes - good_bytes
    return ZeroTail(path, good_bytes, zero_bytes) if zero_bytes else None


@contextlib.contextmanager
def exclusive_access(data_dir: Path) -> Iterator[None]:
    """Hold the data's locks. Raises EmbeddedError if the data is in use or missing."""
    with contextlib.ExitStack() as held:
        for name in LOCKS:
            try:
                lock = held.enter_context((data_dir / name).open("r+b"))
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise EmbeddedError(
                    f"The data directory {data_dir} is in use: stop the web server first."
                ) from error
            except FileNotFoundError as error:
                raise EmbeddedError(f"There is no embedded server's data in {data_dir}.") from error
        yield


def refuse_zero_tail(data_dir: Path) -> None:
    """Raises EmbeddedError if the file ends in zeros, even if the server would start with them."""
    with contextlib.suppress(FileNotFoundError):
        found = zero_tail(data_dir)
        if found is not None:
            raise EmbeddedError(
                f"The embedded server cannot start: {found.path} ends in "
                f"{counted(found.zero_bytes, 'zero byte')}, as after a power failure. "
                "'flask redis repair' reports them, and cuts them "
                "off with --yes."
            )


def advice(data_dir: Path, log_lines: list[str]) -> str:
    """Advice if the server refused its file; "" if it ended for another reason.

    The server's own advice names a tool that the wheel lacks.
    """
    if not any("Bad file format reading the append only file" in line for line in log_lines):
        return ""
    return (
        f"the append-only file in {data_dir / 'appendonlydir'} is damaged: restore a backup of "
        f"{data_dir}, or see 'After a power failure' in the README."
    )
