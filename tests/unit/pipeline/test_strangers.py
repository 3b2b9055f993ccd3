"""Screening inside `Pipeline.fuse` and `fuse_people`."""

from __future__ import annotations

import numpy as np
import pytest
from planted_people import PlantedEmbedder, planted

from probefusion.errors import ConfigError, EmptySetError, SeveralPeopleError
from probefusion.pipeline import Pipeline


@pytest.fixture
def people(write, tmp_path):
    """ann: 12 images of her; eve: 9 of her and 5 of ann."""
    root = tmp_path / "people"
    for name, counts in {"ann": (12, 0), "eve": (5, 9)}.items():
        for person, count in enumerate(counts):
            for number in range(count):
                crop = np.full((112, 112, 3), 100 * person + 50, np.uint8)
                crop[56:] = 10 * number + 5
                write(root / name / f"{'ae'[person]}{number}.png", crop)
    return root


@pytest.fixture
def pipeline():
    return Pipeline(PlantedEmbedder(), aligned=True, fuser="mean")


def test_a_person_whose_images_fall_apart_is_a_problem(people, pipeline) -> None:
    fused = pipeline.fuse_people(people)
    assert list(fused.templates) == ["ann", "eve"]
    assert fused.screenings["ann"].verdict == "one person"
    assert fused.screenings["eve"].falls_apart
    assert len(fused.problems) == 1
    assert fused.problems[0].startswith("eve: the set falls apart")


def test_refused_people_are_left_out(people, pipeline) -> None:
    fused = pipeline.fuse_people(people, strangers="refuse")
    assert list(fused.templates) == ["ann"]
    assert fused.problems[0].startswith("eve: left out: ")


def test_the_largest_person_of_each(people, pipeline) -> None:
    fused = pipeline.fuse_people(people, strangers="largest-person")
    assert fused.templates.num_images.tolist() == [12, 9]
    assert [item.source.rsplit("/", 1)[-1] for item in fused.skipped] == [
        f"a{number}.png" for number in range(5)
    ]
    assert fused.problems == ()


@pytest.mark.parametrize("counts", [(6, 4, 3), (3, 7, 6), (4, 4, 9, 5)])
def test_the_largest_person_is_not_lost_to_several_others_together(pipeline, counts) -> None:
    """A part of two others has more images than the person of most, and is taken apart too."""
    images = planted(*counts)
    fused = pipeline.fuse(images, strangers="largest-person")
    assert images.sources is not None
    largest = np.repeat(np.arange(len(counts)), counts) == int(np.argmax(counts))
    gone = {item.source for item in fused.skipped}
    assert gone == set(images.sources[~largest].tolist())
    assert fused.problems == ()


def test_images_of_several_inputs_are_screened_together(pipeline) -> None:
    images = planted(10, 6)
    fused = pipeline.fuse([images[:10], images[10:]], strangers="largest-person")
    assert fused.num_images == 10
    assert fused.screening is not None
    assert fused.screening.falls_apart
    assert fused.sources == tuple(f"a{number}" for number in range(10))
    alone = pipeline.fuse(images[:10])
    assert np.allclose(fused.template.vector, alone.template.vector, atol=1e-6)
    assert "no sign" in str(alone)


def test_what_is_refused_and_what_is_unknown(pipeline) -> None:
    with pytest.raises(SeveralPeopleError, match="falls apart"):
        pipeline.fuse(planted(10, 6), strangers="refuse")
    with pytest.raises(ConfigError, match="largest-person"):
        pipeline.fuse(planted(10), strangers="drop")
    with pytest.raises(EmptySetError):
        pipeline.fuse([])


def test_a_state_alone_is_not_screened(pipeline) -> None:
    state = pipeline.fuse(planted(10, 6)).state
    fused = pipeline.fuse([state])
    assert fused.screening.verdict == "not screened"
    assert fused.screening.num_images == 16
    assert str(fused).splitlines()[-1] == "not screened: only a state"
    assert fused.problems == ()


def test_images_beside_a_state_are_screened_and_the_state_is_told(pipeline) -> None:
    state = pipeline.fuse(planted(10, 6)).state
    fused = pipeline.fuse([state, planted(12)])
    assert fused.screening.verdict == "one person"
    assert "; not screened: 16 images of which there is only a state" in str(fused)
    assert fused.num_images == 28
    assert fused.num_faces is None
    mixed = pipeline.fuse([state, planted(10, 6)])
    assert mixed.problems == (str(mixed.screening),)


def test_nobody_looks_where_that_is_not_wanted(pipeline, people) -> None:
    fused = pipeline.fuse(planted(10, 6), strangers="no-screening")
    assert (fused.screening.verdict, fused.problems) == ("not screened", ())
    assert fused.screening.reason == "not wanted (--no-screening)"
    assert fused.num_images == 16
    all_of_them = pipeline.fuse_people(people, strangers="no-screening")
    assert {item.verdict for item in all_of_them.screenings.values()} == {"not screened"}
    assert all_of_them.problems == ()


def test_each_person_has_a_usability(pipeline, people) -> None:
    fused = pipeline.fuse_people(people)
    assert list(fused.usabilities) == ["ann", "eve"]
    assert {item.verdict for item in fused.usabilities.values()} == {"not known"}
