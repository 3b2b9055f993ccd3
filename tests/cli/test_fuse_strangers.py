"""`probefusion fuse` where images are of somebody else: told with exit code 3, refused, or left out by name."""

from __future__ import annotations

import json

import numpy as np
import pytest
from planted_people import PlantedEmbedder, planted

from probefusion.fusion import MeanFuser
from probefusion.fusion.universal import UniversalFuser
from probefusion.types import FusionState, Template


@pytest.fixture
def mixed(tmp_path):
    """Ten images of one person and six of another."""
    path = tmp_path / "mixed.npz"
    planted(10, 6).save(path)
    return path


def test_a_set_that_falls_apart_is_told(command, mixed, tmp_path) -> None:
    code, out, err = command("fuse", mixed, "--fuser", "mean", "-o", tmp_path / "t.npz")
    assert code == 3
    assert "16 images fused by mean@1" in out
    assert "warning: the set falls apart" in err
    assert "10 images (62 % of the weight) and 6 images (38 % of the weight)" in err
    assert all(f"b{number}" in err for number in range(6))
    assert Template.load(tmp_path / "t.npz").num_images == 16


def test_json_holds_the_parts(command, mixed) -> None:
    code, out, _ = command("fuse", mixed, "--fuser", "mean", "--json")
    facts = json.loads(out)
    assert code == 3
    assert facts["screening"]["verdict"] == "several people"
    assert len(facts["problems"]) == 1
    lighter = facts["screening"]["parts"][1]
    assert [image["source"] for image in lighter["images"]] == [f"b{k}" for k in range(6)]
    assert lighter["weight"] == pytest.approx(6 / 16, abs=1e-3)
    assert facts["several_faces"] is None


def test_one_person_is_told_in_a_line(command, tmp_path) -> None:
    planted(12).save(tmp_path / "one.npz")
    arguments = ("fuse", tmp_path / "one.npz", "--fuser", "mean", "-o", tmp_path / "t.npz")
    code, out, err = command(*arguments)
    assert code == 0
    assert "no sign of a second person in 12 images" in out
    assert err == ""


def test_few_images_say_nothing(command, tmp_path) -> None:
    planted(2, 1).save(tmp_path / "few.npz")
    arguments = ("fuse", tmp_path / "few.npz", "--fuser", "mean", "-o", tmp_path / "t.npz")
    code, out, _ = command(*arguments)
    assert code == 0
    assert "cannot be told: 3 images, and it takes 4" in out


def test_strict_writes_nothing(command, mixed, tmp_path) -> None:
    outputs = (tmp_path / "t.npz", tmp_path / "s.safetensors")
    code, out, err = command(
        "fuse", mixed, "--fuser", "mean", "-o", outputs[0], "--state", outputs[1], "--strict"
    )
    assert code == 1
    assert out == ""
    assert "falls apart" in err
    assert "--largest-person" in err
    assert not any(path.exists() for path in outputs)


def test_the_largest_person_is_kept(command, mixed, tmp_path) -> None:
    template, state = tmp_path / "t.npz", tmp_path / "s.safetensors"
    code, out, _ = command(
        *("fuse", mixed, "--fuser", "mean", "-o", template, "--state", state),
        *("--largest-person", "--json"),
    )
    facts = json.loads(out)
    assert code == 3
    assert facts["num_images"] == 10
    assert [item["source"] for item in facts["skipped"]] == [f"b{number}" for number in range(6)]
    assert all("--largest-person" in item["reason"] for item in facts["skipped"])
    assert facts["problems"] == []
    alone = MeanFuser().encode(planted(10, 6)[:10])
    kept = FusionState.load(state)
    assert kept.num_images == 10
    assert kept.sums == pytest.approx(alone.sums, abs=1e-6)
    vector = MeanFuser().finish(alone).vector
    assert Template.load(template).vector == pytest.approx(vector, abs=1e-6)


def test_outliers_are_dropped(command, tmp_path) -> None:
    quality = np.full(17, 3.0, dtype=np.float32)
    images = planted(15, 1, 1, quality=quality, embedder="edgeface_xs_512d@1")
    images.save(tmp_path / "set.npz")
    code, out, err = command(
        *("fuse", tmp_path / "set.npz", "--fuser", "universal", "-o", tmp_path / "t.npz"),
        "--drop-outliers",
    )
    assert code == 3
    assert "15 images fused by universal@1" in out
    assert "b0" in err
    assert "c0" in err
    vector = UniversalFuser().fuse(images[:15]).vector
    assert Template.load(tmp_path / "t.npz").vector == pytest.approx(vector, abs=1e-6)


def test_nothing_is_dropped_of_one_person(command, tmp_path) -> None:
    planted(12).save(tmp_path / "one.npz")
    for option in ("--strict", "--largest-person", "--drop-outliers"):
        code, out, _ = command(
            *("fuse", tmp_path / "one.npz", "--fuser", "mean", "-o", tmp_path / "t.npz"),
            *("--force", option),
        )
        assert code == 0
        assert "12 images fused" in out


def test_two_of_the_options_are_refused(command, mixed) -> None:
    code, _, err = command("fuse", mixed, "--json", "--strict", "--drop-outliers")
    assert code == 2
    assert "not allowed with" in err


def test_json_of_people_has_usability_and_screening_of_each(command, tmp_path, monkeypatch) -> None:
    """Crops whose embeddings are planted: `ann` is twelve images of one person, `eve` nine of her and five others."""
    cv2 = pytest.importorskip("cv2")
    embedder = PlantedEmbedder()
    monkeypatch.setattr(
        "probefusion.pipeline.chosen_models.open_embedder", lambda *_, **__: embedder
    )
    for name, counts in {"ann": (12, 0), "eve": (5, 9)}.items():
        (tmp_path / "people" / name).mkdir(parents=True)
        for person, count in enumerate(counts):
            for number in range(count):
                crop = np.full((112, 112, 3), 100 * person + 50, np.uint8)
                crop[56:] = 10 * number + 5
                cv2.imwrite(str(tmp_path / "people" / name / f"{'ae'[person]}{number}.png"), crop)
    code, out, err = command(
        *("fuse", tmp_path / "people", "--people", "--aligned", "--fuser", "mean"),
        *("-o", tmp_path / "t.npz", "--json"),
    )
    assert code == 3
    ann, eve = json.loads(out)["people"]
    assert (ann["id"], ann["screening"]["verdict"]) == ("ann", "one person")
    assert (eve["id"], eve["screening"]["verdict"]) == ("eve", "several people")
    assert eve["screening"]["parts"][1]["weight"] == pytest.approx(5 / 14, abs=1e-3)
    assert {ann["usability"]["verdict"], eve["usability"]["verdict"]} == {"not known"}
    assert "eve: the set falls apart" in err
