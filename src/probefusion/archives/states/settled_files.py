"""Which files of archives are those that were fused into states, also after an erasure that was interrupted."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from probefusion.archives.files.file_digest import file_digest
from probefusion.archives.files.storage import Place, shown_place, stored_file
from probefusion.archives.rows.archive import ArchiveFile
from probefusion.archives.states.states import FusedFile, StoredStates
from probefusion.errors import MismatchError
from probefusion.files.reading import in_one_line

__all__ = ["after_erasure", "measured", "settled", "without_rows"]

Numbers = npt.NDArray[np.int64]


def settled(
    stored: StoredStates, folder: Place, given: Sequence[ArchiveFile]
) -> tuple[tuple[FusedFile, ...], dict[int, ArchiveFile]]:
    """The states' files as they are now; those that an interrupted erasure had written are known by their rows.

    Files of one name may come from several folders: size and time tell which is which.

    Args:
        stored: The states.
        folder: Their folder, for messages.
        given: The files of the archives; if there are none, nothing is checked.

    Returns:
        The fused files, and by the number of each the file that is it.

    Raises:
        MismatchError: If a file is not there or was changed.
    """
    if not given:
        return stored.files, {}
    left: dict[str, list[ArchiveFile]] = defaultdict(list)
    for file in given:
        left[file.name].append(file)
    files, matches = list(stored.files), {}
    for number, fused in enumerate(files):
        for file in left[fused.file.name]:
            if (file.size, file.tag) == (fused.file.size, fused.file.tag):
                matches[number] = file
                left[fused.file.name].remove(file)
                break
    waiting = {fused.offset: fused for fused in stored.unsettled if fused.file.name}
    for number, fused in enumerate(files):
        if number in matches:
            continue
        name, after = fused.file.name, waiting.get(fused.offset)
        if after is not None and after.file.name == name:
            fitting = [file for file in left[name] if file.num_rows == after.file.num_rows]
            if fitting or not after.file.num_rows:
                files[number] = after
            if fitting:
                matches[number] = fitting[0]
                left[name].remove(fitting[0])
                files[number] = measured(after, fitting[0].place)
            if fitting or not after.file.num_rows:
                continue
        if fused.file.num_rows:
            raise MismatchError(
                f"{in_one_line(name)}: was fused into the states {shown_place(folder)!r} and "
                f"{'was changed since' if left[name] else 'is not there'}. Give all files that were fused, or make "
                f"the states anew."
            )
    return tuple(files), matches


def after_erasure(stored: StoredStates, gone: Mapping[int, Numbers]) -> tuple[FusedFile, ...]:
    """The files that change, as they will be.

    Args:
        stored: The states.
        gone: By the number of a fused file, the numbers of the rows that are to go from it.
    """
    return tuple(
        without_rows(stored.files[number], rows)
        for number, rows in sorted(gone.items())
        if len(rows)
    )


def without_rows(fused: FusedFile, rows: Numbers) -> FusedFile:
    """A file without some rows: its cuts move with them."""
    borders = np.array(fused.file.borders)
    moved = borders - np.searchsorted(rows, borders)
    erased = sorted([*fused.erased, *(fused.original(rows) - fused.offset).tolist()])
    return replace(
        fused,
        file=replace(
            fused.file,
            num_rows=fused.file.num_rows - len(rows),
            borders=tuple(moved.tolist()),
        ),
        erased=tuple(erased),
    )


def measured(fused: FusedFile, place: str) -> FusedFile:
    """A file with the size, time and digest that it has now."""
    now = stored_file(place)
    return replace(
        fused, file=replace(fused.file, size=now.size, tag=now.tag), digest=file_digest(place)
    )
