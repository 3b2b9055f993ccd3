"""The images that a diagnosis looks at: read as they are, whatever their size, with the people that folders tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

import numpy as np
import numpy.typing as npt

from probefusion.embedders.face_views import Crops
from probefusion.errors import EmptySetError
from probefusion.extras import import_cv2
from probefusion.faces import Detector, ImageSource, SkippedImage, list_images, read_images
from probefusion.faces.cropping import crop_largest_face
from probefusion.faces.images import scale_square
from probefusion.pipeline.alignment_check import Paths, spread
from probefusion.reports.findings import Finding

__all__ = ["ExaminedImages", "read_images_to_examine", "sized"]

_SIDE = 112
_IMAGES = 64
_REASONS_SHOWN = 2

Image = npt.NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True, eq=False)
class ExaminedImages:
    """What is looked at.

    Args:
        crops: (N, 112, 112, 3) uint8 RGB, N >= 1: faces of photos, or images brought to that size as they are, so
            that what is not square is squashed.
        sizes: Width and height of each image.
        names: Their names.
        all_names: Names of all images that there are, in order.
        people: Whose each is, by the folder it lies in; None where there is but one folder.
        skipped: Images that could not be used.
        findings: What reading them showed.
    """

    crops: Crops
    sizes: tuple[tuple[int, int], ...]
    names: tuple[str, ...]
    all_names: tuple[str, ...]
    people: tuple[str, ...] | None
    skipped: tuple[SkippedImage, ...]
    findings: tuple[Finding, ...]

    def __getitem__(self, rows: npt.NDArray[np.intp]) -> ExaminedImages:
        """Some of the images; what else is known stays."""
        return replace(
            self,
            crops=self.crops[rows],
            sizes=tuple(self.sizes[row] for row in rows),
            names=tuple(self.names[row] for row in rows),
            people=None if self.people is None else tuple(self.people[row] for row in rows),
        )


def read_images_to_examine(paths: Paths, detector: Detector | None) -> ExaminedImages:
    """Reads at most 64 of the images, spread evenly.

    Args:
        paths: As for `list_images`.
        detector: Finds the faces in photos; None takes the images as crops.

    Raises:
        MissingFileError: If a path does not exist.
        EmptySetError: If no image can be used.
    """
    sources, skipped = list_images(paths)
    chosen = spread(sources, _IMAGES)
    crops, sizes, used = [], [], []
    for source, image in read_images(chosen):
        if isinstance(image, SkippedImage):
            skipped.append(image)
            continue
        crop = _crop(source, image, detector)
        if isinstance(crop, SkippedImage):
            skipped.append(crop)
            continue
        crops.append(crop)
        sizes.append((image.shape[1], image.shape[0]))
        used.append(source.name)
    if not crops:
        reason = f": {skipped[0]}" if skipped else ""
        raise EmptySetError(
            f"images: none of {max(len(sources), len(skipped))} can be used{reason}. Give a folder of face crops, or "
            f"photos with --detector."
        )
    return ExaminedImages(
        crops=np.stack(crops),
        sizes=tuple(sizes),
        names=tuple(used),
        all_names=tuple(source.name for source in sources),
        people=_people(used),
        skipped=tuple(skipped),
        findings=(_reading(skipped, len(chosen)),),
    )


def sized(crops: Crops, size: int) -> Crops:
    """Square crops scaled to `size` pixels."""
    return np.stack([scale_square(crop, size) for crop in crops])


def _crop(source: ImageSource, image: Image, detector: Detector | None) -> Image | SkippedImage:
    if detector is None:
        return _squeezed(image)
    found = crop_largest_face(image, detector, size=_SIDE, source=source.name)
    if isinstance(found, str):
        return SkippedImage(source=source.name, reason=found)
    as_it_lay: Image = np.rot90(found.crop, found.facts.turned // 90).copy()
    return as_it_lay


def _squeezed(image: Image) -> Image:
    """An image brought to the crops' size as a careless pipeline does it."""
    if image.shape[0] == image.shape[1]:
        return scale_square(image, _SIDE)
    cv2 = import_cv2("scaling images")
    kind = cv2.INTER_AREA if min(image.shape[:2]) > _SIDE else cv2.INTER_LINEAR
    squeezed: Image = cv2.resize(image, (_SIDE, _SIDE), interpolation=kind)
    return squeezed


def _people(names: Sequence[str]) -> tuple[str, ...] | None:
    folders = tuple(str(PurePosixPath(name.replace("\\", "/")).parent) for name in names)
    return folders if len(set(folders)) > 1 else None


def _reading(skipped: Sequence[SkippedImage], num_chosen: int) -> Finding:
    if not skipped:
        return Finding(check="reading", status="fine", evidence=f"{num_chosen} of {num_chosen}")
    reasons = "; ".join(map(str, skipped[:_REASONS_SHOWN]))
    return Finding(
        check="reading",
        status="fault",
        evidence=f"{len(skipped)} could not be used: {reasons}",
        fix="Mend or remove these files; without faces: look whether they are turned, or no photos of faces",
    )
