"""An archive as Parquet files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from probefusion.archives.files.storage import StoredFile, is_url, open_file, stored_file
from probefusion.archives.rows.archive import (
    UNREADABLE,
    Archive,
    ArchiveFile,
    ArchiveRows,
    FailedFile,
)
from probefusion.archives.rows.forward_reading import ForwardReading
from probefusion.archives.rows.ids import LONGEST_ID
from probefusion.errors import DtypeError, FileFormatError, ShapeError
from probefusion.extras import import_extra
from probefusion.files.parquet import (
    label_column,
    list_matrix,
    metadata_text,
    open_parquet,
    open_parquet_stream,
)
from probefusion.files.reading import in_one_line, reason_of
from probefusion.types.revisions import remedy_for_pair

__all__ = ["ParquetReader", "open_parquet_archive", "open_stored_parquet"]

_OPTIONAL = ("style", "quality")


@contextmanager
def open_stored_parquet(place: str, size: int | None = None) -> Iterator[Any]:
    """The Parquet file at a path or url, a `pyarrow.parquet.ParquetFile`.

    Args:
        place: Path or url.
        size: Its bytes, where they are known; a store need not be asked then.

    Raises:
        MissingFileError, FileFormatError, StorageError: If it cannot be read.
        MissingExtraError: If pyarrow is not installed.
    """
    if not is_url(place):
        with open_parquet(Path(place)) as file:
            yield file
        return
    size = stored_file(place).size if size is None else size
    with open_file(place) as stream, open_parquet_stream(stream, place, size=size) as file:
        yield file


@dataclass(frozen=True, kw_only=True)
class ParquetReader:
    """Reads ranges of rows of Parquet files.

    A row group can be decoded from its front only. So a file stays open where a range ends inside of a group, and the
    range that follows goes on there: whoever reads a group in parts decodes it once. No such place travels to workers.

    Args:
        by: Column that says which images belong together.
        optional: Of "style" and "quality", those that the files have.
    """

    by: str
    optional: frozenset[str]
    _left: list[ForwardReading] = field(default_factory=list, init=False, repr=False, compare=False)

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(ParquetReader, by=self.by, optional=self.optional), ()

    def parts(
        self, place: str, start: int, stop: int, count: int, columns: frozenset[str]
    ) -> Iterator[tuple[int, Any]]:
        """See `probefusion.archives.rows.archive.RowReader`; row groups outside are not read."""
        wanted = (self.by, *sorted((columns & self.optional) | (columns & {"embedding", "source"})))
        try:
            found = self._left.pop()  # another thread may have it
        except IndexError:
            found = None
        if found is not None and not found.goes_on(place, start, count, wanted):
            found.close()
            found = None
        if found is None:
            found = ForwardReading(open_stored_parquet, place, count, wanted)
        try:
            yield from found.rows(start, stop)
        except BaseException:
            found.close()
            raise
        if found.is_inside and not self._left:
            self._left.append(found)
        else:
            found.close()

    def decoded(self, start: int, part: Any, name: str) -> ArchiveRows:
        """See `probefusion.archives.rows.archive.RowReader`."""
        present = part.schema.names
        embeddings: Any = np.zeros((part.num_rows, 0), np.float32)
        if "embedding" in present:
            embeddings = list_matrix(part.column("embedding"), "embedding", name)
        style = quality = None
        if "style" in present:
            flat = list_matrix(part.column("style"), "style", name)
            if flat.shape[1] % 2:
                raise ShapeError(
                    f"style of {name}: expected pairs of mean and deviation, got {flat.shape[1]} numbers."
                )
            style = flat.reshape(len(flat), -1, 2)
        if "quality" in present:
            column = part.column("quality")
            if column.null_count:
                raise FileFormatError(
                    f"{in_one_line(name)}: column 'quality' has {column.null_count} missing values."
                )
            quality = np.asarray(column.to_numpy(zero_copy_only=False))
        return ArchiveRows(
            start=start,
            ids=label_column(
                part.column(self.by), self.by, name, longest=LONGEST_ID, first_row=start
            ),
            embeddings=embeddings,
            style=style,
            quality=quality,
            sources=_texts(part.column("source"), name) if "source" in present else None,
        )


def _texts(column: Any, name: str) -> npt.NDArray[np.object_]:
    """A column of texts as objects, each of its own length: names of images may be long.

    Raises:
        FileFormatError: If values are missing.
        DtypeError: If it holds something else.
    """
    if len(column):
        label_column(column.slice(0, 1), "source", name)
    if column.null_count:
        raise FileFormatError(
            f"{in_one_line(name)}: column 'source' has {column.null_count} missing values."
        )
    found: npt.NDArray[np.object_] = np.empty(len(column), object)
    found[:] = [str(text) for text in column.to_pylist()]
    return found


class _Footer(NamedTuple):
    """What the end of a file says."""

    group_rows: tuple[int, ...]
    kinds: dict[str, str]
    embedder: str | None
    norms_known: str | None


def open_parquet_archive(files: Sequence[StoredFile], *, by: str, name: str, place: str) -> Archive:
    """Opens Parquet files as one archive; those that cannot be read are left out and named.

    Args:
        files: The files, in their order.
        by: Column that says which images belong together.
        name: For messages.
        place: Path or url of the archive.

    Raises:
        FileFormatError: If no file can be read, or one is a template set, lacks a column, or the files name
            several embedders.
        DtypeError: If a column has another type than is needed, or not the same in all files.
        ShapeError: If the embeddings of the files differ in length.
        MissingExtraError: If pyarrow is not installed.
    """
    import_extra("pyarrow.parquet", extra="data", purpose="reading Parquet files")
    found: list[ArchiveFile] = []
    failed: list[FailedFile] = []
    first_error: Exception | None = None
    embedders: set[str | None] = set()
    lengths: set[str | None] = set()
    types: dict[str, dict[str, str]] = {}
    counts = dict.fromkeys(_OPTIONAL, 0)
    for file in files:
        try:
            with open_stored_parquet(file.place, file.size or None) as opened:
                schema, metadata = opened.schema_arrow, opened.metadata
        except UNREADABLE as error:
            first_error = first_error or error
            failed.append(FailedFile(name=file.name, reason=reason_of(error)))
            continue
        footer = _read_footer(schema, metadata, file.name, by)
        for column, kind in footer.kinds.items():
            types.setdefault(column, {}).setdefault(kind, file.name)
            if column in counts:
                counts[column] += 1
        embedders.add(footer.embedder)
        lengths.add(footer.norms_known)
        found.append(
            ArchiveFile(
                name=file.name,
                place=file.place,
                size=file.size,
                tag=file.tag,
                num_rows=sum(footer.group_rows),
                group_rows=footer.group_rows,
            )
        )
    if first_error is not None and not found:
        raise first_error
    if len(embedders) > 1 or any(count not in (0, len(found)) for count in counts.values()):
        told = ", ".join(
            f"with {column} in {count} of {len(found)}" for column, count in counts.items()
        )
        names = sorted(map(str, embedders))
        step = f" {remedy_for_pair(names[0], names[1], '')}" if len(names) > 1 else ""
        raise FileFormatError(
            f"{name}: expected files of one embedder, all with style and quality or all without, got "
            f"{names}, {told}.{step.rstrip()}"
        )
    _check_same_types(types, name)
    return Archive(
        name=name,
        place=place,
        embedder=embedders.pop(),
        files=tuple(file for file in found if file.num_rows),
        failed_files=tuple(failed),
        reader=ParquetReader(
            by=by, optional=frozenset(column for column, count in counts.items() if count)
        ),
        id_kind=next(iter(types[by])),
        norms_known=False if "false" in lengths else True if lengths == {"true"} else None,
    )


def _read_footer(schema: Any, metadata: Any, name: str, by: str) -> _Footer:
    _refuse_templates(schema, name)
    missing = [column for column in ("embedding", by) if column not in schema.names]
    if missing:
        raise FileFormatError(
            f"{in_one_line(name)}: expected the columns 'embedding' and {by!r}, got "
            f"{', '.join(schema.names)}. Name the column of the templates with by= (--by)."
        )
    doubled = [column for column in ("embedding", by, *_OPTIONAL) if schema.names.count(column) > 1]
    if doubled:
        raise FileFormatError(
            f"{in_one_line(name)}: expected one column {doubled[0]!r}, got {schema.names.count(doubled[0])}. Write the "
            f"file with one."
        )
    present = ["embedding", by, *(column for column in _OPTIONAL if column in schema.names)]
    return _Footer(
        tuple(metadata.row_group(index).num_rows for index in range(metadata.num_row_groups)),
        {
            column: _kind_of_column(schema.field(column).type, column, by, name)
            for column in present
        },
        metadata_text(schema, "embedder"),
        metadata_text(schema, "norms_known"),
    )


def _refuse_templates(schema: Any, name: str) -> None:
    """Refuses a template set: its rows are finished templates, not embeddings of images.

    Raises:
        FileFormatError: If the file is one.
    """
    fuser = metadata_text(schema, "fuser")
    if fuser is not None and {"template_id", "num_images"} <= set(schema.names):
        raise FileFormatError(
            f"{in_one_line(name)}: these are finished templates of {fuser}, to which no images can be added. Give the "
            f"embeddings that they were made of."
        )


def _kind_of_column(kind: Any, column: str, by: str, file: str) -> str:
    """The type of a column in words that are the same where files fit together.

    Raises:
        DtypeError: If it cannot hold what the column must.
    """
    types = import_extra("pyarrow.types", extra="data", purpose="reading Parquet files")
    if types.is_dictionary(kind):
        kind = kind.value_type
    if column == by:
        if types.is_uint64(kind):
            return "large integers"
        if types.is_integer(kind):
            return "integers"
        if types.is_string(kind) or types.is_large_string(kind) or types.is_binary(kind):
            return "texts"
        raise DtypeError(
            f"{in_one_line(file)}: column {column!r}: expected integers or texts, got {kind}."
        )
    if column == "quality":
        if types.is_floating(kind):
            return "numbers"
        raise DtypeError(
            f"{in_one_line(file)}: column {column!r}: expected floating-point numbers, got {kind}."
        )
    is_list = types.is_fixed_size_list(kind) or types.is_list(kind) or types.is_large_list(kind)
    inner = kind.value_type if is_list else None
    while inner is not None and column == "style" and hasattr(inner, "value_type"):
        inner = inner.value_type
    if inner is None or not types.is_floating(inner):
        raise DtypeError(
            f"{in_one_line(file)}: column {column!r}: expected lists of floating-point numbers, got {kind}."
        )
    return f"lists of {kind.list_size}" if types.is_fixed_size_list(kind) else "lists"


def _check_same_types(types: dict[str, dict[str, str]], name: str) -> None:
    """Refuses files whose columns do not fit together; lists of any length fit those of one length.

    Raises:
        DtypeError: If ids are integers in one file and texts in another.
        ShapeError: If lists have different lengths.
    """
    for column, kinds in types.items():
        fixed = {kind: file for kind, file in kinds.items() if kind != "lists"}
        if len(fixed) < 2:
            continue
        told = ", ".join(f"{kind} in {file}" for kind, file in fixed.items())
        error = ShapeError if all(kind.startswith("lists of") for kind in fixed) else DtypeError
        raise error(f"{name}: column {column!r}: expected the same in all files, got {told}.")
