"""The first five minutes: an array in, a unit vector out."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from probefusion.errors import EmbedderMismatchError
from probefusion.fusion import Fuser
from probefusion.io.doubts import question_shape
from probefusion.pipeline.chosen_embedder import stated_fingerprint
from probefusion.types import EmbeddingSet, FloatArray
from probefusion.types.revisions import remedy
from probefusion.zoo import load_fuser, suggest_fuser

if TYPE_CHECKING:
    from probefusion.embedders import Embedder

__all__ = ["fuse", "prepared"]


def fuse(
    embeddings: npt.ArrayLike | EmbeddingSet,
    *,
    style: npt.ArrayLike | None = None,
    crops: npt.ArrayLike | None = None,
    fuser: str | os.PathLike[str] | Fuser = "auto",
    embedder: str | os.PathLike[str] | Embedder | None = None,
) -> FloatArray:
    """Fuses the embeddings of one person into one unit vector.

    Args:
        embeddings: (N, D) floating-point array of any face-recognition network, raw or unit, or an
            `EmbeddingSet`. N >= 1; duplicates count.
        style: (N, C, 2) style statistics, for fusers that use them. Not together with an `EmbeddingSet`.
        crops: (N, S, S, 3) uint8 RGB, the aligned face of each image, from which a network judges
            how much each should count, whatever the embedder. Not together with an `EmbeddingSet`.
        fuser: Name or folder of a fuser, or a fuser. The default "auto" takes a bundled exact fuser
            if the set says that it comes from the embedder that one was made for, otherwise
            "universal" if there are crops (or the set has a quality), otherwise the mean of the unit
            embeddings, which is right for any embedder.
        embedder: What made the embeddings, as a known name, an ONNX file, a fingerprint or an embedder:
            needed where the fuser was made for one and the set does not say it. Nothing is loaded.

    Returns:
        (D,) float32 of length 1, to be compared by cosine.

    Raises:
        InvalidInputError: For empty, non-finite, zero-length or misshapen input; names the row.
        MismatchError: If the fuser was made for another embedder, or for one and nobody says which
            made the embeddings.
        MissingStyleError: If the fuser needs style.
        MissingQualityError: If the fuser needs crops.
        UnknownNameError: If there is no such fuser.

    Example:
        >>> import numpy as np
        >>> fuse(np.array([[3.0, 0.0], [0.0, 4.0]])).round(3).tolist()
        [0.7070000171661377, 0.7070000171661377]
    """
    images, chosen = prepared(embeddings, style, crops, fuser, embedder)
    return chosen.fuse(images).vector


def prepared(
    embeddings: npt.ArrayLike | EmbeddingSet,
    style: npt.ArrayLike | None,
    crops: npt.ArrayLike | None,
    fuser: str | os.PathLike[str] | Fuser,
    embedder: str | os.PathLike[str] | Embedder | None,
) -> tuple[EmbeddingSet, Fuser]:
    """The set and the fuser that are meant; arguments and errors as for `fuse`."""
    if isinstance(embeddings, EmbeddingSet):
        for name, value in (("style", style), ("crops", crops)):
            if value is not None:
                raise TypeError(
                    f"{name}: an EmbeddingSet carries its own columns; do not give {name} beside it."
                )
        images = embeddings
    else:
        quality = None
        if crops is not None:
            from probefusion.embedders.quality import CropQuality

            quality = CropQuality().judge(np.asarray(crops))
        question_shape(np.asarray(embeddings), origin="embeddings")
        images = EmbeddingSet(
            embeddings=embeddings,  # type: ignore[arg-type]
            style=style,  # type: ignore[arg-type]
            quality=quality,
        )
    if (stated := stated_fingerprint(embedder)) is not None:
        if images.embedder not in (None, stated):
            raise EmbedderMismatchError(
                f"embedder: the set says that it is of {images.embedder}, got {stated}. "
                f"{remedy(images.embedder, stated, 'Leave embedder out, or name the one that made it.')}"
            )
        images = replace(images, embedder=stated)
    if fuser == "auto":
        fuser = suggest_fuser(images)
    return images, load_fuser(fuser, embedder=images.embedder)
