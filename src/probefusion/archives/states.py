"""States of an archive that are kept, so that more files can be added without reading the old ones.

    FOLDER/states.json              what was fused, by what; written last
    FOLDER/GENERATION/00000.arrow   states, templates and the rows that were looked at, one file a bucket

Every run that adds writes a generation of its own; the one before goes when `states.json` names the new one.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

from probefusion.archives.archive import Archive
from probefusion.archives.file_digest import file_digest
from probefusion.archives.manifest import PlannedFile, RunSettings
from probefusion.archives.storage import (
    Place,
    absolute_place,
    exists,
    join,
    list_files,
    read_bytes,
    remove_folder,
    shown_place,
    write_bytes,
)
from probefusion.errors import (
    EmbedderMismatchError,
    FuserMismatchError,
    MismatchError,
    MissingFileError,
    OutputExistsError,
)
from probefusion.files.hashed_json import hashed_json, json_hash
from probefusion.files.reading import in_one_line
from probefusion.files.records import decode_record

__all__ = [
    "FusedFile",
    "StoredStates",
    "bucket_place",
    "check_free",
    "check_unchanged",
    "commit",
    "open_states",
    "present_hash",
]

_NAME = "states.json"
_GENERATION = re.compile(r"([0-9a-f]{20})/[0-9]+\.arrow")
_STEP = "Make the states anew from all files: --keep-states."


@dataclass(frozen=True, kw_only=True)
class FusedFile:
    """A file that was fused.

    Args:
        file: As it was when it was fused, or after images were erased from it.
        offset: Number of its first row among all rows.
        erased: Rows that were erased from it since, by the numbers that they had.
        digest: Of its content, `probefusion.archives.file_digest`; empty where an older release fused it.
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
        format_version: 1.
        settings: What the states were made with.
        generation: The folder that holds the buckets.
        num_rows: Rows of all files, those that were erased since too.
        files: All files that were fused, in their order.
        unsettled: Files that are being written anew as images are erased, as they will be; their sizes and tags are
            not known yet.
        revision: How many times something was erased.
    """

    format_version: int
    settings: RunSettings
    generation: str
    num_rows: int
    files: tuple[FusedFile, ...]
    unsettled: tuple[FusedFile, ...] = ()
    revision: int = 0

    @property
    def identity(self) -> str:
        """Changes whenever anything is added or erased."""
        return json_hash(asdict(self))

    def buckets(self, folder: Place) -> list[str]:
        """Places of the files of all buckets."""
        return [
            bucket_place(join(folder, self.generation), bucket)
            for bucket in range(self.settings.num_buckets)
        ]

    def check_adds(self, archive: Archive, settings: RunSettings, folder: Place) -> None:
        """Refuses files that were fused before, and those of another embedder, or for another fuser.

        Raises:
            FuserMismatchError: If the fuser is another one.
            EmbedderMismatchError: If the embedder is.
            MismatchError: If a file was fused before, or something else does not fit, or an erasure was interrupted.
        """
        where = shown_place(folder)
        if self.unsettled:
            raise MismatchError(
                f"states {where!r}: an erasure of images was interrupted, and what became of "
                f"{in_one_line(self.unsettled[0].file.name)} is not known. Give the erasure again first."
            )
        old, new = asdict(self.settings), asdict(settings)
        for key, error in (("fuser", FuserMismatchError), ("embedder", EmbedderMismatchError)):
            if old[key] != new[key]:
                raise error(
                    f"states {where!r}: made with the {key} {old[key]}, got {new[key]}. Use the same, or fuse all "
                    f"files anew: --keep-states."
                )
        keys = ("by", "id_kind", "screening", "num_clusters", "dim", "style_width")
        told = [f"{key} {old[key]!r}, got {new[key]!r}" for key in keys if old[key] != new[key]]
        if told:
            raise MismatchError(
                f"states {where!r}: made with {'; '.join(told)}. Use the same, or fuse all files anew: --keep-states."
            )
        known = {(fused.file.name, fused.file.size, fused.file.tag) for fused in self.files}
        digests = {fused.digest for fused in self.files}
        places = {fused.place for fused in self.files}
        for file in archive.files:
            if (file.name, file.size, file.tag) in known or file_digest(file.place) in digests:
                raise MismatchError(
                    f"{in_one_line(file.name)}: was fused into the states {where!r} already. Give new files only."
                )
            if absolute_place(file.place) in places:
                raise MismatchError(
                    f"{in_one_line(file.name)}: was fused into the states {where!r} and was changed since. Give new "
                    f"rows in a new file, or fuse all files anew: --keep-states."
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
    card = join(folder, _NAME)
    if not exists(card):
        raise MissingFileError(
            f"states {shown_place(folder)!r}: there are none. Make them with: probefusion fuse-archive ... "
            f"--keep-states {shown_place(folder)}"
        )
    where = in_one_line(shown_place(card))
    return decode_record(
        read_bytes(card), StoredStates, where=where, newest=1, hashed_from=1, step=_STEP
    )


def check_free(folder: Place, *, force: bool) -> None:
    """Refuses a folder that holds states.

    Raises:
        OutputExistsError: If it does, and `force` is False.
    """
    if not force and exists(join(folder, _NAME)):
        raise OutputExistsError(
            f"states {shown_place(folder)!r} exist. Add files to them with --add-to, or replace them with --force."
        )


def present_hash(folder: Place) -> str | None:
    """Changes whenever the states of a folder do; None where there are none. What it holds may be damaged."""
    card = join(folder, _NAME)
    return hashlib.sha256(read_bytes(card)).hexdigest() if exists(card) else None


def check_unchanged(folder: Place, present: str | None) -> None:
    """Refuses states that another run changed.

    Args:
        folder: Their folder.
        present: What `present_hash` gave when this run began.

    Raises:
        MismatchError: If they are others now.
    """
    if present_hash(folder) != present:
        raise MismatchError(
            f"states {shown_place(folder)!r}: were changed by another run meanwhile. Give the command again when it "
            f"has ended."
        )


def commit(folder: Place, states: StoredStates, *, present: str | None) -> str:
    """Makes states those of the folder, at once; all other generations, of interrupted runs too, are removed.

    Args:
        folder: Their folder.
        states: The states.
        present: As for `check_unchanged`.

    Returns:
        What `present_hash` gives from now on.

    Raises:
        MismatchError: As for `check_unchanged`.
    """
    check_unchanged(folder, present)
    data = hashed_json(asdict(states))
    write_bytes(join(folder, _NAME), data)
    found = list_files(folder, suffixes=(".arrow",), missing_ok=True)
    names = {match[1] for file in found if (match := _GENERATION.fullmatch(file.name))}
    for name in sorted(names - {states.generation}):
        remove_folder(join(folder, name))
    return hashlib.sha256(data).hexdigest()
