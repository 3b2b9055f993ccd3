"""One fuser for every embedder: weights judged from the crops, not from the embeddings."""

from __future__ import annotations

import numpy as np

from probefusion.errors import MissingQualityError
from probefusion.fusion.imagewise import ImageTerms
from probefusion.fusion.pooling import PoolingFuser, weighted_directions
from probefusion.types import EmbeddingSet, FloatArray

__all__ = ["UniversalFuser"]


class UniversalFuser(PoolingFuser):
    """Mean of unit embeddings, each weighted by what the network inside makes of its crop.

    Needs no training by its user and no knowledge of the embedder: what makes an image useful is
    mostly in the image. Needs per image: the `quality` of `probefusion.embedders.CropQuality`. Cost:
    linear in N. Exact in any order and split; states merge and images can be taken out.

    Attributes:
        exponent: Power of the quality weights.

    Source: ours.
    """

    name = "universal"
    needs_quality = True
    exponent = 1.0

    def check_fits(self, images: EmbeddingSet) -> None:
        """Refuses a set without quality.

        Raises:
            MissingQualityError: If there is none.
        """
        super().check_fits(images)
        if images.quality is None:
            where = f" of {images.origin}" if images.origin else ""
            raise MissingQualityError(
                f"embeddings{where}: fuser 'universal' weights images by the look of their crops and "
                f"got none. Give fuse(embeddings, crops=...), embed them with probefusion embed, or use "
                f"a fuser that needs no crops: mean."
            )

    def _block_terms(self, images: EmbeddingSet, start: int, stop: int) -> ImageTerms:
        self.check_fits(images)
        quality = np.asarray(images.quality)[start:stop]
        return weighted_directions(np.exp(self.exponent * quality))

    def _terms(
        self, embeddings: FloatArray, norms: FloatArray, style: FloatArray | None
    ) -> ImageTerms:
        raise MissingQualityError("fuser 'universal' needs the quality of the whole set.")
