"""`fuse` and `compare` say when a template cannot be used, and end with 3."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from probefusion.screening.non_faces import draw_non_faces


@pytest.fixture(scope="module")
def noise(tmp_path_factory):
    """A folder of crops that show noise."""
    folder = tmp_path_factory.mktemp("noise")
    for place, crop in enumerate(draw_non_faces("noise", 3, np.random.default_rng(0))):
        cv2.imwrite(str(folder / f"{place}.png"), crop)
    return folder


@pytest.fixture(scope="module")
def noise_set(noise, command_once):
    path = noise.parent / "noise_set.npz"
    assert command_once("embed", noise, "--embedder", "compact_128d", "--aligned", "-o", path) == 0
    return path


@pytest.fixture(scope="module")
def command_once():
    from probefusion.cli.main import main

    return lambda *arguments: main([str(argument) for argument in arguments])


def test_noise_is_written_and_must_be_looked_at(command, noise_set, tmp_path) -> None:
    code, out, err = command("fuse", noise_set, "-o", tmp_path / "t.npz", "--explain")
    assert code == 3
    assert (tmp_path / "t.npz").is_file()
    assert "not usable" not in out
    assert "predicted gain over the plain mean:" in out
    assert err.count("warning: the images: not usable") == 1


def test_json_holds_the_verdict(command, noise_set) -> None:
    code, out, _ = command("fuse", noise_set, "--json")
    assert code == 3
    facts = json.loads(out)["usability"]
    assert (facts["verdict"], facts["quality"], facts["interval"]) == ("not usable", 0, None)
    assert 0.4 < facts["level"] < 0.7


def test_a_saved_state_is_judged_without_its_images(command, noise_set, tmp_path) -> None:
    state = tmp_path / "s.safetensors"
    code, _, _ = command("fuse", noise_set, "--state", state)
    assert code == 3
    again = command("fuse", state, "--json")
    assert again[0] == 3
    assert json.loads(again[1])["usability"]["verdict"] == "not usable"


def test_compare_says_which_side(command, noise_set) -> None:
    code, out, err = command("compare", noise_set, noise_set, "--json")
    assert code == 3
    assert "warning: A: not usable" in err
    assert "warning: B: not usable" in err
    verdicts = [side["verdict"] for side in json.loads(out)["usability"]]
    assert verdicts == ["not usable"] * 2


def test_what_was_not_measured_is_said_and_no_error(command, tmp_path) -> None:
    rows = np.random.default_rng(0).standard_normal((3, 16)).astype(np.float32)
    np.save(tmp_path / "e.npy", rows)
    code, out, err = command("fuse", tmp_path / "e.npy", "--json")
    assert code == 0
    facts = json.loads(out)["usability"]
    assert facts["verdict"] == "not known"
    assert facts["similarity"] is None
    assert "nobody said which embedder" in facts["reason"]
    assert "warning" not in err


def test_strict_writes_no_template_that_is_not_usable(command, noise_set, tmp_path) -> None:
    path = tmp_path / "t.npz"
    code, _, err = command("fuse", noise_set, "-o", path, "--strict")
    assert code == 1
    assert "not usable: the images do not look like faces" in err
    assert not path.exists()


def test_strict_leaves_people_out_whose_template_is_not_usable(command, noise, tmp_path) -> None:
    people = tmp_path / "people"
    for name in ("ann", "ben"):
        (people / name).mkdir(parents=True)
        for crop in noise.iterdir():
            (people / name / crop.name).write_bytes(crop.read_bytes())
    arguments = ("fuse", people, "--people", "--aligned", "-o", tmp_path / "t.npz")
    code, _, err = command(*arguments)
    assert code == 3
    assert "warning: ann: not usable" in err
    code, _, err = command(*arguments, "--strict", "--force")
    assert code == 1
    assert (
        "no image of 2 people could be used: ann: left out: images: their template is not usable"
        in err
    )
