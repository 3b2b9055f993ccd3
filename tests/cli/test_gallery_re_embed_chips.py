"""`probefusion gallery re-embed --chips`: arguments, output, exit codes."""

from __future__ import annotations

import json
import shutil

import pytest
from bundled_models import EMBEDDER_FOLDER

from probefusion.evaluation.drawn_people import write_crops


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    folder = tmp_path_factory.mktemp("crops") / "people"
    write_crops(folder)
    return folder


@pytest.fixture
def other(tmp_path):
    """The embedder inside under another name, fed in the other order of channels."""
    path = tmp_path / "other.onnx"
    shutil.copy(EMBEDDER_FOLDER / "compact_128d.onnx", path)
    said = {"name": "other", "channel_order": "BGR"}
    path.with_suffix(".json").write_text(json.dumps(said))
    return path


def test_a_gallery_is_moved_without_photos(command, people, other, tmp_path) -> None:
    gallery = tmp_path / "people.db"
    how = ("--people", "--aligned", "--fuser", "exact-fast", "--keep-chips")
    assert command("enroll", gallery, people, *how)[0] == 0
    _, out, _ = command("gallery", "add-model", gallery, "--fuser", "mean", "--embedder", other)
    model = out.split()[1].rstrip(":")
    code, out, _ = command(
        "gallery", "re-embed", gallery, model, "--chips", "--embedder", other, "--json"
    )
    told = json.loads(out)
    assert (code, told["num_embedded"], told["missing"]) == (0, 3, [])
    assert command("gallery", "re-fuse", gallery, "--model", model)[0] == 0
    assert command("gallery", "serve", gallery, model)[0] == 0
    code, out, _ = command(
        "search", gallery, people / "person-2", "--aligned", "--embedder", other, "--threshold", 0.9
    )
    assert code == 0
    assert next(line for line in out.splitlines() if " match" in line).endswith("person-2")


def test_photos_or_pictures_must_be_named(command, tmp_path) -> None:
    for given, got in (((), "neither"), ((tmp_path, "--chips"), "both")):
        code, _, err = command("gallery", "re-embed", tmp_path / "people.db", "m1", *given)
        assert code == 1
        assert f"FOLDER, --chips: expected one of the two, got {got}" in err
    code, _, err = command(
        "gallery", "re-embed", tmp_path / "people.db", "m1", "--chips", "--detector", "yunet_320"
    )
    assert code == 1
    assert "--detector: --chips are aligned crops already" in err
