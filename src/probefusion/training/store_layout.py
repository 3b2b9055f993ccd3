"""Lays out the files of a variant store, and fills them block by block."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from probefusion.files import replace_file
from probefusion.training.row_files import RowFile, RowWriter, check_of_rows
from probefusion.training.store_files import CHECKED, DoneBlock, StoreProgress, write_facts

__all__ = ["ImageRows", "lay_out_store", "take_over_store", "write_block"]

ImageRows: TypeAlias = dict[str, npt.NDArray[Any]]
"""The row of an image in each array, by file name."""


def lay_out_store(
    folder: Path,
    facts: Mapping[str, Any],
    embeddings: tuple[int, ...],
    style: tuple[int, ...] | None,
    *,
    block_images: int,
) -> None:
    """Makes files that hold nothing yet.

    Args:
        folder: The store.
        facts: What `store.json` says.
        embeddings: (V, D), shape of the embeddings of an image.
        style: (V, C, 2), shape of their style, or None without.
        block_images: Images of a block.
    """
    count = len(facts["sources"])
    shapes: dict[str, tuple[tuple[int, ...], Any]] = {
        "embeddings.npy": ((count, *embeddings), np.float16),
        "clean.npy": ((count, 2, embeddings[1]), np.float32),
        "checks.npy": ((count, len(CHECKED)), np.uint32),
    }
    if style is not None:
        shapes["style.npy"] = ((count, *style), np.float16)
    for name, (shape, dtype) in shapes.items():
        RowWriter.create(folder / name, shape, dtype)
    DoneBlock.remove_all(folder)
    StoreProgress(done=0, block_images=block_images).write(folder)
    write_facts(folder, facts)


def take_over_store(
    folder: Path, facts: Mapping[str, Any], progress: StoreProgress, *, block_images: int
) -> None:
    """Gives a store that an older release left unfinished the checksums that it lacks.

    Args:
        folder: The store.
        facts: What `store.json` says.
        progress: What `progress.json` says.
        block_images: Images of a block; those behind the last whole one are embedded again.

    Raises:
        IntegrityError: If its rows are not what was written.
    """
    files = {name: RowFile(folder / name) for name in CHECKED if (folder / name).exists()}
    progress.check(folder, files)
    # Under its own name only when it is complete: it tells that the store was taken over.
    with replace_file(folder / "checks.npy") as stream:
        checks = np.zeros((len(facts["sources"]), len(CHECKED)), np.uint32)
        for start in range(0, progress.done - block_images + 1, block_images):
            end = start + block_images
            for name, file in files.items():
                checks[start:end, CHECKED.index(name)] = check_of_rows(file[start:end])
            DoneBlock(start=start, end=end).write(folder)
        np.save(stream, checks)
    StoreProgress(done=0, block_images=block_images).write(folder)
    write_facts(folder, facts)


def write_block(
    folder: Path,
    files: dict[str, RowWriter],
    checks: RowWriter,
    start: int,
    rows: list[ImageRows | str],
) -> None:
    """Puts consecutive images on the disk, and then says so.

    Args:
        folder: The store.
        files: Its arrays by file name.
        checks: Its `checks.npy`.
        start: Number of the first image.
        rows: The rows of each image, or why it has none.
    """
    columns = np.zeros((len(rows), len(CHECKED)), np.uint32)
    for name, file in files.items():
        none = np.zeros(file.shape[1:], file.dtype)
        block = [none if isinstance(row, str) else row[name] for row in rows]
        columns[:, CHECKED.index(name)] = file.write(start, np.stack(block))
    checks.write(start, columns)
    unusable = tuple((start + i, row) for i, row in enumerate(rows) if isinstance(row, str))
    DoneBlock(start=start, end=start + len(rows), unusable=unusable).write(folder)
