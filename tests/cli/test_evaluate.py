"""`evaluate` with embeddings made before, and on too few people."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from small_ijb import write_small_ijb

pytest.importorskip("matplotlib")
pytest.importorskip("jinja2")


def test_embeddings_made_before(tmp_path, command) -> None:
    root = tmp_path / "IJBC"
    np.save(tmp_path / "feats.npy", write_small_ijb(root))
    code, out, err = command(
        "evaluate",
        "ijbc",
        "--data",
        root,
        "--embeddings",
        tmp_path / "feats.npy",
        "--embedder",
        "r100@0123456789ab",
        "--fuser",
        "mean",
        "-o",
        tmp_path / "out",
    )
    assert code == 0, err
    assert "TAR at FAR" in out
    assert "132 comparisons of different people" in out
    facts = json.loads((tmp_path / "out" / "report.json").read_text())
    assert facts["evaluated"]["embedder"] == "r100@0123456789ab"
    assert not (tmp_path / "out.work").exists()


def test_four_people_are_told_what_they_leave_open(
    tmp_path, command, tiny_embedder, people_folder
) -> None:
    for number in (3, 7, 11, 15):
        shutil.copytree(people_folder / f"person_{number:02d}", tmp_path / "four" / f"p{number}")
    options = ["--data", tmp_path / "four", "--embedder", tiny_embedder, "--sizes", "1,2"]
    evaluate = ["evaluate", "degraded-folder", *options, "-o", tmp_path / "out"]
    code, out, err = command(*evaluate, "--folds", "0,1,2,3", "--replicates", "100")
    assert code == 0, err
    assert "48 comparisons of different people (16 probe sets" in out
    assert "4 people with probe sets, too few" in out
    page = (tmp_path / "out" / "report.html").read_text()
    assert "48 comparisons of different people" in page


def test_one_person_is_refused(tmp_path, command, tiny_embedder, people_folder) -> None:
    shutil.copytree(people_folder / "person_03", tmp_path / "one" / "p")
    code, _, err = command(
        "evaluate",
        "degraded-folder",
        "--data",
        tmp_path / "one",
        "--embedder",
        tiny_embedder,
        "--folds",
        "0,1,2,3",
        "-o",
        tmp_path / "out",
    )
    assert code == 1
    assert "1 of the 1 people" in err
    assert not (tmp_path / "out").exists()
