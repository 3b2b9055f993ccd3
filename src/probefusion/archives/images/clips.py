"""Clips of an archive: every k-th frame, each of whose largest face is a row."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from probefusion.archives.images.chunks import ArchiveImage, Chunk, SourceSettings
from probefusion.archives.storage import is_url, open_file
from probefusion.errors import FileFormatError, MissingFileError
from probefusion.faces.frames import VideoReader
from probefusion.faces.listing import SkippedImage, as_text

__all__ = ["read_clip"]


def read_clip(
    chunk: Chunk, place: int, settings: SourceSettings
) -> Iterator[ArchiveImage | SkippedImage]:
    """Frames of one clip, decoded by one thread; a clip in no person's folder is a person of its own.

    Args:
        chunk: Of clips.
        place: Which of them.
        settings: How the source is read.

    Raises:
        StorageError: If it may not be read, or its store cannot be reached.
        MissingExtraError: If PyAV is not installed.
    """
    name = chunk.names[place]
    media = as_text(name)
    rule = settings.person
    person = rule.of_name(name, wrapping=chunk.wrapping) if rule.ending is None else None
    subject = as_text(person if person is not None else PurePosixPath(name).stem)
    try:
        with (
            _on_disk(chunk.places[place]) as path,
            VideoReader(path, every=settings.every, num_threads=1) as reader,
        ):
            for frame in reader:
                yield ArchiveImage(
                    source=f"{media}#t={frame.time:.3f}",
                    subject_id=subject,
                    media_id=media,
                    data=frame.image,
                )
            problems = reader.problems
    except (FileFormatError, MissingFileError) as error:
        yield SkippedImage(source=media, reason=str(error))
        return
    yield from (SkippedImage(source=media, reason=problem) for problem in problems)


@contextmanager
def _on_disk(place: str) -> Iterator[Path]:
    """The path of a clip; one behind a url is fetched, as decoders move about in it."""
    if not is_url(place):
        yield Path(place)
        return
    with tempfile.NamedTemporaryFile(suffix=PurePosixPath(place).suffix) as copy:
        with open_file(place) as stream:
            shutil.copyfileobj(stream, copy, 1 << 20)
        copy.flush()
        yield Path(copy.name)
