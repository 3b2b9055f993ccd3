"""Damage in the middle of a JPEG, which OpenCV decodes to a picture that is wrong from there on, and says nothing.

A JPEG has no checksum. What shows that one is damaged: libjpeg's warnings (codes that do not exist, data
that ends too early or too late), and brightness that no picture has, since each 8x8 block states only how
much it differs from the block before it. Of face crops that look wrong afterwards, nine of ten with 20
changed bytes are recognised and three of four with 3 lost ones; the others decode without contradiction.
"""

from __future__ import annotations

import re

from probefusion.extras import import_extra

__all__ = ["jpeg_damage"]

_HARMLESS = (
    "Invalid SOS parameters",  # many phones
    "Unknown Adobe color transform",
    "Warning: unknown JFIF revision",
    "Corrupt JPEG data: bad ICC marker",
)
_EXTRANEOUS = re.compile(r"Corrupt JPEG data: (\d+) extraneous bytes before marker 0xd9")
_END = re.compile(rb"\xff\xd9")

_FRAMES = frozenset(range(0xC0, 0xC4))
"""Markers of the segment that says which table each component takes."""

_OVERSHOOT = 31
"""Grey levels by which some encoders (mozjpeg) set blocks beyond black and white, at most."""
_FINER = 4
"""How much more of the range beyond black and white is seen than the decoder would show."""


def jpeg_damage(data: bytes) -> str | None:
    """Why a JPEG cannot be trusted, or None if nothing speaks against it.

    What follows the end of the picture (motion photos, several pictures in a file) does not matter.

    Args:
        data: The file's bytes.

    Raises:
        MissingExtraError: If simplejpeg is not installed.
    """
    simplejpeg = import_extra("simplejpeg", extra="faces", purpose="reading JPEG images")
    smallest = {
        "min_height": 1,
        "min_width": 1,
        "min_factor": 1,
    }  # a pixel for each block: its mean
    try:
        has_brightness = simplejpeg.decode_jpeg_header(data)[2] in ("YCbCr", "Gray")
        seen, step, factor = _with_finer_steps(data) if has_brightness else (data, 1, 1.0)
        means = simplejpeg.decode_jpeg(seen, "GRAY", **smallest, strict=True)
    except ValueError as error:
        text = str(error)
        if text.startswith("Premature end"):
            return "the end of the file is missing"
        return None if _is_harmless(text, data) else text
    beyond = max(abs(int(means.min()) - 128), abs(int(means.max()) - 128)) * factor
    if beyond > 128 + min(_OVERSHOOT, 2 * step) + step / 16 + factor:
        return "brightness beyond black or white"
    return None


def _is_harmless(warning: str, data: bytes) -> bool:
    if warning.startswith(_HARMLESS):
        return True
    extraneous = _EXTRANEOUS.match(warning)
    if extraneous is None:
        return False
    count = int(extraneous.group(1))
    return any(
        not data[end.start() - count : end.start()].strip(b"\0\xff") for end in _END.finditer(data)
    )  # padding


def _with_finer_steps(data: bytes) -> tuple[bytes, int, float]:
    """The file with smaller steps of mean brightness, so that values beyond the range are not cut off.

    Returns:
        The bytes, the step in the file (1/8 grey level each), and how many times smaller it is made.
    """
    offset, table = 2, None
    while offset + 13 <= len(data) and data[offset] == 0xFF and data[offset + 1] != 0xDA:
        marker = data[offset + 1]
        if marker == 0xFF:  # a fill byte
            offset += 1
            continue
        if marker == 0xDB and data[offset + 4] == 0:  # table 0, 8 bits an entry
            table = offset + 5
        if marker in _FRAMES and data[offset + 12] != 0:  # brightness takes another table
            return data, 1, 1.0
        offset += 2 + int.from_bytes(data[offset + 2 : offset + 4], "big")
    if table is None:
        return data, 1, 1.0
    step = data[table]
    finer = max(1, step // _FINER)
    return data[:table] + bytes([finer]) + data[table + 1 :], step, step / finer
