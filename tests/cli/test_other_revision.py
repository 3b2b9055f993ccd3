"""Commands that meet things of another revision of the embedder inside: one line with both and the way on."""

from __future__ import annotations

import numpy as np
import pytest
from bundled_models import COMPACT

from probefusion.evaluation.drawn_people import write_crops
from probefusion.types import EmbeddingSet, revisions

FORMER = "compact_128d@000000000000"
STEP = "--embedder compact_128d.r0 (embedder='compact_128d.r0'; got with: probefusion models pull compact_128d.r0)"


@pytest.fixture
def stored(tmp_path, monkeypatch):
    """Embeddings of the former revision, in a file."""
    monkeypatch.setattr(revisions, "FORMER", {FORMER: "compact_128d.r0"})
    rows = np.random.default_rng(0).standard_normal((3, 128)).astype(np.float32)
    EmbeddingSet(embeddings=rows, embedder=FORMER).save(tmp_path / "set.npz")
    return str(tmp_path / "set.npz")


@pytest.fixture(scope="module")
def crops(tmp_path_factory):
    """A folder with aligned crops of one person."""
    people = tmp_path_factory.mktemp("crops") / "people"
    write_crops(people)
    return people / "person-1"


def check_refused(answer) -> None:
    code, out, err = answer
    line = err.splitlines()[-1]
    assert (code, out) == (1, "")
    assert line.startswith("probefusion: error: ")
    for words in (FORMER, COMPACT, STEP):
        assert words in line


def test_sets_and_templates_are_refused(command, stored, crops, tmp_path) -> None:
    named = ("--embedder", "compact_128d", "--fuser", "mean", "-o", tmp_path / "t.npz")
    check_refused(command("fuse", stored, *named))
    assert command("fuse", stored, "--fuser", "mean", "-o", tmp_path / "t.npz")[0] == 0
    check_refused(command("compare", tmp_path / "t.npz", crops, "--aligned"))
    check_refused(command("compare", stored, crops, "--aligned", "--fuser", "mean"))


def test_galleries_are_refused_and_not_changed(command, stored, crops, tmp_path) -> None:
    gallery = tmp_path / "people.db"
    assert command("enroll", gallery, stored, "--name", "ann", "--fuser", "mean")[0] == 0
    for given in (
        ("search", gallery),
        ("verify", gallery, "ann"),
        ("update", gallery, "ann"),
        ("enroll", gallery, "--name", "bob"),
    ):
        check_refused(command(*given, crops, "--aligned"))
    code, out, _ = command("search", gallery, stored, "--threshold", "0.5")
    assert code == 0
    assert "ann" in out
    assert "bob" not in out
