"""Whether a folder of rows holds all that `embed-archive` was to write there."""

from __future__ import annotations

from collections.abc import Sequence

from probefusion.archives.files.storage import Place, StoredFile, join, shown_place
from probefusion.archives.images.manifest import MANIFEST, chunk_place, read_manifest
from probefusion.errors import FileFormatError
from probefusion.files.reading import in_one_line

__all__ = ["check_finished"]


def check_finished(root: Place, listed: Sequence[StoredFile]) -> None:
    """Refuses rows of which some were not written, or are gone: their people would be there in part.

    Args:
        root: Folder or url.
        listed: Files below it: manifests of `embed-archive`, and the Parquet files.

    Raises:
        FileFormatError: If a manifest names more chunks than there are files beside it, or is damaged.
        IntegrityError: If a manifest was changed.
        StorageError: If it cannot be read.
    """
    names = {file.name for file in listed}
    for name in sorted(names):
        folder, _, last = name.rpartition("/")
        if last != MANIFEST:
            continue
        place = join(root, folder) if folder else root
        content = read_manifest(place)
        count = 0 if content is None else len(content["chunks"])
        wanted = [chunk_place("", number).rpartition("/")[2] for number in range(count)]
        missing = [each for each in wanted if (f"{folder}/{each}" if folder else each) not in names]
        if missing:
            raise FileFormatError(
                f"{in_one_line(shown_place(place))}: expected the {count} files of rows that embed-archive was to "
                f"write, {len(missing)} are not there ({missing[0]} is the first). Give the same embed-archive command "
                f"again: it makes what is missing. To take what there is, move the files to a folder without "
                f"{MANIFEST}."
            )
