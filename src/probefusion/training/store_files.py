"""The files of a variant store that say what its arrays hold, how far they are filled, and by which hashes.

store.json      facts of the store
progress.json   `done`: images that are complete; `checks`: SHA-256 of `checks.npy`; `unusable`: images without rows
blocks/*.json   while images are embedded: a file for each block of images that is complete
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from probefusion.errors import ConfigError, FileFormatError, IntegrityError
from probefusion.files import check_existing, replace_file
from probefusion.files.content_hash import content_hash
from probefusion.files.hashed_json import LARGEST_JSON, hashed_json
from probefusion.files.reading import in_one_line
from probefusion.files.records import read_record, record_of
from probefusion.training.row_files import Rows

__all__ = [
    "CHECKED",
    "FORMAT_VERSION",
    "Block",
    "DoneBlock",
    "StoreProgress",
    "read_facts",
    "write_facts",
]

FORMAT_VERSION = 3
"""Format 2 added hashes of blocks, format 3 has a checksum of each row in their place; stores of format 1 are read
unchecked."""

CHECKED = ("embeddings.npy", "style.npy", "clean.npy")
"""Arrays by the columns of `checks.npy`."""

_BLOCKS = "blocks"

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
        done: Images that are complete; while images are embedded those of `DoneBlock` come to it.
        blocks: Hashes of their rows, in a store without `checks.npy`; none for what releases up to format 1 wrote.
        checks: `content_hash` of `checks.npy`, or None for a store without.
        unusable: Number and reason of images that could not be read; their rows hold zeros.
        block_images: Images of a block, while images are embedded.
    """

    done: int
    blocks: tuple[Block, ...] = ()
    checks: str | None = None
    unusable: tuple[tuple[int, str], ...] = ()
    block_images: int | None = None

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

    def grown(self, done: int, files: Mapping[str, Rows]) -> StoreProgress:
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

    def check(self, folder: Path, files: Mapping[str, Rows]) -> None:
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


@dataclass(frozen=True, kw_only=True)
class DoneBlock:
    """Consecutive images whose rows are on the disk, told of by the process that embedded them.

    Args:
        start: The first.
        end: The one behind the last.
        unusable: Number and reason of images among them that could not be read.
    """

    start: int
    end: int
    unusable: tuple[tuple[int, str], ...] = ()

    def write(self, folder: Path) -> None:
        """Writes `blocks/START.json`, after the rows."""
        (folder / _BLOCKS).mkdir(exist_ok=True)
        with replace_file(_block_path(folder, self.start), force=True) as stream:
            stream.write(hashed_json({"format_version": FORMAT_VERSION, **asdict(self)}))

    @staticmethod
    def is_done(folder: Path, start: int) -> bool:
        """Whether the block that begins there is complete."""
        return _block_path(folder, start).exists()

    @staticmethod
    def read_all(folder: Path) -> Iterator[DoneBlock]:
        """All blocks that are complete, in order.

        Raises:
            IntegrityError: If one is not what was written.
            FileFormatError: If one is damaged.
        """
        for path in sorted((folder / _BLOCKS).glob("*.json")):
            plain = read_record(path, dict[str, Any], hashed_from=FORMAT_VERSION, step=_STEP)
            plain.pop("format_version", None)
            yield record_of(plain, DoneBlock, where=str(path), step=_STEP)

    @staticmethod
    def remove_all(folder: Path) -> None:
        """Removes the files of all blocks, when `progress.json` says the same."""
        shutil.rmtree(folder / _BLOCKS, ignore_errors=True)


def _block_path(folder: Path, start: int) -> Path:
    return folder / _BLOCKS / f"{start:012d}.json"


def write_facts(folder: Path, facts: Mapping[str, Any]) -> None:
    """Writes `store.json`.

    Raises:
        ConfigError: If the names of the images are more than such a file may hold.
    """
    content = hashed_json({**facts, "format_version": FORMAT_VERSION})
    if len(content) > LARGEST_JSON:
        raise ConfigError(
            f"people: expected names of images that take up to {LARGEST_JSON:,} bytes together (some millions of "
            f"images), got {len(content):,}. Train on fewer people, or give files shorter names."
        )
    with replace_file(folder / "store.json", force=True) as stream:
        stream.write(content)


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


def _rows(files: Mapping[str, Rows], start: int, end: int) -> dict[str, npt.NDArray[Any]]:
    return {name: np.asarray(file[start:end]) for name, file in files.items()}
