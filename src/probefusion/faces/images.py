"""Reading images and aligned crops: files, folders and zip archives to RGB arrays."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack

import numpy as np
import numpy.typing as npt

from probefusion.errors import FileFormatError, MissingFileError
from probefusion.extras import import_cv2
from probefusion.faces.decoding import MAX_PIXELS, decode_image, decode_or_reason
from probefusion.faces.endings import IMAGE_SUFFIXES
from probefusion.faces.listing import (
    ImageSource,
    SkippedImage,
    describe_error,
    list_images,
)
from probefusion.files.reading import READ_ERRORS, in_one_line, open_zip
from probefusion.workers import map_in_order

__all__ = [
    "IMAGE_SUFFIXES",
    "MAX_FILE_BYTES",
    "MAX_PIXELS",
    "ImageSource",
    "SkippedImage",
    "decode_image",
    "fit_crop",
    "list_images",
    "read_crop",
    "read_crops",
    "read_images",
    "scale_square",
]

CROP_SIZES = (112, 224, 336, 448)
"""Sides in pixels that aligned crops have besides that of the embedder, and less than the first: 112 and
what `norm_crop` of InsightFace makes of it. Squares of other sizes are photos, or aligned otherwise."""

MAX_FILE_BYTES = 256 * 1024 * 1024
"""Files larger than this are refused before they are read."""

Image = npt.NDArray[np.uint8]


def read_images(
    sources: Iterable[ImageSource],
    *,
    num_threads: int = 1,
    ahead: int | None = None,
    fit: Callable[[Image], Image | str] | None = None,
) -> Iterator[tuple[ImageSource, Image | SkippedImage]]:
    """Reads and decodes images, in order; a few are held in memory.

    Args:
        sources: What to read, as `list_images` gives it.
        num_threads: Images decoded at the same time.
        ahead: Images decoded ahead of the one that is taken; None for two per thread, or for one
            thread none: then only one is held in memory.
        fit: What to make of each image while it is at hand, such as a crop, or the reason why not.

    Yields:
        Each source with its image, (H, W, 3) uint8 RGB, or with the reason why there is none.

    Raises:
        MissingExtraError: If OpenCV is not installed.
    """

    def decode(item: tuple[ImageSource, bytes | str]) -> tuple[ImageSource, Image | SkippedImage]:
        source, data = item
        result = decode_or_reason(data) if isinstance(data, bytes) else data
        if fit is not None and not isinstance(result, str):
            result = fit(result)
        if isinstance(result, str):
            return source, SkippedImage(source=source.name, reason=result)
        return source, result

    return map_in_order(decode, _read_files(sources), num_threads, ahead=ahead)


def _read_files(sources: Iterable[ImageSource]) -> Iterator[tuple[ImageSource, bytes | str]]:
    """The bytes of each file, or the reason why there are none."""
    with ExitStack() as stack:
        archive: zipfile.ZipFile | None = None
        for source in sources:
            if source.member is not None and (
                archive is None or archive.filename != str(source.path)
            ):
                stack.close()
                try:
                    archive = stack.enter_context(open_zip(source.path))
                except (FileFormatError, MissingFileError) as error:
                    archive = None
                    yield source, describe_error(error)
                    continue
            yield source, _read_bytes(source, archive)


def read_crop(data: bytes, *, source: str = "image", size: int = 112) -> Image:
    """Decodes the bytes of an aligned face crop and brings it to the size that embedders take.

    Args:
        data: The file's bytes.
        source: Its name, for messages.
        size: Height and width wanted, in pixels.

    Returns:
        (size, size, 3) uint8 RGB. Square crops of another size are scaled.

    Raises:
        FileFormatError: If it cannot be decoded (see `decode_image`), is not square, or has a size that no
            aligned crop has (see `fit_crop`).
        MissingExtraError: If OpenCV is not installed.
    """
    crop = fit_crop(decode_image(data, source=source), size)
    if isinstance(crop, str):
        raise FileFormatError(f"{in_one_line(source)}: {crop}")
    return crop


def fit_crop(image: Image, size: int) -> Image | str:
    """A square image scaled to `size` pixels, or the reason why it is no aligned crop.

    A square is no aligned crop if it is larger than 112 pixels and has neither one of `CROP_SIZES` nor the
    size wanted. Smaller ones are taken as crops of few pixels; nothing of theirs could be checked.
    """
    height, width = image.shape[:2]
    if height != width:
        return (
            f"expected an aligned square crop, got {width}x{height} pixels; "
            f"give a detector and leave out `aligned` for photos"
        )
    if height > min(CROP_SIZES) and height not in (size, *CROP_SIZES):
        return (
            f"expected an aligned crop of 112x112 pixels (or {', '.join(map(str, CROP_SIZES[1:]))}), got "
            f"{width}x{height}: give a detector and leave out `aligned` for photos. If it is aligned as "
            f"ArcFace's crops are, scale it to 112x112 first"
        )
    return scale_square(image, size)


def scale_square(image: Image, size: int) -> Image:
    """A square image scaled to `size` pixels; as it is if it has that size.

    Raises:
        MissingExtraError: If it must be scaled and OpenCV is not installed.
    """
    height = len(image)
    if height == size:
        return image
    cv2 = import_cv2("scaling images")
    kind = cv2.INTER_AREA if height > size else cv2.INTER_LINEAR
    scaled: Image = cv2.resize(image, (size, size), interpolation=kind)
    return scaled


def read_crops(
    sources: Sequence[ImageSource], *, count: int, size: int = 112
) -> tuple[npt.NDArray[np.uint8], list[SkippedImage]]:
    """Aligned crops from a number of sources, spread evenly over all.

    Args:
        sources: Where images lie, as `list_images` gives them.
        count: How many of them to read at most.
        size: Height and width wanted, in pixels.

    Returns:
        (N, size, size, 3) uint8 RGB, and the images that could not be used.

    Raises:
        MissingExtraError: If OpenCV is not installed.
    """
    chosen = list(sources)
    if len(chosen) > count:
        places = np.linspace(0, len(chosen) - 1, count).round().astype(int)
        chosen = [chosen[place] for place in places]
    crops = np.empty((len(chosen), size, size, 3), np.uint8)
    used, skipped = 0, []
    for _, crop in read_images(chosen, fit=lambda image: fit_crop(image, size)):
        if isinstance(crop, SkippedImage):
            skipped.append(crop)
        else:
            crops[used] = crop
            used += 1
    return crops[:used], skipped


def _read_bytes(source: ImageSource, archive: zipfile.ZipFile | None) -> bytes | str:
    """The bytes, or the reason why there are none."""
    try:
        if source.member is None or archive is None:
            num_bytes = source.path.stat().st_size
            if not source.path.is_file():
                return "no file: expected a file, folder or zip archive"
        else:
            num_bytes = archive.getinfo(source.member).file_size
        if num_bytes > MAX_FILE_BYTES:
            return f"file of {num_bytes:,} bytes, expected at most {MAX_FILE_BYTES:,}"
        if source.member is None or archive is None:
            return source.path.read_bytes()
        return archive.read(source.member)
    except READ_ERRORS as error:
        return describe_error(error)
