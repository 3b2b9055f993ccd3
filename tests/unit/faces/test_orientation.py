"""Photos whose EXIF block says how the camera was held: all eight ways, in every format that has one."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from small_heic import RED_OVER_BLUE_HEIC

from probefusion.faces import decode_image

cv2 = pytest.importorskip("cv2")


def picture():
    """96x64 pixels: no two of the eight ways to turn and mirror it look the same."""
    image = np.full((64, 96, 3), 128, np.uint8)
    image[:32, :32], image[:32, 64:], image[32:, :32] = 255, 190, 0
    return image


SHOWN = {
    1: lambda image: image,
    2: lambda image: image[:, ::-1],
    3: lambda image: image[::-1, ::-1],
    4: lambda image: image[::-1],
    5: lambda image: image.transpose(1, 0, 2),
    6: lambda image: image[::-1].transpose(1, 0, 2),
    7: lambda image: image[::-1, ::-1].transpose(1, 0, 2),
    8: lambda image: image[:, ::-1].transpose(1, 0, 2),
}
"""What row and column 0 of the stored picture are in the shown one: EXIF 2.3, tag Orientation (274)."""


def assert_shown(data, orientation):
    found, expected = decode_image(data), SHOWN[orientation](picture())
    assert found.shape == expected.shape
    assert np.abs(found.astype(int) - expected).mean() < 5


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("orientation", SHOWN)
def test_a_jpeg(orientation, order):
    """An EXIF block written by hand, in both orders of bytes."""
    jpeg = cv2.imencode(".jpg", picture())[1].tobytes()
    entry = struct.pack(f"{order}HHIHH", 0x0112, 3, 1, orientation, 0)
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", 8)
    tiff = head + struct.pack(f"{order}H", 1) + entry + struct.pack(f"{order}I", 0)
    payload = b"Exif\0\0" + tiff
    block = b"\xff\xe1" + struct.pack(">H", len(payload) + 2) + payload
    assert_shown(jpeg[:2] + block + jpeg[2:], orientation)


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("JPEG", {"progressive": True}),
        ("PNG", {}),
        ("WEBP", {"lossless": True}),
        ("WEBP", {"quality": 90}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("AVIF", {}),
        ("MPO", {}),
    ],
)
@pytest.mark.parametrize("orientation", SHOWN)
def test_other_formats(orientation, kind, settings):
    image_room = pytest.importorskip("PIL.Image")
    features = pytest.importorskip("PIL.features")
    if kind == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow writes no AVIF")
    noted = image_room.Exif()
    noted[0x0112] = orientation
    file = io.BytesIO()
    image_room.fromarray(picture()).save(file, kind, exif=noted, **settings)
    assert_shown(file.getvalue(), orientation)


@pytest.mark.parametrize("orientation", [0, 9, 4000])
def test_numbers_that_mean_nothing_leave_a_picture_as_it_is(orientation):
    image_room = pytest.importorskip("PIL.Image")
    noted = image_room.Exif()
    noted[0x0112] = orientation
    for kind in ("JPEG", "PNG", "WEBP"):
        file = io.BytesIO()
        image_room.fromarray(picture()).save(file, kind, exif=noted)
        assert_shown(file.getvalue(), 1)


def turned_heic(angle, axis):
    """The small HEIC, to be turned by quarter turns to the left and then mirrored (axis 0: up and down)."""
    data = RED_OVER_BLUE_HEIC
    boxes = [struct.pack(">I4sB", 9, b"irot", angle)]
    if axis is not None:
        boxes.append(struct.pack(">I4sB", 9, b"imir", axis))
    added, places = b"".join(boxes), bytes(0x80 | (5 + number) for number in range(len(boxes)))
    grown = len(added) + len(places)

    def resized(data, name, by):
        place = data.index(name) - 4
        size = struct.unpack_from(">I", data, place)[0] + by
        return data[:place] + struct.pack(">I", size) + data[place + 4 :]

    for name, by in (
        (b"meta", grown),
        (b"iprp", grown),
        (b"ipco", len(added)),
        (b"ipma", len(places)),
    ):
        data = resized(data, name, by)
    place = data.index(b"ipma") - 4  # properties end where the list of what belongs to what begins
    old = b"\x04\x81\x02\x03\x04"  # the picture's four properties, by number
    assert data.count(old) == 1
    data = data[:place] + added + data[place:]
    data = data.replace(old, bytes([4 + len(places)]) + old[1:] + places)
    start = RED_OVER_BLUE_HEIC.index(b"mdat") + 4
    assert data.count(struct.pack(">I", start)) == 1
    return data.replace(struct.pack(">I", start), struct.pack(">I", start + grown))


@pytest.mark.parametrize(
    ("angle", "axis", "red"),
    [
        (0, None, "up"),
        (1, None, "left"),
        (2, None, "down"),
        (3, None, "right"),
        (0, 0, "down"),
        (0, 1, "up"),
        (1, 1, "right"),
        (3, 1, "left"),
    ],
)
def test_a_heic(angle, axis, red):
    """Turned as its own properties say; such files tell no two mirrored sides of this picture apart."""
    pytest.importorskip("pi_heif")
    image = decode_image(turned_heic(angle, axis))
    assert image.shape == (64, 64, 3)
    half = {
        "up": image[:24],
        "down": image[40:],
        "left": image[:, :24],
        "right": image[:, 40:],
    }
    reds = {side: int(pixels[..., 0].mean()) for side, pixels in half.items()}
    blues = {side: int(pixels[..., 2].mean()) for side, pixels in half.items()}
    assert max(reds, key=lambda side: reds[side]) == red
    opposite = {"up": "down", "down": "up", "left": "right", "right": "left"}[red]
    assert max(blues, key=lambda side: blues[side]) == opposite
