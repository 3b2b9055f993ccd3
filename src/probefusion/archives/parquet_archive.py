"""An archive as Parquet files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy.typing as npt

from probefusion.archives.archive import Archive, ArchiveRows, identity_of
from probefusion.errors import FileFormatError, ShapeError
from probefusion.parquet import (
    label_column,
    list_matrix,
    metadata_text,
    open_parquet,
    reading_parquet,
)

__all__ = ["ParquetArchive"]

_IDS_AT_ONCE = 1 << 16


class ParquetArchive(Archive):
    """See `probefusion.archives.archive` for the columns.

    Args:
        files: The files, in their order.
        by: Column that says which images belong together.
        name: For messages.

    Raises:
        FileFormatError: If a file is no Parquet file, lacks a column, or the files name several embedders.
        MissingExtraError: If pyarrow is not installed.
    """

    def __init__(self, files: Sequence[Path], *, by: str, name: str) -> None:
        self.name = name
        self._files = list(files)
        self._by = by
        self.num_images = 0
        embedders = set()
        has_style = []
        for path in self._files:
            with open_parquet(path) as file:
                schema = file.schema_arrow
                missing = [column for column in ("embedding", by) if column not in schema.names]
                if missing:
                    raise FileFormatError(
                        f"{path.name}: expected the columns 'embedding' and {by!r}, got "
                        f"{', '.join(schema.names)}. Name the column of the templates with by= (--by)."
                    )
                has_style.append("style" in schema.names)
                self.num_images += file.metadata.num_rows
                embedders.add(metadata_text(schema, "embedder"))
        if len(embedders) > 1 or len(set(has_style)) > 1:
            raise FileFormatError(
                f"{name}: expected files of one embedder, all with style or all without, got "
                f"{sorted(map(str, embedders))}, with style in {sum(has_style)} of {len(files)}."
            )
        self.embedder = embedders.pop()
        self._has_style = has_style[0]
        self.identity = f"{by};{identity_of(self._files)}"

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
        for path in self._files:
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
