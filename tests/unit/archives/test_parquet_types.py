"""Files of an archive that do not fit together are told before anything is fused."""

from __future__ import annotations

import numpy as np
import pytest

from probefusion.archives import open_archive
from probefusion.errors import DtypeError, ShapeError

arrow = pytest.importorskip("pyarrow")


def write(path, ids, *, dim=4, kind=None) -> None:
    from pyarrow import parquet

    rows = np.ones((len(ids), dim), np.float32)
    kind = kind or arrow.list_(arrow.float32(), dim)
    table = arrow.table(
        {"template_id": arrow.array(ids), "embedding": arrow.array(rows.tolist(), kind)}
    )
    parquet.write_table(table, path)


@pytest.mark.parametrize(
    ("second", "error", "words"),
    [
        ({"ids": ["a", "b"]}, DtypeError, "'template_id'.* integers in 1.parquet, texts in 2.parq"),
        ({"ids": [1.5, 2.5]}, DtypeError, "2.parquet: column 'template_id'.* got double"),
        ({"ids": [1, 2], "dim": 8}, ShapeError, "lists of 4 in 1.parquet, lists of 8 in 2.parquet"),
        ({"ids": [1, 2], "kind": "int"}, DtypeError, "2.parquet: column 'embedding'.* int64"),
    ],
)
def test_types_are_compared_when_the_archive_is_opened(tmp_path, second, error, words) -> None:
    if second.get("kind") == "int":
        second = {**second, "kind": arrow.list_(arrow.int64(), 4)}
    write(tmp_path / "1.parquet", [1, 2])
    write(tmp_path / "2.parquet", **second)
    with pytest.raises(error, match=words):
        open_archive(tmp_path)


def test_what_fits_together_is_taken(tmp_path) -> None:
    write(tmp_path / "1.parquet", np.array([1, 2], np.int32))
    write(tmp_path / "2.parquet", np.array([3, 4], np.int64), kind=arrow.list_(arrow.float64()))
    archive = open_archive(tmp_path)
    assert archive.num_images == 4
    assert [path.name for path in archive.files] == ["1.parquet", "2.parquet"]


@pytest.mark.assets
def test_the_cases(assets) -> None:
    hostile = assets / "cases" / "hostile"
    with pytest.raises(DtypeError, match=r"integers in 1\.parquet, texts in 2\.parquet"):
        open_archive(hostile / "arc_types")
    with pytest.raises(ShapeError, match=r"lists of 128 in 1\.parquet, lists of 64 in 2\.parquet"):
        open_archive(hostile / "arc_dims")
