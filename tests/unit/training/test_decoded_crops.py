"""Images are decoded once, and what cannot be is listed."""

from __future__ import annotations

import numpy as np
import pytest

from probefusion.errors import EmptySetError
from probefusion.faces.images import read_crop
from probefusion.protocols.people import read_people
from probefusion.training.decoded_crops import decode_people

cv2 = pytest.importorskip("cv2")


@pytest.fixture
def folder(tmp_path, rng):
    root = tmp_path / "people"
    for person in ("ann", "bob"):
        (root / person).mkdir(parents=True)
        for number in range(3):
            crop = rng.integers(0, 256, (112, 112, 3)).astype(np.uint8)
            cv2.imwrite(str(root / person / f"{number}.png"), crop)
    return root


def test_pixels_are_those_of_the_files(tmp_path, folder) -> None:
    people = read_people(folder)
    seen = []
    with decode_people(people, tmp_path, progress=lambda *done: seen.append(done)) as crops:
        for source in [name for each in people.images.values() for name in each]:
            assert np.array_equal(crops.read(source), read_crop(people.read(source)))
        assert dict(crops.people.images) == dict(people.images)
        content = crops.content
    assert seen == [(number, 6) for number in range(1, 7)]
    assert [path.name for path in tmp_path.iterdir()] == ["people"], "the file of pixels is gone"
    with decode_people(people, tmp_path) as again:
        assert again.content == content


def test_images_that_cannot_be_read_are_left_out_and_listed(tmp_path, folder) -> None:
    with decode_people(read_people(folder), tmp_path) as whole:
        before = whole.content
    (folder / "ann" / "1.png").write_bytes(b"no picture")
    for number in range(3):
        (folder / "bob" / f"{number}.png").write_bytes(b"")
    with decode_people(read_people(folder), tmp_path) as crops:
        assert dict(crops.people.images) == {"ann": ("ann/0.png", "ann/2.png")}
        assert [image.source for image in crops.people.skipped] == [
            "ann/1.png",
            "bob/0.png",
            "bob/1.png",
            "bob/2.png",
        ]
        assert crops.content != before
    for number in (0, 2):
        (folder / "ann" / f"{number}.png").write_bytes(b"")
    with pytest.raises(EmptySetError), decode_people(read_people(folder), tmp_path):
        pass
