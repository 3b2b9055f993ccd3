"""The images of a gallery embedded anew, from the folder that they came from."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from probefusion.errors import ConfigError, ProbeFusionError
from probefusion.faces.linked_files import SAME_FILE
from probefusion.faces.listing import as_text, is_hidden, list_images
from probefusion.files import check_existing
from probefusion.gallery.views import ContributionView
from probefusion.pipeline.enroll_people import source_of_folder
from probefusion.types.revisions import remedy

if TYPE_CHECKING:
    from probefusion.gallery import Gallery
    from probefusion.pipeline.pipeline import Pipeline
    from probefusion.types import EmbeddingSet

__all__ = ["ReEmbedded", "contributions_lacking", "embedded_anew", "re_embed_people"]

_DIGEST = " sha256:"
"""What stands between name and digest in the source that `source_of_folder` gives."""


@dataclass(frozen=True, kw_only=True)
class ReEmbedded:
    """What became of a contribution.

    Args:
        name: Of the person who has it.
        contribution_id: Its id.
        num_images: Its images.
        reason: Why it was left out, or "".
    """

    name: str
    contribution_id: str
    num_images: int
    reason: str = ""


def re_embed_people(
    gallery: Gallery,
    pipeline: Pipeline,
    folder: str | os.PathLike[str],
    model: str,
    *,
    progress: Callable[[str, int, int | None], None] | None = None,
) -> Iterator[ReEmbedded]:
    """Gives a model what it lacks: embeds the images of contributions again, each contribution as one change.

    A contribution that was made of a folder is found by the folder's name, and its files must be the same, byte by
    byte. Of others each image is found by the end of its name, with the folder that it lies in. A run that was
    stopped is repeated as it was.

    Args:
        gallery: The gallery.
        pipeline: With the embedder of the model, and the detector that found the faces.
        folder: Where the images lie, as a folder of people's folders.
        model: Id of the model.
        progress: Called with "contributions", how many are done, and in all.

    Yields:
        What became of each contribution that the model lacks, and of each that is held.

    Raises:
        UnknownNameError: If there is no such model.
        ConfigError: If the model is of another embedder than the pipeline, or `folder` is no folder.
        MissingFileError: If it is not there.
    """
    root = check_existing(os.fspath(folder), name="folder of people")
    if not root.is_dir():
        raise ConfigError(f"folder of people: expected a folder, got the file {root}.")
    wanted = contributions_lacking(gallery, pipeline, model)
    images = _Images(root)

    def embed(part: ContributionView) -> EmbeddingSet:
        found = pipeline.embed(images.of(part), strangers="no-screening")
        lost = [image for image in found.skipped if not image.reason.startswith(SAME_FILE)]
        if lost:
            raise ConfigError(f"{len(lost)} images skipped, as {lost[0]}")
        return found.embedding_set

    yield from embedded_anew(gallery, wanted, embed, progress=progress)


def contributions_lacking(
    gallery: Gallery, pipeline: Pipeline, model: str
) -> list[tuple[str, ContributionView]]:
    """Name of the person and contribution for each that a model lacks, and for each that is held.

    Args:
        gallery: The gallery.
        pipeline: With the embedder of the model.
        model: Id of the model.

    Raises:
        UnknownNameError: If there is no such model.
        ConfigError: If the model is of another embedder than the pipeline.
    """
    lacking = frozenset(gallery.missing(model))
    row = next(each for each in gallery.models() if each.id == model)
    if pipeline.embedder.fingerprint != row.embedder:
        anew = "add a model of the other: add_model"
        raise ConfigError(
            f"embedder: expected {row.embedder}, which model {model} is of, got {pipeline.embedder.fingerprint}. "
            f"{remedy(row.embedder, pipeline.embedder.fingerprint, 'Name that one: --embedder.', anew=anew)}"
        )
    wanted = [
        (name, part)
        for name in gallery.list()
        for part in gallery.person(name).contributions
        if part.id in lacking
    ]
    return [*wanted, *gallery.held()]


def embedded_anew(
    gallery: Gallery,
    wanted: Sequence[tuple[str, ContributionView]],
    embed: Callable[[ContributionView], EmbeddingSet],
    *,
    progress: Callable[[str, int, int | None], None] | None = None,
) -> Iterator[ReEmbedded]:
    """Adds to contributions what their images give, each as one change.

    Args:
        gallery: The gallery.
        wanted: As `contributions_lacking` gives them.
        embed: Gives the set of a contribution; a `ProbeFusionError` leaves it out.
        progress: As for `re_embed_people`.

    Yields:
        What became of each.
    """
    for place, (name, part) in enumerate(wanted):
        if progress is not None:
            progress("contributions", place, len(wanted))
        reason = ""
        try:
            gallery.re_embed({part.id: embed(part)})
        except ProbeFusionError as error:
            reason = str(error)
        yield ReEmbedded(
            name=name, contribution_id=part.id, num_images=part.num_images, reason=reason
        )
    if progress is not None:
        progress("contributions", len(wanted), len(wanted))


class _Images:
    """Finds the files of contributions below a folder."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._files = {
            as_text(path.relative_to(root).as_posix()): path
            for path in sorted(root.rglob("*"))
            if path.is_file() and not any(map(is_hidden, path.relative_to(root).parts))
        }

    def of(self, part: ContributionView) -> list[Path]:
        """The images of a contribution, in order.

        Raises:
            ConfigError: If they are not there, or not the same.
        """
        name, mark, _ = part.source.partition(_DIGEST)
        if mark:
            own = self._root / name
            if not own.is_dir() or own.parent != self._root:
                raise ConfigError(f"there is no folder {name!r}, which the images came from")
            if source_of_folder(own) != part.source:
                raise ConfigError(f"the files of folder {name!r} are not the same any more")
            if not part.images:
                return _counted(own, part.num_images)
        if not part.images:
            raise ConfigError("no names of its images are kept; give them in Python: re_embed")
        return [self._file(image.source) for image in part.images]

    def _file(self, source: str) -> Path:
        parts = PurePosixPath(source).parts
        least = min(len(parts), 2)  # an image's name alone may be that of another person's image
        for start in range(len(parts) - least + 1):
            found = self._files.get("/".join(parts[start:]))
            if found is not None:
                return found
        raise ConfigError(f"there is no image {source!r} in the folder")


def _counted(folder: Path, count: int) -> list[Path]:
    """A folder; or all images in it, where a former release counted a file under each of its names, by links."""
    found, _ = list_images(folder)
    once, _ = list_images(folder, each_once=True)
    if len(once) == count or len(found) != count or any(each.member for each in found):
        return [folder]
    return [each.path for each in found]
