"""What the sums of a `FusionState` can be, and what they cannot."""

from __future__ import annotations

import operator
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from probefusion.errors import DtypeError, InvalidInputError, NonFiniteError, ShapeError

__all__ = ["MAX_WEIGHT", "StateSums", "check_possible", "checked_count", "checked_sums"]

MAX_WEIGHT = 1e12
"""No image weighs more, whatever the fuser: embeddings longer than 1e6 are refused, and so are states
whose images would have to weigh more than this."""

_LONGEST_TOKEN = 1e6
"""No number of an image's style token is larger, whatever the fuser: they are normalised, as embeddings are not."""

_LENGTH_TOLERANCE = 1e-3
"""Share of the mass by which a sum of unit vectors may be longer than it, for rounding."""

_OF_UNIT_VECTORS = ("mean", "norm-weighted", "universal")
"""Fusers known to add up unit vectors, one cluster and no style. A learned fuser says so itself."""


class StateSums(Protocol):
    """What is checked of a `FusionState`; see there."""

    @property
    def mass(self) -> npt.NDArray[np.float64]:
        """(M,)."""

    @property
    def sums(self) -> npt.NDArray[np.float64]:
        """(M, D)."""

    @property
    def style_sums(self) -> npt.NDArray[np.float64]:
        """(M, S)."""

    @property
    def num_images(self) -> int:
        """How many images went in."""

    @property
    def fuser(self) -> str:
        """Fingerprint of the fuser."""


def checked_sums(values: Any, *, name: str, axes: int) -> npt.NDArray[np.float64]:
    """Sums as read-only float64.

    Raises:
        DtypeError: If they are no floating-point numbers.
        ShapeError: If they have another number of axes, or none of the clusters or numbers there must be.
        NonFiniteError: If one is NaN or infinite.
    """
    given = np.asarray(values)
    if given.dtype.kind not in "fiu":
        raise DtypeError(f"{name}: expected floating-point sums, got {given.dtype}.")
    array = np.ascontiguousarray(given, dtype=np.float64)
    if array.ndim != axes:
        raise ShapeError(f"{name}: expected {axes} axes, got shape {array.shape}.")
    if name != "style_sums" and 0 in array.shape:
        raise ShapeError(f"{name}: expected at least one cluster and number, got {array.shape}.")
    if not np.isfinite(array).all():
        raise NonFiniteError(f"{name}: expected finite sums, got NaN or infinity.")
    array = array.view()
    array.flags.writeable = False
    return array


def checked_count(value: Any) -> int:
    """A number of images as int.

    Raises:
        DtypeError: If it is no whole number.
        InvalidInputError: If it is negative.
    """
    if isinstance(value, bool | np.bool_):
        raise DtypeError(f"num_images: expected a whole number, got {value!r}.")
    try:
        count = operator.index(value)
    except TypeError as error:
        raise DtypeError(f"num_images: expected a whole number, got {value!r}.") from error
    if count < 0:
        raise InvalidInputError(f"num_images: expected 0 or more, got {count}.")
    return count


def check_possible(state: StateSums, *, adds_directions: bool = False) -> None:
    """Refuses sums that no images can have given.

    Args:
        state: The state.
        adds_directions: Whether its fuser adds up weighted vectors of at most unit length; known here
            of the fusers that are no trained ones.

    Raises:
        InvalidInputError: If the images weigh nothing, or more than they can; if there are none and
            yet sums; if the sums are zero, or longer than the weights allow; if style sums are.
    """
    mass, sums, count = state.mass, state.sums, state.num_images
    if (mass < 0).any():
        raise InvalidInputError(f"mass: expected 0 or more, got {mass.min():.3g}.")
    whole = float(mass.sum())
    if count == 0:
        if whole or sums.any() or state.style_sums.any():
            raise InvalidInputError("state: sums of no images must be 0. The state is damaged.")
        return
    if not whole > 0:
        raise InvalidInputError(f"state: {count} images of no mass at all. The state is damaged.")
    if whole > MAX_WEIGHT * count:
        raise InvalidInputError(
            f"state: {count} images cannot weigh {whole:.3g}, at most {MAX_WEIGHT:g} each. The state "
            f"is damaged."
        )
    if state.style_sums.size and np.abs(state.style_sums).max() > _LONGEST_TOKEN * whole:
        raise InvalidInputError(
            f"state: the style sums of images of weight {whole:.3g} cannot reach "
            f"{np.abs(state.style_sums).max():.3g}. The state is damaged."
        )
    if not sums.any():
        raise InvalidInputError(
            f"state: the sums of {count} images are all 0: they cancel each other, or the state is "
            f"damaged. Check that they show one person."
        )
    name = state.fuser.partition("@")[0]
    if name == "mean" and abs(whole - count) > 1e-6 * count:
        raise InvalidInputError(
            f"state: {count} images of the fuser 'mean' weigh {count}, got {whole:.9g}. The state is "
            f"damaged."
        )
    if name in _OF_UNIT_VECTORS and (len(mass) != 1 or state.style_sums.shape[1]):
        raise ShapeError(
            f"state: the fuser {name!r} has one cluster and no style sums, got {len(mass)} and "
            f"{state.style_sums.shape[1]}. The state is damaged."
        )
    lengths = np.sqrt(np.einsum("md,md->m", sums, sums))
    is_of_directions = adds_directions or name in _OF_UNIT_VECTORS
    if is_of_directions and (lengths > mass * (1 + _LENGTH_TOLERANCE)).any():
        raise InvalidInputError(
            f"state: its sums are longer than {count} images of this weight can make them. The state "
            f"is damaged, or images were taken out that were never in."
        )
    if count == 1 and name in _OF_UNIT_VECTORS and lengths[0] < mass[0] * (1 - _LENGTH_TOLERANCE):
        raise InvalidInputError(
            "state: its sums are shorter than one image of this weight makes them. The state is "
            "damaged, or images were taken out that were never in."
        )
