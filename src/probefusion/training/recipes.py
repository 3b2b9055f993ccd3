"""Named augmentation recipes: which variants of a training image are embedded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from probefusion.degradations.augment import draw_variants
from probefusion.degradations.degrade import degrade
from probefusion.errors import UnknownNameError

__all__ = ["DEFAULT_RECIPE", "RECIPES", "Recipe", "find_recipe"]

Image = npt.NDArray[np.uint8]

DEFAULT_RECIPE = "surveillance-20"
"""What `probefusion train` embeds unless told otherwise."""

NUM_OFFICIAL = 4
NUM_MILD = 4
NUM_SEVERE = 12
_BAD_ABOVE = 0.6


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How the variants of one image are drawn, and which of them are bad.

    Args:
        draw: Gives (V, H, W, 3) uint8 variants of an (H, W, 3) uint8 RGB crop.
        num_variants: V.
        num_severe: How many of them, the last ones, are badly degraded; 0 where the recipe knows no
            such split and all variants are drawn alike.
    """

    draw: Callable[[Image, np.random.Generator], Image]
    num_variants: int
    num_severe: int = 0


def draw_surveillance_variants(image: Image, rng: np.random.Generator) -> Image:
    """Twenty variants: 4 of the official recipe, 4 mildly and 12 badly degraded.

    Official ones come first (`probefusion.degradations.augment.draw_variants`). Degraded ones are
    `probefusion.degradations.degrade.degrade` of the crop or, with probability 1/2, of its mirror image,
    with a severity uniform in [0, .6) for the mild and in (.6, 1] for the bad ones.

    Args:
        image: (112, 112, 3) uint8 RGB.
        rng: Source of randomness.

    Returns:
        (20, 112, 112, 3) uint8 RGB.

    Raises:
        ShapeError, DtypeError: If the image is no such crop.
    """
    variants = list(draw_variants(image, rng, NUM_OFFICIAL))
    for index in range(NUM_MILD + NUM_SEVERE):
        draw, mirror = rng.random(2)
        severity = _BAD_ABOVE * draw if index < NUM_MILD else 1 - (1 - _BAD_ABOVE) * draw
        variants.append(degrade(image[:, ::-1] if mirror < 0.5 else image, float(severity), rng))
    return np.stack(variants)


RECIPES: Mapping[str, Recipe] = {
    "official-16": Recipe(draw=draw_variants, num_variants=16),
    "surveillance-20": Recipe(
        draw=draw_surveillance_variants,
        num_variants=NUM_OFFICIAL + NUM_MILD + NUM_SEVERE,
        num_severe=NUM_SEVERE,
    ),
}
"""All recipes by name."""


def find_recipe(name: str) -> Recipe:
    """The recipe of that name.

    Raises:
        UnknownNameError: If there is none.
    """
    if name not in RECIPES:
        raise UnknownNameError("recipe", name, RECIPES)
    return RECIPES[name]
