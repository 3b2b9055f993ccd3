"""Fuses an archive that is larger than memory, template by template, and goes on where it stopped."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from probefusion.archives.archive import Archive, ArchiveRows
from probefusion.archives.checkpoint import Checkpoint
from probefusion.archives.template_file import template_writer
from probefusion.archives.template_table import TemplateTable, scan_templates
from probefusion.checks import check_output
from probefusion.errors import ConfigError, UnsupportedOperationError
from probefusion.fusion import Fuser
from probefusion.fusion.fuser import Sums
from probefusion.types import EmbeddingSet

__all__ = ["ArchiveReport", "fuse_archive"]

_ROWS_AT_ONCE = 4096
_SECONDS_BETWEEN_CHECKPOINTS = 30.0


@dataclass(frozen=True, kw_only=True)
class ArchiveReport:
    """What was fused.

    Args:
        num_images: Rows of the archive.
        num_templates: Templates written.
        num_passes: How often the archive was read: once, unless more templates were unfinished at the
            same time than memory was given for.
        resumed_at: Rows that an earlier, interrupted run had done.
    """

    num_images: int
    num_templates: int
    num_passes: int
    resumed_at: int


def fuse_archive(
    archive: Archive,
    fuser: Fuser,
    output: str | Path,
    *,
    memory: int = 200_000_000,
    progress: Callable[[int, int], None] | None = None,
    force: bool = False,
) -> ArchiveReport:
    """Fuses every template of an archive and writes them to a file.

    The column of the templates is read first, then all rows once, in the order of the file. A
    template is finished and its state let go when its last row has come, so an archive sorted by
    template needs almost no memory, and one in any other order a state per template. Where those
    would take more than `memory`, the templates are done in groups, one pass over the file for each.

    Every half minute the unfinished states go to the folder `OUTPUT.work`; a killed run, given again,
    goes on from there. The folder is removed at the end.

    Args:
        archive: What to fuse.
        fuser: An exact fuser; its answer does not depend on the order of the rows.
        output: `.parquet` (columns template_id, num_images, embedding) or `.npz` (template_ids,
            num_images, embeddings); templates in the order of their first row.
        memory: Bytes for unfinished states.
        progress: Called with (images done, images in all).
        force: Whether an existing output may be replaced.

    Returns:
        What was done.

    Raises:
        UnsupportedOperationError: If the fuser is not exact.
        OutputExistsError: If the output exists and `force` is False.
        EmptySetError: If the archive holds no rows.
        MismatchError: If `OUTPUT.work` belongs to another archive or fuser, or the archive's embedder
            is not the fuser's.
        InvalidInputError: If a row is not valid; the message names it.
    """
    if not fuser.is_exact:
        raise UnsupportedOperationError(
            f"fuser {fuser.name!r}: its templates depend on how images are split into batches, which in "
            f"an archive is an accident. Use an exact fuser."
        )
    output = check_output(output, force=force)
    write_templates = template_writer(output)
    table = scan_templates(archive)
    size = _state_bytes(archive, fuser)
    if memory < size:
        raise ConfigError(f"memory: expected at least {size} bytes, one state, got {memory}.")
    groups = table.groups(max(1, memory // size))
    work = output.with_name(output.name + ".work")
    job = {
        "archive": archive.identity,
        "fuser": fuser.fingerprint,
        "num_templates": table.num_templates,
        "groups": len(groups),
    }
    checkpoint = Checkpoint.open(work, job, num_templates=table.num_templates)
    resumed_at = checkpoint.group * archive.num_images + checkpoint.row
    with checkpoint.vectors(table.num_templates, _dim(archive)) as vectors:
        run = _Run(fuser, archive, table, checkpoint, vectors)
        for group in range(checkpoint.group, len(groups)):
            run.fuse_group(group, groups, progress)
        vectors.flush()
        facts = {"fuser": fuser.fingerprint, "embedder": archive.embedder or fuser.embedder}
        write_templates(table, vectors, facts, force)
    shutil.rmtree(work)
    return ArchiveReport(
        num_images=archive.num_images,
        num_templates=table.num_templates,
        num_passes=len(groups),
        resumed_at=resumed_at,
    )


class _Run:
    """The states of the templates that are not finished, and what happens to them."""

    def __init__(
        self,
        fuser: Fuser,
        archive: Archive,
        table: TemplateTable,
        checkpoint: Checkpoint,
        vectors: npt.NDArray[np.float32],
    ) -> None:
        self.fuser = fuser
        self.archive = archive
        self.table = table
        self.checkpoint = checkpoint
        self.vectors = vectors
        self.states = checkpoint.states
        self.remaining = checkpoint.remaining(table.num_images)

    def fuse_group(
        self,
        group: int,
        groups: list[range],
        progress: Callable[[int, int], None] | None,
    ) -> None:
        """Reads the archive once and fuses the templates of one group."""
        start = self.checkpoint.row if group == self.checkpoint.group else 0
        total = self.archive.num_images * len(groups)
        saved = time.monotonic()
        with_style = self.fuser.style_channels > 0
        for rows in self.archive.rows(start, _ROWS_AT_ONCE, with_style=with_style):
            self._add(rows, groups[group])
            done = rows.start + len(rows.ids)
            if time.monotonic() - saved > _SECONDS_BETWEEN_CHECKPOINTS:
                self.vectors.flush()  # type: ignore[attr-defined]
                self.checkpoint.save(group, done, self.remaining, self.states)
                saved = time.monotonic()
            if progress is not None:
                progress(group * self.archive.num_images + done, total)

    def _add(self, rows: ArchiveRows, group: range) -> None:
        places = self.table.places(rows.ids)
        images = EmbeddingSet(
            embeddings=rows.embeddings,
            style=rows.style,
            embedder=self.archive.embedder,
            origin=f"{self.archive.name}, counted from row {rows.start}",
        )
        self.fuser.check_fits(images)
        chosen = np.flatnonzero((places >= group.start) & (places < group.stop))
        if not len(chosen):
            return
        order = chosen[np.argsort(places[chosen], kind="stable")]
        owners, begins = np.unique(places[order], return_index=True)
        sums = self.fuser.encode_many(images[order], np.append(begins, len(order)))
        self.remaining[owners] -= np.diff(np.append(begins, len(order)))
        finished = []
        for position, owner in enumerate(owners.tolist()):
            part = Sums(*(array[position : position + 1] for array in sums))
            if owner in self.states:
                self.states[owner].add(part, 0)
            else:
                self.states[owner] = Sums(*(array.copy() for array in part))
            if self.remaining[owner] == 0:
                finished.append(owner)
        if finished:
            done = [self.states.pop(owner) for owner in finished]
            whole = Sums(*(np.concatenate(column) for column in zip(*done, strict=True)))
            self.vectors[finished] = self.fuser.finish_many(whole)


def _state_bytes(archive: Archive, fuser: Fuser) -> int:
    """Bytes of one state, found by encoding the first row."""
    rows = _first_row(archive, with_style=fuser.style_channels > 0)
    images = EmbeddingSet(
        embeddings=rows.embeddings, style=rows.style, embedder=archive.embedder, origin=archive.name
    )
    state = fuser.encode(images)
    return int(state.mass.nbytes + state.sums.nbytes + state.style_sums.nbytes)


def _first_row(archive: Archive, *, with_style: bool) -> ArchiveRows:
    return next(iter(archive.rows(0, 1, with_style=with_style)))


def _dim(archive: Archive) -> int:
    return int(_first_row(archive, with_style=False).embeddings.shape[1])
