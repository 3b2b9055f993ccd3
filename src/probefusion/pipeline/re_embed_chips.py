"""The images of a gallery embedded anew, from the small pictures of faces that it keeps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from probefusion.errors import ConfigError
from probefusion.gallery.views import ContributionView
from probefusion.pipeline.re_embed_people import (
    ReEmbedded,
    contributions_lacking,
    embedded_anew,
)
from probefusion.types import EmbeddingSet

if TYPE_CHECKING:
    from probefusion.gallery import Gallery
    from probefusion.pipeline.pipeline import Pipeline

__all__ = ["re_embed_chips"]


def re_embed_chips(
    gallery: Gallery,
    pipeline: Pipeline,
    model: str,
    *,
    progress: Callable[[str, int, int | None], None] | None = None,
) -> Iterator[ReEmbedded]:
    """Gives a model what it lacks, from the small pictures of faces, without photos; each contribution is one change.

    A picture is the aligned crop of an image, compressed (JPEG), so that its embedding is nearly that of the photo.
    Nothing is written to a disk. A contribution of which an image has no picture is left out, and so is one whose
    pictures are not of the size that the embedder takes. Pictures that were given by hand (`chips=`) must be aligned
    crops.

    Args:
        gallery: The gallery; a sealed one is opened with its keys.
        pipeline: With the embedder of the model.
        model: Id of the model.
        progress: Called with "contributions", how many are done, and in all.

    Yields:
        What became of each contribution that the model lacks, and of each that is held.

    Raises:
        UnknownNameError: If there is no such model.
        ConfigError: If the model is of another embedder than the pipeline.
    """
    from probefusion.embedders import CropQuality
    from probefusion.embedders.crop_batches import embed_crops

    wanted = contributions_lacking(gallery, pipeline, model)
    quality, size = CropQuality(num_threads=1), pipeline.embedder.spec.input_size

    def embed(part: ContributionView) -> EmbeddingSet:
        crops = [_crop_of(gallery, image.id, size) for image in part.images]
        if not crops:
            raise ConfigError("its state alone is kept, no images")
        names = [image.source for image in part.images]
        found = embed_crops(crops, pipeline.embedder, quality=quality, sources=names)
        reasons = [reason for reason in found.reasons if reason is not None]
        if found.images is None or reasons:
            raise ConfigError(f"{len(reasons)} images cannot be embedded: {reasons[0]}")
        return found.images

    yield from embedded_anew(gallery, wanted, embed, progress=progress)


def _crop_of(gallery: Gallery, image: str, size: int) -> npt.NDArray[np.uint8]:
    """(size, size, 3) uint8 RGB.

    Raises:
        ConfigError: If there is no picture of the image, or one of another size.
        ProbeFusionError: If it cannot be opened, or is no picture.
    """
    from probefusion.faces.decoding import decode_image

    chip = gallery.chip(image)
    if chip is None:
        raise ConfigError(f"image {image} has no small picture (--keep-chips, keep_chips=True)")
    crop = decode_image(chip, source=f"picture of image {image}")
    if crop.shape != (size, size, 3):
        raise ConfigError(
            f"picture of image {image}: expected {size} x {size} pixels, which the embedder takes, got "
            f"{crop.shape[1]} x {crop.shape[0]}"
        )
    return crop
