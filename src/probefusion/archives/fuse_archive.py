"""Fuses an archive that is larger than memory, template by template, and goes on where it stopped."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from probefusion.archives.archive import Archive, ArchiveRows
from probefusion.archives.resume import Checkpoint, VectorFile
from probefusion.archives.screened_templates import (
    NOT_LOOKED_AT,
    ONE_PERSON,
    SEVERAL_PEOPLE,
    ScreenedTemplates,
)
from probefusion.archives.state_store import StateStore
from probefusion.archives.template_table import TemplateTable, scan_templates
from probefusion.errors import ConfigError, UnsupportedOperationError
from probefusion.files import check_name, check_not_input, check_output_file
from probefusion.fusion import Fuser
from probefusion.fusion.contributions import Sums
from probefusion.types import UNIT_TOLERANCE, EmbeddingSet
from probefusion.types.template_files import (
    TemplateColumns,
    check_template_path,
    write_template_file,
)

__all__ = ["ArchiveReport", "fuse_archive"]

_ROWS_AT_ONCE = 2048
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
        fuser: Fingerprint of the fuser.
        num_screened: Templates of which it can be told whether their images are of one person.
        num_not_screened: Templates that were not looked at: it was not wanted, their
            images did not fit the memory, or an interruption came between.
        several_people: Ids of templates that fall apart, as if of several people, each with the share of the weight
            of the lighter part.
    """

    num_images: int
    num_templates: int
    num_passes: int
    resumed_at: int
    fuser: str
    num_screened: int = 0
    num_not_screened: int = 0
    several_people: tuple[tuple[int | str, float], ...] = ()


def fuse_archive(
    archive: Archive,
    fuser: Fuser,
    output: str | Path,
    *,
    memory: int = 150_000_000,
    progress: Callable[[int, int], None] | None = None,
    force: bool = False,
    screening: bool = True,
) -> ArchiveReport:
    """Fuses every template of an archive and writes them to a file.

    The column of the templates is read first, then all rows once, in the order of the file. A
    template is finished and its state let go when its last row has come, so an archive sorted by
    template needs almost no memory, and one in any other order a state per template. Where those
    would take more than `memory`, the templates are done in groups, one pass over the file for each.

    What is written is a `TemplateSet`: load it with `TemplateSet.load`. Ids keep the type that they
    have in the archive.

    Every half minute the unfinished states go to the folder `OUTPUT.work`; a killed run, given again,
    goes on from there. The folder is removed at the end.

    Args:
        archive: What to fuse.
        fuser: An exact fuser; its answer does not depend on the order of the rows.
        output: `.parquet` or `.npz`; templates in the order of their first row.
        memory: Bytes for unfinished states, and as many for images that are kept for screening.
        progress: Called with (images done, images in all).
        force: Whether an existing output may be replaced.
        screening: Whether to look if the images of each template are of one person; up to 16 of each are looked at,
            which takes a few milliseconds a template.

    Returns:
        What was done.

    Raises:
        UnsupportedOperationError: If the fuser is not exact.
        OutputExistsError: If the output exists and `force` is False.
        EmptySetError: If the archive holds no rows.
        MismatchError: If `OUTPUT.work` belongs to another archive or fuser, or the archive's embedder
            is not the fuser's, or not known where the fuser was made for one.
        MissingNormsError: If the fuser weighs by length and the first rows are all of length 1.
        InvalidInputError: If a row is not valid; the message names it.
    """
    if not fuser.is_exact:
        raise UnsupportedOperationError(
            f"fuser {fuser.name!r}: its templates depend on how images are split into batches, which in "
            f"an archive is an accident. Use an exact fuser."
        )
    output = check_template_path(check_output_file(output, force=force))
    check_not_input(output, archive.files)
    check_name(output.with_name(output.name + ".work"))
    table = scan_templates(archive)
    norms_known = _has_lengths(archive)
    one = _one_state(archive, fuser, norms_known)
    size = sum(array.nbytes for array in one)
    if memory < size:
        raise ConfigError(f"memory: expected at least {size} bytes, one state, got {memory}.")
    capacity = min(memory // size, table.num_templates)
    groups = table.groups(capacity)
    store = StateStore(min(capacity, table.most_open), table.num_templates, one)
    work = output.with_name(output.name + ".work")
    job = {
        "archive": archive.identity,
        "fuser": fuser.fingerprint,
        "num_templates": table.num_templates,
        "groups": [len(group) for group in groups[:1]] + [len(groups)],
    }
    screened = ScreenedTemplates(table.num_images, fuser, memory if screening else 0)
    checkpoint = Checkpoint.open(
        work, job, store=store, num_images=table.num_images, screened=screened
    )
    resumed_at = checkpoint.group * archive.num_images + checkpoint.row
    vectors = checkpoint.vectors(table.num_templates, one.sums.shape[2])
    run = _Run(fuser, archive, table, checkpoint, store, vectors, norms_known, screened)
    try:
        for group in range(checkpoint.group, len(groups)):
            run.fuse_group(group, groups, progress)
    finally:
        vectors.close()
    del run, store
    columns = TemplateColumns(
        ids=np.array(table.ids),
        num_images=table.num_images,
        vectors=vectors.read(),
        fuser=fuser.fingerprint,
        embedder=archive.embedder,
    )
    write_template_file(output, columns, force=force)
    shutil.rmtree(work)
    return ArchiveReport(
        num_images=archive.num_images,
        num_templates=table.num_templates,
        num_passes=len(groups),
        resumed_at=resumed_at,
        fuser=fuser.fingerprint,
        num_screened=int(np.isin(screened.verdicts, (ONE_PERSON, SEVERAL_PEOPLE)).sum()),
        num_not_screened=int((screened.verdicts == NOT_LOOKED_AT).sum()),
        several_people=tuple(
            (table.ids[row], round(float(screened.lighter[row]), 4))
            for row in np.flatnonzero(screened.verdicts == SEVERAL_PEOPLE).tolist()
        ),
    )


class _Run:
    """The states of the templates that are not finished, and what happens to them."""

    def __init__(
        self,
        fuser: Fuser,
        archive: Archive,
        table: TemplateTable,
        checkpoint: Checkpoint,
        store: StateStore,
        vectors: VectorFile,
        norms_known: bool,
        screened: ScreenedTemplates,
    ) -> None:
        self.screened = screened
        self.fuser = fuser
        self.archive = archive
        self.table = table
        self.checkpoint = checkpoint
        self.store = store
        self.vectors = vectors
        self.norms_known = norms_known
        self.remaining = checkpoint.remaining

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
                self.vectors.flush()
                self.checkpoint.save(
                    group, done, self.remaining, self.store, self.vectors, self.screened
                )
                saved = time.monotonic()
            if progress is not None:
                progress(group * self.archive.num_images + done, total)

    def _add(self, rows: ArchiveRows, group: range) -> None:
        places = self.table.places(rows.ids)
        embeddings, style = rows.embeddings, rows.style
        chosen = np.flatnonzero((places >= group.start) & (places < group.stop))
        if group.start > 0:  # every row was checked when the first group was done
            if not len(chosen):
                return
            places, embeddings = places[chosen], embeddings[chosen]
            style = None if style is None else style[chosen]
            chosen = np.arange(len(chosen))
        images = EmbeddingSet(
            embeddings=embeddings,
            style=style,
            embedder=self.archive.embedder,
            norms_known=self.norms_known,
            origin=f"{self.archive.name}, counted from row {rows.start}",
        )
        if not len(chosen):
            return
        order = chosen[np.argsort(places[chosen], kind="stable")]
        owners, begins = np.unique(places[order], return_index=True)
        ordered, borders = images[order], np.append(begins, len(order))
        sums = self.fuser.encode_many(ordered, borders)
        self.screened.add(ordered, owners, borders.tolist(), self.remaining)
        self.remaining[owners] -= np.diff(borders)
        ends = self.remaining[owners] == 0
        if ends.any():
            whole = self.store.take(owners[ends]).add(Sums(*(part[ends] for part in sums)), 0)
            self.vectors.write(owners[ends], self.fuser.finish_many(whole))
        self.store.add(owners[~ends], Sums(*(part[~ends] for part in sums)))


def _has_lengths(archive: Archive) -> bool:
    """Whether the lengths of an archive's embeddings are the network's own, by its first rows together.

    One row, or a small part, may be of length 1 by chance.
    """
    rows = next(iter(archive.rows(0, _ROWS_AT_ONCE, with_style=False)))
    lengths = np.linalg.norm(rows.embeddings.astype(np.float64), axis=-1)
    return not bool((np.abs(lengths - 1) <= UNIT_TOLERANCE).all())


def _one_state(archive: Archive, fuser: Fuser, norms_known: bool) -> Sums:
    """The state of the first row, for its sizes."""
    rows = next(iter(archive.rows(0, 1, with_style=fuser.style_channels > 0)))
    images = EmbeddingSet(
        embeddings=rows.embeddings,
        style=rows.style,
        embedder=archive.embedder,
        norms_known=norms_known,
        origin=archive.name,
    )
    return fuser.encode_many(images, (0, 1))
