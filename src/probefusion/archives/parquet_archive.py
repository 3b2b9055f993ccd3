"""An archive as Parquet files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy.typing as npt

from probefusion.archives.archive import Archive, ArchiveRows, identity_of
from probefusion.errors import DtypeError, FileFormatError, ShapeError
from probefusion.extras import import_extra
from probefusion.files.parquet import (
    label_column,
    list_matrix,
    metadata_text,
    open_parquet,
    reading_parquet,
)
from probefusion.files.reading import in_one_line

__all__ = ["ParquetArchive"]

_IDS_AT_ONCE = 1 << 16


class ParquetArchive(Archive):
    """See `probefusion.archives.archive` for the columns.

    Args:
        files: The files, in their order.
        by: Column that says which images belong together.
        name: For messages.

    Raises:
        FileFormatError: If a file is no Parquet file, is a template set, lacks a column, or the files name
            several embedders.
        DtypeError: If a column has another type than is needed, or not the same in all files.
        ShapeError: If the embeddings of the files differ in length.
        MissingExtraError: If pyarrow is not installed.
    """

    def __init__(self, files: Sequence[Path], *, by: str, name: str) -> None:
        self.name = name
        self.files = tuple(files)
        self._by = by
        self.num_images = 0
        embedders = set()
        has_style = []
        types: dict[str, dict[str, str]] = {}
        for path in self.files:
            with open_parquet(path) as file:
                schema = file.schema_arrow
                _refuse_templates(schema, path)
                missing = [column for column in ("embedding", by) if column not in schema.names]
                if missing:
                    raise FileFormatError(
                        f"{path.name}: expected the columns 'embedding' and {by!r}, got "
                        f"{', '.join(schema.names)}. Name the column of the templates with by= (--by)."
                    )
                for column in ("embedding", by, *(["style"] if "style" in schema.names else [])):
                    kind = _kind_of_column(schema.field(column).type, column, by, path.name)
                    types.setdefault(column, {}).setdefault(kind, path.name)
                has_style.append("style" in schema.names)
                self.num_images += file.metadata.num_rows
                embedders.add(metadata_text(schema, "embedder"))
        if len(embedders) > 1 or len(set(has_style)) > 1:
            raise FileFormatError(
                f"{name}: expected files of one embedder, all with style or all without, got "
                f"{sorted(map(str, embedders))}, with style in {sum(has_style)} of {len(files)}."
            )
        _check_same_types(types, name)
        self.embedder = embedders.pop()
        self._has_style = has_style[0]
        self.identity = f"{by};{identity_of(list(self.files))}"

    def ids(self) -> Iterator[npt.NDArray[Any]]:
        """The template of every row, in parts."""
        for _, batch in self._batches(0, _IDS_AT_ONCE, [self._by]):
            yield label_column(batch.column(self._by), self._by, self.name)

    def rows(self, start: int, count: int, *, with_style: bool) -> Iterator[ArchiveRows]:
        """All rows from `start` on, at most `count` at a time."""
        columns = ["embedding", self._by]
        if with_style and self._has_style:
            columns.append("style")
        for begin, batch in self._batches(start, count, columns):
            style = None
            if "style" in columns:
                flat = list_matrix(batch.column("style"), "style", self.name)
                if flat.shape[1] % 2:
                    raise ShapeError(
                        f"style of {self.name}: expected pairs of mean and deviation, got "
                        f"{flat.shape[1]} numbers."
                    )
                style = flat.reshape(len(flat), -1, 2)
            yield ArchiveRows(
                start=begin,
                ids=label_column(batch.column(self._by), self._by, self.name),
                embeddings=list_matrix(batch.column("embedding"), "embedding", self.name),
                style=style,
            )

    def _batches(self, start: int, count: int, columns: list[str]) -> Iterator[tuple[int, Any]]:
        """Row number and record batch, from row `start` on; row groups before it are not read."""
        done = 0
        for path in self.files:
            with open_parquet(path) as file:
                sizes = [
                    file.metadata.row_group(index).num_rows
                    for index in range(file.metadata.num_row_groups)
                ]
                wanted: list[int] = []
                for index, size in enumerate(sizes):
                    if not wanted and done + size <= start:
                        done += size
                    else:
                        wanted.append(index)
                if not wanted:
                    continue
                with reading_parquet(path):
                    for batch in file.iter_batches(count, row_groups=wanted, columns=columns):
                        batch.validate(full=True)
                        skipped = min(max(start - done, 0), batch.num_rows)
                        if skipped < batch.num_rows:
                            yield done + skipped, batch.slice(skipped)
                        done += batch.num_rows


def _refuse_templates(schema: Any, path: Path) -> None:
    """Refuses a template set: its rows are finished templates, not embeddings of images.

    Raises:
        FileFormatError: If the file is one.
    """
    fuser = metadata_text(schema, "fuser")
    if fuser is not None and {"template_id", "num_images"} <= set(schema.names):
        raise FileFormatError(
            f"{in_one_line(path)}: these are finished templates of {fuser}, to which no images can be added. Give the "
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
        if types.is_integer(kind):
            return "integers"
        if types.is_string(kind) or types.is_large_string(kind) or types.is_binary(kind):
            return "texts"
        raise DtypeError(
            f"{in_one_line(file)}: column {by!r}: expected integers or texts, got {kind}."
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
