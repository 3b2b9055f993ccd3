"""Videos whose file says how they are to be shown: turned and mirrored."""

from __future__ import annotations

import numpy as np
import pytest

from probefusion.faces.frames import VideoReader

av = pytest.importorskip("av")

MATRICES = {
    "as it is": (1, 0, 0, 1),
    "mirrored": (-1, 0, 0, 1),
    "by 180": (-1, 0, 0, -1),
    "upside down": (1, 0, 0, -1),
    "rows become columns": (0, 1, 1, 0),
    "by 90": (0, 1, -1, 0),
    "rows become columns, by 180": (0, -1, -1, 0),
    "by 270": (0, -1, 1, 0),
}
"""a, b, c, d of the eight ways: (x, y) is shown at (ax + cy, bx + dy)."""


def picture():
    """96x64 pixels, each corner and the middle in another grey: no two of the eight ways look the same."""
    image = np.full((64, 96, 3), 128, np.uint8)
    image[:32, :32], image[:32, 64:], image[32:, :32] = 255, 190, 0
    return image


def shown(image, turn):
    """Every pixel moved to where the matrix shows it, one after the other."""
    a, b, c, d = turn
    height, width = image.shape[:2]
    places = {
        (a * x + c * y, b * x + d * y): image[y, x] for y in range(height) for x in range(width)
    }
    left, top = min(x for x, _ in places), min(y for _, y in places)
    size = (height, width) if a else (width, height)
    result = np.empty((*size, 3), np.uint8)
    for (x, y), value in places.items():
        result[y - top, x - left] = value
    return result


def test_the_eight_ways_differ():
    looks = [shown(picture(), turn) for turn in MATRICES.values()]
    assert len({(image.shape, image.tobytes()) for image in looks}) == 8


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
@pytest.mark.parametrize("way", MATRICES)
def test_a_video_is_shown_as_its_matrix_says(tmp_path, videos, way, suffix) -> None:
    turn = MATRICES[way]
    path = videos.write_video(tmp_path / f"v{suffix}", [picture()] * 3)
    a, b, c, d = turn
    # cameras write a shift that brings the picture back to where x and y are positive
    shift = (96 * (a < 0) + 64 * (c < 0), 96 * (b < 0) + 64 * (d < 0))
    videos.set_display_matrix(path, turn, shift=shift)
    with VideoReader(path) as reader:
        frames = list(reader)
    assert len(frames) == 3
    expected = shown(picture(), turn)
    for frame in frames:
        assert frame.image.shape == expected.shape
        assert frame.image.flags.c_contiguous
        assert np.abs(frame.image.astype(int) - expected).mean() < 6


@pytest.mark.parametrize(
    ("turn", "nearest"),
    [
        ((0.996, 0.087, -0.087, 0.996), "as it is"),  # by 5 degrees
        ((0.087, 0.996, -0.996, 0.087), "by 90"),  # by 85
        ((-0.087, 0.996, 0.996, 0.087), "rows become columns"),
        ((2, 0, 0, 2), "as it is"),  # scaled
        ((0, -1.5, 1.5, 0), "by 270"),
        ((0, 0, 0, 0), "as it is"),  # shows nothing at all
    ],
)
def test_other_matrices_are_shown_the_nearest_way(tmp_path, videos, turn, nearest) -> None:
    path = videos.write_video(tmp_path / "v.mp4", [picture()])
    videos.set_display_matrix(path, turn)
    with VideoReader(path) as reader:
        (frame,) = reader
    expected = shown(picture(), MATRICES[nearest])
    assert frame.image.shape == expected.shape
    assert np.abs(frame.image.astype(int) - expected).mean() < 6


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_still_under_a_video_name_is_turned_as_its_exif_says(tmp_path, orientation) -> None:
    image_room = pytest.importorskip("PIL.Image")
    noted = image_room.Exif()
    noted[0x0112] = orientation
    path = tmp_path / "a.mp4"
    image_room.fromarray(picture()).save(path, "JPEG", exif=noted, quality=95)
    with VideoReader(path) as reader:
        (frame,) = reader
    expected = shown(picture(), list(MATRICES.values())[orientation - 1])
    assert frame.image.shape == expected.shape
    assert np.abs(frame.image.astype(int) - expected).mean() < 8
