"""What of an image tells whether a set is of one person: a direction, and how much it weighs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from probefusion.fusion import Fuser, MeanFuser
from probefusion.fusion.universal import UniversalFuser
from probefusion.screening.expectation import Expectation
from probefusion.screening.known_images import (
    CAUTIOUS,
    NORMS,
    expectation_of_images,
    network_of,
)
from probefusion.screening.verdict import FEWEST_IMAGES, LEAST_IMAGES
from probefusion.types import EmbeddingSet

__all__ = ["NormsView", "View", "view_of"]

FloatRows = npt.NDArray[np.float64]

EXPONENT = 5.0
"""Power of an embedding's length as its weight; measured, of 2 to 9."""
_FACTOR = 2.0
"""Medians of lengths differ from the usual one by less; of films and poor images they differ by .96 to 1.03."""


@dataclass(frozen=True, kw_only=True, eq=False)
class View:
    """Images as a fuser sees them.

    Args:
        fuser: Gives the directions, its templates of each image alone, and the weights.
        expected: What to expect of one person.
        is_calibrated: Whether it was measured with the images' embedder.
    """

    fuser: Fuser
    expected: Expectation
    is_calibrated: bool

    @property
    def least_images(self) -> int:
        """Smaller sets say nothing."""
        is_measured = self.is_calibrated and self.expected is not CAUTIOUS
        return FEWEST_IMAGES if is_measured else LEAST_IMAGES

    def look(self, images: EmbeddingSet) -> tuple[FloatRows, FloatRows]:
        """What is seen of images.

        Args:
            images: N images, of one set or of many.

        Returns:
            Directions (N, D) of length 1 and weights (N,) > 0, float64.

        Raises:
            InvalidInputError: If an image has no direction.
        """
        sums = self.fuser.encode_many(images, np.arange(len(images) + 1))
        return self.fuser.finish_many(sums).astype(np.float64), sums.mass.sum(axis=1)


@dataclass(frozen=True, kw_only=True, eq=False)
class NormsView(View):
    """Images of an embedder whose embeddings are longer where the image is better.

    Args:
        usual: Length of the embedding of an image of middling quality.
    """

    usual: float

    def look(self, images: EmbeddingSet) -> tuple[FloatRows, FloatRows]:
        """See `View.look`."""
        directions, _ = super().look(images)
        weights: FloatRows = (images.norms.astype(np.float64) / self.usual) ** EXPONENT
        return directions, weights


def view_of(images: EmbeddingSet, fuser: Fuser) -> View:
    """The best view of images there is.

    That of the fuser, if it was trained for the embedder and measured; else by the quality of the crops; else by the
    lengths of the embeddings, if the embedder is one of which it was measured what they say; else all weigh the same.
    What to expect by crops or of images that weigh the same was measured for some embedders; for any other it is the
    most cautious.

    Args:
        images: The images.
        fuser: The fuser whose templates they are for.
    """
    expected = expectation_of_images(fuser.fingerprint)
    if fuser.embedder is not None and expected is not None:
        return View(fuser=fuser, expected=expected, is_calibrated=True)
    network = network_of(images.embedder)
    universal = UniversalFuser(num_threads=1)
    if images.quality is not None:
        return _any_view(universal, network)
    mean = MeanFuser(num_threads=1)
    if network in NORMS and images.norms_known:
        usual, expected = NORMS[network], expectation_of_images(f"norms of {network}")
        if expected is not None and _are_plausible(images, usual):
            return NormsView(fuser=mean, expected=expected, is_calibrated=True, usual=usual)
    return _any_view(mean, network)


def _any_view(fuser: Fuser, network: str | None) -> View:
    """By a fuser that takes any embedder."""
    own = None if network is None else expectation_of_images(fuser.fingerprint, network)
    expected = own or expectation_of_images(fuser.fingerprint) or CAUTIOUS
    return View(fuser=fuser, expected=expected, is_calibrated=network is not None)


def _are_plausible(images: EmbeddingSet, usual: float) -> bool:
    """Whether the lengths are those that the network gives: embeddings that somebody scaled have others."""
    return 1 / _FACTOR < float(np.median(images.norms)) / usual < _FACTOR
