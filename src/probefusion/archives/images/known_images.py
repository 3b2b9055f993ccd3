"""By what a later run knows the images that a chunk's file is made of: digests, as names may have been erased since."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Sequence
from typing import NamedTuple

from probefusion.errors import FileFormatError
from probefusion.faces.listing import as_text
from probefusion.files.reading import in_one_line

__all__ = ["KnownImage", "known_of", "known_text", "name_digest"]

_NAME_BYTES = 8
_MARK_BYTES = 4


class KnownImage(NamedTuple):
    """An image or clip that a chunk was made of.

    Attributes:
        name: Digest of its name.
        mark: Changes when it does.
    """

    name: bytes
    mark: bytes


def name_digest(name: str) -> bytes:
    """8 bytes of the SHA-256 of a name, as it stands in the column `media_id`."""
    return hashlib.sha256(as_text(name).encode()).digest()[:_NAME_BYTES]


def known_text(names: Sequence[str], marks: bytes) -> str:
    """What the metadata of a chunk's file says: for each image 8 bytes of its name and 4 of its mark, in base64.

    Args:
        names: Of the images, in order.
        marks: As for `probefusion.archives.images.chunks.Chunk`.
    """
    parts = []
    for place, name in enumerate(names):
        parts += [name_digest(name), marks[_MARK_BYTES * place : _MARK_BYTES * (place + 1)]]
    return base64.b64encode(b"".join(parts)).decode()


def known_of(text: str, origin: str) -> list[KnownImage]:
    """The images of a text that `known_text` made.

    Raises:
        FileFormatError: If it is damaged.
    """
    step = _NAME_BYTES + _MARK_BYTES
    try:
        data = base64.b64decode(text, validate=True)
        if len(data) % step:
            raise ValueError(f"{len(data)} bytes")
    except (binascii.Error, ValueError) as error:
        raise FileFormatError(
            f"{in_one_line(origin)}: what it is made of is damaged ({error}). Delete the file and give the command "
            f"again."
        ) from error
    return [
        KnownImage(data[start : start + _NAME_BYTES], data[start + _NAME_BYTES : start + step])
        for start in range(0, len(data), step)
    ]
