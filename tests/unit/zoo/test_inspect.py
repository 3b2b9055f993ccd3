"""Guessing how a network wants to be fed, on networks that are made for one way of being fed."""

from __future__ import annotations

import numpy as np
import pytest

from probefusion.embedders.guess import SCALINGS, guess_preprocessing
from probefusion.errors import (
    ConfigError,
    DtypeError,
    EmptySetError,
    FileFormatError,
    InvalidInputError,
    OutputExistsError,
    ShapeError,
)
from probefusion.zoo import known_models, load_embedder
from probefusion.zoo.inspect import MAX_FACES, gather_faces, inspect_model, save_inspection

cv2 = pytest.importorskip("cv2")


@pytest.fixture
def faces(rng):
    """Smooth coloured pictures in place of faces: each unlike the others."""
    small = rng.integers(0, 256, (12, 5, 5, 3)).astype(np.uint8)
    return np.stack([cv2.resize(picture, (112, 112)) for picture in small])


def test_facts_and_shapes_of_taps(network_file):
    inspection = inspect_model(network_file)
    assert inspection.tap_shapes == {"quarter": (5, 28, 28), "eighth": (6, 14, 14)}
    assert inspection.facts.dims == (7,)
    assert inspection.known is None
    assert inspection.guess is None


def test_a_guess_ranks_all_ways_and_counts_who_agrees(network_file, faces):
    guess = inspect_model(network_file, crops=faces).guess
    assert len(guess.feedings) == 2 * len(SCALINGS)
    gaps = [feeding.gap for feeding in guess.feedings]
    assert gaps == sorted(gaps, reverse=True)
    assert guess.num_faces == len(faces)
    assert 0 <= guess.scaling_agreement <= 1
    assert guess.confidence in ("sure", "likely", "unsure")
    assert 0 <= guess.norm_falls <= 1
    again = inspect_model(network_file, crops=faces).guess
    assert again == guess, "the same faces give the same guess"


def test_settings_follow_the_channel_order(network_file, faces):
    guess = inspect_model(network_file, crops=faces).guess
    for feeding in guess.feedings:
        mean = SCALINGS[feeding.scaling][0]
        order = feeding.channel_order
        assert feeding.settings["mean"] == (mean if order == "RGB" else mean[::-1])


def test_faces_that_say_nothing_are_refused(network_file, faces):
    facts = inspect_model(network_file).facts
    with pytest.raises(InvalidInputError, match="at least 8 different faces, got 7"):
        guess_preprocessing(network_file, facts, faces[:7])
    with pytest.raises(InvalidInputError, match="got 1"):
        guess_preprocessing(network_file, facts, np.repeat(faces[:1], 20, axis=0))
    with pytest.raises(ShapeError):
        guess_preprocessing(network_file, facts, faces[:, :64])
    with pytest.raises(DtypeError):
        guess_preprocessing(network_file, facts, faces.astype(np.float32))


def test_faces_are_gathered_one_a_person(tmp_path, faces):
    for person in range(3):
        (tmp_path / "people" / str(person)).mkdir(parents=True)
        for number in range(2):
            file = tmp_path / "people" / str(person) / f"{number}.png"
            cv2.imwrite(str(file), faces[2 * person + number])
    crops, skipped = gather_faces(tmp_path / "people")
    assert crops.shape == (3, 112, 112, 3)
    assert skipped == []
    (tmp_path / "flat").mkdir()
    for number in range(30):
        cv2.imwrite(str(tmp_path / "flat" / f"{number:02}.png"), faces[number % 12])
    (tmp_path / "flat" / "00.png").write_bytes(b"broken")
    cv2.imwrite(str(tmp_path / "flat" / "29.png"), faces[0][:50])
    crops, skipped = gather_faces(tmp_path / "flat")
    assert len(crops) == MAX_FACES - 2
    assert len(skipped) == 2
    (tmp_path / "empty").mkdir()
    with pytest.raises(EmptySetError):
        gather_faces(tmp_path / "empty")


def test_what_is_stated_is_kept_by_name(network_file, home):
    inspection = inspect_model(network_file)
    with pytest.raises(ConfigError, match=r"channel_order, mean, std not known.*--faces"):
        save_inspection(inspection, "mine")
    settings = {"preprocessing": "arcface"}
    entry = save_inspection(inspection, "mine", settings=settings, licence="my own")
    assert known_models()["mine"].settings == entry.settings
    embedder = load_embedder("mine")
    assert embedder.spec.style_taps == ("quarter", "eighth")
    assert embedder.spec.licence == "my own"
    assert embedder.spec.name == "mine"
    with pytest.raises(OutputExistsError):
        save_inspection(inspection, "mine", settings=settings)
    network_file.write_bytes(network_file.read_bytes() + b"\x00")
    with pytest.raises(OSError, match="expected SHA-256"):
        load_embedder("mine")


def test_an_unsure_guess_is_not_stored(network_file, faces, home):
    """A random network does not tell faces apart, however it is fed."""
    inspection = inspect_model(network_file, crops=faces)
    if inspection.guess.confidence == "unsure":
        with pytest.raises(ConfigError, match="not known with certainty"):
            save_inspection(inspection, "mine")
    else:
        assert save_inspection(inspection, "mine").settings["channel_order"] in ("RGB", "BGR")


def test_other_files_are_refused(tmp_path):
    (tmp_path / "a.onnx").write_bytes(b"text")
    with pytest.raises(FileFormatError):
        inspect_model(tmp_path / "a.onnx")


@pytest.mark.assets
@pytest.mark.parametrize(
    ("name", "scaling"),
    [
        ("mobilefacenet_128d", "ImageNet mean and std"),
        ("edgeface_xs_512d", "(x/255 - .5)/.5"),
    ],
)
def test_real_networks_are_guessed_right_on_real_faces(assets, name, scaling):
    crops, _ = gather_faces(assets / "data" / "lfw112.zip")
    inspection = inspect_model(assets / "models" / f"{name}.onnx", crops=crops[:12], num_threads=1)
    guess = inspection.guess
    assert inspection.known.name == name
    assert (guess.best.scaling, guess.best.channel_order) == (scaling, "RGB")
    assert guess.confidence == "sure"
    assert guess.norm_is_quality in (inspection.known.settings["norm_is_quality"], None)
    assert (guess.norm_falls > 0.8) == inspection.known.settings["norm_is_quality"]
