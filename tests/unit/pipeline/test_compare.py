from __future__ import annotations

import numpy as np
import pytest

from probefusion.errors import (
    ConfigError,
    EmbedderMismatchError,
    EmptySetError,
    FuserMismatchError,
    MissingFileError,
)
from probefusion.fusion import MeanFuser
from probefusion.pipeline import Comparison, Pipeline
from probefusion.types import TemplateSet
from probefusion.zoo import load_fuser


@pytest.fixture
def sets(make_set):
    return [make_set(count, embedder="net@1") for count in (4, 1, 3)]


def test_sets_and_templates_give_the_cosine_of_their_templates(sets) -> None:
    fuser = MeanFuser()
    templates = [fuser.fuse(images) for images in sets]
    expected = templates[0].similarity(templates[1])
    pipeline = Pipeline(fuser="mean")
    for first in (sets[0], templates[0]):
        for second in (sets[1], templates[1]):
            found = pipeline.compare(first, second)
            assert isinstance(found, Comparison)
            assert found.similarity == pytest.approx(expected, abs=1e-9)
            assert found.num_images == (4, 1)
            assert (found.fuser, found.embedder) == ("mean@1", "net@1")
            assert found.threshold is found.is_match is found.ids is None
            assert found.skipped == ()


def test_images_are_fused_by_the_fuser_of_the_template(sets) -> None:
    """Left to the pipeline, the mean would be taken for this embedder, which is not known."""
    fuser = load_fuser("norm-weighted")
    found = Pipeline().compare(fuser.fuse(sets[0]), sets[1])
    assert found.fuser == fuser.fingerprint
    expected = fuser.fuse(sets[0]).similarity(fuser.fuse(sets[1]))
    assert found.similarity == pytest.approx(expected, abs=1e-9)
    with pytest.raises(FuserMismatchError, match="same fuser"):
        Pipeline(fuser="mean").compare(fuser.fuse(sets[0]), sets[1])


def test_a_template_of_a_fuser_outside_the_package(sets, fuser_folders) -> None:
    fuser = load_fuser(fuser_folders["exact"])
    first, second = fuser.fuse(sets[0]), fuser.fuse(sets[1])
    assert Pipeline().compare(first, second).similarity == first.similarity(second)
    with pytest.raises(ConfigError, match=r"the template was made by exact\.test.*--fuser DIR"):
        Pipeline().compare(first, sets[1])
    found = Pipeline(fuser=fuser_folders["exact"]).compare(first, sets[1])
    assert found.similarity == pytest.approx(first.similarity(second), abs=1e-6)


def test_files(tmp_path, sets) -> None:
    fuser = MeanFuser()
    people = TemplateSet.of({"a": fuser.fuse(sets[0]), "b": fuser.fuse(sets[1])})
    people.save(tmp_path / "people.npz")
    sets[2].save(tmp_path / "probe.npz")
    found = Pipeline(fuser="mean").compare(f"{tmp_path}/people.npz#b", tmp_path / "probe.npz")
    assert found.similarity == pytest.approx(people["b"].similarity(fuser.fuse(sets[2])), abs=1e-6)
    with pytest.raises(ConfigError, match=r"got 2: a, b\. Name one"):
        Pipeline().compare(tmp_path / "people.npz", sets[0])
    with pytest.raises(MissingFileError):
        Pipeline().compare(tmp_path / "none.npz", sets[0])


def test_several_files_of_one_person_are_one_side(tmp_path, sets) -> None:
    for number, images in enumerate(sets[:2]):
        images.save(tmp_path / f"{number}.npz")
    files = [tmp_path / "0.npz", tmp_path / "1.npz"]
    found = Pipeline(fuser="mean").compare(files, sets[2])
    assert found.num_images == (5, 3)


def test_people(sets) -> None:
    fuser = MeanFuser()
    templates = [fuser.fuse(images) for images in sets]
    first = TemplateSet.of({"a": templates[0], "b": templates[1]})
    second = TemplateSet.of({"x": templates[1], "y": templates[2], "z": templates[0]})
    found = Pipeline().compare_people(first, second)
    assert [comparison.ids for comparison in found] == [("a", "z"), ("b", "x")]
    assert [comparison.num_images for comparison in found] == [(4, 4), (1, 1)]
    assert all(comparison.similarity > 1 - 1e-6 for comparison in found)
    within = Pipeline().compare_people(first)
    assert [comparison.ids for comparison in within] == [("a", "b"), ("b", "a")]
    assert np.allclose([c.similarity for c in within], templates[0].similarity(templates[1]))
    with pytest.raises(EmptySetError):
        Pipeline().compare_people(TemplateSet.of({"a": templates[0]}))


def test_what_does_not_belong_together(sets, make_set) -> None:
    with pytest.raises(EmbedderMismatchError):
        Pipeline(fuser="mean").compare(sets[0], make_set(2, embedder="net@2"))
    for rate in (0, 1, -0.5, float("nan")):
        with pytest.raises(ConfigError, match="between 0 and 1"):
            Pipeline().compare(sets[0], sets[1], false_match_rate=rate)
