"""The open protocol: gallery, rendering, definition, refusals."""

from __future__ import annotations

import json
import unicodedata
from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import numpy as np
import pytest
from made_up_people import ALL, make_people

from probefusion.degradations.degrade import degrade
from probefusion.errors import ConfigError, EmptySetError, InvalidInputError, UnknownNameError
from probefusion.faces import decode_image
from probefusion.protocols.degraded_folder import (
    DegradedFolderProtocol,
    GalleryEntry,
    People,
    ProbeImage,
    fold_of,
    read_people,
    render,
)

# ---- gallery


def test_gallery_holds_the_first_image_of_everybody_in_the_folds():
    people = make_people(48)
    for folds in ((3,), (0, 2), ALL):
        protocol = DegradedFolderProtocol(people=people, folds=folds)
        expected = tuple(
            GalleryEntry(subject_id=name, source=images[0], is_distractor=len(images) < 3)
            for name, images in people.images.items()
            if fold_of(name) in folds
        )
        assert protocol.gallery == expected
        assert protocol.probe_subjects == tuple(
            entry.subject_id for entry in expected if not entry.is_distractor
        )
    assert {len(people.images[entry.subject_id]) for entry in expected if entry.is_distractor} == {
        1,
        2,
    }


def test_gallery_images_are_never_in_a_probe():
    protocol = DegradedFolderProtocol(people=make_people(48), folds=ALL)
    gallery = {entry.source for entry in protocol.gallery}
    sets = list(protocol.probe_sets(64))
    assert len(sets) == 4 * len(protocol.probe_subjects)
    for probe in sets:
        sources = {image.source for image in probe.images}
        assert sources <= set(protocol.people.images[probe.subject_id])
        assert not sources & gallery
    # 64 draws of at most five others leave none out, save with a chance of about 1e-5 a set.
    used = {image.source for probe in sets for image in probe.images}
    assert len(used) == sum(
        len(images) - 1 for images in protocol.people.images.values() if len(images) > 2
    )


def test_excluded_names_leave_the_distractors_only():
    people = People(
        images={"Ann_Lee": ("1",), "Zoë": ("2",), "Bo": ("3",), "Cy_Poe": ("4", "5", "6")}
    )
    names = ["ann lee", unicodedata.normalize("NFD", "ZOË"), "CY POE", "Nobody"]
    protocol = DegradedFolderProtocol(people=people, folds=ALL, exclude=names)
    assert protocol.excluded == ("Ann_Lee", "Zoë")
    assert [entry.subject_id for entry in protocol.gallery] == ["Bo", "Cy_Poe"]
    plain = DegradedFolderProtocol(people=people, folds=ALL)
    assert plain.excluded == ()
    assert plain.content_hash != protocol.content_hash
    assert list(plain.probe_sets(8)) == list(protocol.probe_sets(8))


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("Ann_Lee", "ann_lee"),
        ("Ann_Lee", "Ann Lee"),
        ("Zoë", unicodedata.normalize("NFD", "ZOË")),
        ("Jo_Straße", "jo strasse"),
    ],
)
def test_namesakes_are_refused(name: str, other: str):
    people = People(images={name: ("1", "2", "3"), other: ("4",)})
    with pytest.raises(InvalidInputError, match="are one name, taken for one person"):
        DegradedFolderProtocol(people=people, folds=ALL)


# ---- rendering


def test_render_degrades_with_its_own_seed(rng: np.random.Generator):
    pytest.importorskip("cv2", reason="degradation needs OpenCV")
    pixels = rng.integers(0, 256, (112, 112, 3)).astype(np.uint8)
    image = ProbeImage(source="Bo/x.png", severity=0.7, seed=2**64 - 1)
    asked = []
    crop = render(image, lambda name: asked.append(name) or pixels)
    assert asked == ["Bo/x.png"]
    expected = degrade(pixels, 0.7, np.random.Generator(np.random.PCG64(2**64 - 1)))
    assert np.array_equal(crop, expected)
    assert not np.array_equal(render(replace(image, seed=5), lambda _: pixels), crop)
    assert np.array_equal(render(replace(image, severity=0.0), lambda _: pixels), pixels)


def test_from_folder_to_crops(tree: Path):
    people = read_people(tree)
    protocol = DegradedFolderProtocol(people=people, folds=ALL)
    (probe,) = [p for p in protocol.probe_sets(4) if p.set_index == 3]
    crops = [render(image, lambda name: decode_image(people.read(name))) for image in probe.images]
    assert {crop.shape for crop in crops} == {(112, 112, 3)}


# ---- definition


def test_definition_and_hash_say_what_was_measured():
    base = DegradedFolderProtocol(people=make_people(), folds=(3, 0, 1, 2))
    definition = base.definition()
    assert json.loads(json.dumps(definition)) == definition
    assert definition["folds"] == [0, 1, 2, 3]
    assert definition["version"] == "degraded-folder/v1"
    assert definition["degradation"]["version"] == "face-degradation/v1"
    assert DegradedFolderProtocol(people=make_people(), folds=ALL).content_hash == base.content_hash
    renamed = {
        name: tuple(image.replace(".png", ".jpg") for image in images)
        for name, images in make_people().images.items()
    }
    changed = [
        replace(base, mix="clean"),
        replace(base, seed=1),
        replace(base, num_sets=3),
        replace(base, set_sizes=(1, 64)),
        replace(base, folds=(1, 2, 3)),
        replace(base, people=make_people(13)),
        replace(base, people=People(images=renamed)),
    ]
    hashes = {protocol.content_hash for protocol in changed}
    assert len(hashes | {base.content_hash}) == len(changed) + 1


def test_values_are_frozen():
    protocol = DegradedFolderProtocol(people=make_people(), folds=ALL)
    for value, name in (
        (protocol, "seed"),
        (protocol.gallery[0], "source"),
        (protocol.probe_set("Person_005", 0, 1), "images"),
        (protocol.probe_set("Person_005", 0, 1).images[0], "severity"),
        (protocol.people, "path"),
    ):
        with pytest.raises(FrozenInstanceError):
            setattr(value, name, 1)


def test_numpy_numbers_are_taken():
    plain = DegradedFolderProtocol(people=make_people(), folds=(1, 3), set_sizes=(2, 4), seed=3)
    numbers = DegradedFolderProtocol(
        people=make_people(),
        folds=tuple(np.array([1, 3])),
        set_sizes=tuple(np.array([2, 4])),
        num_sets=np.int64(4),
        seed=np.int64(3),
    )
    assert numbers.content_hash == plain.content_hash


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"folds": ()}, ConfigError, "folds: expected different ones of 0 to 3"),
        ({"folds": (4,)}, ConfigError, "folds"),
        ({"folds": (1, 1)}, ConfigError, "folds"),
        ({"folds": (0.5,)}, ConfigError, "folds: expected whole numbers, got 0.5"),
        ({"mix": "Hard"}, UnknownNameError, "did you mean 'hard'"),
        ({"set_sizes": ()}, ConfigError, "set_sizes: expected ascending numbers"),
        ({"set_sizes": (0, 1)}, ConfigError, "set_sizes"),
        ({"set_sizes": (2, 2)}, ConfigError, "set_sizes"),
        ({"num_sets": 0}, ConfigError, "num_sets: expected at least 1, got 0"),
        ({"seed": -1}, ConfigError, "seed: expected 0 or more, got -1"),
        ({"exclude": "Bo"}, ConfigError, "exclude: expected a list of names"),
        ({"people": People(images={"a": ("1", "2")})}, EmptySetError, "3 or more images"),
    ],
)
def test_wrong_settings(settings, error, message):
    with pytest.raises(error, match=message):
        DegradedFolderProtocol(**{"people": make_people(), "folds": ALL, **settings})


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("Person_000", 0, 1), InvalidInputError, "probe people, got 'Person_000'"),
        (("Nobody", 0, 1), InvalidInputError, "subject_id: expected one of the"),
        (("Person_005", 4, 1), ConfigError, "set_index: expected 0 to 3, got 4"),
        (("Person_005", -1, 1), ConfigError, "set_index"),
        (("Person_005", 0, 0), ConfigError, "num_images: expected 1 to 64, got 0"),
        (("Person_005", 0, 65), ConfigError, "num_images"),
    ],
)
def test_wrong_probe_sets(arguments, error, message):
    protocol = DegradedFolderProtocol(people=make_people(), folds=ALL)
    with pytest.raises(error, match=message):
        protocol.probe_set(*arguments)


# ---- real data


@pytest.mark.assets
def test_lfw(assets: Path):
    people = read_people(assets / "data" / "lfw112.zip")
    assert (len(people.images), people.num_images, people.skipped) == (4479, 9083, ())
    dev = DegradedFolderProtocol(people=people, folds=(3,))
    assert len(dev.probe_subjects) == 166
    assert len(dev.gallery) == 1132
    assert (
        sum(len(DegradedFolderProtocol(people=people, folds=(f,)).probe_subjects) for f in ALL)
        == 641
    )
    image = dev.probe_set(dev.probe_subjects[0], 0, 1).images[0]
    crop = render(image, lambda name: decode_image(people.read(name), source=name))
    assert crop.shape == (112, 112, 3)


def test_image_names_in_another_encoding_have_a_hash():
    """Only people's names are hashed in the draws, so such images can be used."""
    people = People(images={"Ann": ("Ann/caf\udce9.png", "Ann/2.png", "Ann/3.png")})
    other = People(images={"Ann": ("Ann/cafe.png", "Ann/2.png", "Ann/3.png")})
    hashes = {
        DegradedFolderProtocol(people=entry, folds=ALL).content_hash for entry in (people, other)
    }
    assert len(hashes) == 2
