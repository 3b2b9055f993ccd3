"""TIFF and PNM files that few programs write: the right colours, or a reason; never others without a word."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from PIL import Image

from probefusion.errors import FileFormatError
from probefusion.faces import decode_image

SHORT, LONG = 3, 4


@pytest.fixture
def colours() -> np.ndarray:
    """(48, 64, 3) uint8."""
    rows, columns = np.mgrid[:48, :64]
    return np.stack([columns * 4, rows * 5, (rows + columns) * 2], -1).astype(np.uint8)


def tiff(pixels: np.ndarray, photometric: int, order: str = "<", **tags: int) -> bytes:
    """One page without compression; `planes=2` puts the channels one behind the other."""
    height, width = pixels.shape[:2]
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    planes = tags.get("planes", 1)
    parts = [pixels[..., k] for k in range(channels)] if planes == 2 else [pixels]
    strips = [part.astype(part.dtype.newbyteorder(order)).tobytes() for part in parts]
    bits = 8 * pixels.dtype.itemsize
    values = {
        256: (SHORT, [width]),
        257: (SHORT, [height]),
        258: (SHORT, [bits] * channels),
        259: (SHORT, [1]),
        262: (SHORT, [photometric]),
        274: (SHORT, [tags.get("orientation", 1)]),
        277: (SHORT, [channels]),
        278: (SHORT, [height]),
        279: (LONG, [len(strip) for strip in strips]),
        284: (SHORT, [planes]),
    }
    if "extra" in tags:
        values[338] = (SHORT, [tags["extra"]])
    behind = 8 + 2 + 12 * (len(values) + 1) + 4
    room = 200  # of lists that do not fit into their entry
    starts = np.cumsum([behind + room, *(len(strip) for strip in strips[:-1])]).tolist()
    values[273] = (LONG, starts)
    lists, entries = b"", b""
    for tag, (kind, numbers) in sorted(values.items()):
        packed = struct.pack(f"{order}{len(numbers)}{'H' if kind == SHORT else 'I'}", *numbers)
        if len(packed) > 4:
            place, lists = behind + len(lists), lists + packed
            packed = struct.pack(f"{order}I", place)
        entries += struct.pack(f"{order}HHI", tag, kind, len(numbers)) + packed.ljust(4, b"\0")
    start = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, 8)
    head = start + struct.pack(f"{order}H", len(values)) + entries + bytes(4)
    return head + lists.ljust(room, b"\0") + b"".join(strips)


def sixteen(pixels: np.ndarray) -> np.ndarray:
    return pixels.astype(np.uint16) * 257


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("orientation", [1, 6])
def test_where_zero_is_white_and_where_it_is_black(colours, order, deep, orientation) -> None:
    grey = colours[..., 0]
    right = np.repeat(grey[..., None], 3, axis=2)
    right = np.rot90(right, -1) if orientation == 6 else right
    for photometric, stored in ((1, grey), (0, 255 - grey)):
        stored = sixteen(stored) if deep else stored
        data = tiff(stored, photometric, order, orientation=orientation)
        np.testing.assert_array_equal(decode_image(data), right)


@pytest.mark.parametrize("order", ["<", ">"])
def test_channels_side_by_side_and_one_behind_the_other(colours, order) -> None:
    for pixels in (colours, sixteen(colours)):
        np.testing.assert_array_equal(decode_image(tiff(pixels, 2, order)), colours)
    np.testing.assert_array_equal(decode_image(tiff(colours, 2, order, planes=2)), colours)
    with pytest.raises(FileFormatError, match="16 bits whose channels lie one behind the other"):
        decode_image(tiff(sixteen(colours), 2, order, planes=2))


@pytest.mark.parametrize("extra", [1, 2])
@pytest.mark.parametrize("deep", [False, True])
def test_transparency_that_would_darken_is_refused(colours, extra, deep) -> None:
    for alpha, is_read in ((255, True), (128, False), (0, False)):
        given = np.dstack([colours, np.full(colours.shape[:2], alpha, np.uint8)])
        data = tiff(sixteen(given) if deep else given, 2, extra=extra)
        if is_read:
            np.testing.assert_array_equal(decode_image(data), colours)
        else:
            with pytest.raises(FileFormatError, match="transparency, which darkens"):
                decode_image(data)


@pytest.mark.parametrize(("photometric", "reason"), [(8, "interpretation 8"), (32803, "32803")])
def test_unusual_colours_are_refused(colours, photometric, reason) -> None:
    with pytest.raises(FileFormatError, match=reason):
        decode_image(tiff(colours, photometric))
    with pytest.raises(FileFormatError, match="more than 256 colours"):
        decode_image(tiff(sixteen(colours[..., 0]), 3))


def test_what_other_programs_write_is_read_as_they_read_it(colours) -> None:
    image = Image.fromarray(colours)
    for mode in ("RGB", "L", "P", "CMYK", "YCbCr", "RGBA", "1"):
        stream = io.BytesIO()
        image.convert(mode).save(stream, "TIFF")
        right = np.asarray(Image.open(stream).convert("RGB")).astype(int)
        assert np.abs(decode_image(stream.getvalue()).astype(int) - right).max() <= 3, mode


@pytest.mark.parametrize("largest", [1, 7, 15, 31, 63, 100, 127, 200, 254, 255, 300, 1023, 40000])
@pytest.mark.parametrize("kind", ["P5", "P6", "P2", "P3"])
def test_the_largest_value_that_a_pnm_states_is_white(largest, kind) -> None:
    steps = np.linspace(0, largest, 32).round().astype(np.int64)
    row = np.repeat(steps, 3) if kind in ("P3", "P6") else steps
    pixels = np.tile(row, (16, 1))
    data = f"{kind}\n# a comment\n32 16\n{largest}\n".encode()
    if kind in ("P2", "P3"):
        data += " ".join(map(str, pixels.ravel())).encode() + b"\n"
    else:
        data += pixels.astype(">u2" if largest > 255 else "u1").tobytes()
    image = decode_image(data).astype(int)
    assert np.abs(image - np.round(steps * 255 / largest)[None, :, None]).max() <= 1
    assert (image.min(), image.max()) == (0, 255)
