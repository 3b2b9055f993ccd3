"""Of photos that show several faces the face that is common to all."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from probefusion.pipeline.results import FaceChoice
from probefusion.types import EmbeddingSet

if TYPE_CHECKING:
    from probefusion.embedders import CropQuality, EmbeddingReport
    from probefusion.pipeline.chosen_models import Models

__all__ = ["Photos", "choose_common", "common_face", "photos_of_files", "photos_of_memory"]

_LEAD = 0.15
"""By how much the chosen face must be more alike over the photos, in cosine, than anybody else is."""

Units = npt.NDArray[np.float64]
_Image = npt.NDArray[np.uint8]

Photos: TypeAlias = Callable[[Collection[str]], Iterator[tuple[str, _Image]]]
"""Gives the photos of some names, each with its name and pixels, (H, W, 3) uint8 RGB."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Chosen:
    """Places of the chosen faces, one a photo, and why they are none; "" where they are clear."""

    places: list[int]
    reason: str = ""


def photos_of_files(paths: Any) -> Photos:
    """Photos of images, folders and archives, read when they are asked for; those that cannot be read are left out.

    Args:
        paths: As for `embed_images`.
    """

    def read(names: Collection[str]) -> Iterator[tuple[str, _Image]]:
        from probefusion.faces import SkippedImage, list_images, read_images

        for source in list_images(paths)[0]:
            if source.name in names:
                ((_, image),) = read_images([source])
                if not isinstance(image, SkippedImage):
                    yield source.name, image

    return read


def photos_of_memory(pictures: Sequence[tuple[str, _Image]]) -> Photos:
    """Photos that are in memory, with their names."""
    return lambda names: ((name, image) for name, image in pictures if name in names)


def common_face(
    models: Models, photos: Photos, report: EmbeddingReport
) -> tuple[EmbeddingReport, FaceChoice | None]:
    """Looks at all faces of photos that show several of about one size, and takes the one common to all photos.

    Args:
        models: With a detector; others give no counts of faces, and nothing is changed.
        photos: Gives the photos that the report is of.
        report: The largest face of each photo.

    Returns:
        The report, with other faces where another is common; and what was chosen, None if no photo shows
        several such faces.
    """
    from probefusion.embedders.embed_images import report_of

    counts = report.num_faces
    if counts is None or report.embedding_set.sources is None or (counts < 2).all():
        return report, None
    names = report.embedding_set.sources.tolist()
    quality = None if report.embedding_set.quality is None else models.judge(kept=True)
    rows = {name: row for row, name in enumerate(names) if counts[row] > 1}
    found = {
        rows[name]: faces
        for name, image in photos(rows)
        if (faces := _faces_of(models, name, image, quality)) is not None
    }
    if not found:
        return report, None
    largest = report.embedding_set
    choices = [
        found[row].embedding_set if row in found else largest[row : row + 1]
        for row in range(len(largest))
    ]
    chosen = choose_common([_units(faces) for faces in choices])
    if chosen.reason:
        choice = FaceChoice(
            num_photos=len(found), num_changed=0, is_clear=False, reason=chosen.reason
        )
        return report, choice
    taken = [faces[k : k + 1] for faces, k in zip(choices, chosen.places, strict=True)]
    facts = [
        replace(found[row].faces[place], is_common=True) if row in found else report.faces[row]
        for row, place in enumerate(chosen.places)
    ]
    choice = FaceChoice(
        num_photos=len(found),
        num_changed=sum(place > 0 for place in chosen.places),
        is_clear=True,
    )
    return report_of(EmbeddingSet.concatenate(taken), report.skipped, facts), choice


def choose_common(photos: Sequence[Units]) -> _Chosen:
    """One face of each photo, so that they are as alike as can be.

    Args:
        photos: (F, D) unit vectors each, the faces of a photo, the largest first.
    """
    largest = [0] * len(photos)
    if len(photos) < 2:
        return _Chosen(places=largest, reason="there is no other photo")
    first, places = _most_alike(photos)
    rest = [np.delete(faces, place, axis=0) for faces, place in zip(photos, places, strict=True)]
    others = [faces for faces in rest if len(faces)]
    second = _most_alike(others)[0] if len(others) > 1 else -1.0
    # who is in few of the photos is not common to all of them
    second *= (len(others) - 1) / (len(photos) - 1) if second > 0 else 1.0
    lead = first - max(second, 0.0)
    if lead < _LEAD:
        why = (
            "several people are in all photos" if first >= 2 * _LEAD else "no face is in all photos"
        )
        return _Chosen(places=largest, reason=why)
    return _Chosen(places=places)


def _most_alike(photos: Sequence[Units]) -> tuple[float, list[int]]:
    """The face that finds the most alike one in all other photos: their mean cosine, and which they are."""
    best = (-2.0, [0] * len(photos))
    for place, faces in enumerate(photos):
        for row, face in enumerate(faces):
            cosines = [other @ face for other in photos]
            chosen = [int(np.argmax(values)) for values in cosines]
            chosen[place] = row
            others = [float(values.max()) for k, values in enumerate(cosines) if k != place]
            score = float(np.mean(others))
            if score > best[0]:
                best = (score, chosen)
    return best


def _faces_of(
    models: Models, name: str, image: _Image, quality: CropQuality | None
) -> EmbeddingReport | None:
    """The faces of a photo that are about as large as the largest; None unless there are several."""
    from probefusion.embedders.crop_batches import embed_crops
    from probefusion.embedders.embed_images import report_of
    from probefusion.faces import crop_faces
    from probefusion.faces.cropping import ABOUT_ONE_SIZE

    size = models.embedder.spec.input_size
    faces, _ = crop_faces(image, models.detector, size=size, source=name)
    large = [face for face in faces if face.face.area >= ABOUT_ONE_SIZE * faces[0].face.area]
    if len(large) < 2:
        return None
    embedded = embed_crops(
        [face.crop for face in large],
        models.embedder,
        quality=quality,
        sources=[name] * len(large),
        keep_chips=models.keep_chips,
    )
    if embedded.images is None or len(embedded.images) < 2:
        return None
    used = [face.facts for face, is_used in zip(large, embedded.is_usable, strict=True) if is_used]
    return report_of(embedded.images, (), used)


def _units(images: EmbeddingSet) -> Units:
    wide = images.embeddings.astype(np.float64)
    units: Units = wide / np.linalg.norm(wide, axis=1, keepdims=True)
    return units
