"""Files of templates as `fuse-archive` of release 0.1 wrote them: every later release must read them.

The files are written here column by column, not by the package.
"""

from __future__ import annotations

import numpy as np
import pytest

from probefusion.types import TemplateSet

VECTORS = np.array([[0.6, 0.8, 0.0], [0.0, 0.0, 1.0]], np.float32)
COUNTS = np.array([7, 1], np.int64)


def check(people: TemplateSet, ids: list[str]) -> None:
    assert list(people) == ids
    assert np.array_equal(people.vectors, VECTORS)
    assert people.num_images.tolist() == [7, 1]
    assert (people.fuser, people.embedder) == ("exact@1", "net@1")
    assert people.states is None


@pytest.mark.parametrize("ids", [np.array([17, 2], np.int64), np.array(["Zoë", "b c"])])
def test_npz(tmp_path, ids) -> None:
    np.savez(
        tmp_path / "old.npz",
        kind=np.asarray("templates"),
        format_version=np.asarray(1),
        template_ids=ids,
        num_images=COUNTS,
        embeddings=VECTORS,
        fuser=np.asarray("exact@1"),
        embedder=np.asarray("net@1"),
    )
    check(TemplateSet.load(tmp_path / "old.npz"), [str(name) for name in ids])


@pytest.mark.parametrize("ids", [[17, 2], ["Zoë", "b c"]])
def test_parquet(tmp_path, ids) -> None:
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    names = arrow.array(ids)
    schema = arrow.schema(
        [
            ("template_id", names.type),
            ("num_images", arrow.int64()),
            ("embedding", arrow.list_(arrow.float32(), 3)),
        ],
        metadata={"fuser": "exact@1", "embedder": "net@1"},
    )
    lists = arrow.FixedSizeListArray.from_arrays(arrow.array(VECTORS.ravel()), 3)
    table = arrow.Table.from_arrays([names, arrow.array(COUNTS), lists], schema=schema)
    parquet.write_table(table, tmp_path / "old.parquet")
    check(TemplateSet.load(tmp_path / "old.parquet"), [str(name) for name in ids])


def test_a_file_without_fuser_and_embedder(tmp_path) -> None:
    np.savez(tmp_path / "hand.npz", template_ids=[1, 2], num_images=COUNTS, embeddings=VECTORS)
    people = TemplateSet.load(tmp_path / "hand.npz")
    assert (people.fuser, people.embedder, list(people)) == (None, None, ["1", "2"])
