"""`FusionState`: everything a fuser remembers of a person, as sums that add and subtract."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from probefusion.errors import (
    DtypeError,
    EmbedderMismatchError,
    FileFormatError,
    FuserMismatchError,
    InvalidInputError,
    ShapeError,
)
from probefusion.files import replace_file
from probefusion.files.reading import in_one_line, read_bytes
from probefusion.types.revisions import remedy_for_pair
from probefusion.types.state_checks import check_possible, checked_count, checked_sums
from probefusion.types.state_files import MAX_STATE_BYTES, read_state_bytes, state_bytes

__all__ = ["FusionState"]

_ROUNDING = 1e-9
"""Share of the mass that rounding may leave below zero after a removal."""


@dataclass(frozen=True, kw_only=True, eq=False)
class FusionState:
    """Sums over the images seen so far, one row per cluster. A few KB, whatever the number of images.

    States of one fuser form a commutative group: `a + b` merges what two cameras or machines saw,
    `a - b` takes images out again. For an official Cluster-and-Aggregate fuser addition is the
    sequential update of the paper (the state (A, F, S) is held as (A, A*F, A*S)).

    Args:
        mass: (M,) float64, total weight of the images per cluster (A of the paper).
        sums: (M, D) float64, weighted sums of what the images contribute (A*F).
        style_sums: (M, S) float64, weighted sums of their style tokens (A*S); S may be 0.
        num_images: How many images went in; 0 only for what is left when all are taken out.
        fuser: Fingerprint of the fuser that made it.
        embedder: Fingerprint of the embedder, or None when unknown.

    Raises:
        ShapeError: If the numbers of clusters differ.
        DtypeError: If `num_images` is no whole number, or sums are no numbers.
        NonFiniteError: If a sum is NaN or infinite.
        InvalidInputError: If `num_images` or a mass is negative, or no such number of images can give
            such sums, see `probefusion.types.state_checks.check_possible`.

    Source: Kim et al. 2022, sec. 3.4, written as sums.
    """

    mass: npt.NDArray[np.float64]
    sums: npt.NDArray[np.float64]
    style_sums: npt.NDArray[np.float64]
    num_images: int
    fuser: str
    embedder: str | None = None

    def __post_init__(self) -> None:
        for name, axes in (("mass", 1), ("sums", 2), ("style_sums", 2)):
            array = checked_sums(getattr(self, name), name=name, axes=axes)
            object.__setattr__(self, name, array)
        object.__setattr__(self, "num_images", checked_count(self.num_images))
        if not isinstance(self.fuser, str):
            raise DtypeError(f"fuser: expected a text, got {self.fuser!r}.")
        if self.embedder is not None and not isinstance(self.embedder, str):
            raise DtypeError(f"embedder: expected a text or None, got {self.embedder!r}.")
        if not len(self.mass) == len(self.sums) == len(self.style_sums):
            raise ShapeError(
                f"mass, sums, style_sums: expected one row per cluster in each, got "
                f"{len(self.mass)}, {len(self.sums)} and {len(self.style_sums)} rows."
            )
        check_possible(self)

    def __repr__(self) -> str:
        return (
            f"<FusionState: of {self.num_images} images, {len(self.mass)} clusters, "
            f"dim {self.sums.shape[1]}, fuser {self.fuser}, embedder {self.embedder or 'unknown'}>"
        )

    def __add__(self, other: FusionState) -> FusionState:
        """The state of all images of both.

        Raises:
            FuserMismatchError, EmbedderMismatchError: If they do not belong together.
        """
        if not isinstance(other, FusionState):
            return NotImplemented
        embedder = self._check_fits(other)
        return FusionState(
            mass=self.mass + other.mass,
            sums=self.sums + other.sums,
            style_sums=self.style_sums + other.style_sums,
            num_images=self.num_images + other.num_images,
            fuser=self.fuser,
            embedder=embedder,
        )

    def __sub__(self, other: FusionState) -> FusionState:
        """The state without the images of `other`, which must have been added before.

        **Sums do not remember whose they are.** What cannot have been in is refused where it shows: more
        images or more mass than there is, in any cluster; when nothing remains, other sums; and for
        fusers that add up unit vectors (mean, norm-weighted, universal), a rest that is longer than its
        images can be. Otherwise the images of somebody else are taken out without an error, and the
        template is wrong from then on: keep a record of what was added.

        Raises:
            FuserMismatchError, EmbedderMismatchError: If they do not belong together.
            InvalidInputError: If `other` was never added, as far as that shows.
        """
        if not isinstance(other, FusionState):
            return NotImplemented
        embedder = self._check_fits(other)
        remaining = self.num_images - other.num_images
        if remaining < 0:
            raise InvalidInputError(
                f"cannot take {other.num_images} images out of a state of {self.num_images}. "
                f"Subtract only what was added."
            )
        if remaining == 0:
            for name in ("mass", "sums", "style_sums"):
                mine, theirs = getattr(self, name), getattr(other, name)
                if np.abs(mine - theirs).max(initial=0) > 1e-6 * np.abs(mine).max(initial=1e-300):
                    raise InvalidInputError(
                        f"cannot take out {other.num_images} other images than those of the state "
                        f"(their {name} differ). Subtract only what was added."
                    )
            return FusionState(
                mass=np.zeros_like(self.mass),
                sums=np.zeros_like(self.sums),
                style_sums=np.zeros_like(self.style_sums),
                num_images=0,
                fuser=self.fuser,
                embedder=embedder,
            )
        mass = self.mass - other.mass
        if (mass < -_ROUNDING * np.maximum(self.mass, 1.0)).any():
            raise InvalidInputError(
                "cannot take out images that weigh more than the whole state: they were never "
                "added to it. Subtract only what was added."
            )
        try:
            return FusionState(
                mass=np.maximum(mass, 0.0),
                sums=self.sums - other.sums,
                style_sums=self.style_sums - other.style_sums,
                num_images=remaining,
                fuser=self.fuser,
                embedder=embedder,
            )
        except InvalidInputError as error:
            raise InvalidInputError(
                f"cannot take these {other.num_images} images out: what would remain is no sum of "
                f"{remaining} images ({error}) Subtract only what was added."
            ) from error

    def _check_fits(self, other: FusionState) -> str | None:
        if self.fuser != other.fuser:
            raise FuserMismatchError(
                f"states of different fusers cannot be combined: {self.fuser} and {other.fuser}. "
                f"Encode all images with one fuser."
            )
        if self.embedder != other.embedder:
            if None in (self.embedder, other.embedder):
                raise EmbedderMismatchError(
                    f"states: one is of {self.embedder or other.embedder}, of the other nobody said what made "
                    f"its embeddings. If it is the same, say so: --embedder NAME (embedder=...)."
                )
            raise EmbedderMismatchError(
                f"states of different embedders cannot be combined: {self.embedder} and "
                f"{other.embedder}. "
                f"{remedy_for_pair(self.embedder, other.embedder, 'Embed all images with one model.')}"
            )
        if self.sums.shape != other.sums.shape or self.style_sums.shape != other.style_sums.shape:
            raise ShapeError(
                f"states: expected sums of one shape, got {self.sums.shape} and {other.sums.shape}."
            )
        return self.embedder

    def to_bytes(self) -> bytes:
        """The state as safetensors bytes, to be stored beside a person's record."""
        return state_bytes(
            {"mass": self.mass, "sums": self.sums, "style_sums": self.style_sums},
            {"num_images": self.num_images, "fuser": self.fuser, "embedder": self.embedder},
        )

    @staticmethod
    def from_bytes(data: bytes, *, origin: str = "state") -> FusionState:
        """Reads what `to_bytes` wrote.

        Args:
            data: The bytes.
            origin: Where they come from, for messages.

        Raises:
            FileFormatError: If they are not a fusion state, or one that cannot be.
            IntegrityError: If their hash is not that of what was written.
        """
        arrays, facts = read_state_bytes(data, origin=origin)
        try:
            fields: dict[str, Any] = {**arrays, **facts}
            return FusionState(**fields)
        except InvalidInputError as error:
            raise FileFormatError(f"{in_one_line(origin)}: {error}") from error

    def save(self, path: str | Path, *, force: bool = False) -> None:
        """Writes `to_bytes` to a file, atomically.

        Raises:
            OutputExistsError: If the file exists and `force` is False.
        """
        with replace_file(path, force=force) as stream:
            stream.write(self.to_bytes())

    @staticmethod
    def load(path: str | Path) -> FusionState:
        """Reads what `save` wrote.

        Raises:
            MissingFileError: If the file does not exist.
            FileFormatError: If it is not a fusion state, or one that cannot be.
            IntegrityError: If it is not what was written.
        """
        data = read_bytes(path, at_most=MAX_STATE_BYTES, name="state")
        return FusionState.from_bytes(data, origin=Path(path).name)
