"""Tar shards for tests, written as WebDataset writes them."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable
from pathlib import Path

__all__ = ["header_offset", "write_shard"]


def write_shard(
    path: Path, members: Iterable[tuple[str, bytes]], *, kind: int = tarfile.GNU_FORMAT
) -> Path:
    """Writes members in the order given."""
    with tarfile.open(path, "w", format=kind) as shard:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            shard.addfile(info, io.BytesIO(data))
    return path


def header_offset(path: Path, name: str) -> int:
    """Byte at which the header of a member begins."""
    with tarfile.open(path) as shard:
        return shard.getmember(name).offset
