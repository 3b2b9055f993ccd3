"""Settles how an archive is fused, by what its first rows and some others look like."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from probefusion.archives.fusing.reducing import bytes_a_person
from probefusion.archives.manifest import RunSettings, buckets_for
from probefusion.archives.partials.encoding import are_unit, one_thread
from probefusion.archives.partials.sampling import MOST_LOOKED_AT
from probefusion.archives.rows.archive import UNREADABLE, Archive, ArchiveRows
from probefusion.archives.rows.ids import as_stored
from probefusion.errors import EmptySetError
from probefusion.files.reading import in_one_line
from probefusion.fusion import Fuser
from probefusion.types import EmbeddingSet

__all__ = ["settings_for"]

_FIRST_ROWS = 2048
_CHUNK_BYTES = 16 << 20
_FEWEST_ROWS, _MOST_ROWS = 1024, 65_536
_PLACES = 16
_IDS_AT_A_PLACE = 8192


def settings_for(
    archive: Archive,
    fuser: Fuser,
    *,
    memory: int,
    screening: bool,
    like: RunSettings | None = None,
) -> RunSettings:
    """What partial results shall look like.

    Args:
        archive: Not empty.
        fuser: An exact fuser.
        memory: Bytes of a worker for states and rows that are looked at.
        screening: Whether rows are looked at.
        like: Settings of states that are added to, or of an interrupted run: what the first rows alone would tell is
            taken from there, as other rows came first then.

    Raises:
        ProbeFusionError: If the fuser cannot take the first rows.
        FileFormatError, StorageError: If no file can be read.
    """
    name, rows = _first_rows(archive)
    norms_known = archive.norms_known
    if norms_known is None:
        norms_known = not are_unit(rows.embeddings)
    images = EmbeddingSet(
        embeddings=rows.embeddings,
        style=rows.style,
        quality=rows.quality,
        embedder=archive.embedder,
        norms_known=norms_known,
        origin=f"{in_one_line(name)}, counted from row 0",
    )
    state = one_thread(fuser).encode_many(images[:1], (0, 1))
    _, clusters, dim = state.sums.shape
    style_width = state.style_sums.shape[2]
    row_bytes = sum(
        array[:1].nbytes
        for array in (rows.embeddings, rows.style, rows.quality)
        if array is not None
    )
    state_bytes = 8 * clusters * (1 + dim + style_width)
    rows_up_to = state_bytes // row_bytes
    chunk_rows = min(max(_CHUNK_BYTES // row_bytes, _FEWEST_ROWS), _MOST_ROWS)
    settings = RunSettings(
        by=archive.reader.by,
        id_kind=archive.id_kind,
        fuser=fuser.fingerprint,
        embedder=archive.embedder,
        norms_known=norms_known,
        screening=screening,
        num_clusters=clusters,
        dim=dim,
        style_width=style_width,
        row_bytes=row_bytes,
        rows_up_to=max(rows_up_to, MOST_LOOKED_AT) if screening else rows_up_to,
        chunk_rows=chunk_rows,
        num_buckets=1,
        norms_seen=archive.norms_known is None,
    )
    if like is not None:
        return replace(
            settings,
            norms_known=like.norms_known,
            norms_seen=like.norms_seen,
            row_bytes=like.row_bytes,
            rows_up_to=like.rows_up_to,
            chunk_rows=like.chunk_rows,
            num_buckets=like.num_buckets,
        )
    num_buckets = buckets_for(_people_expected(archive), bytes_a_person(settings), memory)
    return replace(settings, num_buckets=num_buckets)


def _first_rows(archive: Archive) -> tuple[str, ArchiveRows]:
    """The first file that can be read, and its first rows."""
    problem: Exception | None = None
    columns = frozenset({"embedding", "style", "quality"})
    for file in archive.files:
        try:
            stop = min(_FIRST_ROWS, file.num_rows)
            parts = archive.reader.parts(file.place, 0, stop, stop, columns)
            start, part = next(parts)
        except UNREADABLE as error:
            problem = problem or error
            continue
        return file.name, archive.reader.decoded(start, part, file.name)
    raise problem or EmptySetError(f"archive {archive.name} holds no rows.")


def _people_expected(archive: Archive) -> int:
    """How many people there may be, by the ids at a few places: no more than sets the number of buckets.

    How many ids came once and twice tells how many did not come (Chao's estimate), unless those of one person stand
    together.
    """
    parts = []
    steps = np.linspace(0, len(archive.files) - 1, _PLACES).astype(int)
    for number, count in zip(*np.unique(steps, return_counts=True), strict=True):
        file = archive.files[number]
        for place in range(count):
            start = file.num_rows * place // int(count)
            stop = min(start + _IDS_AT_A_PLACE, file.num_rows)
            parts.append(_ids_at(archive, int(number), start, stop))
    ids = [part for part in parts if len(part)]
    if not ids:
        return archive.num_images
    neighbours = np.mean([np.mean(part[1:] == part[:-1]) if len(part) > 1 else 0 for part in ids])
    whole = np.concatenate(ids)
    _, counts = np.unique(whole, return_counts=True)
    if neighbours > 0.5:
        return min(archive.num_images, len(counts) * archive.num_images // len(whole))
    once, twice = int((counts == 1).sum()), int((counts == 2).sum())
    return min(archive.num_images, len(counts) + once**2 // (2 * max(twice, 1)))


def _ids_at(archive: Archive, number: int, start: int, stop: int) -> npt.NDArray[np.generic]:
    file = archive.files[number]
    try:
        parts = archive.reader.parts(file.place, start, stop, stop - start, frozenset())
        begin, part = next(parts)
    except UNREADABLE:  # the task that maps it tells
        return np.zeros(0, np.int64)
    return as_stored(archive.reader.decoded(begin, part, file.name).ids, archive.id_kind, file.name)
