"""What a product makes of several images of a person: templates, or all of the images kept.

Published rules are restated from what their makers say, in this project's words and code:

- `trimmed mean` (Frigate): in each component a share of .15 of the values is cut off at either end (rounded down) and
  the rest is averaged, on embeddings as the network gives them. With five or more images those whose cosine to that
  mean is below .30 are left out first, at most three times in turn, but seven tenths of the images and five always
  stay: the ones nearest to the mean. It is for the enrolled side; here a search of several images is treated alike.
- `maximum over samples` (InsightFace Server): every enrolled image is kept, a person is as similar as the most similar
  one of them. A search there is one image. With several, the answer is the best of all the single searches: the
  largest similarity of any image of the search to any image of the person. So no image is thrown away, and no
  weight has to be thought of. Beside it stands the mean of those single searches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from probefusion.fusion import Fuser
from probefusion.types import EmbeddingSet, FloatArray
from research.smear.smear_sets import Rows

__all__ = ["FusedRule", "MaximumRule", "TemplateRule", "TrimmedRule", "trimmed_mean"]

_TRIM = 0.15
_ALIKE = 0.30
_FEWEST = 5
_KEPT_SHARE = 0.7
_ROUNDS = 3


class TemplateRule(Protocol):
    """How alike people are whose enrolment and whose search are sets of images."""

    @property
    def name(self) -> str:
        """For tables."""

    def similarities(self, images: EmbeddingSet, enrolled: Rows, probes: Rows) -> FloatArray:
        """(P, G) similarities of P searches, `probes` (P, M) rows, to G people, `enrolled` (G, N) rows."""


@dataclass(frozen=True, kw_only=True, eq=False)
class FusedRule:
    """Both sides become one template each by a fuser.

    Args:
        name: For tables.
        fuser: The fuser.
    """

    name: str
    fuser: Fuser

    def similarities(self, images: EmbeddingSet, enrolled: Rows, probes: Rows) -> FloatArray:
        """Cosines of the templates."""
        return self._templates(images, probes) @ self._templates(images, enrolled).T

    def _templates(self, images: EmbeddingSet, rows: Rows) -> FloatArray:
        offsets = np.arange(len(rows) + 1) * rows.shape[1]
        return _units(self.fuser.fuse_many(images[rows.ravel()], offsets))


@dataclass(frozen=True, kw_only=True, eq=False)
class TrimmedRule:
    """Both sides become one template each by the trimmed mean.

    Args:
        name: For tables.
        is_unit: Whether embeddings are brought to length 1 first; the published rule leaves them.
    """

    name: str = "trimmed mean"
    is_unit: bool = False

    def similarities(self, images: EmbeddingSet, enrolled: Rows, probes: Rows) -> FloatArray:
        """Cosines of the templates."""
        vectors = _units(images.embeddings) if self.is_unit else images.embeddings
        sides = [
            _units(np.stack([trimmed_mean(vectors[row]) for row in rows]))
            for rows in (probes, enrolled)
        ]
        return sides[0] @ sides[1].T


@dataclass(frozen=True, kw_only=True, eq=False)
class MaximumRule:
    """All images are kept; a person is as similar as the most similar image.

    Args:
        name: For tables.
        over_probe: What becomes of the similarities of a search's images: the "maximum" or the "mean".
    """

    name: str = "maximum over samples"
    over_probe: Literal["maximum", "mean"] = "maximum"

    def similarities(self, images: EmbeddingSet, enrolled: Rows, probes: Rows) -> FloatArray:
        """Over the enrolled images the largest cosine, over the probe's what `over_probe` says."""
        units = _units(images.embeddings)
        samples = units[enrolled]
        best = np.stack(
            [
                np.einsum("pd,gnd->pgn", units[column], samples, optimize=True).max(axis=2)
                for column in probes.T
            ]
        )
        found: FloatArray = best.max(axis=0) if self.over_probe == "maximum" else best.mean(axis=0)
        return found


def trimmed_mean(vectors: FloatArray) -> FloatArray:
    """The trimmed mean of a person's embeddings, without images that are unlike it.

    Args:
        vectors: (N, D) floating point, N of 1 or more.

    Returns:
        (D,) of no particular length.
    """
    if len(vectors) < _FEWEST:
        return _trimmed(vectors)
    units = _units(vectors)
    fewest = max(_FEWEST, int(np.ceil(_KEPT_SHARE * len(vectors))))
    kept: Sequence[int] = range(len(vectors))
    for _ in range(_ROUNDS):
        alike = units @ _units(_trimmed(vectors[list(kept)])[None])[0]
        before, kept = kept, np.flatnonzero(alike >= _ALIKE).tolist()
        if len(kept) < fewest:
            kept = sorted(np.argsort(-alike, kind="stable")[:fewest].tolist())
        if list(kept) == list(before):
            break
    return _trimmed(vectors[list(kept)])


def _trimmed(vectors: FloatArray) -> FloatArray:
    cut = int(_TRIM * len(vectors))
    middle = np.sort(vectors, axis=0)[cut : len(vectors) - cut]
    mean: FloatArray = middle.mean(axis=0)
    return mean


def _units(vectors: FloatArray) -> FloatArray:
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    units: FloatArray = vectors / np.maximum(lengths, np.finfo(vectors.dtype).tiny)
    return units
