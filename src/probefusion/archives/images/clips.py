"""Clips of an archive: every k-th frame, each of whose largest face is a row."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from probefusion.archives.files.storage import is_url, open_file
from probefusion.archives.images.chunks import ArchiveImage, Chunk, SourceSettings
from probefusion.archives.images.naming import LONGEST_SIDE, place_beside
from probefusion.errors import FileFormatError, MissingFileError
from probefusion.faces.frames import VideoReader
from probefusion.faces.listing import SkippedImage, as_text

__all__ = ["read_clip"]


def read_clip(
    chunk: Chunk, place: int, settings: SourceSettings
) -> Iterator[ArchiveImage | SkippedImage]:
    """Frames of one clip, decoded by one thread.

    Where folders name people, a clip in none of them is a person of its own, named by the whole name of the file, which
    is no folder's. Where side files do, a clip without one is told as skipped.

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
    try:
        subject = _person(chunk, place, settings)
        if subject is None:
            yield SkippedImage(source=media, reason=settings.person.why_none(name))
            return
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


def _person(chunk: Chunk, place: int, settings: SourceSettings) -> str | None:
    """Whose clip it is, or None where its side file says nothing."""
    rule, name = settings.person, chunk.names[place]
    if rule.ending is None:
        return as_text(rule.of_name(name, wrapping=chunk.wrapping) or name)
    try:
        with open_file(place_beside(chunk.places[place], name, rule.ending)) as stream:
            content = stream.read(LONGEST_SIDE + 1)
    except MissingFileError:
        return None
    person = rule.of_files({rule.ending: content})
    return None if person is None else as_text(person)


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
