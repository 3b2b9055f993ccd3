"""Validation of the columns of a `TemplateSet`: one function per rule."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from probefusion.checks import read_only
from probefusion.errors import (
    DtypeError,
    EmbedderMismatchError,
    EmptySetError,
    FuserMismatchError,
    InvalidInputError,
    MismatchError,
    ShapeError,
)
from probefusion.types.fusion_state import FusionState
from probefusion.types.revisions import remedy_for_pair

__all__ = ["check_count", "check_states", "checked_counts", "checked_ids"]


def check_count(have: int, expected: int, *, name: str, where: str) -> None:
    """Refuses a column that has not one entry per template.

    Raises:
        ShapeError: If the lengths differ.
    """
    if have != expected:
        raise ShapeError(
            f"{name}{where}: expected one entry per template ({expected}), got {have} entries."
        )


def checked_ids(given: Any, where: str) -> npt.NDArray[np.str_]:
    """The ids as (T,) text, read only.

    Raises:
        EmptySetError: For none.
        DtypeError, ShapeError: If they are no texts, or not one per template.
        InvalidInputError: If one occurs twice, or cannot be kept as it is.
    """
    ids = np.asarray(given)
    if ids.size == 0:
        raise EmptySetError(f"ids{where}: expected at least one template, got none.")
    if ids.dtype.kind != "U":
        raise DtypeError(
            f"ids{where}: expected texts, got {ids.dtype}. Convert them with .astype(str)."
        )
    if ids.ndim != 1:
        raise ShapeError(f"ids{where}: expected one id per template, got shape {ids.shape}.")
    names = ids.tolist()
    if not isinstance(given, np.ndarray) and names != list(given):
        raise InvalidInputError(
            f"ids{where}: expected texts only, none of them ending in a zero character."
        )
    try:
        "".join(names).encode()
    except UnicodeEncodeError as error:
        raise InvalidInputError(
            f"ids{where}: expected texts of valid Unicode ({error})."
        ) from error
    if len(set(names)) < len(names):
        unique, counts = np.unique(ids, return_counts=True)
        raise InvalidInputError(
            f"ids{where}: expected each id once, got {str(unique[counts > 1][0])!r} "
            f"{counts[counts > 1][0]} times ({int((counts > 1).sum())} such ids). Rename or merge them."
        )
    return read_only(ids)


def checked_counts(given: Any, ids: npt.NDArray[np.str_], where: str) -> npt.NDArray[np.int64]:
    """The numbers of images as (T,) int64, read only.

    Raises:
        DtypeError, ShapeError: If they are no integers, or not one per template.
        InvalidInputError: If one is below 1; names the template.
    """
    counts = np.asarray(given)
    if counts.dtype.kind not in "iu":
        raise DtypeError(f"num_images{where}: expected integers, got {counts.dtype}.")
    if counts.ndim != 1:
        raise ShapeError(f"num_images{where}: expected shape (*), got {counts.shape}.")
    check_count(len(counts), len(ids), name="num_images", where=where)
    counts = counts.astype(np.int64)
    if counts.min() < 1:
        first = int(counts.argmin())
        raise InvalidInputError(
            f"num_images of {str(ids[first])!r}{where}: expected at least 1, got {counts[first]}."
        )
    return read_only(counts)


def check_states(
    states: Sequence[Any],
    *,
    ids: npt.NDArray[np.str_],
    num_images: npt.NDArray[np.int64],
    fuser: str | None,
    embedder: str | None,
    where: str,
) -> None:
    """Refuses states that are not those of the templates.

    Args:
        states: The states.
        ids: (T,) of the templates.
        num_images: (T,) of the templates.
        fuser: That of the templates.
        embedder: That of the templates.
        where: For messages.

    Raises:
        DtypeError: If one is no state.
        ShapeError: If there is not one for each, or their sums differ in shape.
        FuserMismatchError, EmbedderMismatchError: If one belongs to another fuser or embedder.
        MismatchError: If one holds another number of images than its template.
    """
    wrong = [state for state in states if not isinstance(state, FusionState)]
    if wrong:
        raise DtypeError(
            f"states{where}: expected a FusionState for each template, got {wrong[0]!r}. Some "
            f"fusers have none: leave states out."
        )
    check_count(len(states), len(ids), name="states", where=where)
    shapes = {(state.sums.shape, state.style_sums.shape) for state in states}
    if len(shapes) > 1:
        raise ShapeError(f"states{where}: expected sums of one shape, got {sorted(shapes)[:3]}.")
    for name, count, state in zip(ids.tolist(), num_images.tolist(), states, strict=True):
        what = f"state of {name!r}{where}"
        if state.fuser != fuser:
            raise FuserMismatchError(
                f"{what}: made by the fuser {state.fuser}, expected {fuser}, that of the "
                f"templates. Make each template of its state: fuser.finish(state)"
            )
        if state.embedder not in (None, embedder):
            raise EmbedderMismatchError(
                f"{what}: of the embedder {state.embedder}, expected {embedder}, that of the "
                f"templates. {remedy_for_pair(state.embedder, embedder, 'Embed all images with one model.')}"
            )
        if state.num_images != count:
            raise MismatchError(
                f"{what}: holds {state.num_images} images, its template {count}. Make each template of "
                f"its state: fuser.finish(state)"
            )
