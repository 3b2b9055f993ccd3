"""A collection as an archive: a folder of Parquet files, some people each, written and read in bounded memory.

    gallery.json           what it is of, and the files with the SHA-256 of what each holds
    people-00000.parquet   rows of images as `exporting` writes them, with the facts of its people

`probefusion.archives.open_archive(folder, by="subject_id")` reads the same files.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from probefusion.errors import FileFormatError, IntegrityError, OutputExistsError
from probefusion.files import DRAFT_PREFIX, check_existing, check_output, replace_folder
from probefusion.files.hashed_json import check_json_hash, hashed_json
from probefusion.files.reading import read_bytes, reading
from probefusion.gallery.argument_checks import check_count, check_flag
from probefusion.gallery.exchange.export_files import read_parquet, table_hash, write_parquet
from probefusion.gallery.exchange.export_table import people_of, table_of
from probefusion.gallery.exchange.exporting import Exported, not_exported
from probefusion.gallery.verbs.plain_people import PlainPerson

if TYPE_CHECKING:
    from probefusion.gallery.gallery import Gallery

__all__ = ["GalleryArchive", "export_archive", "open_gallery_archive"]

_FORMAT, _VERSION = "probefusion gallery archive", 1
_MANIFEST = "gallery.json"
_MOST_MANIFEST_BYTES = 1 << 28
_STEP = "Export the gallery again."
_AT_ONCE = 1000
"""People of one file."""


@dataclass(frozen=True, kw_only=True)
class GalleryArchive:
    """A collection that was exported as an archive.

    Args:
        folder: Where it lies.
        collection: Name of the collection that it is of.
        embedder: Fingerprint of the embedder, or None.
        fuser: Fingerprint of the fuser, or None if it is of nobody.
        num_people: People in it.
        num_images: Images of them.
        files: Names of the files, with the SHA-256 of what each holds.
    """

    folder: Path
    collection: str
    embedder: str | None
    fuser: str | None
    num_people: int
    num_images: int
    files: tuple[tuple[str, str], ...]

    def people(self) -> Iterator[PlainPerson]:
        """Everybody, as `Gallery.load` takes them; one file is in memory at a time.

        Raises:
            MissingFileError, FileFormatError: If a file is not there, or not what it must be.
            IntegrityError: If a file is not the one that was written.
        """
        for name, digest in self.files:
            table = read_parquet(self.folder / name)
            if table_hash(table) != digest:
                raise IntegrityError(
                    f"{self.folder / name}: it is another file than the one that was written. {_STEP}"
                )
            yield from people_of(table, origin=name)


def export_archive(
    gallery: Gallery,
    folder: str | os.PathLike[str],
    *,
    chips: bool = False,
    force: bool = False,
    people_at_once: int = _AT_ONCE,
    progress: Callable[[int, int], None] | None = None,
) -> Exported:
    """Writes everybody who is shown, with all that is kept, to a folder of Parquet files. It is not encrypted.

    The folder appears when it is whole; its files are readable by their owner alone.

    Args:
        gallery: The gallery.
        folder: The folder.
        chips: Whether small pictures of faces are written as well: everybody recognises people by them.
        force: Whether an archive of a gallery that is there may be replaced.
        people_at_once: People of one file.
        progress: Called with the number of people written and in all.

    Raises:
        OutputExistsError: If it is there already, or is something else.
        MissingExtraError: If pyarrow is not installed.
        ProbeFusionError: If the gallery cannot be read.
    """
    chips = check_flag(chips, "chips")
    at_once = check_count(people_at_once, "people_at_once", at_least=1)
    target = check_output(Path(folder), force=force)
    if target.exists() and not (target / _MANIFEST).is_file():
        raise OutputExistsError(
            f"output {str(folder)!r} is no archive of a gallery; it is not replaced. Name another."
        )
    stats = gallery.stats(looks_for_damage=False)
    model = stats.model
    facts = {
        "collection": gallery.collection,
        "embedder": None if model is None else model.embedder,
        "fuser": None if model is None else model.fuser,
    }
    draft = Path(tempfile.mkdtemp(prefix=DRAFT_PREFIX, dir=target.parent))  # 0700
    files: list[dict[str, str]] = []
    counts = _Counts()
    try:
        with closing(gallery.plain_people(chips=chips)) as people:
            while some := list(islice(people, at_once)):
                table = table_of(some, facts, dim=1 if model is None else model.dim, chips=chips)
                file = draft / f"people-{len(files):05d}.parquet"
                write_parquet(table, file)
                file.chmod(0o600)
                files.append({"name": file.name, "sha256": table_hash(table)})
                counts.take(some)
                if progress is not None:
                    progress(counts.people, stats.num_people)
        manifest = draft / _MANIFEST
        whole = {"format": _FORMAT, "version": _VERSION, **facts, "files": files}
        whole |= {"num_people": counts.people, "num_images": counts.images}
        manifest.write_bytes(hashed_json(whole, indent=2))
        manifest.chmod(0o600)
        replace_folder(draft, target)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return Exported(
        num_people=counts.people,
        num_contributions=counts.contributions,
        num_images=counts.images,
        num_left_out=counts.left_out,
        was_encrypted=gallery.is_encrypted,
        not_exported=not_exported(stats, counts.contributions),
    )


def open_gallery_archive(folder: str | os.PathLike[str]) -> GalleryArchive:
    """Opens what `export_archive` wrote; people are read when they are asked for.

    Raises:
        MissingFileError: If it is not there.
        FileFormatError: If it is no archive of a gallery, or of a newer release.
        IntegrityError: If its list of files was changed.
    """
    found = check_existing(Path(folder), name="archive of a gallery")
    manifest = found / _MANIFEST
    if not manifest.is_file():
        raise FileFormatError(
            f"{found}: expected an archive of a gallery, with {_MANIFEST}; it is not there. Embeddings of others are "
            f"loaded with probefusion.pipeline.load_archive."
        )
    with reading(str(manifest), "an archive of a gallery", step=_STEP):
        text = read_bytes(manifest, at_most=_MOST_MANIFEST_BYTES).decode()
    facts = check_json_hash(
        _parsed(text, manifest), where=str(manifest), step=_STEP, is_needed=True
    )
    if facts.get("format") != _FORMAT:
        raise FileFormatError(
            f"{manifest}: expected an archive of a gallery, got another export. Read it with read_export."
        )
    if not isinstance(facts.get("version"), int) or facts["version"] > _VERSION:
        raise FileFormatError(
            f"{manifest}: its format version {facts.get('version')!r} is newer than {_VERSION}, which this release "
            f"reads. Upgrade probefusion."
        )
    with reading(str(manifest), "an archive of a gallery", step=_STEP):
        files = tuple((_file_name(each["name"]), str(each["sha256"])) for each in facts["files"])
        return GalleryArchive(
            folder=found,
            collection=str(facts["collection"]),
            embedder=facts["embedder"],
            fuser=facts["fuser"],
            num_people=int(facts["num_people"]),
            num_images=int(facts["num_images"]),
            files=files,
        )


class _Counts:
    """How much was written."""

    def __init__(self) -> None:
        self.people = self.contributions = self.images = self.left_out = 0

    def take(self, people: list[PlainPerson]) -> None:
        self.people += len(people)
        for person in people:
            self.contributions += len(person.contributions)
            self.images += sum(part.kept.num_images for part in person.contributions)
            self.left_out += sum(len(part.left_out) for part in person.contributions)


def _parsed(text: str, manifest: Path) -> Any:
    with reading(str(manifest), "an archive of a gallery", step=_STEP):
        return json.loads(text)


def _file_name(name: Any) -> str:
    if not isinstance(name, str) or Path(name).name != name or not name.endswith(".parquet"):
        raise ValueError(f"{name!r} is no name of a file in it")
    return name
