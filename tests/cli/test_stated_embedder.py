"""`--embedder` as the word on what made embeddings, and `--ignore-columns`."""

from __future__ import annotations

import json

import numpy as np
import pytest

from probefusion.types import Template, TemplateSet


@pytest.fixture
def file(tmp_path, rng):
    person = rng.standard_normal(128) + 0.5 * rng.standard_normal((6, 128))
    np.save(tmp_path / "rows.npy", 7 * person.astype(np.float32))
    return tmp_path / "rows.npy"


def test_fuse(command, file, tmp_path) -> None:
    code, out, err = command("fuse", file, "--fuser", "exact-embedding", "-o", tmp_path / "t.npz")
    assert (code, out) == (1, "")
    assert "rows.npy: nothing says which network made them" in err
    assert "--embedder compact_128d" in err
    assert "mean, norm-weighted" in err
    assert not (tmp_path / "t.npz").exists()
    code, _, _ = command(
        "fuse", file, "--fuser", "exact-embedding", "--embedder", "compact_128d",
        "-o", tmp_path / "t.npz",
    )  # fmt: skip
    assert code == 0
    assert Template.load(tmp_path / "t.npz").embedder.startswith("compact_128d@")


def test_another_network_is_refused(command, file, tiny_embedder) -> None:
    code, _, err = command(
        "fuse", file, "--fuser", "exact-embedding", "--embedder", tiny_embedder, "--json"
    )
    assert code == 1
    assert "gives 16 dimensions, the embeddings of rows.npy have 128" in err


def test_compare(command, file) -> None:
    arguments = ("compare", file, file, "--fuser", "exact-embedding")
    code, _, err = command(*arguments)
    assert code == 1
    assert "nothing says which network made them" in err
    code, out, _ = command(*arguments, "--embedder", "compact_128d", "--json")
    assert code == 0
    assert json.loads(out)["similarity"] == pytest.approx(1, abs=1e-6)


def test_fuse_archive(command, file, tmp_path) -> None:
    folder = tmp_path / "archive"
    folder.mkdir()
    file.rename(folder / "embeddings.npy")
    np.save(folder / "template_ids.npy", [1, 1, 1, 2, 2, 2])
    output = tmp_path / "t.npz"
    arguments = ("fuse-archive", folder, "--fuser", "exact-embedding", "-o", output)
    code, _, err = command(*arguments)
    assert code == 1
    assert "nothing says which network made them" in err
    assert not output.exists()
    code, _, err = command(*arguments, "--embedder", "compact_128d")
    assert code == 0, err
    assert TemplateSet.load(output).embedder.startswith("compact_128d@")


def test_columns_are_ignored_when_named(command, tmp_path, rng) -> None:
    rows = rng.standard_normal((4, 20))
    header = ",".join(["id", *(f"e{k}" for k in range(20))])
    lines = [",".join(map(str, [100 + n, *row])) for n, row in enumerate(rows)]
    (tmp_path / "a.csv").write_text("\n".join([header, *lines]) + "\n")
    code, _, err = command("fuse", tmp_path / "a.csv", "--json")
    assert code == 1
    assert "--ignore-columns id" in err
    code, out, _ = command("fuse", tmp_path / "a.csv", "--ignore-columns", "id", "--json")
    assert code == 0
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    expected = unit.mean(axis=0) / np.linalg.norm(unit.mean(axis=0))
    assert np.abs(np.array(json.loads(out)["template"]) - expected).max() < 1e-5
    code, _, _ = command(
        "compare", tmp_path / "a.csv", tmp_path / "a.csv", "--ignore-columns", "ID"
    )
    assert code == 0


@pytest.mark.parametrize("name", ["mean", "norm-weighted", "universal"])
def test_calibrate_says_that_a_sum_has_no_folder(command, tmp_path, name) -> None:
    code, _, err = command("calibrate", name, "--data", tmp_path)
    assert code == 1
    assert f"fuser '{name}': has no folder to keep a calibration in" in err
    assert "-o calibration.json" in err
    assert "--calibration calibration.json" in err
    code, _, err = command("calibrate", "exact-embedding", "--data", tmp_path)
    assert code == 1
    assert "expected a fuser folder of your own" in err
    assert "cp -r" in err
