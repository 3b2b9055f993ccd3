"""The Parquet file that a chunk becomes: a row for each image, and in its metadata what became of the others.

Columns: `subject_id` and `template_id`, whose image it is; `media_id`, the still or clip that it comes from; `source`,
its name below the archive's root; `embedding`, D numbers, length kept; `style`, 2C numbers (mean and deviation of
channel 0, of channel 1, ...), where the embedder gives it; `quality`, logarithm of the image's weight, where it was
judged; `detector_score`, where faces were detected.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from probefusion.archives.files.storage import Place, join, list_files, open_file, writing
from probefusion.archives.images.chunks import ArchiveImage
from probefusion.archives.images.known_images import (
    KnownImage,
    known_of,
    known_text,
    name_digest,
)
from probefusion.errors import FileFormatError, NonFiniteError
from probefusion.extras import import_extra
from probefusion.faces.listing import SkippedImage
from probefusion.files.parquet import metadata_text, reading_parquet
from probefusion.files.reading import in_one_line, reading
from probefusion.types import EmbeddingSet

__all__ = [
    "ChunkFacts",
    "RowFormat",
    "read_facts",
    "read_known",
    "read_used",
    "skipped_images",
    "write_chunk",
]

_FACTS = "probefusion_chunk"
_NAMES = "probefusion_names"
_ROWS_OF_A_GROUP = 1024
_PURPOSE = "writing Parquet files"


@dataclass(frozen=True, kw_only=True)
class RowFormat:
    """What the rows of all chunks look like.

    Args:
        embedder: Fingerprint of the embedder.
        dim: Numbers of an embedding.
        style_channels: Channels of style, 0 for none.
        has_quality: Whether crops are judged.
        has_scores: Whether faces are detected.
        norms_known: Whether embeddings come with their own length.
        dtype: "float16" or "float32", of embedding and style.
    """

    embedder: str
    dim: int
    style_channels: int
    has_quality: bool
    has_scores: bool
    norms_known: bool
    dtype: str = "float16"

    def schema(self) -> Any:
        """The `pyarrow.Schema`."""
        arrow = import_extra("pyarrow", extra="data", purpose=_PURPOSE)
        number = arrow.float16() if self.dtype == "float16" else arrow.float32()
        texts = ("subject_id", "template_id", "media_id", "source")
        fields = [arrow.field(name, arrow.string(), nullable=False) for name in texts]
        fields.append(arrow.field("embedding", arrow.list_(number, self.dim)))
        if self.style_channels:
            fields.append(arrow.field("style", arrow.list_(number, 2 * self.style_channels)))
        if self.has_quality:
            fields.append(arrow.field("quality", arrow.float32()))
        if self.has_scores:
            fields.append(arrow.field("detector_score", arrow.float32()))
        return arrow.schema(fields)


@dataclass(frozen=True, kw_only=True)
class ChunkFacts:
    """What became of the images of a chunk.

    Args:
        number: Which chunk.
        tag: The chunk's tag when it was done.
        num_rows: Images embedded.
        skipped: The others, with the reason.
        doubtful: Images embedded that are doubtful, by kind: "turned" (and put upright), "several faces" of about one
            size (the largest was taken), "unsure", "tiny", "cut off".
        examples: Names of some of them by kind.
    """

    number: int
    tag: str = ""
    num_rows: int = 0
    skipped: tuple[SkippedImage, ...] = ()
    doubtful: Mapping[str, int] = field(default_factory=Counter)
    examples: Mapping[str, Sequence[str]] = field(default_factory=dict)


def write_chunk(
    place: Place,
    rows: RowFormat,
    parts: Sequence[tuple[Sequence[ArchiveImage], EmbeddingSet]],
    facts: ChunkFacts,
    *,
    names: Sequence[str] = (),
    marks: bytes = b"",
) -> None:
    """Writes a chunk's file; it appears whole.

    Args:
        place: Where.
        rows: What rows look like.
        parts: The images of each part, in order, and their embeddings.
        facts: What became of the images; goes to the metadata.
        names: Of the single images or clips that it is made of; digests of them go to the metadata.
        marks: As for `probefusion.archives.images.chunks.Chunk`.

    Raises:
        NonFiniteError: If a number is too large for half precision.
        OSError, StorageError: As for `probefusion.archives.files.storage.writing`.
    """
    arrow = import_extra("pyarrow", extra="data", purpose=_PURPOSE)
    parquet = import_extra("pyarrow.parquet", extra="data", purpose=_PURPOSE)
    schema = rows.schema()
    columns = _columns(arrow, schema, rows, parts)
    metadata = {
        "embedder": rows.embedder,
        "norms_known": json.dumps(rows.norms_known),
        _FACTS: json.dumps({**asdict(facts), "num_rows": sum(len(p[0]) for p in parts)}),
    }
    if names:
        metadata[_NAMES] = known_text(names, marks)
    table = arrow.Table.from_arrays(columns, schema=schema.with_metadata(metadata))
    texts = ["subject_id", "template_id", "media_id", "source"]
    with writing(place) as stream:
        parquet.write_table(
            table,
            stream,
            row_group_size=_ROWS_OF_A_GROUP,
            compression="zstd",
            compression_level=1,
            use_dictionary=texts[:3],
            write_statistics=texts[:2],
        )


def _columns(
    arrow: Any,
    schema: Any,
    rows: RowFormat,
    parts: Sequence[tuple[Sequence[ArchiveImage], EmbeddingSet]],
) -> list[Any]:
    images = [image for part, _ in parts for image in part]
    sets = [embedded for _, embedded in parts]
    subjects = arrow.array([image.subject_id for image in images], arrow.string())
    found = [
        subjects,
        subjects,
        arrow.array([image.media_id for image in images], arrow.string()),
        arrow.array([image.source for image in images], arrow.string()),
        _lists(arrow, [each.embeddings for each in sets], rows.dim, rows.dtype, images),
    ]
    if rows.style_channels:
        styles = [np.asarray(each.style).reshape(len(each), -1) for each in sets]
        found.append(_lists(arrow, styles, 2 * rows.style_channels, rows.dtype, images))
    if rows.has_quality:
        found.append(_numbers(arrow, [each.quality for each in sets]))
    if rows.has_scores:
        found.append(_numbers(arrow, [each.detector_scores for each in sets]))
    return [column.cast(kind.type) for column, kind in zip(found, schema, strict=True)]


def _lists(
    arrow: Any,
    parts: Sequence[npt.NDArray[np.float32]],
    width: int,
    dtype: str,
    images: Sequence[ArchiveImage],
) -> Any:
    wide = np.concatenate(parts) if parts else np.zeros((0, width), np.float32)
    with np.errstate(over="ignore"):
        values = wide.astype(dtype)
    broken = np.flatnonzero(~np.isfinite(values).all(axis=1))
    if len(broken):
        name = in_one_line(images[int(broken[0])].source)
        raise NonFiniteError(
            f"{name}: a number of its embedding or style, {np.abs(wide[broken[0]]).max():g}, is too large for half "
            f"precision (65504). Write single precision: --float32 (dtype='float32')."
        )
    return arrow.FixedSizeListArray.from_arrays(arrow.array(values.reshape(-1)), width)


def _numbers(arrow: Any, parts: Sequence[npt.NDArray[np.float32] | None]) -> Any:
    known = [part for part in parts if part is not None]
    return arrow.array(np.concatenate(known) if known else np.zeros(0, np.float32))


def read_facts(place: Place) -> ChunkFacts:
    """What the file of a chunk says became of its images; `num_rows` are those that it holds.

    Raises:
        FileFormatError: If it is no such file.
        MissingFileError, StorageError: If it cannot be read.
    """
    with _opened(place) as file:
        text, num_rows = metadata_text(file.schema_arrow, _FACTS), file.metadata.num_rows
    if text is None:
        raise FileFormatError(
            f"{place}: expected a file that embed-archive wrote, its metadata has no {_FACTS!r}. Name another output "
            f"folder, or begin anew with --force (force=True)."
        )
    return replace(_facts_of(text, str(place)), num_rows=num_rows)


def read_known(place: Place) -> list[KnownImage]:
    """The single images or clips that a chunk's file is made of, by digests, in order.

    Raises:
        ProbeFusionError: As for `read_facts`.
    """
    with _opened(place) as file:
        text = metadata_text(file.schema_arrow, _NAMES)
    return known_of(text or "", str(place))


def read_used(place: Place) -> frozenset[bytes]:
    """Digests of the names of stills and clips that have rows in a chunk's file.

    Raises:
        ProbeFusionError: As for `read_facts`.
    """
    with _opened(place) as file, reading_parquet(str(place)):
        column = file.read(columns=["media_id"]).column("media_id")
        return frozenset(map(name_digest, column.unique().to_pylist()))


@contextmanager
def _opened(place: Place) -> Iterator[Any]:
    parquet = import_extra("pyarrow.parquet", extra="data", purpose="reading Parquet files")
    with (
        open_file(place) as stream,
        reading_parquet(str(place)),
        parquet.ParquetFile(stream, pre_buffer=False) as file,
    ):
        yield file


def _facts_of(text: str, origin: str) -> ChunkFacts:
    with reading(origin, "what became of its images"):
        content = json.loads(text)
        skipped = tuple(SkippedImage(**each) for each in content.pop("skipped"))
        return ChunkFacts(**content, skipped=skipped)


def skipped_images(archive: Place) -> Iterator[SkippedImage]:
    """Every image that was left out of an archive that `embed_archive` wrote, chunk by chunk.

    Args:
        archive: Its folder or url.

    Raises:
        ProbeFusionError: As for `read_facts`.
    """
    for file in list_files(archive, suffixes=(".parquet",)):
        yield from read_facts(join(archive, file.name)).skipped
