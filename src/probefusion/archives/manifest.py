"""What a run on an archive will do, written down before it begins: settings, files, and where they are cut.

A task's output has a name made of what goes into it, so a rerun finds what was done and never takes what does not fit.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

from probefusion.archives.files.storage import (
    exists,
    is_folder,
    join,
    list_files,
    read_bytes,
    remove,
    remove_folder,
    shown_place,
    write_bytes,
)
from probefusion.archives.rows.archive import ArchiveFile
from probefusion.errors import MismatchError, OutputExistsError
from probefusion.files.hashed_json import hashed_json, json_hash
from probefusion.files.reading import in_one_line
from probefusion.files.records import decode_record

__all__ = [
    "Manifest",
    "MapTask",
    "PlannedFile",
    "RunSettings",
    "begin",
    "buckets_for",
    "chunk_borders",
    "forget",
    "interrupted",
    "is_work",
    "tasks_of",
    "write",
]

_NAME = "manifest.json"
_NEWEST = 2
_STEP = "Delete the folder to begin anew."
_CHUNKS_A_TASK = 4
_NAME_DIGITS = 20


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """What the partial results depend on beside the rows.

    Args:
        by: Column that says which rows belong together.
        id_kind: As for `probefusion.archives.rows.archive.Archive`.
        fuser: Fingerprint of the fuser.
        embedder: Fingerprint of the embedder, or None when unknown.
        norms_known: Whether the lengths of the embeddings are the network's own.
        screening: Whether rows are kept to be looked at.
        num_clusters: M of the states.
        dim: D of their sums.
        style_width: S of their style sums.
        row_bytes: Bytes of a row as stored.
        rows_up_to: People with at most so many rows in a chunk travel as rows, others as a state.
        chunk_rows: Most rows of a chunk.
        num_buckets: Groups of people.
        norms_seen: Whether `norms_known` was told by the first rows, not by what the files say.
    """

    by: str
    id_kind: str
    fuser: str
    embedder: str | None
    norms_known: bool
    screening: bool
    num_clusters: int
    dim: int
    style_width: int
    row_bytes: int
    rows_up_to: int
    chunk_rows: int
    num_buckets: int
    norms_seen: bool = False

    @property
    def state_width(self) -> int:
        """Numbers of a state."""
        return self.num_clusters * (1 + self.dim + self.style_width)


@dataclass(frozen=True, kw_only=True)
class PlannedFile:
    """A file as it was when the run was planned.

    Args:
        name: Its name below the archive's folder.
        size: Bytes.
        tag: What changes when it is written anew.
        num_rows: Images.
        borders: Rows at which it is cut into chunks, from 0 to `num_rows`.
        stamp: As `probefusion.archives.files.file_digest.file_stamp` gives it.
    """

    name: str
    size: int
    tag: str
    num_rows: int
    borders: tuple[int, ...]
    stamp: str = ""


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What a run will do.

    Args:
        format_version: 2; 1 where a former release wrote it.
        settings: What partial results depend on.
        files: In the order in which their sums are added.
        added_to: Identity of the stored states that the files are added to; None without.
        keeps_states: Whether states are to be kept.
    """

    format_version: int
    settings: RunSettings
    files: tuple[PlannedFile, ...]
    added_to: str | None = None
    keeps_states: bool = False


@dataclass(frozen=True, kw_only=True)
class MapTask:
    """Chunks of one file.

    Args:
        file: Number of the file.
        name: Its name, for messages.
        place: Its path or url.
        size: Bytes of it as it was planned.
        tag: What changes when it is written anew.
        stamp: What changes when another file is put in its place.
        borders: Rows at which the chunks begin, and the end.
        output: Where the partial results go.
    """

    file: int
    name: str
    place: str
    size: int
    tag: str
    stamp: str
    borders: tuple[int, ...]
    output: str


def chunk_borders(file: ArchiveFile, chunk_rows: int) -> tuple[int, ...]:
    """Where a file is cut: between row groups where they are small, within them where they are large.

    Runs of as many row groups as fit a chunk (by the largest group) make a chunk, so a row more or less moves no cut.
    """
    groups = file.group_rows or (file.num_rows,)
    together = max(1, chunk_rows // max(1, *groups))
    borders = [0]
    for start in range(0, len(groups), together):
        begin = borders[-1]
        end = begin + sum(groups[start : start + together])
        borders += [*range(begin + chunk_rows, end, chunk_rows), end]
    return tuple(dict.fromkeys(borders))


def tasks_of(manifest: Manifest, places: Sequence[str], folder: str) -> Iterator[MapTask]:
    """The tasks of all files, in order.

    Args:
        manifest: The plan.
        places: Path or url of each file.
        folder: Where their outputs go.
    """
    common = json_hash(asdict(manifest.settings))
    for number, (file, place) in enumerate(zip(manifest.files, places, strict=True)):
        cuts = file.borders
        for start in range(0, len(cuts) - 1, _CHUNKS_A_TASK):
            borders = cuts[start : start + _CHUNKS_A_TASK + 1]
            key = f"{common}\0{file.name}\0{file.size}\0{file.tag}\0{file.stamp}\0{borders}"
            name = hashlib.sha256(key.encode()).hexdigest()[:_NAME_DIGITS]
            yield MapTask(
                file=number,
                name=file.name,
                place=place,
                size=file.size,
                tag=file.tag,
                stamp=file.stamp,
                borders=borders,
                output=join(folder, f"{name}.arrow"),
            )


def interrupted(work: str) -> Manifest | None:
    """What a run was to do that was interrupted; None if there was none.

    Raises:
        OutputExistsError: If the folder holds files that are not of a run.
        IntegrityError: If the manifest is not what was written.
        FileFormatError: If it is damaged otherwise.
    """
    card = join(work, _NAME)
    if exists(card):
        where = f"{in_one_line(work)}/{_NAME}"
        return decode_record(
            read_bytes(card), Manifest, where=where, newest=_NEWEST, hashed_from=1, step=_STEP
        )
    if list_files(work, missing_ok=True):
        raise OutputExistsError(
            f"folder {shown_place(work)!r} holds files that are not of an interrupted run. Move them, or choose "
            f"another output."
        )
    return None


def begin(work: str, plan: Manifest, found: Manifest | None, failed: frozenset[str]) -> None:
    """Begins a run, or takes up one that was interrupted, whose settings the plan has.

    Args:
        work: Folder of the run; made if missing.
        plan: What is to be done.
        found: What the interrupted run was to do.
        failed: Names of files that cannot be read now.

    Raises:
        MismatchError: If the folder belongs to another run.
    """
    if found is not None:
        differing = _differences(found, plan, failed)
        if differing:
            raise MismatchError(
                f"{in_one_line(work)}: holds an interrupted run that differs in {', '.join(differing)}. Delete the "
                f"folder to begin anew, or choose another output."
            )
    if plan != found:
        write(work, plan)


def is_work(folder: str) -> bool:
    """Whether a folder holds what a run has done so far."""
    return exists(join(folder, _NAME))


def forget(work: str, *, is_kept: bool = False) -> None:
    """Removes what a run has done, its manifest last: whatever is left of a removal that is cut off is known for its.

    Args:
        work: Folder of the run.
        is_kept: Whether the folder itself, and a lock in it, stay.
    """
    names = {file.name.partition("/")[0] for file in list_files(work, missing_ok=True)}
    for place in (join(work, name) for name in sorted(names - {_NAME})):
        if is_folder(place):
            remove_folder(place)
        else:
            remove(place)
    if is_kept:
        remove(join(work, _NAME))
    else:
        remove_folder(work)


def write(work: str, plan: Manifest) -> None:
    """Writes down what a run will do."""
    write_bytes(join(work, _NAME), hashed_json(asdict(plan)))


def _differences(found: Manifest, plan: Manifest, failed: frozenset[str]) -> list[str]:
    old, new = asdict(found.settings), asdict(plan.settings)
    differing = [key for key in new if old[key] != new[key]]
    if found.keeps_states != plan.keeps_states or (found.added_to is None) != (
        plan.added_to is None
    ):
        differing.append("what becomes of its states")
    now = {file.name: (file.size, file.tag) for file in plan.files}
    for file in found.files:
        if file.name not in failed and now.get(file.name) != (file.size, file.tag):
            differing.append(f"the file {in_one_line(file.name)}")
            break
    return differing


def buckets_for(num_people: int, bytes_a_person: int, memory: int) -> int:
    """How many buckets it takes for the people of one to fit the memory; at least 8, so that workers share the work."""
    return int(min(4096, max(8, math.ceil(num_people * bytes_a_person / memory))))
