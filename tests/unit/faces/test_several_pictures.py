"""Files of several pictures are told with their number; Git LFS pointers are named as what they are."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from small_heic import RED_OVER_BLUE_HEIC

from probefusion.errors import FileFormatError
from probefusion.faces import decode_image, list_images, read_images
from probefusion.faces.decoding import decode_or_reason
from probefusion.faces.several_pictures import several_pictures

cv2 = pytest.importorskip("cv2")
Image = pytest.importorskip("PIL.Image")

POINTER = (
    b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"ab" * 32 + b"\nsize 232589\n"
)


@pytest.fixture
def frames(rng):
    return [Image.fromarray(rng.integers(0, 256, (40, 30, 3), np.uint8)) for _ in range(3)]


def saved(frames, kind, **settings) -> bytes:
    buffer = io.BytesIO()
    more = {"save_all": True, "append_images": frames[1:]} if len(frames) > 1 else {}
    frames[0].save(buffer, kind, **more, **settings)
    return buffer.getvalue()


def test_pages_of_a_tiff_are_counted(frames) -> None:
    assert "a TIFF of 3 pages, of which one only" in decode_or_reason(saved(frames, "TIFF"))
    assert np.array_equal(decode_image(saved(frames[:1], "TIFF")), np.asarray(frames[0]))
    ok, many = cv2.imencodemulti(".tiff", [np.asarray(frame) for frame in frames[:2]])
    assert ok
    with pytest.raises(FileFormatError, match=r"scan\.tif: a TIFF of 2 pages"):
        decode_image(many.tobytes(), source="scan.tif")


def tiff(*kinds: int | None, order: str = "<") -> bytes:
    """A TIFF of grey pages of one pixel; each with its NewSubfileType, or without it for None."""
    data = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, 9) + b"\x80"
    for place, kind in enumerate(kinds):
        tags = [] if kind is None else [(254, 4, 1, kind)]
        tags += [
            (256, 3, 1, 1),
            (257, 3, 1, 1),
            (258, 3, 1, 8),
            (262, 3, 1, 1),
            (273, 4, 1, 8),
            (279, 4, 1, 1),
        ]
        data += struct.pack(f"{order}H", len(tags))
        for tag, size, count, value in tags:
            packed = (
                struct.pack(f"{order}HH", value, 0)
                if size == 3
                else struct.pack(f"{order}I", value)
            )
            data += struct.pack(f"{order}HHI", tag, size, count) + packed
        following = len(data) + 4 if place + 1 < len(kinds) else 0
        data += struct.pack(f"{order}I", following)
    return data


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("kinds", "words"), [
    ((None,), None), ((0,), None), ((0, 1), None), ((0, 1, 1, 4), None), ((0, 0), "of 2 pages"),
    ((None, None, 1, 2), "of 3 pages"), ((1, 0), "first page is a preview"),
])  # fmt: skip
def test_previews_and_masks_are_no_pages(kinds, words, order) -> None:
    data = tiff(*kinds, order=order)
    found = several_pictures(data, "TIFF")
    assert found is None if words is None else words in found
    if words is None:
        assert decode_image(data).tolist() == [[[128, 128, 128]]]
    else:
        assert words in decode_or_reason(data)


def test_a_chain_of_pages_without_end_and_cut_chains_are_no_hang() -> None:
    looped = bytearray(tiff(0, 0))
    looped[-4:] = struct.pack("<I", 9)
    assert "of 2 pages" in several_pictures(bytes(looped), "TIFF")
    for end in range(8, len(looped)):
        several_pictures(bytes(looped[:end]), "TIFF")


@pytest.mark.parametrize("kind", ["WebP", "PNG", "GIF"])
def test_frames_of_moving_pictures_are_counted(frames, kind) -> None:
    assert "a moving picture of 3 frames" in decode_or_reason(saved(frames, kind, duration=100))
    still = decode_image(saved(frames[:1], kind))
    assert still.shape == (40, 30, 3)


def test_pictures_behind_each_other_in_a_pnm_are_counted(frames) -> None:
    one = saved(frames[:1], "PPM")
    assert "of 2 frames" in decode_or_reason(one + saved(frames[1:2], "PPM"))
    assert "of 3 frames" in decode_or_reason(b"P5\n2 1\n255\n\1\2" * 3)
    assert "of 2 frames" in decode_or_reason(b"P5 2 1 65535\n\xff\xf1\xff\xf2" * 2)
    assert np.array_equal(decode_image(one), np.asarray(frames[0]))
    assert np.array_equal(decode_image(one + b"\n"), np.asarray(frames[0]))


@pytest.mark.parametrize("start", [b"P6", b"P6 1", b"P5 1 1", b"P5 #a\n 1 1"])
def test_a_pnm_header_of_blanks_is_no_hang(start) -> None:
    """Such a header of forty blanks was tried in 2^40 groupings."""
    for blanks in (b" " * 5000, b"#\n" * 5000, b" #\n" * 5000):
        assert isinstance(decode_or_reason(start + blanks + b"x"), str)


def test_a_burst_of_heic_pictures_is_counted(monkeypatch) -> None:
    plugin = pytest.importorskip("pi_heif.as_plugin")
    assert isinstance(decode_or_reason(RED_OVER_BLUE_HEIC), np.ndarray)
    monkeypatch.setattr(plugin.HeifImageFile, "n_frames", 3, raising=False)
    assert "a HEIC file of 3 pictures" in decode_or_reason(RED_OVER_BLUE_HEIC)


def test_pages_are_listed_as_skipped_in_a_folder(tmp_path, frames) -> None:
    (tmp_path / "a.tif").write_bytes(saved(frames, "TIFF"))
    (tmp_path / "b.webp").write_bytes(saved(frames, "WebP", duration=100))
    (tmp_path / "c.png").write_bytes(saved(frames[:1], "PNG"))
    found = dict(read_images(list_images(tmp_path)[0]))
    told = {source.path.name: getattr(image, "reason", "read") for source, image in found.items()}
    assert "3 pages" in told["a.tif"]
    assert "3 frames" in told["b.webp"]
    assert told["c.png"] == "read"


def test_pointers_among_images_are_named(tmp_path) -> None:
    import zipfile

    (tmp_path / "a.jpg").write_bytes(POINTER)
    (tmp_path / "b").write_bytes(POINTER)
    with zipfile.ZipFile(tmp_path / "c.zip", "w") as archive:
        archive.writestr("d.png", POINTER)
    (tmp_path / "c.zip").rename(tmp_path.parent / f"{tmp_path.name}.zip")
    sources, skipped = list_images([tmp_path, tmp_path.parent / f"{tmp_path.name}.zip"])
    reasons = [entry.reason for entry in skipped] + [
        image.reason for _, image in read_images(sources)
    ]
    assert len(reasons) == 3
    for reason in reasons:
        assert "a Git LFS pointer" in reason
        assert "git lfs pull" in reason
    assert f"SHA-256 is {'ab' * 32}" in reasons[1]
    with pytest.raises(FileFormatError, match=r"x\.jpg: a Git LFS pointer"):
        decode_image(POINTER, source="x.jpg")
    assert "a Git LFS pointer" not in decode_or_reason(POINTER * 100)
