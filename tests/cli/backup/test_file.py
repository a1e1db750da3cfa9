"""The file of a backup: whole or not at all, its owner's only, every damage is found."""

from __future__ import annotations

import contextlib
import gzip
from pathlib import Path

import pytest

from occupancy.cli.backup import file
from occupancy.core.errors import BackupError


def written(path: Path, records: int = 3) -> bytes:
    """A small file; its bytes."""
    with file.created(path) as stream:
        writer = file.Writer(stream, file.Header(at="", boards=[]))
        for number in range(records):
            writer.add(file.Record(f"key-{number}", "string", 0, [b"value"]))
        writer.finish(items=7)
    return path.read_bytes()


def test_a_file_is_only_its_owners(tmp_path: Path) -> None:
    written(tmp_path / "backup")
    assert (tmp_path / "backup").stat().st_mode & 0o777 == 0o600
    assert file.verified(tmp_path / "backup")[1].items == 7


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    with contextlib.suppress(ZeroDivisionError), file.created(tmp_path / "backup") as stream:
        file.Writer(stream, file.Header(at="", boards=[]))
        _ = 1 / 0
    with pytest.raises(BackupError, match="ends too early"), file.created(tmp_path / "backup") as s:
        file.Writer(s, file.Header(at="", boards=[]))  # without a trailer
    assert list(tmp_path.iterdir()) == []
    was = written(tmp_path / "backup")
    with pytest.raises(BackupError, match="already"):
        written(tmp_path / "backup", records=1)
    assert (tmp_path / "backup").read_bytes() == was
    assert len(list(tmp_path.iterdir())) == 1


def test_damage_anywhere_in_a_file_is_found(tmp_path: Path) -> None:
    path = tmp_path / "backup"
    whole = gzip.decompress(written(path))
    damaged = tmp_path / "damaged"
    for position in range(len(whole)):
        changed = bytearray(whole)
        changed[position] ^= 0x01
        damaged.write_bytes(gzip.compress(bytes(changed), compresslevel=1))
        with pytest.raises(BackupError):
            file.verified(damaged)
    for end in range(0, len(whole), 7):
        damaged.write_bytes(gzip.compress(whole[:end], compresslevel=1))
        with pytest.raises(BackupError):
            file.verified(damaged)
    damaged.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(BackupError):
        file.verified(damaged)
    damaged.write_text("no backup at all")
    with pytest.raises(BackupError):
        file.verified(damaged)
