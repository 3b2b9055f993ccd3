"""Arrays and files without names: what does not look like embeddings is questioned."""

from __future__ import annotations

import numpy as np
import pytest

import probefusion
from probefusion.errors import FileFormatError, InvalidInputError, ShapeError
from probefusion.io import kind_of, read_embeddings
from probefusion.pipeline import Pipeline
from probefusion.types import EmbeddingSet


@pytest.mark.parametrize("shape", [(128, 3), (512, 30), (512, 100), (2048, 5)])
def test_a_transposed_array_is_questioned(tmp_path, rng, shape) -> None:
    array = rng.standard_normal(shape)
    np.save(tmp_path / "a.npy", array)
    for read in (
        lambda: read_embeddings(tmp_path / "a.npy"),
        lambda: probefusion.fuse(array),
        lambda: Pipeline(fuser="mean").fuse(array),
    ):
        with pytest.raises(
            ShapeError, match=rf"{shape[1]} embeddings of {shape[0]} numbers.*array\.T"
        ):
            read()
    np.savez(tmp_path / "named.npz", embeddings=array)
    assert read_embeddings(tmp_path / "named.npz").dim == shape[1]
    assert probefusion.fuse(EmbeddingSet(embeddings=array)).shape == (shape[1],)


@pytest.mark.parametrize("shape", [(3, 128), (128, 128), (512, 128), (128, 16), (256, 112)])
def test_a_usual_array_is_not(tmp_path, rng, shape) -> None:
    np.save(tmp_path / "a.npy", rng.standard_normal(shape))
    assert read_embeddings(tmp_path / "a.npy").embeddings.shape == shape


def test_boxes_are_no_embeddings(tmp_path, rng) -> None:
    np.save(tmp_path / "boxes.npy", rng.standard_normal((12000, 14)))
    with pytest.raises(ShapeError, match="no face network gives 14 numbers"):
        read_embeddings(tmp_path / "boxes.npy")


def test_one_vector_says_how_to_save_it(tmp_path, rng) -> None:
    np.save(tmp_path / "one.npy", rng.standard_normal(128))
    with pytest.raises(ShapeError, match=r"one vector \(128,\).*array\[None\]"):
        read_embeddings(tmp_path / "one.npy")


@pytest.mark.parametrize("place", [0, -1])
def test_a_label_column_without_a_name_is_questioned(tmp_path, rng, place) -> None:
    rows = rng.standard_normal((6, 129))
    rows[:, place] = [4, 4, 5, 5, 6, 6]
    np.save(tmp_path / "a.npy", rows)
    np.savetxt(tmp_path / "a.csv", rows, delimiter=",")
    np.savetxt(tmp_path / "a.txt", rows)
    for name in ("a.npy", "a.csv", "a.txt"):
        with pytest.raises(InvalidInputError, match=r"whole numbers \(4, 4, 5, 5, \.\.\.\)"):
            read_embeddings(tmp_path / name)


def test_a_dead_unit_and_whole_numbers_throughout_are_no_labels(tmp_path, rng) -> None:
    rows = rng.standard_normal((6, 128))
    rows[:, 0] = 0
    np.savetxt(tmp_path / "a.csv", rows, delimiter=",")
    assert read_embeddings(tmp_path / "a.csv").dim == 128
    np.savetxt(tmp_path / "b.csv", np.round(rows * 100), delimiter=",")
    assert read_embeddings(tmp_path / "b.csv").dim == 128


def _save_in_all(folder, rows):
    np.save(folder / "a.npy", rows)
    np.savetxt(folder / "a.csv", rows, delimiter=",")
    np.savetxt(folder / "a.txt", rows)
    return [folder / name for name in ("a.npy", "a.csv", "a.txt")]


@pytest.mark.parametrize("place", [0, -1])
@pytest.mark.parametrize("count", [1, 6])
def test_a_column_of_scores_without_a_name_is_questioned(tmp_path, rng, place, count) -> None:
    rows = rng.standard_normal((count, 129)) / np.sqrt(128)
    rows[:, place] = rng.uniform(60, 99, count)
    for path in _save_in_all(tmp_path, rows):
        with pytest.raises(InvalidInputError, match=rf"column {129 if place else 1} of 129.*score"):
            read_embeddings(path)
    named = np.delete(rows, place, axis=1)
    np.savez(tmp_path / "named.npz", embeddings=rows)
    assert read_embeddings(tmp_path / "named.npz").dim == 129
    for path in _save_in_all(tmp_path, named):
        assert read_embeddings(path).dim == 128


def test_scores_in_both_outer_columns_do_not_hide_each_other(tmp_path, rng) -> None:
    rows = np.c_[rng.uniform(60, 99, 5), rng.standard_normal((5, 64)), rng.uniform(60, 99, 5)]
    for path in _save_in_all(tmp_path, rows):
        with pytest.raises(InvalidInputError, match="column 1 of 66"):
            read_embeddings(path)


@pytest.mark.parametrize("count", [1, 50])
@pytest.mark.parametrize("length", [1.0, 20.0])
def test_rows_of_any_length_with_one_large_dimension_are_not(tmp_path, rng, count, length) -> None:
    rows = rng.standard_normal((count, 128))
    rows[:, -1] *= 4
    rows *= length / np.linalg.norm(rows, axis=1, keepdims=True)
    for path in _save_in_all(tmp_path, rows):
        assert read_embeddings(path).embeddings.shape == (count, 128)


def test_rows_with_zeros_in_most_places_are_not(tmp_path, rng) -> None:
    rows = np.where(rng.uniform(size=(9, 128)) < 0.9, 0, rng.uniform(0.1, 2, (9, 128)))
    rows[:, -1] = 1.5
    rows[0, -1] = 1.25
    for path in _save_in_all(tmp_path, rows):
        assert read_embeddings(path).dim == 128


def test_text_of_numpy_and_of_magface(tmp_path, rng) -> None:
    rows = rng.standard_normal((4, 32)).round(5)
    np.savetxt(tmp_path / "plain.txt", rows)
    found = read_embeddings(tmp_path / "plain.txt")
    assert np.allclose(found.embeddings, rows, atol=1e-6)
    assert found.sources is None
    lines = [f"toy/{k}.jpg " + " ".join(map(str, row)) for k, row in enumerate(rows)]
    (tmp_path / "feat.list").write_text("\n".join(lines) + "\n")
    assert kind_of(tmp_path / "feat.list") == "table"
    found = read_embeddings(tmp_path / "feat.list")
    assert np.allclose(found.embeddings, rows, atol=1e-6)
    assert found.sources.tolist() == [f"toy/{k}.jpg" for k in range(4)]
    assert found.norms_known


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a.jpg 1 2 3\nb.jpg 1 2\n", "line 2: expected 4 fields"),
        ("a.jpg 1 2 3\nb.jpg 1 x 3\n", "line 2, column 2: expected a number, got 'x'"),
        ("a.jpg\n", "the name alone"),
        ("Dear Sir or Madam\n", "expected embeddings, .* found no number in it"),
    ],
)
def test_text_that_is_no_table(tmp_path, text, words) -> None:
    (tmp_path / "a.txt").write_text(text)
    with pytest.raises(FileFormatError, match=words):
        read_embeddings(tmp_path / "a.txt")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("a.json", r"from_deepface\(json\.load"),
        ("a.jsonl", r"json\.loads\(line\)"),
        ("a.pickle", "never opened here"),
        ("a.DAT", "never opened here"),
        ("a.mat", r"scipy\.io\.loadmat"),
        ("a.pt", r"torch\.load\(FILE, weights_only=True\)"),
        ("a.xlsx", "save it as CSV"),
    ],
)
def test_other_formats_say_what_to_do(tmp_path, name, words) -> None:
    (tmp_path / name).write_bytes(b"{}")
    for read in (read_embeddings, Pipeline(fuser="mean").fuse):
        with pytest.raises(FileFormatError, match=words):
            read(tmp_path / name)
