"""`probefusion fuse-archive` with real arguments."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import small_archive


@pytest.fixture
def archive(tmp_path, make_set):
    images = make_set(30)
    folder = tmp_path / "archive"
    folder.mkdir()
    np.save(folder / "embeddings.npy", images.embeddings)
    np.save(folder / "style.npy", images.style)
    np.save(folder / "template_ids.npy", np.arange(30) % 4)
    return folder


def test_an_archive_becomes_a_file_of_templates(tmp_path, command, archive) -> None:
    output = tmp_path / "templates.npz"
    arguments = ("fuse-archive", archive, "--fuser", "mean", "-o", output)
    code, out, err = command(*arguments, "--json")
    assert code == 0
    facts = json.loads(out)
    assert (facts["num_images"], facts["num_templates"], facts["engine"]) == (30, 4, "local")
    assert "fusing: 30/30 images" in err
    with np.load(output) as arrays:
        assert arrays["embeddings"].shape == (4, 16)
    code, _, err = command(*arguments)
    assert code == 1
    assert "--force" in err
    code, out, _ = command(*arguments, "--force", "--threads", "2")
    assert code == 0
    assert "30 images fused into 4 templates" in out


def test_the_command_is_one_call_from_python(tmp_path, command, archive) -> None:
    from probefusion.pipeline.fuse_archive import fuse_archive
    from probefusion.types import TemplateSet

    report = fuse_archive(archive, tmp_path / "python.npz", fuser="mean")
    code, out, _ = command(
        "fuse-archive", archive, "--fuser", "mean", "-o", tmp_path / "command.npz", "--json"
    )
    assert code == 0
    assert json.loads(out)["fuser"] == report.fuser
    mine, its = (TemplateSet.load(tmp_path / f"{name}.npz") for name in ("python", "command"))
    assert list(mine.ids) == list(its.ids) == ["0", "1", "2", "3"]
    assert np.array_equal(mine.vectors, its.vectors)


def test_what_is_no_archive_is_told_in_one_line(tmp_path, command, archive) -> None:
    output = tmp_path / "templates.npz"
    code, _, err = command("fuse-archive", tmp_path / "none", "--fuser", "mean", "-o", output)
    assert (code, err.count("\n")) == (1, 1)
    code, _, err = command(
        "fuse-archive", archive, "--by", "person", "--fuser", "mean", "-o", output
    )
    assert code == 1
    assert "person" in err
    assert not output.exists()


def test_files_that_cannot_be_read_are_named_and_the_rest_is_done(tmp_path, command) -> None:
    pytest.importorskip("pyarrow")
    columns = small_archive.rows()
    folder = small_archive.write_folder(tmp_path / "archive", columns)
    output = tmp_path / "t.npz"
    sound = {path: path.read_bytes() for path in sorted(folder.iterdir())}
    cut, spoilt = list(sound)[1], list(sound)[3]
    cut.write_bytes(sound[cut][:100])
    data = bytearray(sound[spoilt])
    data[200:3000] = bytes(2800)  # the footer still reads
    spoilt.write_bytes(data)
    arguments = ("fuse-archive", folder, "-o", output, "--fuser", "mean", "--no-screening")
    code, out, err = command(*arguments)
    assert code == 3
    assert "240 images fused" in out
    assert "2 files could not be read and left out: part-01.parquet (" in err
    assert "part-03.parquet (" in err
    for path in (cut, spoilt):
        path.write_bytes(sound[path])
    code, out, err = command(*arguments, "--force")
    assert (code, "400 images fused" in out) == (0, True)
    assert not (tmp_path / "t.npz.work").exists()
    whole = output.read_bytes()
    assert command(*arguments, "--force")[0] == 0
    assert output.read_bytes() == whole
    for path in sound:
        path.write_bytes(b"nothing")
    code, _, err = command(*arguments, "--force")
    assert (code, err.count("\n")) == (1, 1)
    assert output.read_bytes() == whole


def test_wrong_rows_are_named_by_file_and_row(tmp_path, command) -> None:
    pytest.importorskip("pyarrow")
    columns = small_archive.rows()
    columns[1][90, 3] = np.inf
    folder = small_archive.write_folder(tmp_path / "archive", columns)
    code, _, err = command("fuse-archive", folder, "-o", tmp_path / "t.npz", "--fuser", "mean")
    assert code == 1
    assert "embedding 10 of part-01.parquet, counted from row 0 has an infinite value" in err


def test_rows_of_nobody_are_no_person(tmp_path, command) -> None:
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    rows = np.random.default_rng(3).standard_normal((6, 16)).astype(np.float32)
    (tmp_path / "archive").mkdir()
    for ids, code in ((["ann", "", "ben", " ", "ben", "ann"], 1), (list("aabbba"), 0)):
        table = arrow.table({"embedding": list(rows), "who": ids})
        parquet.write_table(table, tmp_path / "archive" / "0.parquet")
        found, _, err = command(
            *("fuse-archive", tmp_path / "archive", "-o", tmp_path / "t.npz", "--by", "who"),
            *("--fuser", "mean", "--force", "--no-screening"),
        )
        assert found == code, err
        if code:
            assert (
                "row 1 of 0.parquet, counted from row 0: expected the name of a person in 'who'"
                in err
            )
            assert "(2 such rows)" in err
            for left in tmp_path.glob("t.npz.work*"):
                shutil.rmtree(left)


def test_workers_states_and_erasing(tmp_path, command) -> None:
    pytest.importorskip("pyarrow")
    folder = small_archive.write_folder(tmp_path / "archive", small_archive.rows())
    states, output = tmp_path / "states", tmp_path / "t.parquet"
    start = ("fuse-archive", "--fuser", "mean", "-o", output, "--workers", "2", "--no-screening")
    code, out, _ = command(*start, folder, "--keep-states", states)
    assert (code, "400 images" in out) == (0, True)
    more = small_archive.write(tmp_path / "more.parquet", small_archive.rows(1, 50))
    code, out, _ = command(*start, more, "--add-to", states, "--force")
    assert (code, "450 images" in out) == (0, True)
    code, _, err = command(*start, more, "--add-to", states, "--force")
    assert (code, "already" in err) == (1, True)
    erase = ("archive", "erase", folder, more, "--states", states, "--templates", output)
    asked = ("--person", "3", "--image", "1-4.jpg", "--fuser", "mean")
    code, _, err = command(*erase, *asked)
    assert (code, "--yes" in err) == (1, True)
    code, out, _ = command(*erase, *asked, "--yes", "--json")
    receipt = json.loads(out)
    assert code == 0
    assert (receipt["people"], receipt["images"]) == ([3], ["1-4.jpg"])
    code, _, err = command(*erase, *asked, "--yes")
    assert (code, "nowhere found: 3, 1-4.jpg" in err) == (3, True)


def test_images_are_erased_by_the_fuser_made_for_the_embedder_of_the_states(tmp_path, command, rng):
    """ "exact" alone, where no embedder is known, is that of the package, for another embedder."""
    pytest.importorskip("pyarrow")
    columns = (
        np.array([1, 1, 1, 2, 2, 2]),
        rng.standard_normal((6, 128)).astype(np.float32),
        rng.random((6, 768, 2)).astype(np.float32),
        np.array([f"{name}.jpg" for name in "abcdef"]),
    )
    archive = tmp_path / "sface.parquet"
    small_archive.write(archive, columns, embedder="opencv_sface_int8bq@732598e63104")
    states = tmp_path / "states"
    code, _, err = command(
        *("fuse-archive", archive, "--fuser", "exact", "-o", tmp_path / "t.parquet"),
        *("--keep-states", states, "--no-screening", "--workers", "1"),
    )
    assert code in (0, 3), err  # of random numbers: not usable
    code, out, err = command(
        *("archive", "erase", archive, "--states", states, "--image", "a.jpg"),
        *("--fuser", "exact", "--yes", "--json"),
    )
    assert code == 0, err
    assert json.loads(out)["images"] == ["a.jpg"]


def test_urls_are_places_too(tmp_path, command) -> None:
    pytest.importorskip("pyarrow")
    fsspec = pytest.importorskip("fsspec")
    folder = small_archive.write_folder(tmp_path / "archive", small_archive.rows())
    memory = fsspec.filesystem("memory")
    for path in folder.iterdir():
        memory.pipe(f"/urls/archive/{path.name}", path.read_bytes())
    arrays = tmp_path / "arrays"
    arrays.mkdir()
    ids, embeddings, _, _ = small_archive.rows()
    for name, array in (("template_ids", ids), ("embeddings", embeddings)):
        np.save(arrays / f"{name}.npy", array)
        memory.pipe(f"/urls/arrays/{name}.npy", (arrays / f"{name}.npy").read_bytes())
    common = ("--fuser", "mean", "--workers", "1")
    for name in ("archive", "arrays"):
        here, there = tmp_path / f"{name}.npz", f"memory://urls/{name}.npz"
        assert command("fuse-archive", tmp_path / name, "-o", here, *common)[0] == 0
        url = f"memory://urls/{name}"
        assert command("fuse-archive", url, "-o", there, *common)[0] == 0
        assert memory.cat(f"/urls/{name}.npz") == here.read_bytes()
        assert not memory.exists(f"/urls/{name}.npz.work")
        code, _, err = command("fuse-archive", url, "-o", there, *common)
        assert (code, "exists" in err) == (1, True)
    states = "memory://urls/states"
    assert (
        command(
            "fuse-archive",
            "memory://urls/archive",
            "-o",
            there,
            *common,
            "--keep-states",
            states,
            "--force",
        )[0]
        == 0
    )
    receipt = command(
        "archive", "erase", "memory://urls/archive", "--states", states, "--person", "5", "--yes"
    )
    assert receipt[0] == 0
    memory.rm("/urls", recursive=True)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (("--ray-address", "nowhere:1"), "ray_address: expected with the engine 'ray' only"),
        (
            ("--dask-address", "tcp://nowhere:1"),
            "dask_address: expected with the engine 'dask' only",
        ),
        (("--gpus-per-worker", "0.5"), "gpus_per_worker: expected with the engine 'ray' only"),
        (("--rows", "kept"), "--rows: has no effect on rows of embeddings"),
        (("--person", "cls"), "--person: has no effect on rows of embeddings"),
        (("--every", "3"), "--every: has no effect on rows of embeddings"),
        (("--image-column", "jpg"), "--image-column: has no effect on rows of embeddings"),
        (("--preprocessing", "arcface"), "--preprocessing: has no effect on rows of embeddings"),
        (("--norm-output", ""), "--norm-output: has no effect on rows of embeddings"),
        (("--trust-alignment",), "--trust-alignment: has no effect on rows of embeddings"),
    ],
)
def test_options_without_effect_are_refused(tmp_path, command, given, told) -> None:
    folder = small_archive.write_folder(tmp_path / "archive", small_archive.rows())
    output = tmp_path / "out.npz"
    code, out, err = command("fuse-archive", folder, "--fuser", "mean", "-o", output, *given)
    assert (code, out) == (1, "")
    assert told in err
    assert not output.exists()


@pytest.mark.parametrize("kind", [(), ("--aligned",)])
def test_threads_are_workers_by_an_older_name(tmp_path, command, monkeypatch, kind) -> None:
    from probefusion.archives.engines import choose

    asked = []
    real = choose.choose_engine

    def asking(name, *, num_workers, **options):
        asked.append((name, num_workers))
        return real(name, num_workers=num_workers, **options)

    monkeypatch.setattr(choose, "choose_engine", asking)
    arguments = ("fuse-archive", tmp_path / "none", "-o", tmp_path / "t.npz", "--fuser", "mean")
    for name in ("--threads", "--workers"):
        assert command(*arguments, *kind, name, "3")[0] == 1
    assert asked == [("local", 3), ("local", 3)]
    for more, told in ((("--engine", "dask"), "dask"), (("--workers", "2"), "--workers")):
        code, _, err = command(*arguments, *kind, "--threads", "3", *more)
        assert (code, err.count("\n")) == (1, 1)
        assert "--threads" in err
        assert told in err
    assert len(asked) == 2
