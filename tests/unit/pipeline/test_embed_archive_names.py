"""Names of people in an archive that are hard to tell apart, and large row groups, from images to rows."""

from __future__ import annotations

import shutil
import zipfile

import numpy as np
import pytest
from one_process import InOrder

from probefusion.pipeline.embed_archive import embed_archive

arrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")


def _embed(source, output, embedder, **options):
    given = {"embedder": embedder, "aligned": True, "trust_alignment": True, **options}
    return embed_archive(source, output, engine=InOrder(), **given)


def _told(caplog):
    return [record.getMessage() for record in caplog.records if "several ways" in record.msg]


@pytest.mark.parametrize("packed", [False, True])
def test_names_that_look_alike_are_told(people_folder, tiny_embedder, tmp_path, caplog, packed):
    image = sorted((people_folder / "person_03").iterdir())[0]
    names = ("jos\u00e9", "jose\u0301", "Ann_Lee", "ann lee", "bob")
    source = tmp_path / ("set.zip" if packed else "set")
    if packed:
        with zipfile.ZipFile(source, "w") as archive:
            for name in names:
                archive.write(image, f"{name}/0.png")
    else:
        for name in names:
            (source / name).mkdir(parents=True)
            shutil.copy(image, source / name / "0.png")
    assert _embed(source, tmp_path / "rows", tiny_embedder).num_rows == 5
    rows = parquet.read_table(tmp_path / "rows").column("template_id").to_pylist()
    assert sorted(rows) == sorted(names)
    [told] = _told(caplog)
    assert "2 names are written in several ways" in told
    assert "'Ann_Lee' and 'ann lee'; 'jose\\u0301' and 'jos\\xe9'" in told
    caplog.clear()
    _embed(people_folder, tmp_path / "others", tiny_embedder)
    assert _told(caplog) == []


def test_a_large_row_group_gives_the_same_rows_in_several_files(
    people_folder, tiny_embedder, tmp_path
):
    files = sorted(people_folder.rglob("*.png"))[:40]
    table = arrow.table(
        {
            "image": [file.read_bytes() for file in files],
            "who": [file.parent.name for file in files],
        }
    )
    (tmp_path / "source").mkdir()
    parquet.write_table(table, tmp_path / "source" / "0.parquet")
    found = {}
    for size in (6, 1000):
        output = tmp_path / f"rows{size}"
        report = _embed(
            tmp_path / "source", output, tiny_embedder, person="column:who", chunk_size=size
        )
        assert (report.num_rows, report.num_skipped) == (40, 0)
        assert report.num_chunks == len(list(output.glob("*.parquet"))) == (7 if size == 6 else 1)
        found[size] = parquet.read_table(output).to_pydict()
        again = _embed(
            tmp_path / "source", output, tiny_embedder, person="column:who", chunk_size=size
        )
        assert again.num_chunks_before == report.num_chunks
    for name in ("source", "template_id"):
        assert found[6][name] == found[1000][name]
    assert np.allclose(found[6]["embedding"], found[1000]["embedding"], atol=1e-2)
