from __future__ import annotations

import numpy as np
import pytest

from probefusion.errors import ConfigError, OutputExistsError

cv2 = pytest.importorskip("cv2")

from probefusion.evaluation.drawn_people import draw_crop, write_crops  # noqa: E402


def test_the_same_numbers_give_the_same_drawing() -> None:
    crop = draw_crop(1, 2)
    assert crop.shape == (112, 112, 3)
    assert crop.dtype == np.uint8
    assert np.array_equal(crop, draw_crop(1, 2))
    assert not np.array_equal(crop, draw_crop(1, 3))


def test_the_people_are_no_match_to_the_embedder_inside(tmp_path) -> None:
    """Templates of one person match at a false match rate of .001, those of two people do not."""
    from probefusion.pipeline import Pipeline

    write_crops(tmp_path)
    crops = Pipeline(aligned=True, num_threads=1)
    one, two = tmp_path / "person-1", tmp_path / "person-2"
    halves = [[one / f"{number}.png" for number in numbers] for numbers in ((1, 2, 6), (3, 4, 5))]
    assert crops.compare(*(crops.fuse(half).template for half in halves)).is_match
    people = crops.fuse_people(tmp_path).templates
    similarities = people.similarities(people)[~np.eye(3, dtype=bool)]
    found = crops.compare(one, two)
    assert found.is_match is False
    assert similarities.max() < found.threshold.similarity - 0.1


def test_files_per_person_with_one_poor_crop_each(tmp_path) -> None:
    paths = write_crops(tmp_path / "people", num_crops=3)
    names = [path.relative_to(tmp_path / "people").as_posix() for path in paths]
    assert names == [f"person-{p}/{n}.png" for p in (1, 2, 3) for n in (1, 2, 3)]

    def sharpness(path) -> float:
        return float(cv2.Laplacian(cv2.imread(str(path)), cv2.CV_64F).var())

    for person in (0, 3, 6):
        good, poor = paths[person : person + 2], paths[person + 2]
        assert sharpness(poor) < min(map(sharpness, good)) / 2
    with pytest.raises(OutputExistsError):
        write_crops(tmp_path / "people", num_crops=3)
    with pytest.raises(ConfigError, match="at least 1"):
        write_crops(tmp_path / "none", num_crops=0)
