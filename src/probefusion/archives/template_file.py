"""Files of many templates: Parquet or `.npz`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from probefusion.archives.template_table import TemplateTable
from probefusion.errors import FileFormatError
from probefusion.extras import import_extra
from probefusion.files import replace_file, write_npz

__all__ = ["template_writer"]

_ROWS_AT_ONCE = 8192

Facts = Mapping[str, str | None]
Writer = Callable[[TemplateTable, npt.NDArray[np.float32], Facts, bool], None]


def template_writer(path: Path) -> Writer:
    """The function that writes templates to a file of this name.

    Raises:
        FileFormatError: If the ending is neither .parquet nor .npz.
        MissingExtraError: If pyarrow is needed and not installed.
    """
    suffix = path.suffix.lower()
    if suffix == ".npz":
        return lambda table, vectors, facts, force: _write_npz(path, table, vectors, facts, force)
    if suffix == ".parquet":
        import_extra("pyarrow.parquet", extra="data", purpose="writing Parquet files")
        return lambda table, vectors, facts, force: _write_parquet(
            path, table, vectors, facts, force
        )
    raise FileFormatError(
        f"output {path.name!r}: expected the ending .parquet or .npz, got {path.suffix!r}."
    )


def _write_npz(
    path: Path,
    table: TemplateTable,
    vectors: npt.NDArray[np.float32],
    facts: Facts,
    force: bool,
) -> None:
    arrays: dict[str, Any] = {
        "template_ids": np.array(table.ids),
        "num_images": table.num_images,
        "embeddings": vectors,
        **facts,
    }
    write_npz(path, kind="templates", version=1, arrays=arrays, force=force)


def _write_parquet(
    path: Path,
    table: TemplateTable,
    vectors: npt.NDArray[np.float32],
    facts: Facts,
    force: bool,
) -> None:
    arrow = import_extra("pyarrow", extra="data", purpose="writing Parquet files")
    parquet = import_extra("pyarrow.parquet", extra="data", purpose="writing Parquet files")
    dim = vectors.shape[1]
    ids = arrow.array(table.ids)
    schema = arrow.schema(
        [
            ("template_id", ids.type),
            ("num_images", arrow.int64()),
            ("embedding", arrow.list_(arrow.float32(), dim)),
        ],
        metadata={key: value for key, value in facts.items() if value is not None},
    )
    with replace_file(path, force=force) as stream, parquet.ParquetWriter(stream, schema) as writer:
        for start in range(0, table.num_templates, _ROWS_AT_ONCE):
            part = slice(start, start + _ROWS_AT_ONCE)
            flat = arrow.array(np.ascontiguousarray(vectors[part]).reshape(-1))
            columns = [
                ids[part],
                arrow.array(table.num_images[part]),
                arrow.FixedSizeListArray.from_arrays(flat, dim),
            ]
            writer.write_batch(arrow.record_batch(columns, schema=schema))
