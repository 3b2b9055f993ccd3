"""Numbers that stand beside embeddings, or instead of them, never become some."""

from __future__ import annotations

import numpy as np
import pytest

from probefusion.errors import (
    DtypeError,
    FileFormatError,
    InvalidInputError,
    ProbeFusionError,
    ShapeError,
    UnknownNameError,
)
from probefusion.io import read_embeddings


@pytest.fixture
def rows(rng):
    """(6, 128) of one person."""
    return rng.standard_normal((6, 128)) + 2 * rng.standard_normal(128)


def write_csv(path, header, table) -> None:
    lines = [] if header is None else [",".join(header)]
    lines += [",".join(f"{value:.7g}" for value in row) for row in table]
    path.write_text("\n".join(lines) + "\n")


def write_parquet(path, header, table) -> None:
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    parquet.write_table(arrow.table(dict(zip(header, table.T, strict=True))), path)


BESIDE = {
    "score": [0.98, 0.91, 0.97, 0.93, 0.99, 0.9],
    "age": [33.5, 33.7, 34.1, 35.0, 35.2, 36.9],
    "label": [7.0] * 6,
    "negative": [-0.4, -0.2, -0.1, -0.3, -0.6, -0.5],
}


@pytest.mark.parametrize("place", [0, 128])
@pytest.mark.parametrize("kind", BESIDE)
def test_one_column_more_is_found_where_names_say_nothing(tmp_path, rows, place, kind) -> None:
    table = np.insert(rows, place, BESIDE[kind], axis=1)
    counted = [str(k) for k in range(129)]
    write_csv(tmp_path / "a.csv", None, table)
    write_csv(tmp_path / "b.csv", counted, table)
    np.savetxt(tmp_path / "c.txt", table)
    np.save(tmp_path / "d.npy", table)
    write_parquet(tmp_path / "e.parquet", counted, table)
    for name in ("a.csv", "b.csv", "c.txt", "d.npy", "e.parquet"):
        with pytest.raises(InvalidInputError, match=r"an id, a label|a score, a quality"):
            read_embeddings(tmp_path / name)
    for write, name in ((write_csv, "right.csv"), (write_parquet, "right.parquet")):
        write(tmp_path / name, [str(k) for k in range(128)], rows)
        assert np.allclose(read_embeddings(tmp_path / name).embeddings, rows, atol=1e-5)


def test_two_columns_more_are_found(tmp_path, rng) -> None:
    for dim in (128, 512):
        table = np.c_[rng.standard_normal((5, dim)), rng.random(5), rng.random(5)]
        np.save(tmp_path / "a.npy", table)
        with pytest.raises(InvalidInputError, match=rf"of {dim} numbers and 2 of something else"):
            read_embeddings(tmp_path / "a.npy")


@pytest.mark.parametrize(
    "word", ["bbox_", "box", "landmark_", "kps.", "pose-", "face_landmarks_", "logit", "pixel"]
)
def test_numbered_columns_of_something_else_are_no_embedding(tmp_path, rng, word) -> None:
    for dim in (4, 10, 136):
        names = [f"{word}{k}" for k in range(dim)]
        table = rng.random((3, dim))
        write_csv(tmp_path / "a.csv", names, table)
        write_parquet(tmp_path / "a.parquet", names, table)
        for name in ("a.csv", "a.parquet"):
            with pytest.raises(FileFormatError, match="which is something else"):
                read_embeddings(tmp_path / name)


def test_a_word_that_only_contains_such_a_word_is_one(tmp_path, rows) -> None:
    names = [f"arcface_boxer_{k}" for k in range(128)]
    write_csv(tmp_path / "a.csv", names, rows)
    assert np.allclose(read_embeddings(tmp_path / "a.csv").embeddings, rows, atol=1e-5)


def test_columns_of_integers_are_refused_as_arrays_of_integers_are(tmp_path, rows) -> None:
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    columns = {f"e{k}": arrow.array(rows[:, k], arrow.float32()) for k in range(128)}
    parquet.write_table(
        arrow.table({**columns, "e128": [4, 4, 4, 5, 5, 5]}), tmp_path / "a.parquet"
    )
    with pytest.raises(
        DtypeError, match="column 'e128': expected floating-point numbers, got int64"
    ):
        read_embeddings(tmp_path / "a.parquet")
    found = read_embeddings(tmp_path / "a.parquet", ignore=["e128"])
    assert np.allclose(found.embeddings, rows, atol=1e-5)


@pytest.mark.parametrize("length", [np.inf, -np.inf, np.nan, 0.0, -1.0])
def test_a_length_that_none_has_is_refused(tmp_path, rows, length) -> None:
    units = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    names = ["norm", *(f"e{k}" for k in range(128))]
    for table in (rows, units):
        lengths = np.linalg.norm(rows, axis=1)
        lengths[4] = length
        write_csv(tmp_path / "a.csv", names, np.c_[lengths, table])
        write_parquet(tmp_path / "a.parquet", names, np.c_[lengths, table])
        for name in ("a.csv", "a.parquet"):
            with pytest.raises(
                InvalidInputError, match=rf"norm of {name}, row 4: expected the length"
            ):
                read_embeddings(tmp_path / name)


def test_groups_of_an_hdf5_file_are_not_passed_over(tmp_path, rows) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["mean"] = rows[:1]
        file["ann/embeddings"], file["ben/embeddings"] = rows, -rows
    with pytest.raises(
        FileFormatError, match=r"got the groups ann, ben: .*--ignore-columns ann,ben"
    ):
        read_embeddings(tmp_path / "a.h5")
    found = read_embeddings(tmp_path / "a.h5", ignore=["ann", "ben"])
    assert np.allclose(found.embeddings, rows[:1], atol=1e-6)
    with pytest.raises(UnknownNameError, match="cem"):
        read_embeddings(tmp_path / "a.h5", ignore=["cem"])


@pytest.mark.parametrize("name", ["boxes", "face_landmarks", "labels"])
def test_a_single_data_set_of_something_else_is_no_embedding(tmp_path, rng, name) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file[name] = rng.random((6, 10))
    with pytest.raises(FileFormatError, match="which is something else"):
        read_embeddings(tmp_path / "a.h5")


def test_a_single_data_set_is_questioned_as_a_table_is(tmp_path, rows) -> None:
    h5py = pytest.importorskip("h5py")
    for name, table in (("data", np.c_[rows, [5, 6, 7, 8, 9, 9]]), ("x", np.c_[[0.9] * 6, rows])):
        with h5py.File(tmp_path / "a.h5", "w") as file:
            file[name] = table
        with pytest.raises(InvalidInputError, match="an id, a label"):
            read_embeddings(tmp_path / "a.h5")


@pytest.mark.parametrize("count", [3, 100, 130, 300, 1000])
def test_embeddings_in_columns_are_found_however_many(tmp_path, rng, count) -> None:
    np.save(tmp_path / "a.npy", rng.standard_normal((512, count)))
    with pytest.raises(ShapeError, match=rf"looks like {count} embeddings of 512 numbers"):
        read_embeddings(tmp_path / "a.npy")
    np.save(tmp_path / "b.npy", rng.standard_normal((count, 512)))
    assert read_embeddings(tmp_path / "b.npy").num_images == count


@pytest.mark.parametrize("dtype", ["c8", "c16", "U3", "S3", "M8[s]", "?", "u1", "i8"])
def test_arrays_of_other_kinds_are_refused_in_one_line(tmp_path, dtype) -> None:
    np.save(tmp_path / "a.npy", np.ones((6, 128)).astype(dtype))
    np.savez(tmp_path / "a.npz", embeddings=np.ones((6, 128)).astype(dtype))
    for name in ("a.npy", "a.npz"):
        with pytest.raises(ProbeFusionError) as refusal:
            read_embeddings(tmp_path / name)
        assert name in str(refusal.value)
        assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("scores", [[50.0, 90, 70, 10, 30, 60], [0.1, 0.2, 0.1, 0.3, 0.2, -5.0]])
def test_scores_that_are_no_logarithms_of_weights_are_refused_wherever_they_come_from(
    tmp_path, rows, scores
) -> None:
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    from probefusion.pipeline.fuse_archive import fuse_archive
    from probefusion.types import EmbeddingSet

    np.savez(tmp_path / "a.npz", embeddings=rows, quality=np.array(scores))
    columns = {"embedding": list(rows), "quality": scores}
    parquet.write_table(arrow.table(columns), tmp_path / "a.parquet")
    for name in ("a.npz", "a.parquet"):
        with pytest.raises(InvalidInputError, match=rf"quality of {name}: expected logarithms"):
            read_embeddings(tmp_path / name)
    with pytest.raises(InvalidInputError, match="quality: expected logarithms of weights"):
        EmbeddingSet(embeddings=rows, quality=np.array(scores))
    (tmp_path / "archive").mkdir()
    table = arrow.table({**columns, "template_id": list("aaabbb")})
    parquet.write_table(table, tmp_path / "archive" / "0.parquet")
    with pytest.raises(InvalidInputError, match=r"quality of 0\.parquet.*give the column another"):
        fuse_archive(tmp_path / "archive", tmp_path / "o.parquet", fuser="universal")
