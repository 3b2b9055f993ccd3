"""A folder with a folder of images for each person to a set of templates."""

from __future__ import annotations

import shutil
import zipfile

import numpy as np
import pytest

from probefusion.errors import ConfigError, EmptySetError, FileFormatError
from probefusion.pipeline import Pipeline


@pytest.fixture
def people(write, tmp_path):
    """ann (2 images), bob (3, one folder deeper), nobody (an empty folder), eve (a broken file)."""
    root = tmp_path / "people"
    crop = np.full((112, 112, 3), 90, np.uint8)
    for number in range(2):
        write(root / "ann" / f"{number}.png", crop // (number + 1) * [[[2, 1, 1]]])
    for number in range(3):
        write(root / "bob" / "summer" / f"{number}.png", crop * [[[1, 1, 2]]])
    (root / "nobody").mkdir()
    (root / "eve").mkdir()
    (root / "eve" / "0.png").write_bytes(b"no picture")
    (root / ".hidden").mkdir()
    return root


def test_a_template_of_each(people, embedder) -> None:
    pipeline = Pipeline(embedder, aligned=True, fuser="mean")
    counted = []
    fused = pipeline.fuse_people(people, progress=lambda *given: counted.append(given))
    templates = fused.templates
    assert list(templates) == ["ann", "bob"]
    assert templates.num_images.tolist() == [2, 3]
    assert templates.fuser == "mean@1"
    assert templates.embedder == embedder.fingerprint
    assert templates.states is None
    for name in templates:
        alone = pipeline.fuse(people / name).template
        assert np.array_equal(templates[name].vector, alone.vector)
    assert [problem.split(":")[0] for problem in fused.problems] == ["eve", "nobody"]
    assert counted[-1] == ("people", 4, 4)
    text = str(fused)
    assert text.startswith("2 people, 5 images fused by mean@1, 3 dimensions")
    assert "warning: eve: left out" in text


def test_with_states_images_can_be_added(people, embedder) -> None:
    pipeline = Pipeline(embedder, aligned=True, fuser="mean")
    templates = pipeline.fuse_people(people, keep_states=True).templates
    more = pipeline.fuse([templates.states[0], people / "ann"])
    assert more.num_images == 4


def test_an_archive_gives_the_same(people, embedder, tmp_path) -> None:
    pipeline = Pipeline(embedder, aligned=True, fuser="mean")
    archive = tmp_path / "people.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for path in people.rglob("*.png"):
            packed.write(path, path.relative_to(people.parent).as_posix())
    found = pipeline.fuse_people(archive).templates
    expected = pipeline.fuse_people(people).templates
    assert list(found) == list(expected)
    assert np.array_equal(found.vectors, expected.vectors)


def test_what_is_no_folder_of_people(people, embedder, tmp_path) -> None:
    pipeline = Pipeline(embedder, aligned=True)
    for folder in (people / "ann", people / "bob", people / "nobody"):
        with pytest.raises(FileFormatError, match="two or more people"):
            pipeline.fuse_people(folder)
    with pytest.raises(ConfigError, match="photos need a face detector"):
        Pipeline(embedder).fuse_people(people)


def test_nobody_can_be_used(embedder, tmp_path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "0.jpg").write_bytes(b"no picture")
    with pytest.raises(EmptySetError, match="no image of 2 people could be used"):
        Pipeline(embedder, aligned=True).fuse_people(tmp_path)


def test_people_behind_links_are_people(people, embedder, tmp_path) -> None:
    linked = tmp_path / "linked"
    linked.mkdir()
    for name in ("ann", "bob"):
        (linked / name).symlink_to(people / name, target_is_directory=True)
    pipeline = Pipeline(embedder, aligned=True, fuser="mean")
    fused, right = pipeline.fuse_people(linked), pipeline.fuse_people(people)
    assert list(fused.templates) == ["ann", "bob"]
    assert fused.templates.num_images.tolist() == [2, 3]
    assert np.array_equal(fused.templates.vectors, right.templates.vectors)


def test_links_within_a_person_count_once_and_across_people_stay(people, embedder, tmp_path):
    pipeline = Pipeline(embedder, aligned=True, fuser="mean")
    right = pipeline.fuse_people(people)
    linked = tmp_path / "linked"
    shutil.copytree(people, linked)
    (first, *_) = sorted((linked / "ann").iterdir())
    (linked / "ann" / f"00{first.suffix}").symlink_to(first)
    fused = pipeline.fuse_people(linked)
    assert fused.templates.num_images.tolist() == right.templates.num_images.tolist()
    assert np.array_equal(fused.templates.vectors, right.templates.vectors)
    (told,) = [item for item in fused.skipped if "link" in item.reason]
    assert told.reason == f"the same file as {first.name!r}, by a link: its picture counts once"
    alone = pipeline.fuse(linked / "ann")
    assert (alone.num_images, len(alone.skipped)) == (2, 1)
    assert np.array_equal(alone.template.vector, right.templates["ann"].vector)
    (linked / "bob" / f"00{first.suffix}").symlink_to(first)
    assert pipeline.fuse_people(linked).templates.num_images.tolist() == [2, 4]


def test_names_that_look_alike_are_told(write, embedder, tmp_path, caplog) -> None:
    crop = np.full((112, 112, 3), 90, np.uint8) * np.array([2, 1, 1], np.uint8)
    for name in ("jos\u00e9", "jose\u0301", "Ann_Lee", "ann lee", "bob"):
        write(tmp_path / "people" / name / "0.png", crop)
    pipeline = Pipeline(embedder, aligned=True, fuser="mean")
    assert len(pipeline.fuse_people(tmp_path / "people").templates.ids) == 5
    [told] = [record.getMessage() for record in caplog.records if "several ways" in record.msg]
    assert told.startswith("2 names are written in several ways")
    assert "'Ann_Lee' and 'ann lee'; 'jose\\u0301' and 'jos\\xe9'" in told


def test_people_of_an_archive_with_odd_names(people, embedder, tmp_path) -> None:
    archive = tmp_path / "odd.zip"
    images = sorted((people / "ann").iterdir())
    with zipfile.ZipFile(archive, "w") as packed:
        for name in ("/dan/0.png", "./eve/0.png", "../fay/0.png"):
            packed.writestr(name, images[0].read_bytes())
    fused = Pipeline(embedder, aligned=True, fuser="mean").fuse_people(archive)
    assert list(fused.templates) == ["dan", "eve"]
    assert [item.source.rsplit("zip/", 1)[1] for item in fused.skipped] == ["../fay/0.png"]
    backslashes = tmp_path / "windows.zip"
    with zipfile.ZipFile(backslashes, "w") as packed:
        for name in ("ann", "ben"):
            packed.writestr(f"{name}\\0.png", images[0].read_bytes())
    with pytest.raises(EmptySetError, match="backslash"):
        Pipeline(embedder, aligned=True, fuser="mean").fuse(backslashes)
