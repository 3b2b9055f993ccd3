"""Training from Python: the call of the pages, each image decoded once, each graph exported once."""

from __future__ import annotations

import collections
import json
import os

import numpy as np
import pytest

import probefusion as pf
from probefusion.errors import ConfigError, EmbedderMismatchError, UnknownNameError
from probefusion.fusion.folder import read_card
from probefusion.types import EmbeddingSet

torch = pytest.importorskip("torch")
pytest.importorskip("cv2")

SMALL = {"steps": 3, "batch_size": 6, "group_size": 4, "prefixes": (1, 2, 4), "threads": 1}


@pytest.fixture(scope="module")
def trained(tmp_path_factory, people_folder, tiny_embedder):
    """A fuser, and how often each image was decoded and a graph exported while it was made."""
    from probefusion.evaluation import embed_protocol
    from probefusion.training import decoded_crops, held_out

    decoded: collections.Counter[str] = collections.Counter()
    exported: list[object] = []
    read_crop, export = decoded_crops.read_crop, torch.onnx.export

    def counting_read(data, *, source="image", size=112):
        decoded[source] += 1
        return read_crop(data, source=source, size=size)

    def counting_export(*arguments, **settings):
        exported.append(arguments[0])
        return export(*arguments, **settings)

    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decoded_crops, "read_crop", counting_read)
        patch.setattr(embed_protocol, "read_crop", counting_read)
        patch.setattr(held_out, "MIN_HELD_OUT", 2)
        patch.setattr(torch.onnx, "export", counting_export)
        fuser = pf.train(
            people_folder,
            embedder=tiny_embedder,
            output=folder / "mine",
            architecture="exact",
            margin_weight=0.1,
            folds=(0, 1),
            **SMALL,
        )
    return fuser, folder / "mine", decoded, exported


def test_the_call_of_the_pages_gives_a_working_fuser(trained, make_set) -> None:
    fuser, folder, _, _ = trained
    assert isinstance(fuser, pf.Fuser)
    assert fuser.self_test() < 1e-4
    card = read_card(folder)
    assert card.training["config"]["margin_weight"] == 0.1
    assert card.metrics["points"]
    assert card.thresholds
    assert (folder.parent / "mine.report" / "report.json").exists()
    assert not (folder.parent / "mine.work" / "export").exists()


def test_each_image_is_decoded_once_and_each_graph_exported_once(trained, people_folder) -> None:
    _, _, decoded, exported = trained
    names = {f"{path.parent.name}/{path.name}" for path in people_folder.glob("*/*.png")}
    assert set(decoded) == names
    assert set(decoded.values()) == {1}
    assert len(exported) == 2


def test_fuser_and_report_appear_together_or_not_at_all(
    tmp_path, monkeypatch, people_folder, tiny_embedder
) -> None:
    from probefusion.training import held_out
    from probefusion.training import run as room

    def fail(*given, **settings):
        raise OSError(28, "the disk is full")

    def train():
        output = tmp_path / "mine"
        return pf.train(people_folder, embedder=tiny_embedder, output=output, folds=(0, 1), **SMALL)

    monkeypatch.setattr(held_out, "MIN_HELD_OUT", 2)
    for place in ("publish_fuser", "report_on"):
        with monkeypatch.context() as patch:
            patch.setattr(room, place, fail)
            with pytest.raises(OSError, match="full"):
                train()
        assert [path.name for path in tmp_path.iterdir()] == ["mine.work"]
    assert train().self_test() < 1e-4
    assert (tmp_path / "mine.report" / "report.json").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "mine.report", "mine.work"]


def test_it_goes_on_from_a_fuser(tmp_path, trained, people_folder, tiny_embedder) -> None:
    _, old, _, _ = trained
    new = pf.train(
        people_folder,
        embedder=tiny_embedder,
        output=tmp_path / "new",
        start_from=old,
        folds=(0, 1, 2, 3),
        **SMALL,
    )
    card = read_card(tmp_path / "new")
    before = read_card(old)
    assert card.training["started_from"] == {
        "name": before.name,
        "fingerprint": before.fingerprint,
        "weights_sha256": before.files["weights.safetensors"],
    }
    assert card.config == before.config
    assert card.training["config"]["learning_rate"] == 3e-4
    rng = np.random.default_rng(1)
    images = EmbeddingSet(
        embeddings=rng.standard_normal((4, 16)) * 9,
        style=rng.standard_normal((4, 6, 2)),
        embedder=new.embedder,
    )
    fuser = pf.load_fuser(old)
    assert not np.array_equal(new.fuse(images).vector, fuser.fuse(images).vector)
    assert new.fuse(images).vector @ fuser.fuse(images).vector > 0.9


def test_what_contradicts_the_fuser_to_start_from(
    tmp_path, trained, people_folder, tiny_embedder
) -> None:
    _, old, _, _ = trained
    base = {"embedder": tiny_embedder, "output": tmp_path / "new", "start_from": old}
    for wrong in (
        {"architecture": "official"},
        {"network": {"hidden": 7}},
        {"without": ["style"]},
    ):
        with pytest.raises(ConfigError, match=f"^{next(iter(wrong))}: expected what the fuser"):
            pf.train(people_folder, **base, **wrong)
    with pytest.raises(EmbedderMismatchError, match="was made for"):
        pf.train(people_folder, **{**base, "embedder": None})
    with pytest.raises(UnknownNameError, match="exact"):
        pf.train(people_folder, **{**base, "start_from": "exakt"})


def test_wrong_settings_are_told_before_images_are_read(
    tmp_path, people_folder, tiny_embedder
) -> None:
    base = {"embedder": tiny_embedder, "output": tmp_path / "f"}
    for wrong, message in (
        ({"margin_wieght": 0.1}, "did you mean 'margin_weight'"),
        ({"steps": "many"}, "steps: expected int"),
        ({"network": {"hiden": 3}}, "did you mean 'hidden'"),
        ({"network": {"hidden": "3"}}, "hidden: expected int"),
        ({"device": "nowhere"}, "device: 'nowhere' cannot be used"),
    ):
        with pytest.raises(ConfigError, match=message):
            pf.train(people_folder, **base, **wrong)
    assert not (tmp_path / "f.work").exists()


def test_unreadable_images_are_warned_of_and_listed(tmp_path, people_folder, tiny_embedder) -> None:
    import shutil

    folder = tmp_path / "people"
    shutil.copytree(people_folder, folder)
    (folder / "person_03" / "2.png").write_bytes(b"no picture")
    draft = tmp_path / "f.work" / f".probefusion-{'a' * 16}"  # of a checkpoint, by a killed run
    draft.parent.mkdir()
    draft.write_bytes(b"half")
    os.utime(draft, (1, 1))
    with pytest.warns(UserWarning, match=r"1 images were left out, the first person_03/2\.png"):
        pf.train(folder, embedder=tiny_embedder, output=tmp_path / "f", folds=(0, 1, 2, 3), **SMALL)
    assert not draft.exists()
    run = json.loads((tmp_path / "f.work" / "run.json").read_text())
    assert [entry["source"] for entry in run["skipped"]] == ["person_03/2.png"]
    assert read_card(tmp_path / "f").training["num_skipped"] == 1
