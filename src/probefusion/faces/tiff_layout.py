"""How the first page of a TIFF stores its pixels, and which ways of it are read wrongly by the decoder."""

from __future__ import annotations

import struct
from collections.abc import Mapping

__all__ = ["has_alpha", "is_negative", "unread_layout"]

_BITS, _PHOTOMETRIC, _PLANES, _EXTRA = 258, 262, 284, 338
_TAGS = frozenset({_BITS, _PHOTOMETRIC, _PLANES, _EXTRA})
_WHITE_IS_ZERO, _PALETTE = 0, 3
_READ = frozenset({_WHITE_IS_ZERO, 1, 2, _PALETTE, 5, 6})
"""Besides: black is zero, RGB, CMYK and YCbCr."""
_IN_PLANES = 2
_ALPHA = frozenset({1, 2})
_SHORT = 3


def unread_layout(data: bytes) -> str | None:
    """Why a TIFF is not read although it could be decoded: its colours would come out wrong.

    Args:
        data: The file's bytes.

    Returns:
        The reason, or None.
    """
    tags = _first_tags(data)
    colours = tags.get(_PHOTOMETRIC, 1)
    step = "save it as PNG"
    if colours not in _READ:
        return (
            f"a TIFF in an unusual space of colours (photometric interpretation {colours}): {step}"
        )
    if colours == _PALETTE and tags.get(_BITS, 1) > 8:
        return f"a TIFF whose palette has more than 256 colours: {step}"
    if tags.get(_PLANES) == _IN_PLANES and tags.get(_BITS, 1) > 8:
        return f"a TIFF of {tags[_BITS]} bits whose channels lie one behind the other: {step}"
    return None


def is_negative(data: bytes) -> bool:
    """Whether a TIFF says that 0 is white."""
    return _first_tags(data).get(_PHOTOMETRIC) == _WHITE_IS_ZERO


def has_alpha(data: bytes) -> bool:
    """Whether a TIFF holds transparency."""
    return _first_tags(data).get(_EXTRA) in _ALPHA


def _first_tags(data: bytes) -> Mapping[int, int]:
    """Tags of the first page and the first value of each; {} where the file is damaged, which decoding tells."""
    order = "<" if data[:1] == b"I" else ">"
    found: dict[int, int] = {}
    try:
        start = int(struct.unpack_from(f"{order}I", data, 4)[0])
        count = int(struct.unpack_from(f"{order}H", data, start)[0])
        for entry in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind, length = struct.unpack_from(f"{order}HHI", data, entry)
            if tag in _TAGS and kind == _SHORT and length:
                place = entry + 8
                if length > 2:  # more than fits here: it says where they lie
                    place = int(struct.unpack_from(f"{order}I", data, place)[0])
                found[tag] = int(struct.unpack_from(f"{order}H", data, place)[0])
    except (struct.error, IndexError):
        return {}
    return found
