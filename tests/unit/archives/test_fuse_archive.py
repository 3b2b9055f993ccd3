from __future__ import annotations

import numpy as np
import pytest

from probefusion.archives import fuse_archive, manifest, open_archive
from probefusion.archives.fusing import planning
from probefusion.errors import (
    ConfigError,
    DtypeError,
    EmbedderMismatchError,
    EmptySetError,
    FileFormatError,
    MismatchError,
    MissingFileError,
    MissingStyleError,
    NonFiniteError,
    OutputExistsError,
    UnsupportedOperationError,
)
from probefusion.files import read_npz
from probefusion.types import EmbeddingSet
from probefusion.zoo import load_fuser

DIM, CHANNELS = 16, 6


def make_rows(rng, num_images=500, num_templates=37, *, text=False):
    ids = np.concatenate(
        [np.arange(num_templates), rng.integers(0, num_templates, num_images - num_templates)]
    )
    ids = rng.permutation(ids)
    embeddings = rng.standard_normal((num_images, DIM)).astype(np.float32)
    embeddings *= rng.uniform(0.5, 30, (num_images, 1)).astype(np.float32)
    style = rng.standard_normal((num_images, CHANNELS, 2)).astype(np.float16)
    return (np.array([f"person {i}" for i in ids]) if text else ids), embeddings, style


def write_memmap(folder, ids, embeddings, style, *, by="template_id", embedder="net@1"):
    folder.mkdir()
    np.save(folder / f"{by}s.npy", ids)
    np.save(folder / "embeddings.npy", embeddings)
    if style is not None:
        np.save(folder / "style.npy", style)
    (folder / "embedder.txt").write_text(embedder + "\n")
    return folder


def write_parquet(path, ids, embeddings, style, *, by="template_id", rows_per_group=100):
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    def lists(matrix):
        flat = matrix.reshape(len(matrix), -1)
        return arrow.FixedSizeListArray.from_arrays(arrow.array(flat.ravel()), flat.shape[1])

    table = arrow.table(
        {by: ids, "embedding": lists(embeddings), "style": lists(style), "camera": ids}
    ).replace_schema_metadata({"embedder": "net@1"})
    parquet.write_table(table, path, row_group_size=rows_per_group)
    return path


def expected(fuser, ids, embeddings, style):
    names = list(dict.fromkeys(ids.tolist()))
    vectors = [
        fuser.fuse(
            EmbeddingSet(
                embeddings=embeddings[ids == name],
                style=style[ids == name],
                embedder=fuser.embedder,
            )
        ).vector
        for name in names
    ]
    return names, np.stack(vectors)


def read(path):
    return read_npz(
        path,
        kind="templates",
        version=1,
        required=frozenset({"template_ids", "num_images", "embeddings", "fuser"}),
        optional=frozenset({"embedder"}),
    )


@pytest.fixture
def fuser(fuser_folders):
    return load_fuser(fuser_folders["exact"], num_threads=2)


def test_an_archive_sorted_by_template(tmp_path, rng, fuser) -> None:
    ids, embeddings, style = make_rows(rng)
    path = write_memmap(tmp_path / "archive", np.sort(ids), embeddings, style)
    report = fuse_archive(open_archive(path), fuser, tmp_path / "t.npz", memory=60_000)
    assert report.num_templates == 37
    assert report.num_images == 500
    _, vectors = expected(fuser, np.sort(ids), embeddings, style)
    assert np.abs(read(tmp_path / "t.npz")["embeddings"] - vectors).max() < 1e-6


@pytest.mark.parametrize("kind", ["memmap", "parquet", "folder"])
@pytest.mark.parametrize("memory", [200_000_000, 13_000])
def test_every_archive_gives_what_fuse_gives(tmp_path, rng, fuser, kind, memory) -> None:
    ids, embeddings, style = make_rows(rng, text=kind != "memmap")
    if kind == "memmap":
        path = write_memmap(tmp_path / "archive", ids, embeddings, style)
    elif kind == "parquet":
        path = write_parquet(tmp_path / "archive.parquet", ids, embeddings, style)
    else:
        path = tmp_path / "archive"
        path.mkdir()
        write_parquet(path / "b.parquet", ids[250:], embeddings[250:], style[250:])
        write_parquet(path / "a.parquet", ids[:250], embeddings[:250], style[:250])
    calls = []
    fuse_archive(
        open_archive(path),
        fuser,
        tmp_path / "templates.npz",
        memory=memory,
        progress=lambda done, total: calls.append((done, total)),
    )
    names, vectors = expected(fuser, ids, embeddings, style)
    found = read(tmp_path / "templates.npz")
    assert found["template_ids"].tolist() == names
    assert found["num_images"].sum() == len(ids)
    assert np.abs(found["embeddings"] - vectors).max() < 1e-6
    assert str(found["embedder"]) == "net@1"
    assert calls[-1] == (500, 500)
    assert calls == sorted(calls)
    assert not (tmp_path / "templates.npz.work").exists()


def test_parquet_output(tmp_path, rng, fuser) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    ids, embeddings, style = make_rows(rng)
    path = write_memmap(tmp_path / "archive", ids, embeddings, style, by="subject_id")
    archive = open_archive(path, by="subject_id")
    fuse_archive(archive, fuser, tmp_path / "templates.parquet")
    table = parquet.read_table(tmp_path / "templates.parquet")
    names, vectors = expected(fuser, ids, embeddings, style)
    assert table.column("template_id").to_pylist() == names
    assert np.abs(np.array(table.column("embedding").to_pylist()) - vectors).max() < 1e-6
    assert table.schema.metadata[b"fuser"].decode() == fuser.fingerprint


class Stop(Exception):
    pass


def small_chunks(monkeypatch, rows=64):
    """Archives are cut into tasks of a few rows."""
    monkeypatch.setattr(planning, "_FEWEST_ROWS", rows)
    monkeypatch.setattr(planning, "_MOST_ROWS", rows)
    monkeypatch.setattr(manifest, "_CHUNKS_A_TASK", 2)


@pytest.mark.parametrize("kind", ["memmap", "parquet"])
@pytest.mark.parametrize("share", [0.2, 0.7])
def test_an_interrupted_run_goes_on(tmp_path, rng, fuser, monkeypatch, kind, share) -> None:
    small_chunks(monkeypatch)
    ids, embeddings, style = make_rows(rng)
    if kind == "memmap":
        path = write_memmap(tmp_path / "archive", ids, embeddings, style)
    else:
        path = write_parquet(tmp_path / "archive.parquet", ids, embeddings, style)
    output, whole = tmp_path / "templates.npz", tmp_path / "whole.npz"
    fuse_archive(open_archive(path), fuser, whole)

    def stop(done: int, total: int) -> None:
        if done > share * total:
            raise Stop

    with pytest.raises(Stop):
        fuse_archive(open_archive(path), fuser, output, progress=stop)
    assert not output.exists()
    report = fuse_archive(open_archive(path), fuser, output, memory=1_000_000)
    assert report.resumed_at >= share * 500
    assert output.read_bytes() == whole.read_bytes()
    assert not (tmp_path / "templates.npz.work").exists()


def test_another_job_does_not_go_on(tmp_path, rng, fuser) -> None:
    ids, embeddings, style = make_rows(rng)
    path = write_memmap(tmp_path / "archive", ids, embeddings, style)

    def stop(done: int, total: int) -> None:
        raise Stop

    with pytest.raises(Stop):
        fuse_archive(open_archive(path), fuser, tmp_path / "t.npz", progress=stop)
    with pytest.raises(MismatchError, match=r"fuser.*Delete the folder"):
        fuse_archive(open_archive(path), load_fuser("mean"), tmp_path / "t.npz")
    np.save(path / "style.npy", style)  # written anew, at another time
    with pytest.raises(MismatchError, match="the file archive"):
        fuse_archive(open_archive(path), fuser, tmp_path / "t.npz")


def test_rows_are_named_in_errors(tmp_path, rng, fuser) -> None:
    ids, embeddings, style = make_rows(rng)
    embeddings[123, 4] = np.nan
    path = write_memmap(tmp_path / "archive", ids, embeddings, style)
    with pytest.raises(NonFiniteError, match="embedding 123 of archive, counted from row 0"):
        fuse_archive(open_archive(path), fuser, tmp_path / "t.npz")


def test_refusals(tmp_path, rng, fuser, fuser_folders) -> None:
    ids, embeddings, style = make_rows(rng)
    path = write_memmap(tmp_path / "archive", ids, embeddings, style)
    output = tmp_path / "t.npz"
    with pytest.raises(UnsupportedOperationError, match="exact"):
        fuse_archive(open_archive(path), load_fuser(fuser_folders["official"]), output)
    with pytest.raises(FileFormatError, match=r"\.parquet or \.npz"):
        fuse_archive(open_archive(path), fuser, tmp_path / "t.csv")
    with pytest.raises(ConfigError, match="memory"):
        fuse_archive(open_archive(path), fuser, output, memory=10)
    output.write_bytes(b"")
    with pytest.raises(OutputExistsError):
        fuse_archive(open_archive(path), fuser, output)
    with pytest.raises(MissingFileError, match="subject_id"):
        open_archive(path, by="subject_id")
    with pytest.raises(MissingFileError):
        open_archive(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileFormatError, match=r"embeddings\.npy"):
        open_archive(tmp_path / "empty")
    plain = write_memmap(tmp_path / "plain", ids, embeddings, None)
    with pytest.raises(MissingStyleError):
        fuse_archive(open_archive(plain), fuser, tmp_path / "p.npz")
    other = write_memmap(tmp_path / "other", ids, embeddings, style, embedder="net@2")
    with pytest.raises(EmbedderMismatchError):
        fuse_archive(open_archive(other), fuser, tmp_path / "o.npz")
    floats = write_memmap(tmp_path / "floats", ids.astype(float), embeddings, style)
    with pytest.raises(DtypeError, match="template_id"):
        open_archive(floats)
    short = write_memmap(tmp_path / "short", ids, embeddings, style[:-1])
    with pytest.raises(FileFormatError, match="one row per"):
        open_archive(short)
    nothing = write_memmap(tmp_path / "nothing", ids[:0], embeddings[:0], style[:0])
    with pytest.raises(EmptySetError, match="no rows"):
        fuse_archive(open_archive(nothing), fuser, tmp_path / "n.npz")


def test_damaged_parquet(tmp_path, rng) -> None:
    ids, embeddings, style = make_rows(rng)
    whole = write_parquet(tmp_path / "a.parquet", ids, embeddings, style).read_bytes()
    (tmp_path / "cut.parquet").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FileFormatError, match="cut"):
        open_archive(tmp_path / "cut.parquet")
    with pytest.raises(FileFormatError, match="person_id"):
        open_archive(tmp_path / "a.parquet", by="person_id")


def test_finished_templates_are_no_archive(tmp_path, rng, fuser) -> None:
    pytest.importorskip("pyarrow")
    ids, embeddings, style = make_rows(rng, 60, 5)
    path = write_memmap(tmp_path / "archive", ids, embeddings, style)
    fuse_archive(open_archive(path), fuser, tmp_path / "templates.parquet")
    with pytest.raises(FileFormatError, match=r"templates\.parquet: these are finished templates"):
        open_archive(tmp_path / "templates.parquet")
