"""The files of a variant store that say what its arrays hold, how far they are filled, and by which hashes.

store.json      facts of the store
progress.json   `done`: images that are complete; `blocks`: SHA-256 of their rows, block by block
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from probefusion.errors import FileFormatError, IntegrityError
from probefusion.files import check_existing, replace_file
from probefusion.files.content_hash import content_hash
from probefusion.files.hashed_json import hashed_json
from probefusion.files.reading import in_one_line
from probefusion.files.records import read_record, record_of

__all__ = ["FORMAT_VERSION", "Block", "StoreProgress", "read_facts", "write_facts"]

FORMAT_VERSION = 2
"""Format 2 added the hashes; stores of format 1 are read unchecked."""

_STEP = "Remove the folder of the store: its images are then embedded anew."


@dataclass(frozen=True, kw_only=True)
class Block:
    """Consecutive images.

    Args:
        start: The first.
        end: The one behind the last.
        sha256: `content_hash` of their rows in all arrays, by file name.
    """

    start: int
    end: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class StoreProgress:
    """How far a store is filled.

    Args:
        done: Images that are complete.
        blocks: Hashes of their rows; none for what releases up to format 1 wrote.
    """

    done: int
    blocks: tuple[Block, ...] = ()

    @staticmethod
    def read(folder: Path) -> StoreProgress:
        """Reads `progress.json`.

        Raises:
            MissingFileError: If there is none.
            IntegrityError: If it is not what was written.
            FileFormatError: If it is damaged.
        """
        path = check_existing(folder / "progress.json", name="progress file")
        plain = read_record(path, dict[str, Any], hashed_from=FORMAT_VERSION, step=_STEP)
        plain.pop("format_version", None)
        return record_of(plain, StoreProgress, where=str(path), step=_STEP)

    def write(self, folder: Path) -> None:
        """Writes `progress.json`."""
        content = {"format_version": FORMAT_VERSION, **asdict(self)}
        with replace_file(folder / "progress.json", force=True) as stream:
            stream.write(hashed_json(content))

    def grown(self, done: int, files: Mapping[str, npt.NDArray[Any]]) -> StoreProgress:
        """The same with the images up to `done`, which are in the files already.

        Args:
            done: Images that are complete, not fewer than before.
            files: The arrays, one row per image, by file name.
        """
        if done == self.done:
            return self
        rows = _rows(files, self.done, done)
        block = Block(start=self.done, end=done, sha256=content_hash(rows))
        return StoreProgress(done=done, blocks=(*self.blocks, block))

    def check(self, folder: Path, files: Mapping[str, npt.NDArray[Any]]) -> None:
        """Compares the rows with their hashes; every row of a hashed store is read.

        Args:
            folder: The store, for messages.
            files: The arrays, one row per image, by file name.

        Raises:
            IntegrityError: If a block of rows is not what was written.
        """
        for block in self.blocks:
            if content_hash(_rows(files, block.start, block.end)) != block.sha256:
                raise IntegrityError(
                    f"{in_one_line(folder)}: the rows of images {block.start} to {block.end - 1} are not those that "
                    f"were written (another SHA-256 of {', '.join(sorted(files))}). {_STEP}"
                )


def write_facts(folder: Path, facts: Mapping[str, Any]) -> None:
    """Writes `store.json`."""
    with replace_file(folder / "store.json", force=True) as stream:
        stream.write(hashed_json({**facts, "format_version": FORMAT_VERSION}))


def read_facts(folder: Path) -> dict[str, Any]:
    """What `store.json` says.

    Raises:
        MissingFileError: If there is none.
        IntegrityError: If it is not what was written.
        FileFormatError: If it is damaged, lacks a key, or is of a newer release.
    """
    path = check_existing(folder / "store.json", name="variant store card")
    facts = read_record(
        path, dict[str, Any], newest=FORMAT_VERSION, hashed_from=FORMAT_VERSION, step=_STEP
    )
    for key in ("embedder", "subject_ids", "subjects", "sources"):
        if key not in facts:
            raise FileFormatError(
                f"{in_one_line(path)}: {key}: expected this key, it is missing. {_STEP}"
            )
    return facts


def _rows(
    files: Mapping[str, npt.NDArray[Any]], start: int, end: int
) -> dict[str, npt.NDArray[Any]]:
    return {name: np.asarray(file[start:end]) for name, file in files.items()}
