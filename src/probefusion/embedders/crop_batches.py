"""From aligned crops to rows that can be fused: the one step that photos and videos share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from probefusion.checks import MIN_NORM, row_norms
from probefusion.embedders.embedder import Embedder
from probefusion.embedders.quality import CropQuality
from probefusion.faces.jpeg import encode_chip
from probefusion.types import EmbeddingSet, FloatArray

__all__ = ["EmbeddedCrops", "embed_crops"]

_NO_EMBEDDING = "the embedder gave NaN, infinity or a vector without length"
_NO_STYLE = "the embedder gave NaN or infinity as style"
_NO_QUALITY = "the quality network gave NaN or infinity"


@dataclass(frozen=True, kw_only=True, eq=False)
class EmbeddedCrops:
    """What became of a batch of N crops.

    Args:
        images: The crops that can be fused, in their order; None if there are none.
        reasons: N entries, None for a usable crop, otherwise why it cannot be used.
    """

    images: EmbeddingSet | None
    reasons: tuple[str | None, ...]

    @property
    def is_usable(self) -> npt.NDArray[np.bool_]:
        """(N,) bool: which of the crops are in `images`."""
        return np.array([reason is None for reason in self.reasons], bool)


def embed_crops(
    crops: Sequence[npt.NDArray[np.uint8]],
    embedder: Embedder,
    *,
    quality: CropQuality | None = None,
    sources: Sequence[str] | None = None,
    keep_chips: bool = False,
) -> EmbeddedCrops:
    """Embeds a batch of aligned crops, judges their quality where asked, and drops what is unusable.

    A single crop that a network answers with NaN, infinity or a vector without length is told and left
    out; it does not spoil the others.

    Args:
        crops: N aligned crops (S, S, 3) uint8 RGB of the embedder's size; N may be 0.
        embedder: The embedder.
        quality: Judges each crop, for fusers that need it; None leaves the set without quality.
        sources: N names of the images, or None.
        keep_chips: Whether the set carries small pictures of the crops (`EmbeddingSet.chips`).

    Returns:
        The usable crops as a set, and a reason for each of the others.

    Raises:
        DtypeError, ShapeError: If the crops are not what the embedder takes.
        FileFormatError: If a network fails on them.
    """
    if not len(crops):
        return EmbeddedCrops(images=None, reasons=())
    stacked = np.stack(crops)
    embeddings, style = embedder.embed(stacked)
    judged = None if quality is None else quality.judge(stacked)
    norms = row_norms(embeddings)
    checks = [(_NO_EMBEDDING, np.isfinite(norms) & (norms >= MIN_NORM))]
    if style is not None:
        has_style = np.isfinite(style.reshape(len(style), -1)).all(axis=1)
        checks.append((_NO_STYLE, np.asarray(has_style)))
    if judged is not None:
        checks.append((_NO_QUALITY, np.isfinite(judged)))
    reasons: list[str | None] = [None] * len(stacked)
    for reason, is_fine in reversed(checks):
        for place in np.flatnonzero(~is_fine):
            reasons[place] = reason
    usable = np.flatnonzero([reason is None for reason in reasons])
    if not len(usable):
        return EmbeddedCrops(images=None, reasons=tuple(reasons))
    images = EmbeddingSet(
        embeddings=embeddings[usable],
        style=_rows(style, usable),
        quality=_rows(judged, usable),
        sources=None if sources is None else np.asarray(sources)[usable],
        chips=[encode_chip(crops[place]) for place in usable.tolist()] if keep_chips else None,
        embedder=embedder.fingerprint,
        norms_known=embedder.norms_known,
    )
    return EmbeddedCrops(images=images, reasons=tuple(reasons))


def _rows(array: FloatArray | None, places: npt.NDArray[np.intp]) -> FloatArray | None:
    return None if array is None else array[places]
