"""Reads the images of a chunk, whatever kind it is; what cannot be read is told and the rest goes on."""

from __future__ import annotations

import weakref
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import IO

from probefusion.archives.files.storage import open_file, shown_place
from probefusion.archives.images.chunks import ArchiveImage, Chunk, SourceSettings, too_large
from probefusion.archives.images.clips import read_clip
from probefusion.archives.images.naming import LONGEST_SIDE, key_of, place_beside
from probefusion.archives.images.plan import is_refused
from probefusion.archives.images.row_groups import RowGroupReader
from probefusion.archives.images.tar_samples import read_samples
from probefusion.errors import FileFormatError, MissingFileError, StorageError
from probefusion.faces.images import MAX_FILE_BYTES
from probefusion.faces.listing import SkippedImage, as_text, describe_error
from probefusion.files.reading import READ_ERRORS, reading

__all__ = ["ImageReader"]


class ImageReader:
    """Reads chunks of one source; closed when it goes, or before.

    A zip archive stays open from one chunk to the next, as its list of files is read whenever it is opened; so does a
    Parquet file of which a row group is cut.

    Args:
        settings: How the source is read.
    """

    def __init__(self, settings: SourceSettings) -> None:
        self._settings = settings
        self._opened = ExitStack()
        self._zip: tuple[str, zipfile.ZipFile] | None = None
        self._row_groups = RowGroupReader(settings)
        for reader in (self._opened, self._row_groups):
            weakref.finalize(self, reader.close)  # a worker is not told when its work ends

    def read(self, chunk: Chunk) -> Iterator[ArchiveImage | SkippedImage]:
        """The images of a chunk in order, and what of it cannot be read.

        Raises:
            StorageError: If the store cannot be reached; a file that it refuses is told as skipped.
            MissingExtraError: If a package is needed that is not installed.
        """
        if chunk.kind == "files":
            for place in range(len(chunk.names)):
                yield self._file(chunk, place)
        elif chunk.kind == "videos":
            for place, name in enumerate(chunk.names):
                yield from _told(read_clip(chunk, place, self._settings), name)
        elif chunk.kind == "zip":
            yield from _told(self._members(chunk), chunk.places[0])
        elif chunk.kind == "tar":
            yield from _told(read_samples(chunk, self._settings), chunk.names[0])
        else:
            yield from _told(self._row_groups.read(chunk), chunk.names[0])

    def close(self) -> None:
        """Lets go of the files."""
        self._opened.close()
        self._row_groups.close()
        self._zip = None

    def _file(self, chunk: Chunk, place: int) -> ArchiveImage | SkippedImage:
        name, where = chunk.names[place], chunk.places[place]
        source = as_text(name)

        def side(_: str) -> bytes:
            with open_file(place_beside(where, name, self.side_ending)) as stream:
                return stream.read(LONGEST_SIDE + 1)

        try:
            person = self._person(name, chunk.wrapping, side)
            if person is None:
                reason = self._settings.person.why_none(name)
                return SkippedImage(source=source, reason=reason)
            with open_file(where) as stream:
                data = stream.read(MAX_FILE_BYTES + 1)
        except StorageError as error:
            if not is_refused(error):
                raise
            return SkippedImage(source=source, reason=str(error))
        except (FileFormatError, MissingFileError) as error:
            return SkippedImage(source=source, reason=str(error))
        except OSError as error:
            return SkippedImage(source=source, reason=describe_error(error))
        return _image(source, person, data)

    def _person(self, name: str, wrapping: int, read: Callable[[str], bytes]) -> str | None:
        rule = self._settings.person
        if rule.ending is None:
            return rule.of_name(name, wrapping=wrapping)
        try:
            content = read(key_of(name)[0])
        except (MissingFileError, KeyError):
            return None
        return rule.of_files({rule.ending: content})

    def _members(self, chunk: Chunk) -> Iterator[ArchiveImage | SkippedImage]:
        archive = self._archive(chunk.places[0])
        for name in chunk.names:
            source = as_text(name)
            try:
                person = self._person(name, chunk.wrapping, lambda key: _side(archive, key, self))
                if person is None:
                    reason = self._settings.person.why_none(name)
                    yield SkippedImage(source=source, reason=reason)
                    continue
                size = archive.getinfo(name).file_size
                data = archive.read(name) if size <= MAX_FILE_BYTES else bytes(0)
            except StorageError:
                raise
            except READ_ERRORS as error:
                yield SkippedImage(source=source, reason=describe_error(error))
                continue
            if size > MAX_FILE_BYTES:
                yield SkippedImage(source=source, reason=too_large(size))
            else:
                yield _image(source, person, data)

    @property
    def side_ending(self) -> str:
        """Ending of the files beside images that name people."""
        return self._settings.person.ending or ""

    def _archive(self, place: str) -> zipfile.ZipFile:
        if self._zip is None or self._zip[0] != place:
            self.close()
            stream: IO[bytes] = self._opened.enter_context(open_file(place))
            with reading(shown_place(place), "a zip archive"):
                self._zip = place, self._opened.enter_context(zipfile.ZipFile(stream))
        return self._zip[1]


def _side(archive: zipfile.ZipFile, key: str, reader: ImageReader) -> bytes:
    with archive.open(f"{key}.{reader.side_ending}") as stream:
        return stream.read(LONGEST_SIDE + 1)


def _image(source: str, person: str, data: bytes) -> ArchiveImage | SkippedImage:
    if len(data) > MAX_FILE_BYTES:
        return SkippedImage(source=source, reason=too_large(None))
    return ArchiveImage(source=source, subject_id=as_text(person), media_id=source, data=data)


def _told(
    images: Iterator[ArchiveImage | SkippedImage], name: str
) -> Iterator[ArchiveImage | SkippedImage]:
    """The images; where a whole file is refused or gone, that in their place."""
    try:
        yield from images
    except StorageError as error:
        if not is_refused(error):
            raise
        yield SkippedImage(source=as_text(name), reason=str(error))
    except (FileFormatError, MissingFileError) as error:
        yield SkippedImage(source=as_text(name), reason=str(error))
    except OSError as error:
        yield SkippedImage(source=as_text(name), reason=describe_error(error))
