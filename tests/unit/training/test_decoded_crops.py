"""Images are decoded once, and what cannot be is listed."""

from __future__ import annotations

import os
import zipfile

import numpy as np
import pytest

from probefusion.errors import EmptySetError
from probefusion.faces.images import read_crop
from probefusion.protocols.people import read_people
from probefusion.training.decoded_crops import decode_people, image_stamps

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
    assert seen == [(number, 6) for number in range(1, 7)]
    assert [path.name for path in tmp_path.iterdir()] == ["people"], "the file of pixels is gone"


def test_images_that_cannot_be_read_are_left_out_and_listed(tmp_path, folder) -> None:
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
    for number in (0, 2):
        (folder / "ann" / f"{number}.png").write_bytes(b"")
    with pytest.raises(EmptySetError), decode_people(read_people(folder), tmp_path):
        pass


def test_stamps_tell_changed_images_without_reading_them(tmp_path, folder) -> None:
    archive = tmp_path / "people.zip"
    for path in (folder, archive):
        if path == archive:
            with zipfile.ZipFile(archive, "w") as packed:
                for image in sorted(folder.glob("*/*.png")):
                    packed.write(image, image.relative_to(folder).as_posix())
        people = read_people(path)
        stamps = image_stamps(people, people.images)
        assert image_stamps(read_people(path), people.images) == stamps
        assert image_stamps(people, {"ann": people.images["ann"]}) != stamps
    data = bytearray((folder / "ann" / "1.png").read_bytes())
    data[-1] ^= 1
    with zipfile.ZipFile(archive, "w") as packed:
        for image in sorted(folder.glob("*/*.png")):
            changed = bytes(data) if image.parts[-2:] == ("ann", "1.png") else image.read_bytes()
            packed.writestr(image.relative_to(folder).as_posix(), changed)
    assert image_stamps(read_people(archive), people.images) != stamps
    people = read_people(folder)
    stamps = image_stamps(people, people.images)
    os.utime(folder / "ann" / "1.png", ns=(0, 0))
    assert image_stamps(people, people.images) != stamps
