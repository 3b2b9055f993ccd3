"""The first five minutes: an array in, a unit vector out."""

from __future__ import annotations

import os

import numpy.typing as npt

from probefusion.fusion import Fuser, load_fuser, suggest_fuser
from probefusion.types import EmbeddingSet, FloatArray

__all__ = ["fuse"]


def fuse(
    embeddings: npt.ArrayLike | EmbeddingSet,
    *,
    style: npt.ArrayLike | None = None,
    fuser: str | os.PathLike[str] | Fuser = "auto",
) -> FloatArray:
    """Fuses the embeddings of one person into one unit vector.

    Args:
        embeddings: (N, D) floating-point array of any face-recognition network, raw or unit, or an
            `EmbeddingSet`. N >= 1; duplicates count.
        style: (N, C, 2) style statistics, for fusers that use them. Not together with an `EmbeddingSet`.
        fuser: Name or folder of a fuser, or a fuser. The default "auto" takes the bundled exact
            fuser if the set says that it comes from the embedder that one was made for, otherwise
            the mean of the unit embeddings, which is right for any embedder.

    Returns:
        (D,) float32 of length 1, to be compared by cosine.

    Raises:
        InvalidInputError: For empty, non-finite, zero-length or misshapen input; names the row.
        MismatchError: If the fuser was made for another embedder.
        MissingStyleError: If the fuser needs style.
        UnknownNameError: If there is no such fuser.

    Example:
        >>> import numpy as np
        >>> fuse(np.array([[3.0, 0.0], [0.0, 4.0]])).round(3).tolist()
        [0.7070000171661377, 0.7070000171661377]
    """
    if isinstance(embeddings, EmbeddingSet):
        if style is not None:
            raise TypeError("style: an EmbeddingSet carries its own style; do not give it twice.")
        images = embeddings
    else:
        images = EmbeddingSet(embeddings=embeddings, style=style)  # type: ignore[arg-type]
    if fuser == "auto":
        fuser = suggest_fuser(images)
    return load_fuser(fuser).fuse(images).vector
