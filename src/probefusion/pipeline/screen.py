"""Is this set one person? For embeddings of any embedder."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy.typing as npt

from probefusion.fusion import Fuser
from probefusion.pipeline.fuse import prepared
from probefusion.types import EmbeddingSet

if TYPE_CHECKING:
    from probefusion.embedders import Embedder
    from probefusion.screening import Screening

__all__ = ["screen"]


def screen(
    embeddings: npt.ArrayLike | EmbeddingSet,
    *,
    style: npt.ArrayLike | None = None,
    crops: npt.ArrayLike | None = None,
    fuser: str | os.PathLike[str] | Fuser = "auto",
    embedder: str | os.PathLike[str] | Embedder | None = None,
) -> Screening:
    """Tells whether embeddings are of one person, and if not, which images go together.

    Args:
        embeddings: As for `probefusion.fuse`.
        style: As for `probefusion.fuse`.
        crops: As for `probefusion.fuse`.
        fuser: As for `probefusion.fuse`: which images weigh how much.
        embedder: As for `probefusion.fuse`.

    Returns:
        The verdict. Of fewer than 2 images, of fewer than 4 where it was not measured what to expect, or of
        dimensions below 64, nothing can be told, and it says so.

    Raises:
        InvalidInputError, MismatchError, UnknownNameError: As for `probefusion.fuse`.

    Example:
        >>> import numpy as np
        >>> print(screen(np.eye(3, 128)))
        one person? cannot be told: 3 images, and it takes 4
    """
    from probefusion.screening import screen as screen_set

    images, chosen = prepared(embeddings, style, crops, fuser, embedder)
    return screen_set(images, chosen)
