"""States keep rows as a former release fused them, also quality beyond today's bounds; rows that come are checked."""

from __future__ import annotations

import numpy as np
import pytest
import small_archive

from probefusion.archives import erase_from_archive, fuse_archive, open_archive
from probefusion.errors import InvalidInputError
from probefusion.types import TemplateSet
from probefusion.types import embedding_set as sets
from probefusion.zoo import load_fuser

arrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")


def written(folder, seed, quality):
    """Rows with quality, in one file."""
    columns = small_archive.rows(seed, 60, 5)
    path = small_archive.write(folder / "part.parquet", columns)
    table = parquet.read_table(path)
    column = arrow.array(np.resize(np.asarray(quality, np.float32), 60))
    parquet.write_table(table.append_column("quality", column), path)
    return folder


@pytest.fixture
def before(tmp_path):
    """What a release left that took any quality."""
    fuser, archive = load_fuser("universal"), written(tmp_path / "old", 0, [7.0, 0.5, -6.0])
    with pytest.MonkeyPatch.context() as release:
        release.setattr(sets, "check_quality", lambda *given, **named: None)
        fuse_archive(
            open_archive(archive), fuser, tmp_path / "t.npz", keep_states=tmp_path / "states"
        )
    return fuser, archive


def test_files_are_added_to_states_of_before(tmp_path, before) -> None:
    fuser, _ = before
    new = written(tmp_path / "new", 1, [0.5, -0.5])
    report = fuse_archive(
        open_archive(new), fuser, tmp_path / "t.npz", add_to=tmp_path / "states", force=True
    )
    assert report.num_images == 120
    found = TemplateSet.load(tmp_path / "t.npz")
    total = np.zeros(small_archive.DIM)
    for seed, quality in ((0, [7.0, 0.5, -6.0]), (1, [0.5, -0.5])):
        ids, rows, _, _ = small_archive.rows(seed, 60, 5)
        units = rows / np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)
        weights = np.exp(np.resize(quality, 60)) * (ids == 3)
        total += weights @ units
    assert found["3"].vector == pytest.approx(total / np.linalg.norm(total), abs=1e-4)


def test_images_are_erased_from_states_of_before(tmp_path, before) -> None:
    fuser, archive = before
    receipt = erase_from_archive(
        images=["0-0.jpg", "0-3.jpg"],
        archives=[archive],
        states=tmp_path / "states",
        templates=tmp_path / "t.npz",
        fuser=fuser,
    )
    assert receipt.images == ("0-0.jpg", "0-3.jpg")
    assert int(TemplateSet.load(tmp_path / "t.npz").num_images.sum()) == 58


def test_rows_that_come_are_checked(tmp_path, before) -> None:
    fuser, _ = before
    new = written(tmp_path / "new", 1, [7.0])
    with pytest.raises(InvalidInputError, match=r"quality .*within 4 of 0"):
        fuse_archive(
            open_archive(new), fuser, tmp_path / "t.npz", add_to=tmp_path / "states", force=True
        )
