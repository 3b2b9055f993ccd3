"""Tables with named columns: what is the embedding, what is known, and what is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest

from probefusion.errors import (
    ConfigError,
    DtypeError,
    EmbedderMismatchError,
    FileFormatError,
    InvalidInputError,
    UnknownNameError,
)
from probefusion.io import kind_of, read_embeddings

DIM = 20


@pytest.fixture
def rows(rng):
    return rng.standard_normal((5, DIM)).round(4)


def write_csv(path, header, columns) -> None:
    """Columns of texts or numbers below a line of names (None for no such line)."""
    lines = [] if header is None else [",".join(header)]
    lines += [
        ",".join(f"{value:.7g}" if isinstance(value, float) else str(value) for value in row)
        for row in zip(*columns, strict=True)
    ]
    path.write_text("\n".join(lines) + "\n")


def numbers(rows):
    return [[float(value) for value in column] for column in rows.T]


@pytest.mark.parametrize(
    "names",
    [
        [f"e{k}" for k in range(DIM)],
        [f"emb_{k}" for k in range(DIM)],
        [f"Feature-{k + 1}" for k in range(DIM)],
        [str(k) for k in range(DIM)],
        [f"v{k:03d}" for k in range(DIM)],
    ],
)
def test_numbered_columns_are_the_embedding(tmp_path, rows, names) -> None:
    write_csv(tmp_path / "a.csv", names, numbers(rows))
    found = read_embeddings(tmp_path / "a.csv")
    assert np.allclose(found.embeddings, rows, atol=1e-6)
    assert found.num_images == 5


def test_columns_sorted_by_text_come_by_number(tmp_path, rows) -> None:
    order = sorted(range(DIM), key=str)
    columns = numbers(rows)
    write_csv(tmp_path / "a.csv", [f"e{k}" for k in order], [columns[k] for k in order])
    assert np.allclose(read_embeddings(tmp_path / "a.csv").embeddings, rows, atol=1e-6)


@pytest.mark.parametrize("name", ["id", "label", "frame", "score", "person_id", "x"])
def test_another_column_is_refused_and_can_be_ignored(tmp_path, rows, name) -> None:
    header = [name, *(f"e{k}" for k in range(DIM))]
    write_csv(tmp_path / "a.csv", header, [[7, 8, 9, 7, 8], *numbers(rows)])
    with pytest.raises(
        FileFormatError, match=rf"Unknown: {name}.*--ignore-columns {name} \(ignore="
    ):
        read_embeddings(tmp_path / "a.csv")
    found = read_embeddings(tmp_path / "a.csv", ignore=[name.upper()])
    assert np.allclose(found.embeddings, rows, atol=1e-6)
    with pytest.raises(UnknownNameError, match="column to ignore 'none'"):
        read_embeddings(tmp_path / "a.csv", ignore=["none"])


def test_known_columns_in_any_case(tmp_path, rows) -> None:
    header = ["SUBJECT_ID", "Source", *(f"E{k}" for k in range(DIM)), "Quality"]
    columns = [["ann"] * 5, list("abcde"), *numbers(rows), [0.5, 1.5, -2.0, 0.0, 0.25]]
    write_csv(tmp_path / "a.csv", header, columns)
    found = read_embeddings(tmp_path / "a.csv")
    assert np.allclose(found.embeddings, rows, atol=1e-6)
    assert found.sources.tolist() == list("abcde")
    assert found.quality.tolist() == [0.5, 1.5, -2.0, 0.0, 0.25]


def test_scores_of_another_kind_are_no_quality(tmp_path, rows) -> None:
    header = [*(f"e{k}" for k in range(DIM)), "quality"]
    write_csv(tmp_path / "a.csv", header, [*numbers(rows), [87.0, 90.0, 12.0, 3.0, 55.0]])
    with pytest.raises(InvalidInputError, match=r"got 90.*--ignore-columns quality"):
        read_embeddings(tmp_path / "a.csv")


def test_norm_gives_unit_embeddings_their_length_back(tmp_path, rows) -> None:
    lengths = np.linalg.norm(rows, axis=1)
    header = ["norm", *(f"e{k}" for k in range(DIM))]
    units = numbers(rows / lengths[:, None])
    write_csv(tmp_path / "a.csv", header, [[float(x) for x in lengths], *units])
    found = read_embeddings(tmp_path / "a.csv")
    assert found.norms_known
    assert np.allclose(found.embeddings, rows, atol=1e-4)
    write_csv(tmp_path / "raw.csv", header, [[float(x) for x in lengths], *numbers(rows)])
    assert np.allclose(read_embeddings(tmp_path / "raw.csv").embeddings, rows, atol=1e-6)
    write_csv(tmp_path / "wrong.csv", header, [[1.0, 1.0, 1.0, 1.0, 1.0], *numbers(rows)])
    with pytest.raises(InvalidInputError, match=r"norm of wrong\.csv, row 0"):
        read_embeddings(tmp_path / "wrong.csv")


def test_an_index_of_pandas_is_no_dimension(tmp_path, rows) -> None:
    header = ["", *(str(k) for k in range(DIM))]
    write_csv(tmp_path / "a.csv", header, [list(range(5)), *numbers(rows)])
    assert np.allclose(read_embeddings(tmp_path / "a.csv").embeddings, rows, atol=1e-6)
    write_csv(tmp_path / "b.csv", header, [[4, 17, 20, 3, 8], *numbers(rows)])
    with pytest.raises(FileFormatError, match=r"does not just count the rows.*'Unnamed: 0'"):
        read_embeddings(tmp_path / "b.csv")
    found = read_embeddings(tmp_path / "b.csv", ignore=["Unnamed: 0"])
    assert np.allclose(found.embeddings, rows, atol=1e-6)


def test_pandas_itself(tmp_path, rows) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(rows)
    frame.to_csv(tmp_path / "index.csv")
    frame.to_csv(tmp_path / "plain.csv", index=False)
    for name in ("index.csv", "plain.csv"):
        found = read_embeddings(tmp_path / name)
        assert np.allclose(found.embeddings, rows, atol=1e-6)


def test_gaps_and_several_runs_are_refused(tmp_path, rows) -> None:
    header = [f"e{k if k < 5 else k + 1}" for k in range(DIM)]
    write_csv(tmp_path / "a.csv", header, numbers(rows))
    with pytest.raises(FileFormatError, match="numbered without gaps"):
        read_embeddings(tmp_path / "a.csv")
    two = ["x0", "x1", *(f"e{k}" for k in range(DIM - 2))]
    write_csv(tmp_path / "b.csv", two, numbers(rows))
    with pytest.raises(FileFormatError, match=r"Several kinds are numbered.*x0, x1"):
        read_embeddings(tmp_path / "b.csv")
    found = read_embeddings(tmp_path / "b.csv", ignore=["x0", "x1"])
    assert np.allclose(found.embeddings, rows[:, 2:], atol=1e-6)
    write_csv(tmp_path / "c.csv", ["e0"] * DIM, numbers(rows))
    with pytest.raises(FileFormatError, match=r"'e0' 20 times"):
        read_embeddings(tmp_path / "c.csv")


def test_lists_in_csv(tmp_path, rows) -> None:
    lines = ["source;Embedding"] + [
        f"{name};{json.dumps(row)}" for name, row in zip("abcde", rows.tolist(), strict=True)
    ]
    (tmp_path / "a.csv").write_text("\n".join(lines))
    assert np.allclose(read_embeddings(tmp_path / "a.csv").embeddings, rows, atol=1e-6)
    (tmp_path / "b.csv").write_text("source;embedding\na;[1.0 2.0 ... 3.0]\n")
    with pytest.raises(FileFormatError, match=r"line 2: expected embedding as a list of numbers"):
        read_embeddings(tmp_path / "b.csv")


def test_parquet_follows_the_same_schema(tmp_path, rows) -> None:
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    spread = {str(k): rows[:, k] for k in range(DIM)}

    def write(name, **columns):
        parquet.write_table(arrow.table(columns), tmp_path / name)
        return tmp_path / name

    plain = write("a.parquet", **spread, __index_level_0__=[0, 1, 2, 3, 4])
    assert kind_of(plain) == "table"
    assert np.allclose(read_embeddings(plain).embeddings, rows, atol=1e-6)
    with pytest.raises(FileFormatError, match=r"Unknown: label.*--ignore-columns label"):
        read_embeddings(write("b.parquet", **spread, label=[1, 1, 1, 1, 1]))
    found = read_embeddings(tmp_path / "b.parquet", ignore=["label"])
    assert np.allclose(found.embeddings, rows, atol=1e-6)
    with pytest.raises(FileFormatError, match="does not just count the rows"):
        read_embeddings(write("c.parquet", **spread, __index_level_0__=[9, 1, 2, 3, 4]))
    named = write("d.parquet", Embedding=rows.tolist(), MEDIA_ID=[1, 1, 2, 2, 2])
    assert kind_of(named) == "table"
    assert read_embeddings(named).media_ids.tolist() == [1, 1, 2, 2, 2]


@pytest.mark.parametrize(
    "column",
    [[{"a": 1.0}, {"a": 2.0}], [["x"], ["y"]], [1.0, 2.0], [[[1.0]], [[2.0]]]],
    ids=["struct", "texts", "numbers", "nested"],
)
def test_a_parquet_embedding_that_is_no_list_of_numbers(tmp_path, column) -> None:
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    parquet.write_table(arrow.table({"embedding": column}), tmp_path / "a.parquet")
    with pytest.raises(DtypeError, match="must hold lists of numbers, got"):
        read_embeddings(tmp_path / "a.parquet")


def test_hdf5_data_sets_can_be_ignored(tmp_path, rows) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["embeddings"], file["labels"] = rows, np.ones(5)
    with pytest.raises(FileFormatError, match="--ignore-columns labels"):
        read_embeddings(tmp_path / "a.h5")
    found = read_embeddings(tmp_path / "a.h5", ignore=["labels"])
    assert np.allclose(found.embeddings, rows, atol=1e-6)


def test_files_without_columns_have_none_to_ignore(tmp_path, rows) -> None:
    np.save(tmp_path / "a.npy", rows)
    with pytest.raises(ConfigError, match="no columns with names"):
        read_embeddings(tmp_path / "a.npy", ignore="id")


def test_who_made_them_can_be_stated(tmp_path, rows) -> None:
    np.save(tmp_path / "a.npy", rows)
    stated = read_embeddings(tmp_path / "a.npy", embedder="net@1")
    assert stated.embedder == "net@1"
    stated.save(tmp_path / "b.npz")
    with pytest.raises(EmbedderMismatchError, match=r"b\.npz says .* net@1, got other@2"):
        read_embeddings(tmp_path / "b.npz", embedder="other@2")


@pytest.mark.parametrize("kind", ["h3.csv", "pd.csv", "pdn.csv"])
def test_tables_that_pandas_and_numpy_wrote(assets, kind) -> None:
    path = assets / "cases" / "hostile" / kind
    if not path.exists():
        pytest.skip(f"{path} is not there")
    expected = np.loadtxt(path, delimiter=",", skiprows=1)[:, -128:]
    assert np.allclose(read_embeddings(path).embeddings, expected, atol=1e-5)


def test_an_open_quote_in_the_first_line_is_one_line(tmp_path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text('"source,e0,e1\na.jpg,1,2\nb.jpg,3,4\n')
    with pytest.raises(FileFormatError, match=r"rows.csv, line 3: .*a quote is open") as refusal:
        read_embeddings(path)
    assert "\n" not in str(refusal.value)


def test_names_with_line_breaks_are_told_in_one_line(tmp_path) -> None:
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    path = tmp_path / "rows.parquet"
    parquet.write_table(arrow.table({"embedding": [[1.0, 2.0]], "my\nage": [3]}), path)
    with pytest.raises(FileFormatError, match="Unknown") as refusal:
        read_embeddings(path)
    assert "\n" not in str(refusal.value)
