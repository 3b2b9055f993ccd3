"""Whether images, states and offsets are what a fuser can work with; refuses the rest with reasons."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from probefusion.errors import (
    DtypeError,
    EmbedderMismatchError,
    EmptySetError,
    FuserMismatchError,
    InvalidInputError,
    MissingNormsError,
    MissingStyleError,
    ShapeError,
)
from probefusion.types import UNIT_TOLERANCE, EmbeddingSet
from probefusion.types.fusion_state import FusionState
from probefusion.types.revisions import name_to_load, remedy
from probefusion.types.state_checks import check_possible

__all__ = [
    "Needs",
    "as_set",
    "check_chunk_size",
    "check_fits",
    "check_offsets",
    "check_state",
]


class Needs(Protocol):
    """What a fuser says of itself and of the sets it takes, see `probefusion.fusion.Fuser`."""

    name: str
    fingerprint: str
    embedder: str | None
    dim: int | None
    style_channels: int
    num_clusters: int
    needs_norms: bool
    style_width: int | None
    adds_directions: bool
    max_weight: float


class FitsImages(Protocol):
    """What refuses sets that do not fit."""

    def check_fits(self, images: EmbeddingSet) -> None:
        """Refuses a set that it cannot fuse."""


def as_set(images: Any, fuser: FitsImages) -> EmbeddingSet:
    """What was given to be fused, as a set that fits the fuser.

    Args:
        images: A set, or an array (N, D) of embeddings, of which nothing else is known.
        fuser: The fuser.

    Raises:
        DtypeError: If it is neither.
        ProbeFusionError: If it does not fit, or is no valid set.
    """
    checked: EmbeddingSet
    if isinstance(images, EmbeddingSet):
        checked = images
    else:
        if not isinstance(images, np.ndarray | list | tuple):
            raise DtypeError(
                f"images: expected an EmbeddingSet or an array (N, D) of embeddings, got "
                f"{type(images).__name__}. Read files with probefusion.read_embeddings(path); embed "
                f"images with probefusion.Pipeline."
            )
        checked = EmbeddingSet(embeddings=images)  # type: ignore[arg-type]
    fuser.check_fits(checked)
    return checked


def check_chunk_size(chunk_size: Any) -> None:
    """Refuses a number of images per batch that is none.

    Raises:
        InvalidInputError: If it is neither None nor a whole number of at least 1.
    """
    if chunk_size is None:
        return
    if isinstance(chunk_size, bool) or not isinstance(chunk_size, int | np.integer):
        raise DtypeError(f"chunk_size: expected a whole number or None, got {chunk_size!r}.")
    if chunk_size < 1:
        raise InvalidInputError(f"chunk_size: expected at least 1, got {chunk_size}.")


def check_fits(fuser: Needs, images: EmbeddingSet) -> None:
    """Refuses a set that a fuser cannot fuse.

    Raises:
        EmbedderMismatchError: If the fuser was made for an embedder and the set is of another one, or does
            not say of which.
        ShapeError: If D or C differs.
        MissingNormsError: If lengths are needed and lost.
        MissingStyleError: If style is needed and missing.
    """
    where = f" of {images.origin}" if images.origin else ""
    if None not in (fuser.embedder, images.embedder) and fuser.embedder != images.embedder:
        step = (
            f"Embed with that model: --embedder {name_to_load(str(fuser.embedder))} (its name or its file), or "
            f"train a fuser for yours: probefusion train --images DIR --embedder MODEL -o FUSER_DIR"
        )
        step = remedy(fuser.embedder, images.embedder, step, anew="take a fuser made for the other")
        raise EmbedderMismatchError(
            f"embeddings{where} come from the embedder {images.embedder}, but fuser {fuser.name!r} "
            f"was trained for {fuser.embedder}. {step}"
        )
    if fuser.dim is not None and images.dim != fuser.dim:
        raise ShapeError(
            f"embeddings{where}: fuser {fuser.name!r} expects dimension {fuser.dim}, got {images.dim}. "
            f"Use a fuser trained for this embedder, or one that takes any: {_takers_of_any(images)}."
        )
    if fuser.embedder is not None and images.embedder is None:
        name = name_to_load(fuser.embedder)
        raise EmbedderMismatchError(
            f"embeddings{where}: nothing says which network made them, and fuser {fuser.name!r} is right "
            f"only for those of {fuser.embedder}. If that made them, say so: --embedder {name} "
            f"(embedder={fuser.embedder!r}); otherwise use a fuser that takes any: {_takers_of_any(images)}."
        )
    if fuser.needs_norms and not images.norms_known:
        raise MissingNormsError(_lost_lengths(fuser.name, images, where))
    if fuser.style_channels:
        if images.style is None:
            raise MissingStyleError(
                f"embeddings{where}: fuser {fuser.name!r} needs style statistics (N, "
                f"{fuser.style_channels}, 2), got none. Embed the crops with: probefusion embed "
                f"PATHS --embedder MODEL -o set.npz, or use a fuser that needs none: {_takers_of_any(images)}."
            )
        if images.style.shape[1] != fuser.style_channels:
            raise ShapeError(
                f"style{where}: fuser {fuser.name!r} expects {fuser.style_channels} channels, got "
                f"{images.style.shape[1]}. Use the embedder and taps it was trained with."
            )


def _takers_of_any(images: EmbeddingSet) -> str:
    """Fusers for embeddings of any network that take these."""
    return "mean, norm-weighted" if images.norms_known else "mean"


def _lost_lengths(fuser: str, images: EmbeddingSet, where: str) -> str:
    count = int((np.abs(images.norms - 1) <= UNIT_TOLERANCE).sum())
    what = (
        f"all {count} rows are of length 1"
        if 1 < count == images.num_images
        else "the row is of length 1"
        if count == images.num_images
        else f"{count} of {images.num_images} rows are of length 1"
        if count
        else "the set says that its lengths are not the network's own"
    )
    return (
        f"embeddings{where}: fuser {fuser!r} judges images by the length of their embeddings, which is lost "
        f"here: {what}. Use a fuser that needs no lengths: mean; or give embeddings as the network made them, "
        f"before they were brought to length 1 (a network that does so itself may give the length as a second "
        f"output: --norm-output NAME, norm_output=NAME)."
    )


def check_state(fuser: Needs, state: FusionState) -> None:
    """Refuses a state that a fuser cannot finish.

    Raises:
        DtypeError: If it is no state.
        FuserMismatchError: If another fuser made it.
        ShapeError: If its sums are not of the fuser's size.
        InvalidInputError: If its images weigh nothing or too much, or cannot give such sums.
        EmptySetError: If it holds no images.
    """
    if not isinstance(state, FusionState):
        raise DtypeError(
            f"state: expected a FusionState, got {type(state).__name__}. Make one of images with "
            f"fuser.encode(images), or read one with FusionState.load(path)."
        )
    if state.fuser != fuser.fingerprint:
        raise FuserMismatchError(
            f"state: made by fuser {state.fuser}, but this is {fuser.fingerprint}. "
            f"Finish it with the fuser that made it."
        )
    if fuser.dim is not None and state.sums.shape[1] != fuser.dim:
        raise ShapeError(
            f"state: fuser {fuser.name!r} expects sums of {fuser.dim} numbers, got "
            f"{state.sums.shape[1]}. The state is damaged."
        )
    if len(state.mass) != fuser.num_clusters:
        raise ShapeError(
            f"state: fuser {fuser.name!r} has {fuser.num_clusters} clusters, got "
            f"{len(state.mass)}. The state is damaged."
        )
    if fuser.style_width not in (None, state.style_sums.shape[1]):
        raise ShapeError(
            f"state: fuser {fuser.name!r} expects style sums of {fuser.style_width} numbers, got "
            f"{state.style_sums.shape[1]}. The state is damaged."
        )
    if state.num_images == 0:
        raise EmptySetError("state holds no images: expected at least one. Add a state first.")
    check_possible(state, adds_directions=fuser.adds_directions)
    if state.mass.sum() > state.num_images * fuser.max_weight * (1 + 1e-6):
        raise InvalidInputError(
            f"state: {state.num_images} images weigh {state.mass.sum():.6g}, for fuser {fuser.name!r} at "
            f"most {fuser.max_weight:g} each. The state is damaged."
        )


def check_offsets(offsets: npt.ArrayLike, num_images: int) -> npt.NDArray[np.int64]:
    """Gives `offsets` as (B+1,) int64 that ascend from 0 to `num_images`.

    Raises:
        InvalidInputError: If they do not.
        EmptySetError: If a set is empty.
    """
    borders = np.asarray(offsets)
    if borders.ndim != 1 or len(borders) < 2 or borders.dtype.kind not in "iu":
        raise InvalidInputError(
            f"offsets: expected (B+1,) integers with B >= 1, got shape {borders.shape} of {borders.dtype}."
        )
    borders = borders.astype(np.int64)
    if borders[0] != 0 or borders[-1] != num_images:
        raise InvalidInputError(
            f"offsets: expected to run from 0 to {num_images}, got {borders[0]} to {borders[-1]}."
        )
    lengths = np.diff(borders)
    if (lengths < 0).any():
        raise InvalidInputError(
            f"offsets: expected ascending, got a step back at set {np.argmin(lengths)}."
        )
    if (lengths == 0).any():
        raise EmptySetError(
            f"set {np.argmin(lengths)} is empty: expected at least one image in each. Leave it out."
        )
    return borders
