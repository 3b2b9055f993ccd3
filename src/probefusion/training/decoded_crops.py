"""The crops of a training run, and what tells whether they are those of an earlier run."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from probefusion.errors import InvalidInputError
from probefusion.faces.images import SkippedImage, read_crop
from probefusion.files import check_existing
from probefusion.files.reading import open_zip
from probefusion.workers import available_threads, map_in_order

if TYPE_CHECKING:
    from probefusion.protocols.degraded_folder import People

__all__ = ["DecodedCrops", "decode_people", "image_stamps", "read_source"]

_SIZE = 112


def read_source(people: People, source: str) -> npt.NDArray[np.uint8]:
    """The crop of that name, (112, 112, 3) uint8 RGB.

    Raises:
        InvalidInputError: If it cannot be read.
        MissingFileError: If it is gone since the people were listed.
    """
    return read_crop(people.read(source), source=source)


def image_stamps(people: People, chosen: Mapping[str, Sequence[str]]) -> str:
    """SHA-256 over names, sizes, and times of change (in a zip: CRC-32) of images; none is read.

    Args:
        people: Where the images lie.
        chosen: Subject -> names of the images that count.
    """
    digest = hashlib.sha256()
    members = {}
    if people.path is not None and not people.path.is_dir():
        with open_zip(people.path) as archive:
            members = {each.filename: (each.file_size, each.CRC) for each in archive.infolist()}
    for source in (name for names in chosen.values() for name in names):
        stamp = members.get(source)
        if stamp is None and people.path is not None:
            found = check_existing(people.path / source, name="image").stat()
            stamp = (found.st_size, found.st_mtime_ns)
        digest.update(f"{source}\0{stamp}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()


@dataclass(frozen=True, kw_only=True, eq=False)
class DecodedCrops:
    """People whose images can be used, and their pixels.

    Args:
        people: The people without images that cannot be read; those are listed in `skipped`.
        pixels: (I, 112, 112, 3) uint8 RGB, in a file.
        rows: Place of each image in `pixels`, by name.
    """

    people: People
    pixels: npt.NDArray[np.uint8]
    rows: dict[str, int]

    def read(self, source: str) -> npt.NDArray[np.uint8]:
        """The crop of that name, (112, 112, 3) uint8 RGB; a copy."""
        return np.array(self.pixels[self.rows[source]])


@contextmanager
def decode_people(
    people: People,
    folder: str | Path,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[DecodedCrops]:
    """Decodes all images once, into a file of 37 KB an image that goes when the block is left.

    Args:
        people: The people.
        folder: Where the file lies meanwhile.
        progress: Called with (images decoded, images in all).

    Raises:
        EmptySetError: If no image can be used.
        MissingFileError: If an image is gone since the people were listed.
    """
    names = [(subject, source) for subject, each in people.images.items() for source in each]

    def decode(name: tuple[str, str]) -> npt.NDArray[np.uint8] | str:
        source = name[1]
        try:
            return read_source(people, source)
        except InvalidInputError as error:
            return str(error)

    images: dict[str, list[str]] = {}
    rows: dict[str, int] = {}
    skipped = list(people.skipped)
    shape = (max(1, len(names)), _SIZE, _SIZE, 3)
    with tempfile.TemporaryFile(dir=folder, prefix=".crops.") as file:
        pixels = np.memmap(file, dtype=np.uint8, mode="w+", shape=shape)
        found = map_in_order(decode, names, available_threads(), ahead=16)
        for row, ((subject, source), result) in enumerate(zip(names, found, strict=True)):
            if isinstance(result, str):
                skipped.append(SkippedImage(source=source, reason=result))
            else:
                pixels[row] = result
                rows[source] = row
                images.setdefault(subject, []).append(source)
            if progress is not None:
                progress(row + 1, len(names))
        usable = {subject: tuple(each) for subject, each in images.items()}
        yield DecodedCrops(
            people=replace(people, images=usable, skipped=tuple(skipped)),
            pixels=pixels,
            rows=rows,
        )
