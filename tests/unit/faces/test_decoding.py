"""Damaged, many-bit and phones' images: read right, or refused with the reason."""

import io
import struct
import zipfile
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image
from small_heic import RED_OVER_BLUE_HEIC

from probefusion.errors import FileFormatError, MissingExtraError
from probefusion.faces import decode_image
from probefusion.faces.decoding import decode_or_reason
from probefusion.faces.image_header import image_kind
from probefusion.faces.jpeg_damage import jpeg_damage

"""64x64 pixels, the upper half red (220, 0, 0), the lower blue (0, 0, 200)."""


@pytest.fixture
def face_like():
    """(112, 112, 3) smooth colours with some detail, as a photo has."""
    rows, columns = np.mgrid[:112, :112]
    channels = [120 + 90 * np.sin(rows / 17 + k) * np.cos(columns / (11 + k)) for k in range(3)]
    return np.clip(np.stack(channels, -1), 0, 255).astype(np.uint8)


def jpeg(image, quality=95):
    done, data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert done
    return data.tobytes()


def png16(values):
    done, data = cv2.imencode(".png", values[..., ::-1])
    assert done
    return data.tobytes()


def with_significant_bits(png, bits):
    body = b"sBIT" + bytes([bits] * 3)
    chunk = struct.pack(">I", 3) + body + struct.pack(">I", zlib.crc32(body))
    return png[:33] + chunk + png[33:]  # behind the header


def saved(image, kind, **settings):
    stream = io.BytesIO()
    image.save(stream, kind, **settings)
    return stream.getvalue()


def test_what_follows_the_end_of_a_jpeg_does_not_matter(face_like, rng):
    data = jpeg(face_like)
    movie = b"\0\0\0\x18ftypmp42" + rng.bytes(50_000) + b"\xff\xda" + rng.bytes(500)
    np.testing.assert_array_equal(decode_image(data + movie), decode_image(data))


def test_a_cut_jpeg_is_refused_also_with_a_preview_or_a_trailer(face_like):
    data = jpeg(face_like)
    preview = b"\xff\xe2" + struct.pack(">H", len(data) + 2) + data
    whole = data[:2] + preview + data[2:]
    np.testing.assert_array_equal(decode_image(whole), decode_image(data))
    for cut in (whole[:-600], whole[:-2], data[:-700]):
        with pytest.raises(
            FileFormatError, match=r"^a\.jpg: damaged: .*end of the file is missing"
        ):
            decode_image(cut, source="a.jpg")


@pytest.mark.assets
def test_most_damage_in_the_middle_is_seen_and_no_sound_crop_refused(assets, rng, capfd):
    with zipfile.ZipFile(assets / "data" / "lfw112.zip") as archive:
        crops = [archive.read(name) for name in archive.namelist()[:4000:10] if ".jpg" in name]
    seen = visible = 0
    for data in crops:
        assert jpeg_damage(data) is None
        hole = int(rng.integers(data.find(b"\xff\xda") + 14, len(data) - 40))
        damaged = data[:hole] + rng.bytes(20) + data[hole + 20 :]
        wrong = cv2.imdecode(np.frombuffer(damaged, np.uint8), cv2.IMREAD_COLOR)
        if wrong is None or np.abs(wrong[..., ::-1].astype(int) - decode_image(data)).mean() > 5:
            visible += 1
            seen += jpeg_damage(damaged) is not None
    capfd.readouterr()  # what OpenCV says of them
    assert visible > 50
    assert seen >= 0.85 * visible


def test_black_white_and_every_quality_are_sound(rng):
    checks = np.kron(rng.integers(0, 2, (14, 14)), np.ones((8, 8)))[..., None] * 255
    image = np.repeat(checks, 3, axis=2).astype(np.uint8)
    for quality in (5, 30, 60, 80, 90, 95, 100):
        assert jpeg_damage(jpeg(image, quality)) is None, quality
    for settings in ({"progressive": True}, {"optimize": True}, {"subsampling": 0}):
        assert jpeg_damage(saved(Image.fromarray(image), "JPEG", **settings)) is None
    assert jpeg_damage(saved(Image.fromarray(image).convert("CMYK"), "JPEG")) is None
    assert jpeg_damage(saved(Image.fromarray(image).convert("L"), "JPEG")) is None


def test_padding_before_the_end_is_no_damage(face_like):
    data = jpeg(face_like)
    assert jpeg_damage(data[:-2] + bytes(300) + data[-2:]) is None
    assert jpeg_damage(data[:-2] + b"\x12\x34" * 150 + data[-2:]) is not None


@pytest.mark.assets
def test_the_damaged_case_is_refused_and_the_motion_photo_read(assets):
    hostile = assets / "cases" / "hostile"
    with pytest.raises(FileFormatError, match="brightness beyond black or white"):
        decode_image((hostile / "mid.jpg").read_bytes())
    data = (hostile / "motion.jpg").read_bytes()
    end = data.find(b"\xff\xd9", data.find(b"\xff\xda")) + 2
    np.testing.assert_array_equal(decode_image(data), decode_image(data[:end]))


def test_a_changed_byte_in_a_png_is_seen(face_like, rng):
    data = bytearray(cv2.imencode(".png", face_like)[1].tobytes())
    place = len(data) // 2
    data[place] ^= 4
    with pytest.raises(FileFormatError, match="checksum of the part IDAT"):
        decode_image(bytes(data))


def test_sixteen_bits_that_are_twelve_are_refused_or_scaled_as_the_file_states(face_like):
    wide = face_like.astype(np.uint16) * 257
    np.testing.assert_array_equal(decode_image(png16(wide)), face_like)
    twelve = np.round(face_like * (4095 / 255)).astype(np.uint16)
    for suffix in (".png", ".tif"):
        data = cv2.imencode(suffix, twelve[..., ::-1])[1].tobytes()
        with pytest.raises(FileFormatError, match=r"16-bit pixels of at most \d+.*12 bits.*by 16"):
            decode_image(data)
    stated = with_significant_bits(png16(twelve), 12)
    np.testing.assert_array_equal(decode_image(stated), face_like)
    grey = twelve[..., 0]
    pgm = b"P5\n# a camera\n112 112\n4095\n" + grey.astype(">u2").tobytes()
    np.testing.assert_array_equal(decode_image(pgm), np.stack([face_like[..., 0]] * 3, -1))


def test_floating_point_pixels_are_refused(face_like):
    data = cv2.imencode(".tif", (face_like / 255).astype(np.float32))[1].tobytes()
    with pytest.raises(FileFormatError, match="expected 8 or 16 bits"):
        decode_image(data)


def test_heic_is_read():
    assert image_kind(RED_OVER_BLUE_HEIC) == "HEIC"
    image = decode_image(RED_OVER_BLUE_HEIC)
    assert image.shape == (64, 64, 3)
    assert np.abs(image[:24].mean((0, 1)) - (220, 0, 0)).max() < 15
    assert np.abs(image[40:].mean((0, 1)) - (0, 0, 200)).max() < 15


@pytest.mark.parametrize("kind", ["AVIF", "GIF", "JPEG2000"])
def test_other_formats_are_read_by_their_content(face_like, kind):
    data = saved(Image.fromarray(face_like), kind)
    assert image_kind(data) == {"JPEG2000": "JPEG 2000"}.get(kind, kind)
    assert np.abs(decode_image(data).astype(int) - face_like).mean() < 12


def test_a_moving_gif_is_not_taken_for_one_image(face_like):
    frames = [Image.fromarray(face_like), Image.fromarray(255 - face_like)]
    data = saved(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert decode_or_reason(data) == ("a moving picture of 2 frames: give its own path, as a video")


@pytest.mark.parametrize("kind", ["AVIF", "GIF", "JPEG2000"])
def test_damaged_other_formats_are_refused_or_give_an_image(face_like, rng, kind):
    data = saved(Image.fromarray(face_like), kind)
    with pytest.raises(FileFormatError, match="could not be decoded"):
        decode_image(data[:60])
    for _ in range(30):
        changed = bytearray(data)
        for place in rng.integers(12, len(data), 5):
            changed[place] = rng.integers(256)
        result = decode_or_reason(bytes(changed))
        assert isinstance(result, str | np.ndarray)


def test_huge_images_of_other_formats_are_refused_before_decoding():
    data = saved(Image.new("L", (300, 300)), "GIF")
    huge = data[:6] + struct.pack("<HH", 60_000, 60_000) + data[10:]
    assert "expected at most" in str(decode_or_reason(huge)) or "more than" in str(
        decode_or_reason(huge)
    )


def test_a_missing_package_is_named_with_its_command(monkeypatch):
    def missing(package, *, extra, purpose):
        raise MissingExtraError(package, extra, purpose)

    monkeypatch.setattr("probefusion.faces.other_formats.import_extra", missing)
    assert "pip install 'probefusion[heif]'" in str(decode_or_reason(RED_OVER_BLUE_HEIC))
