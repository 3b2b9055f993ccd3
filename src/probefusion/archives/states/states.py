"""States of an archive that are kept, so that more files can be added without reading the old ones.

    FOLDER/states.json              what was fused, by what; written last
    FOLDER/GENERATION/00000.arrow   states, templates and the rows that were looked at, one file a bucket

A run that adds writes a generation of its own: as a *layer* over those before only the new records of whom something
was added to, or, where layers have become many or large, all records anew. A generation counts once `states.json` names
it; those that it names no more go. `probefusion.archives.states.state_commits` writes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

from probefusion.archives.files.file_digest import file_digest
from probefusion.archives.files.storage import (
    Place,
    absolute_place,
    exists,
    join,
    list_files,
    read_bytes,
    shown_place,
)
from probefusion.archives.manifest import PlannedFile, RunSettings
from probefusion.archives.rows.archive import Archive, ArchiveFile
from probefusion.errors import (
    EmbedderMismatchError,
    FuserMismatchError,
    MismatchError,
    MissingFileError,
)
from probefusion.files.hashed_json import json_hash
from probefusion.files.reading import in_one_line
from probefusion.files.records import decode_record
from probefusion.types.revisions import remedy

__all__ = ["STATES_CARD", "FusedFile", "StoredStates", "bucket_place", "open_states"]

STATES_CARD = "states.json"
_NEWEST = 2
_STEP = "Make the states anew from all files: --keep-states."
_MOST_LAYERS = 16
_LARGEST_SHARE = 0.5
"""Of the bytes of the first generation, which layers may have together."""
_SMALLEST_BYTES = 1 << 22
"""So few bytes of layers are never too many."""
_LARGEST_ADDITION = 0.25
"""Of the rows so far: where more are added, nearly everybody's record is new."""


@dataclass(frozen=True, kw_only=True)
class FusedFile:
    """A file that was fused.

    Args:
        file: As it was when it was fused, or after images were erased from it.
        offset: Number of its first row among all rows.
        erased: Rows that were erased from it since, by the numbers that they had.
        digest: Of its content, `probefusion.archives.files.file_digest`; empty where an older release fused it.
        place: Its url or absolute path; empty likewise.
    """

    file: PlannedFile
    offset: int
    erased: tuple[int, ...] = ()
    digest: str = ""
    place: str = ""

    def original(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The numbers that rows of the file as it is now had among all rows before anything was erased."""
        gone = np.array(self.erased, np.int64)
        before = np.searchsorted(gone - np.arange(len(gone)), rows, side="right")
        return rows + before + self.offset


@dataclass(frozen=True, kw_only=True)
class StoredStates:
    """What a folder of states says of itself.

    Args:
        format_version: 2; 1 where a former release wrote it, which knew no layers.
        settings: What the states were made with.
        generation: The folder that holds the buckets of the records that were written together.
        num_rows: Rows of all files, those that were erased since too.
        files: All files that were fused, in their order.
        unsettled: Files that are being written anew as images are erased, as they will be; their sizes and tags are
            not known yet.
        revision: How many times something was erased.
        layers: Folders of the buckets of new records, the oldest first; the last record of a person holds.
    """

    format_version: int
    settings: RunSettings
    generation: str
    num_rows: int
    files: tuple[FusedFile, ...]
    unsettled: tuple[FusedFile, ...] = ()
    revision: int = 0
    layers: tuple[str, ...] = ()

    @property
    def identity(self) -> str:
        """Changes whenever anything is added or erased."""
        return json_hash(asdict(self))

    @property
    def generations(self) -> tuple[str, ...]:
        """Folders of all buckets, the oldest first."""
        return (self.generation, *self.layers)

    def buckets(self, folder: Place) -> list[tuple[str, ...]]:
        """Of each bucket the places of its files, the oldest first."""
        return [
            tuple(bucket_place(join(folder, name), bucket) for name in self.generations)
            for bucket in range(self.settings.num_buckets)
        ]

    def takes_layer(self, folder: Place, num_rows: int) -> bool:
        """Whether rows are added as one more layer; otherwise all records are written anew.

        Args:
            folder: The states' folder.
            num_rows: How many rows are added.

        Raises:
            MissingFileError: If the file of a bucket is not there.
        """
        sizes = dict.fromkeys(self.generations, 0)
        for name in self.generations:
            listed = list_files(join(folder, name), suffixes=(".arrow",), missing_ok=True)
            found = {f"{name}/{file.name}": file.size for file in listed}
            for bucket in range(self.settings.num_buckets):
                file = f"{name}/{bucket_place('', bucket)}"
                if file not in found:
                    raise MissingFileError(
                        f"states {shown_place(folder)!r}: the file {file} is not there. Put it back from a copy, or "
                        f"make the states anew from all files: --keep-states."
                    )
                sizes[name] += found[file]
        first = sizes.pop(self.generation)
        is_large = sum(sizes.values()) > max(_SMALLEST_BYTES, _LARGEST_SHARE * first)
        is_much = num_rows > _LARGEST_ADDITION * self.num_rows
        return not (is_large or is_much or len(self.layers) >= _MOST_LAYERS)

    def holds(self, files: Sequence[PlannedFile]) -> bool:
        """Whether all of some files were fused, and are as they were then."""
        known = {(fused.file.name, fused.file.size, fused.file.tag) for fused in self.files}
        return {(file.name, file.size, file.tag) for file in files} <= known

    def new_files(self, archive: Archive, folder: Place) -> tuple[ArchiveFile, ...]:
        """The files of an archive that were not fused yet.

        Args:
            archive: What is to be added.
            folder: The states' folder, for messages.

        Raises:
            MismatchError: If all of them were, or one was fused and changed since, or an erasure was interrupted.
        """
        where = shown_place(folder)
        if self.unsettled:
            raise MismatchError(
                f"states {where!r}: an erasure of images was interrupted, and what became of "
                f"{in_one_line(self.unsettled[0].file.name)} is not known. Give the erasure again first."
            )
        known = {(fused.file.name, fused.file.size, fused.file.tag) for fused in self.files}
        digests = {fused.digest for fused in self.files}
        places = {fused.place for fused in self.files}
        new = []
        for file in archive.files:
            if (file.name, file.size, file.tag) in known or file_digest(file.place) in digests:
                continue
            if absolute_place(file.place) in places:
                raise MismatchError(
                    f"{in_one_line(file.name)}: was fused into the states {where!r} and was changed since. Give new "
                    f"rows in a new file, or fuse all files anew: --keep-states."
                )
            new.append(file)
        if archive.files and not new:
            raise MismatchError(
                f"{in_one_line(archive.files[0].name)}: was fused into the states {where!r} already"
                f"{_and_more(archive.files)}. Give new files."
            )
        return tuple(new)

    def check_adds(self, settings: RunSettings, folder: Place) -> None:
        """Refuses files of another embedder, or for another fuser.

        Raises:
            FuserMismatchError: If the fuser is another one.
            EmbedderMismatchError: If the embedder is.
            MismatchError: If something else does not fit.
        """
        where = shown_place(folder)
        old, new = asdict(self.settings), asdict(settings)
        for key, error in (("fuser", FuserMismatchError), ("embedder", EmbedderMismatchError)):
            if old[key] != new[key]:
                step = "Use the same, or fuse all files anew: --keep-states."
                if key == "embedder":
                    step = remedy(old[key], new[key], step)
                raise error(
                    f"states {where!r}: made with the {key} {old[key]}, got {new[key]}. {step}"
                )
        keys = ("by", "id_kind", "screening", "num_clusters", "dim", "style_width")
        told = [f"{key} {old[key]!r}, got {new[key]!r}" for key in keys if old[key] != new[key]]
        if told:
            raise MismatchError(
                f"states {where!r}: made with {'; '.join(told)}. Use the same, or fuse all files anew: --keep-states."
            )


def bucket_place(folder: str, bucket: int) -> str:
    """Where the result of a bucket stands."""
    return join(folder, f"{bucket:05d}.arrow")


def open_states(folder: Place) -> StoredStates:
    """Reads what a folder of states says of itself.

    Raises:
        MissingFileError: If there are none.
        IntegrityError: If it is not what was written.
        FileFormatError: If it is damaged otherwise.
    """
    card = join(folder, STATES_CARD)
    if not exists(card):
        raise MissingFileError(
            f"states {shown_place(folder)!r}: there are none. Make them with: probefusion fuse-archive ... "
            f"--keep-states {shown_place(folder)}"
        )
    where = in_one_line(shown_place(card))
    return decode_record(
        read_bytes(card), StoredStates, where=where, newest=_NEWEST, hashed_from=1, step=_STEP
    )


def _and_more(files: Sequence[ArchiveFile]) -> str:
    return "" if len(files) == 1 else f", and so were the other {len(files) - 1}"
