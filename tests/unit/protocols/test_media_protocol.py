"""media-folder on people of some folds: who is used, families, definition, refusals."""

from __future__ import annotations

import json

import numpy as np
import pytest

from probefusion.errors import ConfigError, EmptySetError, InvalidInputError, UnknownNameError
from probefusion.protocols.degraded_folder import fold_of
from probefusion.protocols.media_images import MediaImages
from probefusion.protocols.media_protocol import MediaFolderProtocol
from probefusion.protocols.people import People
from probefusion.protocols.size_classes import SizeClass


def make_images(names=None, *, num_media=2, num_images=3) -> MediaImages:
    """Everybody has the same media and images; widths of the first medium are known."""
    names = [f"F{k % 4}_P{k:02}" for k in range(12)] if names is None else names
    images = {
        name: tuple(f"{name}/m{m}/{j}.jpg" for m in range(num_media) for j in range(num_images))
        for name in names
    }
    media = {image: image.split("/")[1] for mine in images.values() for image in mine}
    widths = {image: 50.0 for image, medium in media.items() if medium == "m0"}
    return MediaImages(people=People(images=images), media=media, face_px=widths)


def test_people_of_the_folds_are_used():
    images = make_images()
    for folds in ((0, 1, 2, 3), (3,), (1, 0)):
        protocol = MediaFolderProtocol(images=images, folds=folds)
        expected = [name for name in images.people.images if fold_of(name) in folds]
        assert protocol.split.subjects.tolist() == expected
        assert len(protocol.sources) == 6 * len(expected)
        assert protocol.folds == tuple(sorted(folds))
        assert len(set(protocol.families.tolist())) == len(expected)


def test_somebody_can_be_left_out():
    full, part = (
        MediaFolderProtocol(images=make_images(), leave_out=names)
        for names in ((), ("F1_P01", "f2 p02"))
    )
    assert sorted(set(full.split.subjects) - set(part.split.subjects)) == ["F1_P01", "F2_P02"]
    assert part.counts["num_people"] == 10
    assert part.content_hash != full.content_hash
    assert part.definition()["leave_out"] == ["F1_P01", "f2 p02"]
    with pytest.raises(UnknownNameError, match="person to leave out"):
        MediaFolderProtocol(images=make_images(), leave_out=["F1_P99"])
    with pytest.raises(ConfigError, match="leave_out: expected a list"):
        MediaFolderProtocol(images=make_images(), leave_out="F1_P01")


def test_families_by_the_names():
    images = make_images(["F1_A", "F1_B", "F2_A", "solo", "F1"])
    protocol = MediaFolderProtocol(images=images, relatives="^(?P<family>F[0-9]+)_")
    numbers = dict(zip(protocol.split.subjects.tolist(), protocol.families.tolist(), strict=True))
    assert numbers["F1_A"] == numbers["F1_B"]
    assert len(set(numbers.values())) == 4
    assert protocol.num_of_no_family == 2
    assert protocol.counts["num_families"] == 4


@pytest.mark.parametrize(
    ("relatives", "words"),
    [
        ("[", "relatives: expected a regular expression"),
        ("^(F[0-9])", r"with a group \(\?P<family>"),
        ("(?P<family>xyz)", "to find a family in names of people, got none in 12"),
    ],
)
def test_patterns_that_find_no_family_are_refused(relatives, words):
    with pytest.raises(ConfigError, match=words):
        MediaFolderProtocol(images=make_images(), relatives=relatives)


def test_all_of_one_family_leave_nobody_to_be_mistaken_for():
    images = make_images(["F1_A", "F1_B", "F1_C"])
    with pytest.raises(EmptySetError, match="of two families or more"):
        MediaFolderProtocol(images=images, relatives="^(?P<family>F1)")
    with pytest.raises(EmptySetError, match="nobody to be mistaken for"):
        MediaFolderProtocol(images=make_images(["Ann"]))


def test_one_medium_each_leaves_nobody_to_search_for():
    with pytest.raises(EmptySetError, match="12 people with one medium each"):
        MediaFolderProtocol(images=make_images(num_media=1))


def test_folds_without_anybody_are_refused():
    empty = next(k for k in range(4) if k != fold_of("Ann") and k != fold_of("Bob"))
    with pytest.raises(EmptySetError, match=r"expected somebody in the folds"):
        MediaFolderProtocol(images=make_images(["Ann", "Bob"]), folds=(empty,))


def test_namesakes_are_refused():
    with pytest.raises(InvalidInputError, match="are one name"):
        MediaFolderProtocol(images=make_images(["Ann_Lee", "ann lee", "Bob"]))


def test_definition_and_hash_hold_all_that_decides():
    images = make_images()
    protocol = MediaFolderProtocol(images=images, size_classes=(SizeClass(high=60),))
    assert json.loads(json.dumps(protocol.definition())) == {
        "version": "media-folder/v1",
        "num_folds": 4,
        "folds": [0, 1, 2, 3],
        "size_classes": ["all", "..60"],
        "set_sizes": [1, 2, 4, 8, 16, 32],
        "num_sets": 16,
        "sets_are_nested": False,
        "seed": 0,
        "leave_out": [],
        "relatives": None,
    }
    assert protocol.counts == {
        "num_people": 12,
        "num_distractors": 0,
        "num_media": 24,
        "num_images": 72,
        "num_images_of_unknown_width": 36,
        "num_families": 12,
        "num_people_of_no_family": 0,
    }
    settings = [
        {"seed": 1},
        {"num_sets": 2},
        {"set_sizes": (1,)},
        {"folds": (0, 1, 2)},
        {"size_classes": (SizeClass(low=60),)},
        {"relatives": "^(?P<family>F.)"},
    ]
    hashes = [MediaFolderProtocol(images=images, **setting).content_hash for setting in settings]
    again = MediaFolderProtocol(images=make_images(), size_classes=(SizeClass(high=60),))
    assert again.content_hash == protocol.content_hash
    assert len({protocol.content_hash, *hashes}) == 7
    unknown = MediaFolderProtocol(
        images=MediaImages(people=images.people, media=images.media),
        size_classes=(SizeClass(high=60),),
    )
    assert unknown.content_hash != protocol.content_hash
    assert np.isnan(unknown.face_px).all()


def test_a_pattern_in_another_encoding_has_a_hash():
    protocol = MediaFolderProtocol(images=make_images(), relatives="^(?P<family>F.)|caf\udce9")
    assert len(protocol.content_hash) == 64
