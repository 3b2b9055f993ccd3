"""Finding and decoding images: files, folders and zip archives to RGB arrays."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt

from probefusion.checks import check_existing
from probefusion.errors import FileFormatError, MissingFileError
from probefusion.extras import import_cv2, quiet_cv2
from probefusion.faces.image_header import is_complete, pixel_size
from probefusion.reading import READ_ERRORS, open_zip, reason_of
from probefusion.workers import map_in_order

__all__ = [
    "IMAGE_SUFFIXES",
    "MAX_FILE_BYTES",
    "MAX_PIXELS",
    "ImageSource",
    "SkippedImage",
    "decode_image",
    "list_images",
    "read_crop",
    "read_crops",
    "read_images",
    "scale_square",
]

IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm"}
)
"""Files in folders and archives are taken for images if their lower-case name ends so."""

MAX_PIXELS = 100_000_000
"""Images with more pixels than this are refused before they are decoded."""

MAX_FILE_BYTES = 256 * 1024 * 1024
"""Files larger than this are refused before they are read."""

_UNREAD_SUFFIXES = {
    ".zip": "an archive inside a folder or archive: give its own path",
    **dict.fromkeys(
        (".heic", ".heif", ".avif", ".gif", ".jxl", ".jp2", ".dng", ".cr2", ".cr3", ".nef", ".arw"),
        "an image format that is not read: convert it to JPEG or PNG",
    ),
}

Image = npt.NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class SkippedImage:
    """An image that was left out.

    Args:
        source: Its name, as in `EmbeddingSet.sources`.
        reason: Why.
    """

    source: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class ImageSource:
    """Where an image lies: a file, or a member of a zip archive.

    Args:
        path: The file or the archive.
        member: The member's name in the archive, or None for a file.
    """

    path: Path
    member: str | None = None

    @property
    def name(self) -> str:
        """The path as text; for a member that of the archive, `/`, and the member's name."""
        path = self.path.as_posix()
        return path if self.member is None else f"{path}/{self.member}"


def list_images(
    paths: str | Path | ImageSource | Iterable[str | Path | ImageSource],
) -> tuple[list[ImageSource], list[SkippedImage]]:
    """Finds the images in files, folders (with all folders inside) and zip archives.

    A file that is named itself is taken for an image whatever its suffix. In folders and archives
    the suffix decides; image formats that cannot be read, and archives inside, are listed as
    skipped; other files, hidden files and folders (`.name`, `__MACOSX`) are no images and passed
    over. A path given twice counts twice.

    Args:
        paths: One path or several; an image that was found before stays as it is.

    Returns:
        The images, those of each path sorted by name, in the order of the paths; and what was
        skipped.

    Raises:
        MissingFileError: If a path does not exist.
        FileFormatError: If a `.zip` file is no zip archive.
    """
    found: list[ImageSource] = []
    skipped: list[SkippedImage] = []
    given = [paths] if isinstance(paths, str | Path | ImageSource) else list(paths)
    checked = [
        item if isinstance(item, ImageSource) else check_existing(item, name="image path")
        for item in given
    ]
    for path in checked:
        if isinstance(path, ImageSource):
            found.append(path)
            continue
        if path.is_dir():
            inside = [
                (PurePosixPath(item.relative_to(path).as_posix()), ImageSource(path=item))
                for item in _files(path, skipped)
            ]
        elif path.suffix.lower() == ".zip":
            inside = [
                (PurePosixPath(member), ImageSource(path=path, member=member))
                for member in _members(path)
            ]
        else:
            found.append(ImageSource(path=path))
            continue
        for relative, source in sorted(inside, key=lambda item: item[0].parts):
            if any(part.startswith(".") or part == "__MACOSX" for part in relative.parts):
                continue
            suffix = relative.suffix.lower()
            if suffix in IMAGE_SUFFIXES:
                found.append(source)
            elif suffix in _UNREAD_SUFFIXES:
                skipped.append(SkippedImage(source=source.name, reason=_UNREAD_SUFFIXES[suffix]))
    return found, skipped


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
        result = _decode(data) if isinstance(data, bytes) else data
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
                    yield source, f"could not be read: {error}"
                    continue
            yield source, _read_bytes(source, archive)


def decode_image(data: bytes, *, source: str = "image") -> Image:
    """Decodes the bytes of an image file.

    Grey images become colour ones, 16 bits per channel become 8, transparency is dropped, and the
    rotation that a camera noted (EXIF) is applied.

    Args:
        data: The file's bytes: JPEG, PNG, BMP, WebP, TIFF or PNM.
        source: Its name, for messages.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        FileFormatError: If it is no such image, is damaged or cut off, or has more than
            `MAX_PIXELS` pixels.
        MissingExtraError: If OpenCV is not installed.
    """
    result = _decode(data)
    if isinstance(result, str):
        raise FileFormatError(f"{source}: {result}")
    return result


def read_crop(data: bytes, *, source: str = "image", size: int = 112) -> Image:
    """Decodes the bytes of an aligned face crop and brings it to the size that embedders take.

    Args:
        data: The file's bytes.
        source: Its name, for messages.
        size: Height and width wanted, in pixels.

    Returns:
        (size, size, 3) uint8 RGB. Square crops of another size are scaled.

    Raises:
        FileFormatError: If it cannot be decoded (see `decode_image`) or is not square.
        MissingExtraError: If OpenCV is not installed.
    """
    crop = fit_crop(decode_image(data, source=source), size)
    if isinstance(crop, str):
        raise FileFormatError(f"{source}: {crop}")
    return crop


def fit_crop(image: Image, size: int) -> Image | str:
    """A square image scaled to `size` pixels, or the reason why it is no aligned crop."""
    height, width = image.shape[:2]
    if height != width:
        return (
            f"expected an aligned square crop, got {width}x{height} pixels; "
            f"give a detector and leave out `aligned` for photos"
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


def _files(folder: Path, skipped: list[SkippedImage]) -> Iterator[Path]:
    """All files in a folder and the folders inside; notes folders that cannot be opened."""

    def note(error: OSError) -> None:
        skipped.append(SkippedImage(source=str(error.filename), reason=_describe(error)))

    for inside, _, names in os.walk(folder, onerror=note):
        yield from (Path(inside) / name for name in names)


def _members(path: Path) -> list[str]:
    with open_zip(path) as archive:
        return [entry.filename for entry in archive.infolist() if not entry.is_dir()]


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
        return _describe(error)


def _describe(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"could not be read: {error.strerror}"
    return f"could not be read: {reason_of(error)}"


def _decode(data: bytes) -> Image | str:
    """The decoded image, or the reason why there is none."""
    if not data:
        return "empty file"
    size = pixel_size(data)
    if size is None:
        return "no JPEG, PNG, BMP, WebP, TIFF or PNM image, or its header is damaged"
    width, height = size
    if width < 1 or height < 1:
        return f"damaged header: {width}x{height} pixels"
    if width * height > MAX_PIXELS:
        return f"{width}x{height} pixels, expected at most {MAX_PIXELS:,} in all"
    if not is_complete(data):
        return "damaged: the end of the file is missing"
    cv2 = import_cv2("reading images")
    try:
        with quiet_cv2(cv2):
            pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        return f"could not be decoded ({' '.join(str(error).split())})"
    if pixels is None:
        return "damaged or of an unknown kind: could not be decoded"
    image: Image = cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)
    return image
