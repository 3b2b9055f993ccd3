"""Where the result of a run may go: nothing that is read, or is somebody else's, is replaced or removed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from probefusion.archives.files.locks import LOCK_NAME, clean_drafts, locked
from probefusion.archives.files.storage import (
    Place,
    absolute_place,
    exists,
    is_folder,
    is_url,
    remove_folder,
    shown_place,
)
from probefusion.archives.rows.archive import Archive
from probefusion.errors import ConfigError, OutputExistsError
from probefusion.files import check_name, check_not_input, check_output_file
from probefusion.types.template_files import check_template_path

__all__ = ["check_apart", "checked_output", "own_work"]


def checked_output(archive: Archive, output: Place, *, force: bool) -> str:
    """The output as a text, if it may be written.

    Raises:
        OutputExistsError: If it exists and `force` is False.
        ConfigError: If it is a file of the archive.
    """
    place = _plain(output)
    sources = {absolute_place(file.place) for file in archive.files}
    if is_url(place):
        check_template_path(place.rpartition("/")[2])
        if not force and exists(place):
            raise OutputExistsError(
                f"output {shown_place(place)!r} exists. Replace it with --force."
            )
        if place in sources:
            raise ConfigError(
                f"-o: {shown_place(place)!r} is also an input, which would be lost. Choose another name."
            )
        return place
    path = check_template_path(check_output_file(Path(place), force=force))
    check_not_input(path, [Path(each) for each in sources if not is_url(each)])
    check_name(path.with_name(path.name + ".work"))
    return str(path)


@contextmanager
def own_work(work: str, output: str) -> Iterator[None]:
    """Nobody else writes to a run's work folder until the block ends; what killed runs left half written goes.

    Behind urls there is no such lock: there two runs with one output may fail for files that the other removed.

    Raises:
        MismatchError: If another run does.
    """
    if is_url(work):
        yield
        return
    problem = (
        f"output {shown_place(output)!r}: another run with this output is under way. Give the command again when it "
        f"has ended."
    )
    with locked(work, problem):
        for folder in (work, *(str(each) for each in Path(work).iterdir() if each.is_dir())):
            clean_drafts(folder)
        try:
            yield
        finally:
            _drop_empty(Path(work))


def _drop_empty(work: Path) -> None:
    """Removes the folder of a run that has done nothing."""
    with suppress(OSError):
        if [path.name for path in work.iterdir()] == [LOCK_NAME]:
            remove_folder(str(work))


def check_apart(folder: Place | None, work: str, *, what: str) -> None:
    """Refuses a folder for what is to stay that is, or lies in, the work folder, which is removed at the end.

    Raises:
        ConfigError: If it does, or is a file.
    """
    if folder is None:
        return
    if exists(folder) and not is_folder(folder):
        raise ConfigError(
            f"{what} {shown_place(folder)!r}: is a file, expected a folder. Name another."
        )
    inner, outer = (absolute_place(place).rstrip("/") + "/" for place in (folder, work))
    if inner.startswith(outer):
        raise ConfigError(
            f"{what} {shown_place(folder)!r}: lie in the work folder, which is removed at the end. Choose "
            f"another folder."
        )


def _plain(output: Place) -> str:
    """The output as it is given; of `file://` the path."""
    text = str(output)
    return absolute_place(text) if is_url(text) and not is_url(absolute_place(text)) else text
