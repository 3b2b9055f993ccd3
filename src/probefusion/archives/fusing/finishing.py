"""Brings the templates of all buckets into one file: the third of the three functions, which runs in one process."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from probefusion.archives.files.storage import is_url, open_file, writing
from probefusion.archives.fusing.judging import NOT_LOOKED_AT, ONE_PERSON, SEVERAL_PEOPLE
from probefusion.archives.manifest import RunSettings
from probefusion.archives.partials.bucket_entries import stored_entries
from probefusion.archives.partials.partials import open_partials
from probefusion.errors import EmptySetError, StorageError
from probefusion.files import check_output_file
from probefusion.types.template_files import TemplateColumns, write_template_file
from probefusion.types.usability import NUMBERS, not_usable_rows

__all__ = ["Finished", "finish"]

_COPIED_AT_ONCE = 1 << 22


@dataclass(frozen=True, kw_only=True)
class Finished:
    """What was written.

    Args:
        num_images: Images of all templates.
        num_templates: Templates written.
        num_screened: Templates of which it can be told whether their images are of one person.
        num_not_screened: Templates that were not looked at.
        several_people: Ids of templates that fall apart, each with the share of the weight of the lighter part.
        not_usable: Ids of templates that are not usable.
    """

    num_images: int
    num_templates: int
    num_screened: int
    num_not_screened: int
    several_people: tuple[tuple[int | str, float], ...]
    not_usable: tuple[int | str, ...]


def finish(
    buckets: Sequence[Sequence[str]],
    settings: RunSettings,
    output: str,
    *,
    force: bool,
    drafts: str | None = None,
) -> Finished:
    """Writes the templates of all buckets, in the order of their first rows.

    Vectors stand in a file that is mapped into memory, so their number is bounded by the disk.

    Args:
        buckets: Of each bucket the files that `probefusion.archives.fusing.reducing` made, the oldest first.
        settings: What they were made with.
        output: Path or url, `.parquet` or `.npz`.
        force: Whether an existing output may be replaced.
        drafts: Folder on this machine in which a file may lie that is not whole yet; None for that of the output.

    Raises:
        EmptySetError: If there are no templates.
        OutputExistsError: If the output exists and `force` is False.
        StorageError: If there is no room for temporary files.
    """
    columns: dict[str, list[npt.NDArray[Any]]] = {
        name: [] for name in ("ids", "first", "num_images", "verdict", "lighter", "usability")
    }
    batches: list[_Batch] = []
    for bucket, layers in enumerate(buckets):
        for entry in stored_entries(layers, bucket, len(buckets)):
            people = entry.people
            columns["ids"].append(people.ids)
            columns["first"].append(people.first)
            columns["num_images"].append(people.num_images)
            columns["verdict"].append(people.extra["verdict"])
            columns["lighter"].append(people.extra["lighter"])
            unknown = np.full((len(people.ids), len(NUMBERS)), np.nan)  # as older states are
            columns["usability"].append(people.extra.get("usability", unknown))
            batches.append(_Batch(entry.source.place, entry.batch, entry.picks, len(people.ids)))
    if not columns["ids"]:
        raise EmptySetError("no template is left: expected at least one image.")
    whole = {name: np.concatenate(parts) for name, parts in columns.items()}
    order = np.argsort(whole["first"], kind="stable")
    with _vectors(len(order), settings.dim) as vectors:
        ranks = np.empty(len(order), np.int64)
        ranks[order] = np.arange(len(order))
        done = 0
        for place, group in groupby(batches, key=lambda batch: batch.place):
            with open_partials(place) as file:
                for batch in group:
                    found = file.templates(batch.number)
                    stop = done + batch.num_people
                    vectors[ranks[done:stop]] = found if batch.picks is None else found[batch.picks]
                    done = stop
        ids, verdicts = whole["ids"][order], whole["verdict"][order]
        usability = whole["usability"][order]
        _write(
            TemplateColumns(
                ids=ids,
                num_images=whole["num_images"][order],
                vectors=vectors,
                fuser=settings.fuser,
                embedder=settings.embedder,
                usability=None if np.isnan(usability).all() else usability,
            ),
            output,
            force=force,
            drafts=drafts,
        )
    mixed = np.flatnonzero(verdicts == SEVERAL_PEOPLE)
    lighter = whole["lighter"][order]
    return Finished(
        num_images=int(whole["num_images"].sum()),
        num_templates=len(order),
        num_screened=int(np.isin(verdicts, (ONE_PERSON, SEVERAL_PEOPLE)).sum()),
        num_not_screened=int((verdicts == NOT_LOOKED_AT).sum()),
        several_people=tuple(
            (ids[row].item(), round(float(lighter[row]), 4)) for row in mixed.tolist()
        ),
        not_usable=tuple(ids[not_usable_rows(usability)].tolist()),
    )


class _Batch(NamedTuple):
    """Where templates stand.

    Attributes:
        place: The file.
        number: Which batch of it.
        picks: Which of its people; None for all.
        num_people: How many these are.
    """

    place: str
    number: int
    picks: npt.NDArray[np.int64] | None
    num_people: int


@contextmanager
def _vectors(count: int, dim: int) -> Iterator[npt.NDArray[np.float32]]:
    """Room for the vectors, in a file without a name."""
    with tempfile.TemporaryFile() as file:
        _reserve(file.fileno(), count * dim * 4)
        yield np.memmap(file, np.float32, "r+", shape=(count, dim))


def _reserve(file: int, size: int) -> None:
    """Takes room on the disk: where there is none, writing to mapped memory would end the process.

    Raises:
        StorageError: If the disk is full.
    """
    try:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file, 0, size)
        else:
            os.truncate(file, size)
    except OSError as error:
        raise StorageError(
            f"{tempfile.gettempdir()}: {size:,} bytes are needed for a while and cannot be had ({error.strerror}). Let "
            f"TMPDIR name another folder."
        ) from error


def _write(columns: TemplateColumns, output: str, *, force: bool, drafts: str | None) -> None:
    if not is_url(output):
        _write_path(columns, Path(output), force=force, drafts=drafts)
        return
    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder) / Path(output).name
        write_template_file(draft, columns)
        with open_file(draft) as source, writing(output) as stream:
            while block := source.read(_COPIED_AT_ONCE):
                stream.write(block)


def _write_path(columns: TemplateColumns, path: Path, *, force: bool, drafts: str | None) -> None:
    """Writes a file by way of a folder that goes, with all that a killed process leaves there."""
    if drafts is not None and Path(drafts).stat().st_dev == path.parent.stat().st_dev:
        check_output_file(path, force=force)
        draft = Path(drafts) / f"output{path.suffix}"
        write_template_file(draft, columns, force=True)
        draft.replace(path)
        return
    write_template_file(path, columns, force=force)
