"""Commands without --embedder: they take the one of the package, and say so."""

from __future__ import annotations

import json

import pytest

from probefusion.types import EmbeddingSet

NOTE = "embedder: compact_128d of this package (research use only"


@pytest.fixture(autouse=True)
def offline(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("PROBEFUSION_HOME", str(tmp_path_factory.mktemp("home")))
    monkeypatch.setenv("PROBEFUSION_OFFLINE", "1")


def notes(err: str) -> list[str]:
    return [line for line in err.splitlines() if line.startswith("embedder:")]


def test_fuse(command, people_folder) -> None:
    code, out, err = command("fuse", people_folder / "person_03", "--aligned", "--json")
    assert code == 3, err  # crops that were made up look like no faces, which is told
    facts = json.loads(out)
    assert facts["embedder"].startswith("compact_128d@")
    assert facts["num_images"] == 4
    assert len(facts["template"]) == 128
    (note,) = notes(err)
    assert note.startswith(NOTE)
    assert note.endswith("choose another with --embedder")


def test_embed_keeps_style_and_length(tmp_path, command, people_folder) -> None:
    code, _, err = command(
        "embed", people_folder / "person_07", "--aligned", "-o", tmp_path / "s.npz"
    )
    assert code == 0, err
    assert len(notes(err)) == 1
    images = EmbeddingSet.load(tmp_path / "s.npz")
    assert images.style.shape == (4, 160, 2)
    assert images.norms_known
    code, _, err = command("fuse", tmp_path / "s.npz", "--json")
    assert (code, notes(err)) == (3, [])  # nothing is embedded


def test_a_named_embedder_is_taken_without_a_note(command, people_folder, tiny_embedder) -> None:
    code, out, err = command(
        "fuse", people_folder / "person_03", "--aligned", "--embedder", tiny_embedder, "--json"
    )
    assert code == 0
    assert json.loads(out)["embedder"].startswith("tiny@")
    assert notes(err) == []


def test_photos_without_a_detector(tmp_path, command, people_folder) -> None:
    code, out, err = command("fuse", people_folder / "person_03", "-o", tmp_path / "t.npz")
    assert (code, out, notes(err)) == (1, "", [])
    assert "probefusion models pull yunet_2023mar" in err
    assert "--aligned" in err


def test_a_fuser_of_another_embedder_names_it(command, people_folder, tmp_path) -> None:
    code, out, err = command(
        "fuse", people_folder / "person_03", "--aligned", "--fuser", "official", "--json"
    )
    assert (code, out) == (1, "")
    assert "--embedder mobilefacenet_128d" in err
    code, _, err = command(
        "evaluate", "degraded-folder", "--data", people_folder, "--folds", "2,3", "--sizes", "1",
        "--fuser", "mean", "--fuser", "official", "-o", tmp_path / "report",
    )  # fmt: skip
    assert code == 1
    assert "--embedder mobilefacenet_128d" in err


def test_evaluate_train_and_calibrate(tmp_path, command, people_folder) -> None:
    pytest.importorskip("torch")
    fuser = tmp_path / "fuser"
    code, out, err = command(
        "train", "--images", people_folder, "-o", fuser, "--steps", "2", "--folds", "0",
        "--threads", "1", "--json",
    )  # fmt: skip
    assert code == 0, err
    assert json.loads(out)["name"].startswith("exact.compact_128d-")
    assert len(notes(err)) == 1
    data = ["--data", people_folder, "--folds", "1,2,3", "--sizes", "1,2", "--threads", "1"]
    code, out, err = command(
        "evaluate", "degraded-folder", *data, "--fuser", "mean", "--fuser", fuser,
        "--replicates", "100", "-o", tmp_path / "report", "--json",
    )  # fmt: skip
    assert code == 0, err
    assert len(notes(err)) == 1
    code, out, err = command("calibrate", fuser, *data, "--force", "--json")
    assert code == 0, err
    assert json.loads(out)
    assert len(notes(err)) == 1
    code, _, err = command("fuse", people_folder / "person_03", "--aligned", "--fuser", fuser,
                           "-o", tmp_path / "t.npz")  # fmt: skip
    assert code == 0, err


@pytest.mark.parametrize(
    "name", ["embed", "fuse", "compare", "video", "evaluate", "calibrate", "train"]
)
def test_no_command_demands_one(command, name) -> None:
    code, out, _ = command(name, "--help")
    assert code == 0
    assert "[--embedder MODEL]" in " ".join(out.split())
    assert "the compact one of the package" in " ".join(out.split())
