"""Assets: the files of the pages, under an address that changes with their content.

``/static/<version>/js/board.js``: the version is a hash of all files together, so modules import
each other by relative addresses and a browser may cache them for good. Each process reads and
compresses them once.
"""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import msgspec

_STATIC = Path(__file__).parent / "static"
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}


class Asset(msgspec.Struct, frozen=True):
    content_type: str
    plain: bytes
    gzipped: bytes
    digest: str

    @classmethod
    def of(cls, content_type: str, plain: bytes) -> Asset:
        # Without a time, so that the same files give the same bytes on every machine.
        gzipped = gzip.compress(plain, 9, mtime=0)
        return cls(content_type, plain, gzipped, hashlib.sha256(plain).hexdigest()[:32])


class Assets:
    """All files below static/, read when the process starts."""

    def __init__(self) -> None:
        self._files: dict[str, Asset] = {}
        whole = hashlib.sha256()
        for path in sorted(_STATIC.rglob("*")):
            if path.is_file() and path.suffix in _TYPES:
                name, plain = path.relative_to(_STATIC).as_posix(), path.read_bytes()
                self._files[name] = Asset.of(_TYPES[path.suffix], plain)
                whole.update(f"{name}\0{len(plain)}\0".encode() + plain)
        self.version = whole.hexdigest()[:12]

    def get(self, name: str) -> Asset | None:
        """The file of that name, or None."""
        return self._files.get(name)

    def addresses(self) -> list[str]:
        """The addresses of all files."""
        return [self.address(name) for name in self._files]

    def address(self, name: str) -> str:
        """The address of a file. Raises KeyError for an unknown name."""
        if name not in self._files:
            raise KeyError(name)
        return f"/static/{self.version}/{name}"

    def text(self, name: str) -> str:
        """The text of a file. Raises KeyError for an unknown name."""
        return self._files[name].plain.decode()
