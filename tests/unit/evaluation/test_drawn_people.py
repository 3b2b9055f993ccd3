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


def test_the_embedder_tells_drawn_people_apart() -> None:
    from probefusion.zoo import load_embedder

    crops = np.stack([draw_crop(person, number) for person in range(3) for number in range(3)])
    images = load_embedder(num_threads=1).embed_set(crops)
    units = images.embeddings / images.norms[:, None]
    similarities = units @ units.T
    owners = np.repeat(np.arange(3), 3)
    same = owners[:, None] == owners
    assert similarities[same].min() > similarities[~same].max()


def test_files_per_person_with_one_poor_crop_each(tmp_path) -> None:
    paths = write_crops(tmp_path / "people", num_people=2, num_crops=3)
    names = [path.relative_to(tmp_path / "people").as_posix() for path in paths]
    assert names == [f"person-{p}/{n}.png" for p in (1, 2) for n in (1, 2, 3)]

    def sharpness(path) -> float:
        return float(cv2.Laplacian(cv2.imread(str(path)), cv2.CV_64F).var())

    for person in (0, 3):
        good, poor = paths[person : person + 2], paths[person + 2]
        assert sharpness(poor) < min(map(sharpness, good)) / 2
    with pytest.raises(OutputExistsError):
        write_crops(tmp_path / "people", num_people=2, num_crops=3)
    with pytest.raises(ConfigError, match="at least 1"):
        write_crops(tmp_path / "none", num_people=0)
